"""CoAP and CoAPs."""

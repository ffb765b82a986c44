"""CoAP (RFC 7252, 7641, 7959): message codec, endpoint, block-wise, observe, site."""

"""Variables of OPC UA servers."""

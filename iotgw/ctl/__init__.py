"""`iotgwctl`, the command-line client of the API."""

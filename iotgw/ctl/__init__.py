"""`iotgwctl`: the command-line client of the API. It runs no reactor and knows the API only."""

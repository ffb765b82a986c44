"""Where the gateway and the token are looked for, if nobody says."""

DEFAULT_URL = "http://127.0.0.1:8080"
DEFAULT_TOKEN_FILE = "var/iotgw/admin-token"

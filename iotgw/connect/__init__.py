"""How the gateway reaches out: names, TLS, forbidden networks, and the clients that datasources and integrations share."""

"""Outgoing connections: name resolution, TLS, forbidden networks, and the clients shared by datasources and
integrations."""

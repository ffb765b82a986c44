"""Copies a gateway's data from the files of its data directory into PostgreSQL, and back. The gateway is stopped meanwhile."""

"""Listeners on TCP and UDP."""

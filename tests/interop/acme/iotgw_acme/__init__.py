"""Acme's devices and Acme's log, for iotgw."""

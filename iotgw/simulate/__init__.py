"""Simulated devices, one file per protocol: `iotgwctl simulate`."""

"""Hypothesis finds bytes, not slowness: no test fails because the machine is busy."""

from hypothesis import HealthCheck, settings

settings.register_profile("iotgw", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("iotgw")

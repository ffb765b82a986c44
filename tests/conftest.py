"""What holds for all tests: nothing that they start outlives them, none judges how fast a machine is, and in CI none is
skipped."""

import pytest
from hypothesis import HealthCheck, settings

from tests.peers import slow, strict
from tests.peers.leftovers import Leftovers

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
pytest.register_assert_rewrite("iotgw.testing.contracts")


def pytest_configure(config):
    config.pluginmanager.register(Leftovers(config), "leftovers")
    config.pluginmanager.register(slow, "slow peers")
    config.pluginmanager.register(strict, "strict")

"""What holds for all tests: nothing that they start outlives them."""

from tests.peers.leftovers import Leftovers


def pytest_configure(config):
    config.pluginmanager.register(Leftovers(config), "leftovers")

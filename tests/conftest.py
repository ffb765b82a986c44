"""What holds for all tests: nothing that they start outlives them, no failure is dropped, none judges how fast a machine is, and none is
skipped where all of them must run."""

import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings

from tests.peers.dropped import Dropped
from tests.peers.leftovers import Leftovers

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
pytest.register_assert_rewrite("iotgw.testing.contracts")


def pytest_configure(config):
    config.pluginmanager.register(Leftovers(config), "leftovers")
    config.pluginmanager.register(Dropped(), "dropped")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Files that take minutes begin first, then those with the most tests, so that several workers end at about the same time."""
    sizes = Counter(item.path for item in items)
    long = {item.path for item in items if item.get_closest_marker("long")}
    items.sort(key=lambda item: (item.path not in long, -sizes[item.path]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        report.outcome, report.longrepr = "failed", f"skipped, with CI=true: {report.longrepr[2]}"
    return report

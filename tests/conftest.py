"""What holds for all tests: nothing that they start outlives them, none judges how fast a machine is, and none is skipped
where all of them must run."""

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.peers.leftovers import Leftovers

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
pytest.register_assert_rewrite("iotgw.testing.contracts")


def pytest_configure(config):
    config.pluginmanager.register(Leftovers(config), "leftovers")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        report.outcome, report.longrepr = "failed", f"skipped, with CI=true: {report.longrepr[2]}"
    return report

"""With ``CI=true`` a test that is skipped has failed: what isn't run proves nothing. A pytest plugin."""

import os

import pytest


def in_ci():
    return os.environ.get("CI") == "true"


def _failed(report):
    """The report, as a failure that says why the test was skipped."""
    if in_ci() and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped, which fails where CI=true: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    return _failed((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    return _failed((yield))

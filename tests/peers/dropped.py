"""A failure of which nobody takes notice is a fault: a Deferred that was dropped says so in the log when it goes; a pytest plugin.

Some are told of while a later test runs, since a Deferred in a circle goes when Python looks for circles. The traceback says where it
comes from.
"""

import pytest
from twisted.logger import formatEvent, globalLogPublisher

WORDS = "Unhandled error in Deferred"
"""What Twisted says, in its own tests as in a gateway's log."""


class Dropped:
    """The plugin."""

    def __init__(self):
        self._found = []
        globalLogPublisher.addObserver(self._observe)

    def _observe(self, event):
        if str(event.get("log_format", "")).startswith(WORDS):
            failure = event.get("log_failure")
            self._found.append(formatEvent(event) if failure is None else failure.getTraceback())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = yield
        found, self._found = self._found, []
        if found and report.passed:
            report.outcome, report.longrepr = "failed", f"{WORDS}:\n" + "\n".join(found)
        return report

    def pytest_unconfigure(self):
        globalLogPublisher.removeObserver(self._observe)

"""A clock that stands still, and takes calls from real threads: the reactor of the store's tests."""

from queue import Empty, SimpleQueue

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

PATIENCE = 120
"""Seconds after which a thread that never answers fails the test."""


class ThreadClock(Clock):
    """`Clock` with ``callFromThread``; calls run when a test waits for something."""

    def __init__(self, now=1_700_000_000.0):
        super().__init__()
        self.rightNow = now
        self._calls = SimpleQueue()

    def callFromThread(self, function, *args, **kwargs):
        self._calls.put((function, args, kwargs))

    def turn(self):
        """Run what is due now."""
        self.advance(0)
        while True:
            try:
                function, args, kwargs = self._calls.get_nowait()
            except Empty:
                return
            function(*args, **kwargs)

    def until(self, happened):
        """Run until ``happened()``, sleeping while only threads work."""
        while True:
            self.advance(0)
            if happened():
                return
            function, args, kwargs = self._calls.get(timeout=PATIENCE)
            function(*args, **kwargs)

    def wait(self, deferred: Deferred):
        """The result of a Deferred; raises its failure."""
        results = []
        deferred.addBoth(results.append)
        self.until(lambda: results)
        if hasattr(results[0], "raiseException"):
            results[0].raiseException()
        return results[0]

"""A store of downlinks whose commits a test holds back, or has fail."""

from twisted.internet.defer import Deferred


class Gate:
    """Open at first. While ``holds`` is set, commits wait for `open`; while ``error`` is one, they fail with it."""

    def __init__(self):
        self.holds = False
        self.error = None
        self.tries = 0
        self._waiting = []

    async def passed(self):
        self.tries += 1
        if self.error is not None:
            raise self.error
        if self.holds:
            waiting = Deferred()
            self._waiting.append(waiting)
            await waiting

    def open(self):
        self.holds, self.error = False, None
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)

"""A date that jumps, beside a clock that doesn't."""

from iotgw.core.clock import GatewayClock

HOUR, DAY = 3600, 86_400


class Jumps:
    """``clock`` is gateway time, and stands at a date; ``calendar`` is to be given to the part under test."""

    def __init__(self, clock):
        self._clock = clock
        self._ahead = 0.0
        self._gateway = GatewayClock(None, "boot", clock.seconds, lambda: clock.seconds() + self._ahead)
        self.calendar = self._gateway.calendar

    def jump(self, seconds):
        self._ahead += seconds
        self._gateway.look()

    def to_1970(self):
        """As after a start without a battery. Returns by how much it jumps to be right again."""
        by = 300 - self._clock.seconds()
        self.jump(by)
        return -by

"""What is done for a person or a downlink: one order, one answer."""

from __future__ import annotations

from typing import Any

import msgspec
from twisted.internet.defer import Deferred

from iotgw.converters.death import TIME, Death
from iotgw.converters.line import fatal
from iotgw.converters.protocol import RunDone, Tried, Try, frame
from iotgw.converters.slot import Slot, Work


class TryWork:
    """Something for a person, or a downlink: one `Try`."""

    def __init__(self, what: str, body: dict[str, Any], time_limit: float) -> None:
        self.answer: Deferred[dict[str, Any]] = Deferred()
        self.patience = 5.0 + 20 * time_limit
        self._what = what
        self._body = body
        self._time_limit = time_limit

    def frame(self, seq: int, slot: Slot) -> bytes:
        """See `iotgw.converters.slot.Work`."""
        return frame(Try(seq, self._what, self._body))

    def done(self, reply: RunDone | Tried) -> None:
        """See `iotgw.converters.slot.Work`."""
        assert isinstance(reply, Tried)
        self.answer.callback(msgspec.json.decode(reply.body))

    def died(self, index: int, death: Death) -> Work | None:
        """See `iotgw.converters.slot.Work`."""
        if death.cause == TIME and self._what == "test" and not self._body.get("careful"):
            self._body = dict(self._body, careful=True)  # once more, to find out where it hangs
            return self
        error = fatal(death, self._time_limit)
        self.answer.callback(
            {"error": msgspec.to_builtins(error), "path": "script", "problem": error.message}
        )
        return None

    def again(self) -> Work | None:
        """See `iotgw.converters.slot.Work`."""
        return self

"""Reads one shard of a stream: asks for an iterator, then for records, again and again, until the shard ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from iotgw.connect.json_api import CallProblem
from iotgw.connect.kinesis import KinesisApi, KinesisRecord

MOST = 1000
"""Records in an answer."""
SHORTEST = 0.2
"""Seconds between two requests: a shard answers five a second (Kinesis API reference, "GetRecords")."""
EXPIRED = "ExpiredIteratorException"
THROTTLED = ("ProvisionedThroughputExceededException", "LimitExceededException")
TOO_OLD = "InvalidArgumentException"
"""What a sequence number is that isn't in the shard."""

Begin = tuple[str, dict[str, Any]]
"""The kind of an iterator, and what it needs besides."""
OLDEST: Begin = ("TRIM_HORIZON", {})


class ShardOwner(Protocol):
    """What a reader tells. Nothing may raise."""

    def on_records(self, shard: str, records: list[KinesisRecord]) -> None:
        """The next records, in order."""

    def on_shard_end(self, shard: str) -> None:
        """All records were handed over; there will be no others."""

    def on_shard_failed(self, shard: str, problem: CallProblem) -> None:
        """A request failed; another try comes."""

    def on_shard_answers(self, shard: str) -> None:
        """A request succeeded."""

    def on_throttled(self, shard: str) -> None:
        """Others read the shard, too, or much is in it: it is asked again later."""

    def on_gap(self, shard: str) -> None:
        """Where it was to be read on is no longer kept: it is read from its oldest record."""


class ShardReader:
    """Reads from `start` to `stop`. ``begin`` is where."""

    def __init__(
        self,
        shard: str,
        begin: Begin,
        api: KinesisApi,
        clock: IReactorTime,
        owner: ShardOwner,
        interval: float,
        backoff: Callable[[int], float],
    ) -> None:
        self.shard = shard
        self._begin = begin
        self._api = api
        self._clock = clock
        self._owner = owner
        self._interval = interval
        self._backoff = backoff
        self._iterator = ""
        self._failures = 0
        self._is_open = self._is_paused = self._is_asking = False
        self._timer: IDelayedCall | None = None

    def start(self) -> None:
        """Begin to read."""
        self._is_open = True
        self._ask()

    def stop(self) -> None:
        """Read no more."""
        self._is_open = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def pause(self) -> None:
        """Ask for no more for now."""
        self._is_paused = True

    def resume(self) -> None:
        """Go on. An iterator that ended meanwhile is replaced."""
        self._is_paused = False
        self._ask()

    def _ask(self) -> None:
        if not self._is_open or self._is_paused or self._is_asking or self._timer is not None:
            return
        self._is_asking = True
        if self._iterator:
            self._api.records(self._iterator, MOST, self._came)
        else:
            kind, more = self._begin
            self._api.iterator(self.shard, kind, self._may_begin, **more)

    def _may_begin(self, answer: Any, problem: CallProblem | None) -> None:
        self._is_asking = False
        if problem is None:
            self._iterator = answer.shard_iterator
            self._ask()
        elif problem.code == TOO_OLD and self._begin[0] == "AFTER_SEQUENCE_NUMBER":
            self._begin = OLDEST
            self._owner.on_gap(self.shard)
            self._wait(SHORTEST)
        else:
            self._failed(problem)

    def _came(self, answer: Any, problem: CallProblem | None) -> None:
        self._is_asking = False
        if not self._is_open:
            return
        if problem is not None:
            self._failed(problem)
            return
        self._failures = 0
        self._owner.on_shard_answers(self.shard)
        records: list[KinesisRecord] = answer.records
        if records:
            self._begin = ("AFTER_SEQUENCE_NUMBER", {"StartingSequenceNumber": records[-1].sequence_number})
            self._owner.on_records(self.shard, records)
        self._iterator = answer.next_shard_iterator or ""
        if not self._iterator:
            self._is_open = False
            self._owner.on_shard_end(self.shard)
            return
        self._wait(SHORTEST if records or answer.millis_behind_latest else self._interval)

    def _failed(self, problem: CallProblem) -> None:
        if not self._is_open:
            return
        if problem.code == EXPIRED:
            self._iterator = ""
            self._wait(SHORTEST)
            return
        self._failures += 1
        if problem.code in THROTTLED:
            self._owner.on_throttled(self.shard)
        else:
            self._iterator = ""
            self._owner.on_shard_failed(self.shard, problem)
        self._wait(max(self._backoff(self._failures), problem.after or 0.0))

    def _wait(self, seconds: float) -> None:
        if self._is_open and self._timer is None:
            self._timer = self._clock.callLater(seconds, self._time_is_up)

    def _time_is_up(self) -> None:
        self._timer = None
        self._ask()

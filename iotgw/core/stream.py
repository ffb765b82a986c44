"""A reader of one journal stream: from memory while it keeps up, from the journal when it doesn't.

Live records are offered as they become durable, or anticipated while they are being stored. When more than
``capacity`` records or `WEIGHT` bytes wait, the reader falls *behind*: it drops the newest records instead of
growing, and reads them from the journal later. After a restart it begins behind. A slow reader with millions of
waiting records needs no more memory than a fast one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterable, Sequence
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

WEIGHT = 16 << 20
"""How many bytes of records may be in memory. A read may stop short of its limit only if it returns as many bytes."""


class Positioned(Protocol):
    """A record with its place in a stream."""

    @property
    def seq(self) -> int:
        """The position. It grows along the stream, with gaps."""


R = TypeVar("R", bound=Positioned)
Read = Callable[[int, int], "Deferred[list[Any]]"]


class StreamReader(Generic[R]):
    """The records of a stream after ``position``, in order.

    ``read(after, limit)`` returns a Deferred of the durable records after a position. ``ready()`` is called when `take`
    has something again after it had nothing. ``capacity`` bounds the number of records in memory; one offered batch
    may exceed it. ``weigh(records)`` gives their size in bytes. The attribute ``behind`` starts as True, because
    the journal's records come first.
    """

    _log = Logger()

    def __init__(
        self,
        read: Read,
        position: int,
        capacity: int,
        ready: Callable[[], None],
        weigh: Callable[[Iterable[R]], int],
    ) -> None:
        self._read = read
        self._weigh = weigh
        self._weight = 0
        self._ready = ready
        self._capacity = capacity
        self._queue: deque[R] = deque()
        self.position = position
        """The last record that entered the queue. Everything after it is still to be read or offered."""
        self._anticipated = -1
        """The last record that entered before it was durable."""
        self._live: list[R] | None = []
        """Records offered while a read is under way; None if they were too many to keep."""
        self._live_weight = 0
        self._reading = False
        self.behind = True
        self.closed = False

    def __len__(self) -> int:
        """How many records are in memory, ready to take."""
        return len(self._queue)

    @property
    def caught_up(self) -> bool:
        """Whether no record is known to wait."""
        return not self._queue and not self.behind and not self._reading

    def offer(self, records: Sequence[R]) -> None:
        """Hand in live records, in order, all durable. Those that were anticipated are skipped: they are in the queue."""
        if self.closed or not records or records[-1].seq <= self._anticipated:
            return
        if self._reading:
            if self._live is not None:
                self._live.extend(records)
                self._live_weight += self._weigh(records)
                if len(self._live) > self._capacity or self._live_weight > WEIGHT:
                    self._live = None
        elif self.behind:
            if not self._queue:
                self.fill()
        elif self._is_full:
            self.behind = True
        else:
            self._enqueue(records)

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing is in memory and nothing is known to be stored that did not come here."""
        return not (self._queue or self.behind or self._reading or self.closed)

    def pass_by(self, position: int) -> None:
        """What would be offered next, up to this position, concerns nobody here. Only while at rest."""
        self.position = position

    def anticipate(self, records: Sequence[R]) -> None:
        """Hand in records that are about to become durable, in order. They must still be offered once they are.

        Nothing happens if this reader is behind or full: it reads them from the journal once they are stored."""
        if self._reading or self.behind or self.closed or self._is_full:
            return
        self._anticipated = records[-1].seq
        self._enqueue(records)

    def drop(self, positions: Container[int]) -> None:
        """The anticipated records at these positions did not become durable."""
        self._queue = deque(record for record in self._queue if record.seq not in positions)
        self._weight = self._weigh(self._queue)

    def take(self, limit: int) -> list[R]:
        """The next records, at most ``limit``. Empty when none is in memory yet."""
        queue = self._queue
        if limit >= len(queue):
            taken = list(queue)
            queue.clear()
            self._weight = 0
        else:
            taken = list(islice(queue, limit))
            for _ in taken:
                queue.popleft()
            self._weight -= self._weigh(taken)
        if self.behind and self._is_half_empty:
            self.fill()
        return taken

    @property
    def _is_full(self) -> bool:
        return len(self._queue) >= self._capacity or self._weight >= WEIGHT

    @property
    def is_low(self) -> bool:
        """Whether there is so little in memory that it is time to read on."""
        return self._is_half_empty

    @property
    def _is_half_empty(self) -> bool:
        return len(self._queue) <= self._capacity // 2 and self._weight <= WEIGHT // 2

    def peek(self) -> R | None:
        """The next record, if it is in memory."""
        return self._queue[0] if self._queue else None

    def unread(self, records: Sequence[R]) -> None:
        """Put back records that `take` gave, in the same order."""
        self._queue.extendleft(reversed(records))
        self._weight += self._weigh(records)

    def seek(self, position: int) -> None:
        """Go on after ``position``, reading from the journal."""
        self._queue.clear()
        self._weight = 0
        self.position = position
        self.behind = True
        self.fill()

    def fill(self) -> None:
        """Read on in the journal if this reader is behind and no read is under way."""
        if self._reading or self.closed or not self.behind:
            return
        self._reading = True
        self._live = []
        self._live_weight = 0
        after = self.position
        self._read(after, self._capacity).addCallbacks(
            self._filled, self._failed, callbackArgs=(after,)
        ).addErrback(lambda failure: self._log.failure("a stream reader failed", failure))

    def _filled(self, records: list[R], after: int) -> None:
        live, self._live = self._live, []
        self._reading = False
        if self.closed:
            return
        if after != self.position:  # `seek` was called meanwhile
            self.fill()
            return
        is_all = len(records) < self._capacity and self._weigh(records) < WEIGHT
        if is_all and live is not None:
            # The read saw all that was durable when it ran; the rest was offered meanwhile.
            last = records[-1].seq if records else after
            records = [*records, *(record for record in live if record.seq > last)]
            self.behind = False
        if records:
            self._enqueue(records)
        if self.behind and self._is_half_empty:
            self.fill()

    def _enqueue(self, records: Sequence[R]) -> None:
        was_empty = not self._queue
        self._queue.extend(records)
        self._weight += self._weigh(records)
        self.position = records[-1].seq
        if was_empty:
            self._ready()

    def _failed(self, failure: Failure) -> None:
        self._reading = False
        if not self.closed:
            self._log.failure("the journal could not be read; it will be tried again", failure)

    def close(self) -> None:
        """Hand out nothing more."""
        self.closed = True
        self._queue.clear()
        self._weight = 0

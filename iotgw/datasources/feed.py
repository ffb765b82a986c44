"""Hands one source's messages to the gateway in order; shared by streams and subscriptions.

A source (a TCP connection, a subscription at a broker) submits what it reads. It is paused while the gateway
has no room, after the journal refused a message, or while too many messages are unsettled. So at most what it
had already read waits here. A message is settled when the gateway has answered it with anything but BUSY: it is
then durable, or never will be. A source that can acknowledge only in order is told the prefix: the last message
up to which all are settled.

What has many things in one message is worked on some at a time (`Feed.work`), so that everybody else has a turn in between; what comes
behind it waits until it is done.

No I/O here: the source supplies a clock and the functions that pause and resume it. A feed has one timer; a
message has no timer and no Deferred. Besides messages it takes what else of a source must be durable before it is
acknowledged, a network's receipts, in the same order and by the same rules.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heapify, heappop, heappush

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from iotgw.core.model import Answer, Metadata, Status
from iotgw.core.ports.intake import IIntake, Reply
from iotgw.datasources.frames import HeldFrames
from iotgw.datasources.pieces import PIECE

MOST = 65_536
"""A source with this many unsettled messages is paused."""
AGAIN = 1.0
"""Seconds before a refused message is tried again, if the gateway gave no time."""
Piece = Callable[[], bool]
"""Submits some things of a message, as of `piece_of`. Returns whether there may be more."""
Write = Callable[[], Deferred[bool]]
"""Makes something else than a message durable. Fires with whether it is; False is to be tried again."""


class _Entry(Struct, eq=False):
    """What is not settled. ``answered`` is what the gateway calls."""

    feed: Feed
    number: int
    reply: Reply
    is_kept: bool

    def __lt__(self, other: _Entry) -> bool:
        return self.number < other.number

    def answered(self, answer: Answer) -> None:
        """The gateway's answer."""
        self.feed.answered(self, answer)

    def hand_over(self, into: IIntake | HeldFrames) -> None:
        """Give it to the gateway."""
        raise NotImplementedError


class _Message(_Entry, eq=False):
    """A message."""

    payload: bytes
    metadata: Metadata
    listens: bool
    key: str

    def hand_over(self, into: IIntake | HeldFrames) -> None:
        """See `_Entry`."""
        into.receive(self.payload, self.metadata, self.answered, listens=self.listens, key=self.key)


class _Other(_Entry, eq=False):
    """Something else that is to be durable."""

    write: Write

    def hand_over(self, into: IIntake | HeldFrames) -> None:
        """See `_Entry`. Here a false answer is what BUSY is for a message."""
        self.write().addCallback(lambda is_durable: self.answered(_DURABLE if is_durable else _BUSY))


_DURABLE = Answer(Status.STORED)
_BUSY = Answer(Status.BUSY)


class Feed:
    """Hands messages to an `IIntake` in the order in which they were submitted.

    ``pause()`` and ``resume()`` are called alternately until the feed is closed. ``settled()`` is called after
    each message's reply, ``settled_up_to(number)`` when the prefix grew. The latter often comes several times
    in one turn of the reactor, so a source should note it and acknowledge
    once. Messages are numbered from 1. ``most`` is how
    many may be unsettled; with ``settled_up_to``, how far the newest may be ahead of the prefix. ``frames`` is
    where messages with a key wait for their repetitions.
    """

    def __init__(
        self,
        intake: IIntake,
        clock: IReactorTime,
        pause: Callable[[], None],
        resume: Callable[[], None],
        *,
        settled: Callable[[], None] | None = None,
        settled_up_to: Callable[[int], None] | None = None,
        most: int = MOST,
        frames: HeldFrames | None = None,
    ) -> None:
        self._intake = intake
        self._into: IIntake | HeldFrames = intake if frames is None else frames
        self._frames = frames
        self._clock = clock
        self._pause = pause
        self._resume = resume
        self._settled = settled
        self._settled_up_to = settled_up_to
        self._most = most
        self._waiting: deque[_Entry] = deque()
        """Not handed over yet."""
        self._refused: list[_Entry] = []
        """Handed over and refused. A heap: these are older than all that wait."""
        self._early: set[int] = set()
        """Settled while an earlier message is not."""
        self._last = 0
        self._behind = 0
        """The number of settled messages, or the prefix where ``settled_up_to`` is given."""
        self._under_way = 0
        self._quiet: list[Callable[[], None]] = []
        self._pieces: deque[Piece] = deque()
        self._turn: IDelayedCall | None = None
        """The turn in which the next piece is worked on."""
        self._is_open = True
        self._is_paused = False
        self._is_handing_over = False
        self._is_held = False
        """True until the gateway has room again or a wait is over; nothing is handed over meanwhile."""
        self._not_before = 0.0
        self._timer: IDelayedCall | None = None

    @property
    def unsettled(self) -> int:
        """How many messages are not settled; or how far the newest is ahead of the prefix."""
        return self._last - self._behind

    @property
    def is_waiting(self) -> bool:
        """Whether the source waits because of the gateway."""
        return bool(self._waiting or self._refused)

    @property
    def is_working(self) -> bool:
        """Whether a message is being worked on, behind which others have to wait."""
        return bool(self._pieces)

    @property
    def is_paused(self) -> bool:
        """Whether the source should read nothing."""
        return self._is_paused

    def submit(
        self,
        payload: bytes,
        metadata: Metadata,
        reply: Reply,
        listens: bool = True,
        is_kept: bool = False,
        key: str = "",
    ) -> int:
        """Hand a message over as soon as it is its turn and there is room; returns its number.

        ``reply`` is called once with the gateway's answer, never with BUSY. ``listens`` and ``key`` as in `IIntake.receive`.
        ``is_kept``: the source keeps the message until it is acknowledged and sends it again after a reconnect,
        so it is dropped if the source leaves before it is handed over.
        """
        self._last = number = self._last + 1
        message = _Message(self, number, reply, is_kept, payload, metadata, listens, key)
        intake = self._intake
        if self._is_paused or self._waiting or not intake.room:
            self._waiting.append(message)
            self._hand_over()
            return number
        self._under_way += 1
        self._into.receive(payload, metadata, message.answered, listens=listens, key=key)
        if self._last - self._behind >= self._most:
            self._steer()
        return number

    def write(self, write: Write, reply: Reply, is_kept: bool = False) -> int:
        """Make something else durable when it is its turn: calls ``write()``, again while it fires with False; returns its number.
        ``reply`` and ``is_kept`` as in `submit`."""
        self._last = number = self._last + 1
        self._waiting.append(_Other(self, number, reply, is_kept, write))
        self._hand_over()
        return number

    def work(self, piece: Piece) -> None:
        """Submit the things of one message by calling ``piece()``: at once, and while it returns True, in turns of their own. The source is paused
        meanwhile. Behind a message that is being worked on, this is the way for all others."""
        if self._pieces or (self._is_full() or piece()):
            self._pieces.append(piece)
            self._steer()

    def _go_on_working(self) -> None:
        self._turn = None
        for _ in range(PIECE):
            if not self._pieces or self._is_full() or self._pieces[0]():
                break
            self._pieces.popleft()
        self._steer()

    def _is_full(self) -> bool:
        """Whether nothing more should be submitted for now."""
        most = self._most // 2 + 1 if self._is_paused else self._most
        return self._is_held or self._last - self._behind >= most

    def when_quiet(self, callback: Callable[[], None]) -> None:
        """Call ``callback()`` once when the gateway has answered all that it has; at once if it has."""
        if self._under_way:
            self._quiet.append(callback)
        else:
            callback()

    def close(self) -> None:
        """The source is gone. Messages that it doesn't keep are still handed over when there is room."""
        self._is_open = False
        before = len(self._waiting) + len(self._refused)
        self._waiting = deque(message for message in self._waiting if not message.is_kept)
        self._refused = [message for message in self._refused if not message.is_kept]
        heapify(self._refused)
        if self._settled_up_to is None:
            self._behind += before - len(self._waiting) - len(self._refused)
        if self._frames is not None:
            self._frames.flush()
        if not self.is_waiting and self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._is_held = False

    def _hand_over(self) -> None:
        if self._is_handing_over:  # an answer came at once
            return
        self._is_handing_over = True
        waiting, refused, intake = self._waiting, self._refused, self._intake
        while (refused or waiting) and not self._is_held:
            if not intake.room:
                self._is_held = True
                intake.when_room(self._go_on)
                break
            entry = heappop(refused) if refused else waiting.popleft()
            self._under_way += 1
            entry.hand_over(self._into)
        self._is_handing_over = False
        if self._is_paused or self._is_held or self._last - self._behind >= self._most:
            self._steer()

    def answered(self, message: _Entry, answer: Answer) -> None:
        """Called by a message with the gateway's answer."""
        self._under_way -= 1
        if answer.status is Status.BUSY:
            self._again(message, answer.retry_after or AGAIN)
        else:
            self._over(message, answer)
        if self._quiet and not self._under_way:
            quiet, self._quiet = self._quiet, []
            for callback in quiet:
                callback()

    def _over(self, message: _Entry, answer: Answer) -> None:
        if self._settled_up_to is None:
            self._behind += 1
            message.reply(answer)
        else:
            message.reply(answer)
            self._advance(message.number)
        if self._settled is not None:
            self._settled()
        if self._is_paused:
            self._hand_over()

    def _advance(self, number: int) -> None:
        early, prefix = self._early, self._behind
        if number != prefix + 1:
            early.add(number)
            return
        prefix = number
        while prefix + 1 in early:
            prefix += 1
            early.remove(prefix)
        self._behind = prefix
        if self._is_open and self._settled_up_to is not None:
            self._settled_up_to(prefix)

    def _again(self, message: _Entry, after: float) -> None:
        """The gateway was full after all: this message goes first when there is room, but not before
        ``after``."""
        if not self._is_open and message.is_kept:
            if self._settled_up_to is None:
                self._behind += 1
            return
        heappush(self._refused, message)
        self._not_before = max(self._not_before, self._clock.seconds() + after)
        if not self._is_held:
            self._is_held = True
            self._timer = self._clock.callLater(after, self._time_is_up)
            self._steer()

    def _time_is_up(self) -> None:
        self._timer = None
        self._intake.when_room(self._go_on)

    def _go_on(self) -> None:
        left = self._not_before - self._clock.seconds()
        if left > 0:
            self._timer = self._clock.callLater(left, self._time_is_up)
            return
        self._is_held = False
        self._hand_over()

    def _steer(self) -> None:
        """Pause or resume the source. It is resumed when the unsettled messages are down to half of the
        limit."""
        is_full = self._is_full()
        if self._pieces and not is_full and self._turn is None:
            self._turn = self._clock.callLater(0, self._go_on_working)
        is_wanted = is_full or bool(self._pieces)
        if is_wanted is not self._is_paused:
            self._is_paused = is_wanted
            if self._is_open:
                (self._pause if is_wanted else self._resume)()

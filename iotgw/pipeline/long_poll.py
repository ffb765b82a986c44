"""Answers that are held back for a downlink.

A device may say how long it listens (``ttd``, as in Eclipse Hono). If an item is queued in that time, it goes with the
answer; otherwise an empty answer is sent at the end. The uplink is durable by then, and its conversion tells which
device it is from.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from iotgw.core.model import Answer, Downlink, Outcome, Status
from iotgw.core.ports.downlinks import IDownlinks
from iotgw.core.ports.intake import Reply
from iotgw.core.ports.pipeline import UplinkListener
from iotgw.core.proof import Proved
from iotgw.pipeline.sources import Source

MAX_HELD = 500
"""How many answers may be held back at the same time. Further ones are sent as if there were no ``ttd``. Over HTTP
each takes one of the listener's 1,000 connections, and some must stay free for others."""


class LongPoll(UplinkListener):
    """All answers of the gateway that are held back."""

    def __init__(self, downlinks: IDownlinks, clock: IReactorTime) -> None:
        self._downlinks = downlinks
        self._clock = clock
        self._open: dict[HeldAnswer, int] = {}
        """The open answers, with the positions of their uplinks."""
        self._unnamed: dict[int, HeldAnswer] = {}
        """Answers by position, until the conversion names the device."""

    def hold(self, source: Source, identity: str, reply: Reply, proved: Proved = "") -> HeldAnswer | None:
        """Make an answer that is held back; None if there are too many.

        The uplink must be submitted with the answer's `answered` as its reply. Call `begin` when the journal has it.
        """
        if len(self._open) >= MAX_HELD:
            return None
        held = HeldAnswer(source, identity, reply, self._downlinks, self._over, proved)
        self._open[held] = 0
        return held

    def begin(self, held: HeldAnswer, seq: int, ttd: float) -> None:
        """The uplink has this position in the journal. Its device listens for ``ttd`` seconds from now."""
        if held not in self._open:
            return  # it was refused at once
        self._open[held] = seq
        held.start(self._clock.callLater(ttd, held.expire))
        if held.source.converts:
            self._unnamed[seq] = held
        else:
            held.named([])

    def converted(self, outcomes: list[Outcome]) -> None:
        """These uplinks are converted, so their devices are known."""
        unnamed = self._unnamed
        if unnamed:
            for outcome in outcomes:
                if (held := unnamed.pop(outcome.seq, None)) is not None:
                    held.named([output.device_name for output in outcome.outputs])

    def stop(self) -> None:
        """Send all answers that are held back."""
        for held in list(self._open):
            held.expire()

    def _over(self, held: HeldAnswer) -> None:
        self._unnamed.pop(self._open.pop(held, 0), None)


class HeldAnswer:
    """An answer that is held back until there is an item, its time is over, or its device turns out to be unknown.
    ``over(self)`` is called when it is sent."""

    _log = Logger()

    def __init__(
        self,
        source: Source,
        identity: str,
        reply: Reply,
        downlinks: IDownlinks,
        over: Callable[[HeldAnswer], None],
        proved: Proved = "",
    ) -> None:
        self.source = source
        self._identity = identity
        self._reply = reply
        self._downlinks = downlinks
        self._over = over
        self._proved = proved
        self._timer: IDelayedCall | None = None
        self._answer: Answer | None = None
        """The answer that the gateway gave, kept until it is sent."""
        self._names: list[str] | None = None
        """The device's possible names; None while they are unknown, empty once it no longer listens."""
        self._listening: list[Callable[[], None]] = []
        self._is_looking = False
        self._look_again = False
        self._is_over = False

    def start(self, timer: IDelayedCall) -> None:
        """The device has begun to listen; ``timer`` ends it."""
        self._timer = timer

    def answered(self, answer: Answer) -> None:
        """Take the gateway's answer. It is held back only if it says that the uplink is stored and nothing else."""
        self._answer = answer
        if (
            answer.status is not Status.STORED
            or answer.downlinks
            or answer.reply is not None
            or self._is_over
        ):
            self._end(answer)
        else:
            self._look()

    def named(self, names: list[str]) -> None:
        """The conversion named the device. Without a name and without an identity, the answer is sent at once."""
        if self._is_over or self._names is not None:
            return
        self._names = list(dict.fromkeys(filter(None, (self._identity, *names))))
        tenant = self.source.tenant
        self._listening = [self._downlinks.listen(tenant, name, self._look) for name in self._names]
        self._look()

    def expire(self) -> None:
        """The device no longer listens. An item that is being taken for this answer is still sent with it."""
        self._names = []
        self._look()

    def let_go(self) -> None:
        """The device went away. Items queued from now on stay in the queue."""
        self._close()

    def _look(self) -> None:
        """Answer if there is an item. Check again if something changed in the meantime."""
        self._look_again = True
        if self._answer is not None and self._names is not None and not self._is_looking:
            ensureDeferred(self._take()).addErrback(
                lambda failure: self._log.failure("an answer that was held back failed", failure)
            )

    async def _take(self) -> None:
        self._is_looking = True
        items: tuple[Downlink, ...] = ()
        try:
            while self._look_again and not items and not self._is_over:
                self._look_again = False
                items = await self._next()
        finally:
            self._is_looking = False
        assert self._answer is not None
        if self._is_over:
            for item in items:
                self._downlinks.outcome(item.id, "returned")
        elif items:
            self._end(Answer(self._answer.status, self._answer.message_id, 0.0, items))
        elif not self._names:
            self._end(self._answer)

    async def _next(self) -> tuple[Downlink, ...]:
        tenant = self.source.tenant
        for name in self._names or ():
            if name in self._downlinks.waited_for(tenant):
                taken: Deferred[tuple[Downlink, ...]] = Deferred()
                self._downlinks.take(tenant, name, self.source.id, 1, taken.callback, self._proved)
                if items := await taken:
                    return items
        return ()

    def _end(self, answer: Answer) -> None:
        self._close()
        self._reply(answer)

    def _close(self) -> None:
        """The time is over. An answer that arrives later is sent at once."""
        self._is_over = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        for gone in self._listening:
            gone()
        self._listening = []
        self._over(self)

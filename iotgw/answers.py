"""When a device is answered, and with which downlinks.

An uplink is answered as soon as it is durable. It waits for its conversion where the datasource says so, and
where an item waits for a device that only the converter can name. What a conversion told of an identity is
remembered for a while, so a device that its datasource knows waits once.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

from iotgw.model import Answer, Downlink, Outcome, State, Status

PATIENCE = 5
"""Seconds that an answer waits for a conversion on account of downlinks; later ones go with the next uplink."""
REMEMBERED = 600.0
"""Seconds after which all that was learnt of identities is forgotten: converters change their minds."""
IDENTITIES = 100_000
SEVERAL = ""
"""The name of an identity that speaks for more than one device."""

Reply = Callable[[Answer], None]


class Answers:
    """The answers that are due.

    ``downlinks`` is an `iotgw.interfaces.IDownlinks`, ``clock`` an IReactorTime, ``name(seq)`` an uplink's
    name outside, ``tell(reply, answer)`` calls a reply whatever that does.
    """

    def __init__(
        self, downlinks: Any, clock: Any, name: Callable[[int], str], tell: Callable[[Reply, Answer], None]
    ) -> None:
        self._downlinks = downlinks
        self._clock = clock
        self._name = name
        self._tell = tell
        self.waiting: dict[int, tuple[Any, Reply, str | None, float]] = {}
        """Who is answered after the conversion, by position; at the latest when `_seconds` is that much."""
        self._sweep: Any = None
        self._seconds = 0
        """Grows once a second while somebody waits."""
        self._names: dict[tuple[str, str], str] = {}
        """The device's name, by datasource and identity; `SEVERAL` where there is more than one."""
        self._forget_at = 0.0

    def stored(self, intake: Any, seq: int, reply: Reply, identity: str | None) -> None:
        """An uplink is durable. ``identity`` is what its datasource knows of the sender, None when the
        answer can carry no downlink."""
        if intake.spec.reply == "converted" and intake.converts:
            self.waiting[seq] = (intake, reply, identity, inf)
            return
        device = self._device(intake, identity)
        if device is None:
            self.waiting[seq] = (intake, reply, identity, self._seconds + PATIENCE)
            if self._sweep is None:
                self._sweep = self._clock.callLater(1.0, self._give_up)
        else:
            self._answer(intake, reply, seq, device, Status.STORED)

    def converted(self, outcomes: list[Outcome]) -> None:
        """These uplinks are converted: answer who only waited to be named."""
        waiting = self.waiting
        if waiting:
            for outcome in outcomes:
                if (entry := waiting.get(outcome.seq)) is not None and entry[3] < inf:
                    del waiting[outcome.seq]
                    self._named(outcome, *entry[:3], Status.STORED)

    def settled(self, outcomes: list[Outcome]) -> None:
        """These outcomes are durable: answer who waited for that."""
        waiting = self.waiting
        if waiting:
            for outcome in outcomes:
                if (entry := waiting.pop(outcome.seq, None)) is not None:
                    failed = outcome.state is State.FAILED
                    self._named(outcome, *entry[:3], Status.FAILED if failed else Status.STORED)

    def _named(
        self, outcome: Outcome, intake: Any, reply: Reply, identity: str | None, status: Status
    ) -> None:
        """Answer with what waits for the identity, or for a device that the outcome names."""
        device = ""
        if identity is not None:
            names = [output.device_name for output in outcome.outputs]
            if identity:
                if names:
                    self._learn((intake.id, identity), set(names))
                names.insert(0, identity)
            is_waited_for, tenant = self._downlinks.waiting, intake.tenant
            for name in names:
                if name and is_waited_for(tenant, name):
                    device = name
                    break
        self._answer(intake, reply, outcome.seq, device, status)

    def removed(self, intake: Any) -> None:
        """A datasource was deleted: who waits for its converter is told what is certain."""
        for seq, (waiting, reply, _, _) in list(self.waiting.items()):
            if waiting is intake:
                del self.waiting[seq]
                self._tell(reply, Answer(Status.STORED, self._name(seq)))

    def stop(self) -> None:
        """Nobody waits any more."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    def _device(self, intake: Any, identity: str | None) -> str | None:
        """Whose items go with an answer: empty for nobody's, None where only the converter can tell."""
        downlinks, tenant = self._downlinks, intake.tenant
        if identity is None or not downlinks.waits_in(tenant):
            return ""
        if not identity:
            return None if intake.converts else ""
        if downlinks.waiting(tenant, identity):
            return identity
        name = self._names.get((intake.id, identity), SEVERAL)
        if name != SEVERAL:
            return name if downlinks.waiting(tenant, name) else ""
        return None if intake.converts else ""

    def _learn(self, key: tuple[str, str], names: set[str]) -> None:
        now = self._clock.seconds()
        if now > self._forget_at or len(self._names) >= IDENTITIES:
            self._names.clear()
            self._forget_at = now + REMEMBERED
        name = names.pop()
        self._names[key] = SEVERAL if names or self._names.get(key, name) != name else name

    def _give_up(self) -> None:
        """A conversion that takes too long, or has a queue before it, keeps no device waiting."""
        self._seconds += 1
        late = [seq for seq, (_, _, _, until) in self.waiting.items() if until <= self._seconds]
        for seq in late:
            intake, reply, _, _ = self.waiting.pop(seq)
            self._answer(intake, reply, seq, "", Status.STORED)
        self._sweep = self._clock.callLater(1.0, self._give_up) if self.waiting else None

    def _answer(self, intake: Any, reply: Reply, seq: int, device: str, status: Status) -> None:
        name = self._name(seq)
        if not device:
            self._tell(reply, Answer(status, name))
            return

        def with_downlinks(items: tuple[Downlink, ...]) -> None:
            self._tell(reply, Answer(status, name, 0.0, items))

        self._downlinks.take(intake.tenant, device, intake.id, {}, 1, with_downlinks)

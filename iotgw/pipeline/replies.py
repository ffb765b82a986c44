"""When a device is answered, and with which downlinks.

An uplink is answered as soon as it is durable. It waits for its conversion where the datasource says so, and
where an item waits for a device that only the converter can name. What a conversion told of an identity is
remembered for a while, so a device that its datasource knows waits once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from math import inf
from typing import Any

from iotgw.core.model import Answer, Downlink, Outcome, State, Status, StoredUplink

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

    ``downlinks`` is an `iotgw.core.ports.downlinks.IDownlinks`, ``clock`` an IReactorTime, ``name(seq)`` an uplink's
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

    def stored(self, intake: Any, entries: list[tuple[StoredUplink, tuple[Reply, str | None]]]) -> None:
        """Uplinks of a datasource are durable. Beside each is its reply, and what the datasource knows of the sender:
        an identity, empty for nothing, None when the answer can carry no downlink."""
        waiting = self.waiting
        converts = intake.converts
        if intake.spec.reply == "converted" and converts:
            for stored, (reply, identity) in entries:
                waiting[stored.seq] = (intake, reply, identity, inf)
            return
        names = self._downlinks.waited_for(intake.tenant)
        until = self._seconds + PATIENCE
        for stored, (reply, identity) in entries:
            device: str | None = ""
            if names and identity is not None:
                device = self._device(intake, identity, names) if identity else None
                if device is None and converts:
                    waiting[stored.seq] = (intake, reply, identity, until)
                    continue
            self._answer(intake, reply, stored.seq, device or "", Status.STORED)
        if waiting and self._sweep is None:
            self._sweep = self._clock.callLater(1.0, self._give_up)

    def converted(self, outcomes: list[Outcome]) -> None:
        """These uplinks are converted: answer who only waited to be named."""
        waiting = self.waiting
        if waiting:
            for outcome in outcomes:
                if (entry := waiting.get(outcome.seq)) is not None and entry[3] < inf:
                    del waiting[outcome.seq]
                    intake, reply, identity, _ = entry
                    self._named(outcome, intake, reply, identity, Status.STORED)

    def settled(self, outcomes: list[Outcome]) -> None:
        """These outcomes are durable: answer who waited for that."""
        waiting = self.waiting
        if waiting:
            for outcome in outcomes:
                if (entry := waiting.pop(outcome.seq, None)) is not None:
                    intake, reply, identity, _ = entry
                    failed = outcome.state is State.FAILED
                    self._named(outcome, intake, reply, identity, Status.FAILED if failed else Status.STORED)

    def _named(
        self, outcome: Outcome, intake: Any, reply: Reply, identity: str | None, status: Status
    ) -> None:
        """Answer with what waits for the identity, or for a device that the outcome names."""
        device = ""
        if identity is not None:
            names = self._downlinks.waited_for(intake.tenant)
            if identity:
                if outcome.outputs:
                    self._learn((intake.id, identity), {output.device_name for output in outcome.outputs})
                if identity in names:
                    device = identity
            if not device:
                for output in outcome.outputs:
                    if output.device_name in names:
                        device = output.device_name
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

    def _device(self, intake: Any, identity: str, names: Collection[str]) -> str | None:
        """Whose items, of those that wait for ``names``, go with the answer to an identity: empty for nobody's, None
        where only the converter can tell."""
        if identity in names:
            return identity
        name = self._names.get((intake.id, identity), SEVERAL)
        if name != SEVERAL:
            return name if name in names else ""
        return None

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

        self._downlinks.take(intake.tenant, device, intake.id, 1, with_downlinks)

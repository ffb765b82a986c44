"""Deleting what has a backlog: the registry marks it, its room drains or drops the backlog, and then it goes.

The mark is the decision, and the one thing that has to survive a crash: a start goes on with what is marked.
"""

from __future__ import annotations

from msgspec import Struct
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from iotgw.core.errors import NotFound
from iotgw.core.ports.registry import IRegistry
from iotgw.core.recorder import Recorder
from iotgw.core.specs import Resource


class Left(Struct, frozen=True, rename="camel"):
    """What became of a backlog, as far as this process saw it: worked off, or dropped; ``dead_letters`` are those of
    an integration, which go with it."""

    drained: int = 0
    dropped: int = 0
    dead_letters: int = 0

    def __str__(self) -> str:
        """As a person reads it."""
        dead = f", and {self.dead_letters} dead letters went with it" if self.dead_letters else ""
        return f"{self.drained} messages were drained, {self.dropped} dropped{dead}"


class Departures:
    """The resources that are being deleted. ``clock`` counts seconds."""

    def __init__(self, registry: IRegistry, recorder: Recorder, clock: IReactorTime) -> None:
        self._registry = registry
        self._recorder = recorder
        self._clock = clock
        self._waiting: dict[str, list[Deferred[Left | None]]] = {}

    def end(self, kind: str, id: str, patience: float) -> Deferred[Left | None]:
        """Fires with what became of the backlog when a resource is gone; with None when that takes longer than
        ``patience`` seconds."""
        try:
            self._registry.get(kind, id)
        except NotFound:
            return succeed(Left())
        done: Deferred[Left | None] = Deferred()
        self._waiting.setdefault(id, []).append(done)
        done.addTimeout(patience, self._clock, lambda result, timeout: None)
        return done

    async def finish(self, resource: Resource, left: Left) -> None:
        """The backlog of a resource is gone, durably: take it out of the registry, and say so."""
        await self._registry.delete(resource.kind, resource.id)
        lost = left.dropped + left.dead_letters
        self._recorder.note(
            "removed", resource.kind, resource.name, f"it is gone: {left}", resource.tenant,
            "warning" if lost else "info",
            drained=left.drained, dropped=left.dropped, deadLetters=left.dead_letters,
        )  # fmt: skip
        for done in self._waiting.pop(resource.id, ()):
            if not done.called:
                done.callback(left)

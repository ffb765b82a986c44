"""Deletes a resource that has a backlog. The registry marks it, its room drains or drops the backlog, and then it is
removed.

The mark is the decision, and the one thing that has to survive a crash: the next start goes on with marked resources.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from iotgw.core.departed import keep_name
from iotgw.core.errors import NotFound
from iotgw.core.ports.registry import IRegistry
from iotgw.core.recorder import Recorder
from iotgw.core.specs import Resource


class Left(Struct, frozen=True, rename="camel"):
    """How many messages of a backlog this process drained and dropped. ``dead_letters`` is how many dead letters were
    deleted with an integration."""

    drained: int = 0
    dropped: int = 0
    dead_letters: int = 0

    def __str__(self) -> str:
        """The figures as a sentence."""
        dead = f", and {self.dead_letters} dead letters went with it" if self.dead_letters else ""
        return f"{self.drained} messages were drained, {self.dropped} dropped{dead}"


IsLast = Callable[[str], Awaitable[bool]]
"""Whether no backlog of the resource with this id is left, now that one's own is gone: of several partitions, each has one."""


async def _alone(id: str) -> bool:
    return True


class Departures:
    """The resources that are being deleted. ``clock`` counts seconds."""

    def __init__(
        self, registry: IRegistry, recorder: Recorder, clock: IReactorTime, is_last: IsLast = _alone
    ) -> None:
        self._registry = registry
        self._is_last = is_last
        self._finishing: set[str] = set()
        self._recorder = recorder
        self._clock = clock
        self._waiting: dict[str, list[Deferred[Left | None]]] = {}
        for kind in ("datasource", "integration"):
            registry.watch(kind, self._changed)

    def _changed(self, old: Resource | None, new: Resource | None) -> None:
        """Another node has removed a resource: those who wait for that hear of it."""
        if old is not None and new is None and old.id not in self._finishing:
            self._tell(old.id, Left())

    def _tell(self, id: str, left: Left) -> None:
        for done in self._waiting.pop(id, ()):
            if not done.called:
                done.callback(left)

    def end(self, kind: str, id: str, patience: float) -> Deferred[Left | None]:
        """Fires with what became of the backlog once the resource is deleted, or with None when that takes longer than
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
        """Remove a resource from the registry and record an event, unless others still have a backlog of it. One's own must be gone, durably."""
        if not await self._is_last(resource.id):
            return
        self._finishing.add(resource.id)
        try:
            if resource.kind == "datasource":
                await keep_name(self._registry, resource)
            await self._registry.delete(resource.kind, resource.id)
        finally:
            self._finishing.discard(resource.id)
        lost = left.dropped + left.dead_letters
        self._recorder.note(
            "removed", resource.kind, resource.name, f"it was deleted: {left}", resource.tenant,
            "warning" if lost else "info",
            drained=left.drained, dropped=left.dropped, deadLetters=left.dead_letters,
        )  # fmt: skip
        self._tell(resource.id, left)

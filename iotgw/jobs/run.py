"""One job under way: its progress, saved now and then as a resource of the registry."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from zope.interface import implementer

from iotgw.core.ports.jobs import IJobRun, JobView
from iotgw.core.ports.registry import IRegistry
from iotgw.core.specs import Resource
from iotgw.core.times import DateMs

KIND = "job"
"""Of the resources in the registry."""
SAVED = 2.0
"""Seconds after which progress is saved."""


class JobEnded(Exception):
    """A job has to end: it is cancelled, or the gateway stops."""


@implementer(IJobRun)
class JobRun:
    """An `IJobRun`. ``body`` is what the registry keeps of it: the fields of its view, and its ``cursor``."""

    def __init__(self, resource: Resource, registry: IRegistry, clock: IReactorTime) -> None:
        self.id, self.tenant, self.body = resource.id, resource.tenant, dict(resource.body)
        self._registry = registry
        self._clock = clock
        self._saved_at = clock.seconds()
        self._saved = dict(resource.body)
        self.is_cancelled = self.is_stopping = False
        self.over: Deferred[None] = Deferred()

    @property
    def what(self) -> dict[str, Any]:
        """See `IJobRun.what`."""
        return dict(self.body["what"])

    @property
    def created_ms(self) -> DateMs:
        """See `IJobRun.created_ms`."""
        return DateMs(self.body["createdAt"])

    @property
    def place(self) -> str:
        """See `IJobRun.place`."""
        return str(self.body.get("place", ""))

    @place.setter
    def place(self, place: str) -> None:
        self.body["place"] = place

    @property
    def cursor(self) -> int:
        """See `IJobRun.cursor`."""
        return int(self.body["cursor"])

    @property
    def before(self) -> dict[str, int]:
        """See `IJobRun.before`."""
        return dict(self.body["before"])

    @property
    def view(self) -> JobView:
        """As people see it."""
        return view_of(self.id, self.body)

    def expect(self, total: int, before: dict[str, int]) -> None:
        """See `IJobRun.expect`."""
        self.body["total"] = int(self.body["done"]) + total
        self.body["before"] = self.body["before"] or before

    def went(self, cursor: int, **counts: int) -> Deferred[None]:
        """See `IJobRun.went`."""
        self.body["cursor"] = cursor
        self.body["done"] += sum(counts.values())
        known = self.body["counts"]
        self.body["counts"] = {name: known.get(name, 0) + counts.get(name, 0) for name in {**known, **counts}}
        return maybeDeferred(self._save_now_and_then).addCallback(lambda _: self._turn())

    def ended(self, after: dict[str, int]) -> None:
        """See `IJobRun.ended`."""
        self.body["after"] = after

    def _save_now_and_then(self) -> Deferred[Any] | None:
        if self._clock.seconds() - self._saved_at < SAVED or self.body == self._saved:
            return None
        self._saved_at = self._clock.seconds()
        return self.save()

    def save(self) -> Deferred[Any]:
        """Fires when what is known of it is durable."""
        self._saved = dict(self.body)
        return self._registry.replace(KIND, self.id, self._saved)

    def _turn(self) -> Deferred[None]:
        def goes_on(_: object) -> None:
            if self.is_cancelled or self.is_stopping:
                raise JobEnded

        return deferLater(self._clock, 0, lambda: None).addCallback(goes_on)


def view_of(id: str, body: dict[str, Any]) -> JobView:
    """What the registry keeps of a job, as people see it."""
    fields = {name: value for name, value in body.items() if name not in ("cursor", "place", "node", "of")}
    return replace(msgspec.convert(fields, JobView), id=id)

"""`IJobs` and `IJobRun` that a test controls."""

from __future__ import annotations

import builtins
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from iotgw.core.errors import NotFound
from iotgw.core.ports.jobs import IJobRun, IJobs, JobState, JobView


@implementer(IJobs)
class MemoryJobs:
    """Jobs that do nothing. ``begun`` are they, each with its tenant."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, JobView]] = []

    def begin(
        self, kind: str, tenant: str, what: dict[str, Any], by: str, starts_at: int = 0
    ) -> Deferred[JobView]:
        """See `IJobs.begin`."""
        state: JobState = "waiting" if starts_at else "running"
        id = f"job{len(self.begun) + 1}"
        view = JobView(id, kind, state, what, None, 0, {}, {}, {}, 1000, 0, "", by, starts_at)
        self.begun.append((tenant, view))
        return succeed(view)

    def list(self, tenant: str) -> builtins.list[JobView]:
        """See `IJobs.list`."""
        return [view for of, view in reversed(self.begun) if of == tenant]

    def get(self, tenant: str, id: str) -> JobView:
        """See `IJobs.get`."""
        found = [view for view in self.list(tenant) if view.id == id]
        if not found:
            raise NotFound(f"there is no job {id!r}")
        return found[0]

    def cancel(self, tenant: str, id: str) -> Deferred[JobView]:
        """See `IJobs.cancel`."""
        try:
            view = self.get(tenant, id)
        except NotFound as error:
            return fail(error)
        ended = replace(view, state="cancelled", ended_at=2000)
        self.begun[self.begun.index((tenant, view))] = (tenant, ended)
        return succeed(ended)


@implementer(IJobRun)
class FakeJobRun:
    """A job under way. ``counts`` are how things ended; once ``is_over``, it goes on no more."""

    def __init__(
        self, what: dict[str, Any], tenant: str = "default", cursor: int = 0, place: str = ""
    ) -> None:
        self.what, self.tenant, self.cursor, self.place, self.id = what, tenant, cursor, place, "job1"
        self.before: dict[str, int] = {}
        self.after: dict[str, int] = {}
        self.total = 0
        self.counts: dict[str, int] = {}
        self.is_over = False

    def expect(self, total: int, before: dict[str, int]) -> None:
        """See `IJobRun.expect`."""
        self.total, self.before = total, before

    def went(self, cursor: int, **counts: int) -> Deferred[None]:
        """See `IJobRun.went`."""
        self.cursor = cursor
        for name, count in counts.items():
            self.counts[name] = self.counts.get(name, 0) + count
        return fail(InterruptedError()) if self.is_over else succeed(None)

    def ended(self, after: dict[str, int]) -> None:
        """See `IJobRun.ended`."""
        self.after = after

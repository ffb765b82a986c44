"""`/jobs`: long actions with their progress, which go on over restarts and can be cancelled."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from iotgw.api.auth import Permission
from iotgw.api.message_search import Searches, Window
from iotgw.api.messages import Text
from iotgw.api.routes import Call, Milliseconds, Reply, Route
from iotgw.core.errors import SettingsError
from iotgw.core.ports.jobs import IJobs, JobView
from iotgw.core.ports.registry import IRegistry


class ReprocessJob(Struct, frozen=True, forbid_unknown_fields=True):
    """Which messages are converted again: all that the filters leave, of those that failed where no ``state`` is given."""

    state: Literal["received", "converted", "filtered", "failed"] = "failed"
    datasource: Text | None = None
    device: Text | None = None
    text: Text | None = None
    group: Text | None = None
    since: Milliseconds = 0
    until: Milliseconds = 0

    def __post_init__(self) -> None:
        """Refuse a group of what didn't fail."""
        if self.group is not None and self.state != "failed":
            raise ValueError("expected a group with failed messages only")


class RetryJob(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Which dead letters are sent again: all of an integration (name or id) that the filters leave. ``error`` is a part of their
    error."""

    integration: Text
    device: Text | None = None
    received_before: Milliseconds = 0
    error: Text | None = None


class NewJob(Struct, frozen=True, forbid_unknown_fields=True):
    """A job: one of these."""

    reprocess: ReprocessJob | None = None
    retry: RetryJob | None = None

    def __post_init__(self) -> None:
        """Refuse none, and two."""
        if (self.reprocess is None) == (self.retry is None):
            raise ValueError("expected one of reprocess, retry")


class JobList(Struct, frozen=True):
    """Jobs, the newest first."""

    items: Annotated[list[JobView], Meta(max_length=10_000)]


class JobRoutes:
    """The routes of jobs."""

    def __init__(self, jobs: IJobs, registry: IRegistry, searches: Searches) -> None:
        self._jobs = jobs
        self._registry = registry
        self._searches = searches

    def routes(self) -> list[Route]:
        """Start, list, look, cancel."""
        read, write, one = Permission.READ, Permission.WRITE, "/jobs/<id>"
        return [
            Route("POST", "/jobs", write, self.begin, "Start a long action", NewJob, JobView, status=201),
            Route("GET", "/jobs", read, self.index, "Long actions, the newest first", answer=JobList),
            Route("GET", one, read, self.read, "How far a long action is", answer=JobView),
            Route("DELETE", one, write, self.cancel, "End a long action; what is done stays", answer=JobView),
        ]

    async def begin(self, call: Call) -> Reply:
        """A new one."""
        wanted = call.body()
        kind, what = ("reprocess", self._messages(call, wanted.reprocess)) if wanted.reprocess else (
            "retry", self._letters(call, wanted.retry)
        )  # fmt: skip
        return Reply(await self._jobs.begin(kind, call.tenant, what, call.token.name), 201)

    def _messages(self, call: Call, wanted: ReprocessJob) -> dict[str, Any]:
        Window(wanted.since, wanted.until).check()
        what = {name: getattr(wanted, name) for name in wanted.__struct_fields__}
        what["datasource"] = self._searches.id_of(call, "datasource", wanted.datasource)
        return {name: value for name, value in what.items() if value}

    def _letters(self, call: Call, wanted: RetryJob) -> dict[str, Any]:
        integration = self._registry.get("integration", wanted.integration, call.tenant)
        what = {
            "integration": integration.id, "device": wanted.device, "receivedBefore": wanted.received_before,
            "error": wanted.error,
        }  # fmt: skip
        if integration.deletion is not None:
            raise SettingsError("retry.integration", "expected an integration that isn't being deleted")
        return {name: value for name, value in what.items() if value}

    async def index(self, call: Call) -> JobList:
        """All of a tenant."""
        return JobList(self._jobs.list(call.tenant))

    async def read(self, call: Call, id: str) -> JobView:
        """One."""
        return self._jobs.get(call.tenant, id)

    async def cancel(self, call: Call, id: str) -> JobView:
        """End one."""
        return await self._jobs.cancel(call.tenant, id)

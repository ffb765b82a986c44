"""`/jobs`: long actions with their progress, which go on over restarts and can be cancelled."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from iotgw.api.auth import Permission
from iotgw.api.described import NextPage, OfDatasource, OfDevice, OfGroup, Text, WithText
from iotgw.api.known_devices import KnownDevices
from iotgw.api.message_search import Searches, Window
from iotgw.api.queries import Query
from iotgw.api.routes import Call, Milliseconds, Reply, Route
from iotgw.core.device_entry import GROUP
from iotgw.core.errors import NotFound, SettingsError
from iotgw.core.ports.firmware import IFirmwareJobs, Method, Target
from iotgw.core.ports.jobs import IJobs, JobView
from iotgw.core.ports.registry import IRegistry
from iotgw.core.ports.stored_files import IStoredFiles

DEVICES = (
    Query("after", str, None, "a device's name; those after it are listed"),
    Query("limit", int, 100, "how many at most", range=(1, 1000)),
)


class ReprocessJob(Struct, frozen=True, forbid_unknown_fields=True):
    """Which messages are converted again: all that the filters leave, of those that failed where no ``state`` is given."""

    state: Annotated[
        Literal["received", "converted", "filtered", "failed"],
        Meta(description="Only messages in this state."),
    ] = "failed"
    datasource: OfDatasource = None
    device: OfDevice = None
    text: WithText = None
    group: OfGroup = None
    since: Annotated[
        Milliseconds,
        Meta(
            description="Milliseconds since 1970; only messages that were received then or later. 0 for all."
        ),
    ] = 0
    until: Annotated[
        Milliseconds,
        Meta(description="Milliseconds since 1970; only messages that were received before. 0 for now."),
    ] = 0

    def __post_init__(self) -> None:
        """Refuse a group of what didn't fail."""
        if self.group is not None and self.state != "failed":
            raise ValueError("expected a group with failed messages only")


class RetryJob(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Which dead letters are sent again: all of an integration (name or id) that the filters leave. ``error`` is a part of their
    error, ``group`` the id of a group of ``GET /failures``."""

    integration: Annotated[Text, Meta(description="Whose dead letters, by name or id.")]
    device: OfDevice = None
    received_before: Annotated[
        Milliseconds,
        Meta(description="Milliseconds since 1970; only messages that were received before. 0 for all."),
    ] = 0
    error: Annotated[Text | None, Meta(description="Only those whose error has this text in it.")] = None
    group: OfGroup = None


class FirmwareJob(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Which devices get a file that was uploaded (by name): one, or all of a group. ``within`` are seconds, after which those are failed that aren't
    done."""

    file: Annotated[Text, Meta(description="The name of a file that was uploaded.")]
    device: Annotated[Text | None, Meta(description="The device that gets it.")] = None
    group: Annotated[
        Text | None, Meta(description="The group whose devices get it; instead of `device`.")
    ] = None
    method: Annotated[Method, Meta(description="How it gets there; `auto` as each device can.")] = "auto"
    target: Annotated[Target, Meta(description="What the file is to the device.")] = "firmware"
    instance: Annotated[int, Meta(ge=0, le=65534, description="The LwM2M object instance that takes it.")] = 0
    retries: Annotated[int, Meta(ge=0, le=20, description="How often it is tried again for a device.")] = 3
    within: Annotated[
        float,
        Meta(
            gt=0, le=90 * 86_400, description="Seconds after which the devices have failed that aren't done."
        ),
    ] = 7 * 86_400.0

    def __post_init__(self) -> None:
        """Refuse none, and both."""
        if (self.device is None) == (self.group is None):
            raise ValueError("expected one of device, group")


class NewJob(Struct, frozen=True, forbid_unknown_fields=True):
    """A job: one of these."""

    reprocess: Annotated[ReprocessJob | None, Meta(description="Convert messages again.")] = None
    retry: Annotated[RetryJob | None, Meta(description="Send dead letters again.")] = None
    firmware: Annotated[FirmwareJob | None, Meta(description="Give devices a file.")] = None

    def __post_init__(self) -> None:
        """Refuse none, and two."""
        if sum(each is not None for each in (self.reprocess, self.retry, self.firmware)) != 1:
            raise ValueError("expected one of reprocess, retry, firmware")


class JobList(Struct, frozen=True):
    """Jobs, the newest first."""

    items: Annotated[list[JobView], Meta(max_length=10_000, description="Jobs, the newest first.")]


class DeviceUpdates(Struct, frozen=True):
    """How far the devices of a job are, by name; more come after the name ``next``."""

    items: Annotated[
        list[dict[str, Any]], Meta(max_length=1000, description="How far each device is, by name.")
    ]
    next: NextPage = None


class JobRoutes:
    """The routes of jobs."""

    def __init__(
        self,
        jobs: IJobs,
        registry: IRegistry,
        searches: Searches,
        files: IStoredFiles,
        updates: IFirmwareJobs,
        known: KnownDevices,
    ) -> None:
        self._jobs = jobs
        self._registry = registry
        self._searches = searches
        self._files = files
        self._updates = updates
        self._known = known

    def routes(self) -> list[Route]:
        """Start, list, look, cancel."""
        read, write, one = Permission.READ, Permission.WRITE, "/jobs/<id>"
        return [
            Route("POST", "/jobs", write, self.begin, "Start a long action", NewJob, JobView, status=201),
            Route("GET", "/jobs", read, self.index, "Long actions, the newest first", answer=JobList),
            Route("GET", one, read, self.read, "How far a long action is", answer=JobView),
            Route(
                "GET",
                f"{one}/devices",
                read,
                self.devices,
                "How far the devices of a firmware job are",
                answer=DeviceUpdates,
                query=DEVICES,
            ),
            Route("DELETE", one, write, self.cancel, "End a long action; what is done stays", answer=JobView),
        ]

    async def begin(self, call: Call) -> Reply:
        """A new one."""
        wanted = call.body()
        if wanted.firmware:
            kind, what = "firmware", await self._image(call, wanted.firmware)
        elif wanted.reprocess:
            kind, what = "reprocess", self._messages(call, wanted.reprocess)
        else:
            kind, what = "retry", self._letters(call, wanted.retry)
        return Reply(await self._jobs.begin(kind, call.tenant, what, call.token.name), 201)

    async def _image(self, call: Call, wanted: FirmwareJob) -> dict[str, Any]:
        file = self._files.get(call.tenant, wanted.file)
        if not file.is_whole:
            raise SettingsError("firmware.file", f"{file.received} of {file.size} bytes are there")
        if wanted.device is not None and not await self._known.is_known(call.tenant, wanted.device):
            raise NotFound(f"there is no device {wanted.device!r}")
        if wanted.group is not None and not self._known.has(call.tenant, GROUP, wanted.group):
            raise NotFound(f"there is no group {wanted.group!r}, and no device is in one")
        what = {name: getattr(wanted, name) for name in wanted.__struct_fields__}
        return {**{name: value for name, value in what.items() if value}, "file": file.id, "name": file.name}

    def _messages(self, call: Call, wanted: ReprocessJob) -> dict[str, Any]:
        Window(wanted.since, wanted.until).check()
        what = {name: getattr(wanted, name) for name in wanted.__struct_fields__}
        what["datasource"] = self._searches.id_of(call, "datasource", wanted.datasource)
        return {name: value for name, value in what.items() if value}

    def _letters(self, call: Call, wanted: RetryJob) -> dict[str, Any]:
        integration = self._registry.get("integration", wanted.integration, call.tenant)
        what = {
            "integration": integration.id, "device": wanted.device, "receivedBefore": wanted.received_before,
            "error": wanted.error, "group": wanted.group,
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

    async def devices(self, call: Call, id: str) -> DeviceUpdates:
        """The devices of one, each with its state."""
        after, limit = call.query("after") or "", call.query("limit")
        states = await self._updates.devices(call.tenant, id)
        found = [state for state in states if state.device > after][: limit + 1]
        shown = found[:limit]
        more = shown[-1].device if len(found) > limit else None
        return DeviceUpdates([state.view() for state in shown], more)

    async def cancel(self, call: Call, id: str) -> JobView:
        """End one."""
        return await self._jobs.cancel(call.tenant, id)

"""`/downlinks`: one downlink for many devices, as a job, and what became of it at each of them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from iotgw.api.auth import Permission
from iotgw.api.credentials import CredentialRoutes
from iotgw.api.described import Text
from iotgw.api.known_devices import KnownDevices
from iotgw.api.queries import Query
from iotgw.api.routes import Call, Milliseconds, Reply, Route
from iotgw.core import rectangle
from iotgw.core.device_entry import GROUP, TYPE
from iotgw.core.downlink_item import ItemState, payload
from iotgw.core.errors import NotFound, SettingsError
from iotgw.core.ports.devices import TROUBLES, Trouble
from iotgw.core.ports.downlinks import IDownlinkQueue
from iotgw.core.ports.jobs import IJobs, JobView
from iotgw.core.ports.registry import IRegistry
from iotgw.core.specs import DownlinkSpec

KIND = "downlinks"
LISTED = 1_000
"""Devices of a list. Larger sets are groups."""
FILTERS = ("text", "type", "group", "tag", "datasource", "trouble", "box")
ITEMS = (
    Query("state", str, None, "items in this state", choices=tuple(state.value for state in ItemState)),
    Query("after", int, 0, "`next` of the page before", range=(0, 1 << 53)),
    Query("limit", int, 100, "how many at most", range=(1, 1000)),
)


class NewBatch(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """One downlink for many devices: for ``devices`` (names), or for all that the filters leave; ``all`` devices where there is no filter. ``rate``
    is devices per second. It begins at ``at``, or at once."""

    downlink: Annotated[DownlinkSpec, Meta(description="What each device gets.")]
    devices: Annotated[
        Annotated[list[Text], Meta(min_length=1, max_length=LISTED)] | None,
        Meta(description="The devices, by name."),
    ] = None
    text: Annotated[
        Text | None,
        Meta(
            description="Devices with this text in name, label, serial, identity, place or `tag=text`, in any case."
        ),
    ] = None
    type: Annotated[Text | None, Meta(description="Devices of this type.")] = None
    group: Annotated[Text | None, Meta(description="Devices of this group.")] = None
    tag: Annotated[Text | None, Meta(description="Devices with this tag: a key, or `key=text`.")] = None
    datasource: Annotated[
        Text | None, Meta(description="Devices that belong to this datasource, by name or id.")
    ] = None
    trouble: Annotated[Trouble | None, Meta(description="Devices with this trouble.")] = None
    box: Annotated[
        Annotated[str, Meta(pattern=f"^{rectangle.TEXT}$")] | None,
        Meta(
            description="Devices in this rectangle: its south, west, north and east in degrees, with commas."
        ),
    ] = None
    all: Annotated[bool, Meta(description="All devices, where there is no filter.")] = False
    rate: Annotated[float, Meta(ge=0.01, le=1000, description="Devices per second.")] = 10.0
    at: Annotated[
        Milliseconds, Meta(description="Milliseconds since 1970 at which it begins; 0 for at once.")
    ] = 0
    allow_unknown: Annotated[
        bool, Meta(description="Whether devices may be named that nobody knows yet.")
    ] = False

    def __post_init__(self) -> None:
        """Refuse what means everybody by mistake, and what means two things."""
        is_filtered = any(getattr(self, name) is not None for name in FILTERS)
        if (self.devices is not None) + is_filtered + self.all != 1:
            raise ValueError("expected one of: devices, a filter such as group, or all: true")
        if self.trouble not in (None, *TROUBLES):
            raise ValueError(f"expected a trouble of {', '.join(TROUBLES)}")
        if self.box is not None:
            rectangle.read(self.box)


class BatchItems(Struct, frozen=True):
    """What a job queued."""

    states: Annotated[dict[str, int], Meta(description="How many items are in which state.")]
    items: Annotated[list[dict[str, Any]], Meta(description="Items, in the order in which they were queued.")]
    next: Annotated[
        int | None, Meta(description="Goes into `after` for the following ones; null at the end.")
    ]


class DownlinkBatchRoutes:
    """The routes of downlinks for many devices."""

    def __init__(
        self,
        jobs: IJobs,
        queue: IDownlinkQueue,
        known: KnownDevices,
        registry: IRegistry,
        credentials: CredentialRoutes,
    ) -> None:
        self._jobs = jobs
        self._queue = queue
        self._known = known
        self._registry = registry
        self._credentials = credentials

    def routes(self) -> list[Route]:
        """Start one; see what became of its items; stop it."""
        read, send, items = Permission.READ, Permission.DOWNLINK, "/jobs/<id>/downlinks"
        return [
            Route(
                "POST", "/downlinks", send, self.begin, "Queue a downlink for each device of a group, a filter or a list",
                NewBatch, JobView, status=201,
            ),
            Route("GET", items, read, self.index, "The downlinks of a job, and how many are in which state", answer=BatchItems, query=ITEMS),
            Route("DELETE", items, send, self.stop, "End a job, and cancel its downlinks that still wait", answer=dict),
        ]  # fmt: skip

    async def begin(self, call: Call) -> Reply:
        """A new job."""
        wanted: NewBatch = call.body()
        payload(wanted.downlink)
        what: dict[str, Any] = {"downlink": msgspec.to_builtins(wanted.downlink), "rate": wanted.rate}
        what |= {name: value for name in FILTERS if (value := getattr(wanted, name)) is not None}
        if wanted.datasource is not None:
            what["datasource"] = self._registry.get("datasource", wanted.datasource, call.tenant).id
        for kind, name in ((GROUP, wanted.group), (TYPE, wanted.type)):
            if name is not None and not wanted.allow_unknown and not self._known.has(call.tenant, kind, name):
                what_it_is = kind.removeprefix("device-")
                raise SettingsError(
                    what_it_is,
                    f"no device has the {what_it_is} {name!r}; with allowUnknown, the job begins all the same",
                )
        if wanted.devices is not None:
            if not wanted.allow_unknown:
                await self._expect_known(call, wanted.devices)
            what["devices"] = wanted.devices
        begun = self._jobs.begin(KIND, call.tenant, what, call.token.name, wanted.at)
        return Reply(await begun, 201)

    async def _expect_known(self, call: Call, names: list[str]) -> None:
        """Raise SettingsError if nobody knows some of these devices."""
        held = self._credentials.held_by(call.tenant)
        unknown = await self._known.unknown(call.tenant, [name for name in names if name not in held])
        if unknown:
            more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
            said = ", ".join(map(repr, unknown[:3]))
            raise SettingsError(
                "devices",
                f"nobody knows {said}{more}; with allowUnknown, a downlink waits for them all the same",
            )

    async def index(self, call: Call, id: str) -> BatchItems:
        """What became of it."""
        self._expect_batch(call, id)
        state, limit = call.query("state"), call.query("limit")
        found = await self._queue.of_job(
            call.tenant, id, ItemState(state) if state else None, call.query("after"), limit
        )
        next_ = found.items[-1].seq if len(found.items) == limit else None
        return BatchItems(found.states, [item.view() for item in found.items], next_)

    async def stop(self, call: Call, id: str) -> dict[str, int]:
        """End it, with what waits of it."""
        self._expect_batch(call, id)
        await self._jobs.cancel(call.tenant, id)
        return {"cancelled": await self._queue.clear_job(call.tenant, id)}

    def _expect_batch(self, call: Call, id: str) -> None:
        job = self._jobs.get(call.tenant, id)
        if job.kind != KIND:
            raise NotFound(f"job {id!r} queues no downlinks")

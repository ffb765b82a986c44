"""`/debug`: everything of a datasource, converter, integration or device is kept for a while; and what was kept of a message."""

from __future__ import annotations

from typing import Annotated, cast

from msgspec import Meta, Struct

from iotgw.api.auth import Permission
from iotgw.api.described import Text
from iotgw.api.known_devices import KnownDevices
from iotgw.api.routes import Call, Reply, Route
from iotgw.api.stored import stored_message
from iotgw.core.errors import NotFound, SettingsError
from iotgw.core.ports.debug import KINDS, DebugEntry, DebugKind, DebugSwitch, IDebugging
from iotgw.core.ports.journal import IMessages
from iotgw.core.ports.registry import IRegistry

DEFAULT = 900.0
"""Seconds."""


class NewDebug(Struct, frozen=True, forbid_unknown_fields=True):
    """What is debugged: the thing of this name or id, which needs a ``kind`` where several have it. It ends after so many ``seconds``, or when
    ``count`` messages were kept."""

    name: Annotated[
        Text,
        Meta(description="The datasource, converter, integration or device that is debugged, by name or id."),
    ]
    kind: Annotated[DebugKind | None, Meta(description="Which kind it is, where several have this name.")] = (
        None
    )
    seconds: Annotated[float, Meta(gt=0, le=86_400, description="Seconds after which it ends by itself.")] = (
        DEFAULT
    )
    count: Annotated[
        Annotated[int, Meta(ge=1, le=100_000)] | None,
        Meta(description="Messages after which it ends by itself."),
    ] = None


class DebugList(Struct, frozen=True):
    """What is debugged."""

    items: Annotated[
        list[DebugSwitch], Meta(description="Each thing that is debugged, in the order in which that ends.")
    ]


class DebugEntries(Struct, frozen=True):
    """What was kept of a message."""

    items: Annotated[list[DebugEntry], Meta(description="What happened to the message, the oldest first.")]


class DebugRoutes:
    """The routes of debugging."""

    def __init__(
        self, debugging: IDebugging, registry: IRegistry, known: KnownDevices, journal: IMessages
    ) -> None:
        self._debugging = debugging
        self._registry = registry
        self._known = known
        self._journal = journal

    def routes(self) -> list[Route]:
        """Begin, list, end; and look."""
        read, write = Permission.READ, Permission.WRITE
        return [
            Route("GET", "/debug", read, self.list, "What is debugged", answer=DebugList),
            Route(
                "POST", "/debug", write, self.begin, "Keep everything of a datasource, converter, integration or device for a while",
                NewDebug, DebugSwitch, status=201,
            ),
            Route("DELETE", "/debug/<id>", write, self.end, "Debug something no longer; what was kept stays", answer=DebugSwitch),
            Route("GET", "/messages/<id>/debug", read, self.entries, "What debugging kept of a message", answer=DebugEntries),
        ]  # fmt: skip

    async def list(self, call: Call) -> DebugList:
        """A tenant's."""
        return DebugList(self._debugging.list(call.tenant))

    async def begin(self, call: Call) -> Reply:
        """One more."""
        wanted: NewDebug = call.body()
        kind, target, name = await self._meant(call.tenant, wanted)
        switch = self._debugging.switch_on(
            call.tenant, kind, target, name, wanted.seconds, wanted.count, call.token.name
        )
        return Reply(switch, 201)

    async def end(self, call: Call, id: str) -> DebugSwitch:
        """One less."""
        return self._debugging.switch_off(call.tenant, id)

    async def entries(self, call: Call, id: str) -> DebugEntries:
        """What was kept of a message."""
        message = await stored_message(self._journal, call.tenant, id)
        id = self._journal.epochs.message_id(message.seq)
        return DebugEntries(await self._debugging.entries(call.tenant, id))

    async def _meant(self, tenant: str, wanted: NewDebug) -> tuple[DebugKind, str, str]:
        """Kind, id and name of the thing; a device's id is its name."""
        found: list[tuple[DebugKind, str, str]] = []
        for kind in KINDS if wanted.kind is None else (wanted.kind,):
            if kind == "device":
                if self._known.is_known_now(tenant, wanted.name):
                    found.append(("device", wanted.name, wanted.name))
                continue
            try:
                resource = self._registry.get(kind, wanted.name, tenant)
            except NotFound:
                continue
            found.append((cast(DebugKind, kind), resource.id, resource.name))
        may_come = not found and wanted.kind in (None, "device")
        if may_come and await self._known.is_known(tenant, wanted.name):
            return "device", wanted.name, wanted.name
        if not found:
            what = wanted.kind or "datasource, converter, integration or device"
            raise NotFound(f"there is no {what} {wanted.name!r}")
        if len(found) > 1:
            kinds = ", ".join(kind for kind, *_ in found)
            raise SettingsError("kind", f"expected one of {kinds}: all of them are called {wanted.name!r}")
        return found[0]

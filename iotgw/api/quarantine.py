"""`/quarantine`: devices that nobody knows, whose messages wait."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from iotgw.api.auth import Permission
from iotgw.api.catalogue import PAGE, Page
from iotgw.api.routes import Call, Route
from iotgw.core.ports.devices import HeldDevice, IQuarantine, IReleases
from iotgw.core.ports.pipeline import IPipeline
from iotgw.core.recorder import Recorder


class Released(Struct, frozen=True):
    """What became of a device in quarantine."""

    name: Annotated[str, Meta(description="The device's name.")]
    messages: Annotated[
        int, Meta(description="How many messages waited, and count from now on or were dropped.")
    ]


class QuarantineRoutes:
    """The routes of devices in quarantine."""

    def __init__(
        self, quarantine: IQuarantine, releases: IReleases, pipeline: IPipeline, recorder: Recorder
    ) -> None:
        self._quarantine = quarantine
        self._releases = releases
        self._pipeline = pipeline
        self._recorder = recorder

    def routes(self) -> list[Route]:
        """List, read, release, drop."""
        one, read, write = "/quarantine/<name>", Permission.READ, Permission.WRITE
        return [
            Route("GET", "/quarantine", read, self.list, "Devices in quarantine, by name", answer=Page, query=PAGE),
            Route("GET", one, read, self.read, "One of them", answer=HeldDevice),
            Route(
                "POST", f"{one}/release", write, self.release,
                "Create a device, and deliver what waits of it", answer=Released,
            ),
            Route("DELETE", one, write, self.drop, "Drop what waits of a device", answer=Released),
        ]  # fmt: skip

    async def list(self, call: Call) -> Page:
        """A page of them."""
        limit = call.query("limit")
        found = self._quarantine.list(call.tenant, call.query("after") or "", limit + 1)
        items = [self._view(each) for each in found[:limit]]
        return Page(items, found[limit - 1].name if len(found) > limit else None)

    async def read(self, call: Call, name: str) -> Any:
        """One of them."""
        return self._view(self._quarantine.get(call.tenant, name))

    async def release(self, call: Call, name: str) -> Released:
        """It is a device from now on."""
        return Released(name, await self._releases.release(call.tenant, name))

    async def drop(self, call: Call, name: str) -> Released:
        """Nothing waits of it any more."""
        count = await self._releases.drop(call.tenant, name)
        by = call.token.name
        text = f"{count} messages in quarantine were dropped by {by}"
        self._recorder.note("dropped", "device", name, text, call.tenant, device=name, by=by, messages=count)
        return Released(name, count)

    def _view(self, held: HeldDevice) -> HeldDevice:
        return msgspec.structs.replace(held, datasource=self._pipeline.datasource_name(held.datasource))

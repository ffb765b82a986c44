"""`/events`: what happened, newest first."""

from __future__ import annotations

from typing import Any

import msgspec

from iotgw.api.auth import Permission
from iotgw.api.catalogue import Page
from iotgw.api.queries import Query
from iotgw.api.routes import Call, Route
from iotgw.core.ports.events import IEvents

EVENTS = (
    Query("source", str, None, "the kind of thing it happened to", choices=(
        "gateway", "datasource", "converter", "integration", "credential", "token", "device", "device-type", "device-group", "downlink")),
    Query("name", str, None, "its name"),
    Query("type", str, None, "what happened: started, stopped, failed, …"),
    Query("limit", int, 100, "how many at most", range=(1, 1000)),
    Query("before", int, 0, "an event's id; the list goes on with older ones"),
)  # fmt: skip


class EventRoutes:
    """The route of events."""

    def __init__(self, events: IEvents) -> None:
        self._events = events

    def routes(self) -> list[Route]:
        """List."""
        read = Permission.READ
        return [
            Route("GET", "/events", read, self.list, "What happened, newest first", answer=Page, query=EVENTS)
        ]

    async def list(self, call: Call) -> Page:
        """A page of events."""
        limit = call.query("limit")
        found = await self._events.query(
            call.tenant, call.query("before"), limit,
            source=call.query("source"), name=call.query("name"), type=call.query("type"),
        )  # fmt: skip
        items: list[dict[str, Any]] = [{"id": id, **msgspec.to_builtins(event)} for id, event in found]
        return Page(items, str(items[-1]["id"]) if len(items) == limit else None)

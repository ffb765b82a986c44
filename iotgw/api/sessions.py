"""`/datasources/{name}/sessions`: who is connected, where a datasource has sessions (DTLS)."""

from __future__ import annotations

from iotgw.api.auth import Permission
from iotgw.api.catalogue import Page
from iotgw.api.queries import Query
from iotgw.api.routes import Call, Route
from iotgw.core.errors import NotFound
from iotgw.core.ports.datasources import IHasSessions
from iotgw.core.ports.pipeline import IPipeline
from iotgw.core.ports.registry import IRegistry

LIMIT = (Query("limit", int, 100, "how many at most", range=(1, 10000)),)


class SessionRoutes:
    """The routes of sessions, of datasources that are `IHasSessions`."""

    def __init__(self, registry: IRegistry, pipeline: IPipeline) -> None:
        self._registry = registry
        self._pipeline = pipeline

    def routes(self) -> list[Route]:
        """List, and end one."""
        many, one = "/datasources/<name>/sessions", "/datasources/<name>/sessions/<id>"
        return [
            Route("GET", many, Permission.READ, self.index, "Who is connected", answer=Page, query=LIMIT),
            Route("DELETE", one, Permission.WRITE, self.end, "End a session", status=204),
        ]

    async def index(self, call: Call, name: str) -> Page:
        """The sessions of a datasource's listener."""
        return Page(self._running(call, name).sessions()[: call.query("limit")])

    async def end(self, call: Call, name: str, id: str) -> None:
        """End one; the device may come again."""
        if not self._running(call, name).end(id):
            raise NotFound(f"there is no session {id!r}")

    def _running(self, call: Call, name: str) -> IHasSessions:
        resource = self._registry.get("datasource", name, call.tenant)
        running = self._pipeline.datasource(resource.id)
        if running is None or not IHasSessions.providedBy(running):
            raise NotFound(f"datasource {resource.name!r} has no sessions, or is not open")
        return running

"""A whole gateway in this process, with its API on a loopback port."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import treq
from msgspec import Struct
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.resource import Resource
from twisted.web.server import Site

from iotgw.api.app import api_site
from iotgw.api.auth import mint
from iotgw.api.site import ApiSite
from iotgw.app.ordered import OrderedServices
from iotgw.app.parts import build
from iotgw.app.services import children
from iotgw.config.settings import Settings
from iotgw.core.clock import GatewayClock
from iotgw.store.privacy import FoundOpen


class Answer(Struct, frozen=True):
    """An answer of the API: ``whole`` is its head and its body."""

    status: int
    whole: str
    text: str

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.text)


class _Refusing(Resource):
    """A target that takes nothing, and repeats the path that it was asked for."""

    isLeaf = True

    def render(self, request: Any) -> bytes:
        request.setResponseCode(400)
        return bytes(request.path)


class House:
    """The gateway, a target that refuses everything, and a client."""

    def __init__(self, folder: Path) -> None:
        clock = GatewayClock()
        settings = Settings()
        self.gateway = build(settings, folder, reactor, clock.calendar)
        self._services = OrderedServices(reactor, 1.0)
        nothing = FoundOpen({}, {})
        for child in children(self.gateway, settings, folder, None, reactor, clock, nothing):
            child.setServiceParent(self._services)
        self._site = ApiSite(api_site(self.gateway.api, self.gateway.mounts))
        self._target = Site(_Refusing())
        self._ports: list[Any] = []
        self._pool = HTTPConnectionPool(reactor)
        self._agent = Agent(reactor, pool=self._pool)

    async def start(self) -> None:
        await self._services.startService()
        for site in (self._site, self._target):
            self._ports.append(reactor.listenTCP(0, site, interface="127.0.0.1"))  # type: ignore[attr-defined]
        self.url, self.target = (f"http://127.0.0.1:{port.getHost().port}" for port in self._ports)

    async def stop(self) -> None:
        await self._pool.closeCachedConnections()
        for port in self._ports:
            await port.stopListening()
        await self._services.stopService()
        await deferLater(reactor, 0)

    async def token(self, role: Any, tenant: str, name: str = "") -> str:
        """A new token's text."""
        text, body = mint(role, tenant)
        await self.gateway.registry.create("token", tenant, name or f"{role} of {tenant}", body)
        return text

    async def call(
        self, token: str, method: str, path: str, value: Any = None, data: bytes | None = None
    ) -> Answer:
        """One request; ``path`` is below `/api/v1` where it doesn't begin with two slashes or `/i/`."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if value is not None:
            data, headers["Content-Type"] = msgspec.json.encode(value), "application/json"
        if not path.startswith("/i/"):
            path = "/api/v1" + path
        answer = await treq.request(
            method, self.url + path, headers=headers, data=data, agent=self._agent, timeout=60, allow_redirects=False
        )  # fmt: skip
        text = (await answer.content()).decode()
        head = "".join(
            f"{name.decode()}: {value.decode()}\n"
            for name, values in sorted(answer.headers.getAllRawHeaders())
            for value in values
        )
        return Answer(answer.code, head + text, text)

    async def ok(
        self, token: str, method: str, path: str, value: Any = None, data: bytes | None = None
    ) -> Any:
        answer = await self.call(token, method, path, value, data)
        assert 200 <= answer.status < 300, (method, path, answer)
        return answer.json if answer.text else None

    async def until(self, probe: Any) -> Any:
        """Wait for what ``await probe()`` finds."""
        for _ in range(500):
            if found := await probe():
                return found
            await deferLater(reactor, 0.02)
        raise AssertionError(f"waited in vain for {probe}")


def spawn(work: Any) -> Deferred[Any]:
    return Deferred.fromCoroutine(work)

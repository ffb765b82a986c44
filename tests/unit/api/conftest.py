"""The API on a loopback port, over small in-memory parts, and a client for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
import treq
from msgspec import Struct
from twisted.internet import reactor
from twisted.internet.task import Clock
from twisted.web.client import Agent, HTTPConnectionPool

from iotgw.api.app import api_site
from iotgw.api.auth import ALL_TENANTS, mint
from iotgw.api.parts import Parts
from iotgw.api.site import ApiSite
from iotgw.converters.versions import ConverterVersions
from iotgw.core.departures import Departures
from iotgw.core.recorder import Recorder
from iotgw.core.types import Types

from . import memory


class Response(Struct):
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Client:
    """Speaks JSON to the API as one token's owner."""

    def __init__(self, port: int, token: str, agent: Any, saved: Any) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self.token = token
        self.agent = agent
        self.saved = saved

    async def __call__(
        self, method: str, path: str, value: Any = None, headers: dict[str, str] | None = None,
        data: bytes | None = None,
    ) -> Response:  # fmt: skip
        if self.saved is not None:
            await self.saved
            self.saved = None
        given = dict(headers or {})
        if self.token:
            given.setdefault("Authorization", f"Bearer {self.token}")
        if value is not None:
            data = json.dumps(value).encode()
            given.setdefault("Content-Type", "application/json")
        path = path if path.startswith(("/api", "/health", "/metrics", "/i/", "//")) else "/api/v1" + path
        answer = await treq.request(
            method,
            self.base + path,
            headers=given,
            data=data,
            agent=self.agent,
            timeout=120,
            allow_redirects=False,
        )
        text = (await answer.content()).decode()
        flat = {
            name.decode().lower(): values[-1].decode() for name, values in answer.headers.getAllRawHeaders()
        }
        return Response(answer.code, flat, text)

    async def ok(self, method: str, path: str, value: Any = None, **more: Any) -> Any:
        answer = await self(method, path, value, **more)
        assert 200 <= answer.status < 300, (answer.status, answer.text)
        return answer.json if answer.text else None


class Bench:
    """The API with its parts and clients."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.registry = memory.MemoryRegistry()
        self.journal = memory.MemoryJournal()
        self.gateway = memory.MemoryGateway(self.registry, self.journal)
        self.converters = memory.MemoryConverters()
        self.versions = ConverterVersions(self.registry, self.converters, memory.LIBRARY)
        self.delivery = memory.MemoryDelivery()
        self.events = memory.MemoryEvents()
        self.parts = Parts(
            registry=self.registry,
            journal=self.journal,
            pipeline=self.gateway,
            converters=self.converters,
            versions=self.versions,
            delivery=self.delivery,
            devices=memory.MemoryDevices(),
            events=self.events,
            datasource_types=Types("none", None, [lambda _: memory.MemoryType("coap", memory.CoapSettings)]),
            integration_types=Types("none", None, [lambda _: memory.MemoryType("http", memory.HttpSettings)]),
            clock=self.clock,
            downlinks=memory.MemoryDownlinks(),
            departures=Departures(self.registry, Recorder(self.events, self.clock), self.clock),
        )
        self.mounts: Any = None

    def token(self, role: Any, tenant: str = ALL_TENANTS, expires_ms: int = 0) -> tuple[str, Any]:
        """A new token's text, and the Deferred of its being saved."""
        text, body = mint(role, tenant, expires_ms)
        return text, self.registry.create("token", "default", f"{role} {body['key']}", body)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def connect(bench: Bench) -> Iterator[Any]:
    """``connect(role)`` gives a client with a new token of that role; ``""`` gives one without."""
    pool = HTTPConnectionPool(reactor, persistent=False)
    agent = Agent(reactor, pool=pool)
    ports: list[Any] = []

    def make(role: str = "admin", tenant: str = ALL_TENANTS, **more: Any) -> Client:
        if not ports:
            site = ApiSite(api_site(bench.parts, bench.mounts), max_body=64 << 10)
            ports.append(reactor.listenTCP(0, site, interface="127.0.0.1"))  # type: ignore[attr-defined]
        token, saved = bench.token(role, tenant, **more) if role else ("", None)
        return Client(ports[0].getHost().port, token, agent, saved)

    yield make
    for port in ports:
        pytest_twisted.blockon(port.stopListening())

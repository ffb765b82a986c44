"""The API on a loopback port, over small in-memory parts, and a client for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec
import pytest
import pytest_twisted
import treq
from msgspec import Struct
from twisted.internet import reactor
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.web.client import Agent, HTTPConnectionPool

from iotgw import testing
from iotgw.api.app import api_site
from iotgw.api.auth import ALL_TENANTS, mint
from iotgw.api.parts import Parts
from iotgw.api.site import ApiSite
from iotgw.converters.versions import ConverterVersions
from iotgw.core.clock import PlainCalendar
from iotgw.core.departures import Departures
from iotgw.core.errors import SettingsError
from iotgw.core.model import (
    Answer,
    Conversion,
    ConversionError,
    ConverterVersion,
    Delivery,
    DeliveryState,
    Job,
    Message,
    Outcome,
    Output,
    Parked,
    State,
    Status,
    Uplink,
)
from iotgw.core.own_sites import OwnSites
from iotgw.core.ports.rates import Figures
from iotgw.core.recorder import Recorder
from iotgw.core.refusals import Doors
from iotgw.core.secrets import Secret
from iotgw.core.specs import IntegrationSpec, Resource
from iotgw.core.types import Types
from iotgw.devices.fleet import Fleet
from iotgw.devices.quarantine import Quarantine, Releases
from iotgw.integrations.presets import target_presets
from iotgw.observe.debug import DebugLog
from iotgw.observe.live import LiveFeed
from iotgw.observe.rates import RateMeter
from tests.unit.api.described import Description


class Response(Struct):
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class _HangUp(Protocol):
    def connectionMade(self) -> None:
        self.transport.loseConnection()  # type: ignore[union-attr]


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
        flat = {
            name.decode().lower(): values[-1].decode() for name, values in answer.headers.getAllRawHeaders()
        }
        media_type = flat.get("content-type", "").partition(";")[0]
        if media_type == "text/event-stream":  # it has no end
            answer.original.deliverBody(_HangUp())
            text = ""
        else:
            text = (await answer.content()).decode()
        description().check(method, path, answer.code, media_type)
        return Response(answer.code, flat, text)

    async def ok(self, method: str, path: str, value: Any = None, **more: Any) -> Any:
        answer = await self(method, path, value, **more)
        assert 200 <= answer.status < 300, (answer.status, answer.text)
        return answer.json if answer.text else None


class CoapSettings(Struct, rename="camel", forbid_unknown_fields=True):
    port: int = 5683
    pre_shared_key: Secret = ""


class HttpSettings(Struct, rename="camel", forbid_unknown_fields=True):
    url: str
    headers: dict[str, Secret] = {}


class Sampled:
    """Counts as a test says."""

    def __init__(self) -> None:
        self.rows: list[Figures] = []

    def samples(self) -> list[Figures]:
        return self.rows


LIBRARY = {
    name: ConverterVersion(
        f"bundled:{name}", 1, name, "UPLINK", f"function {function}() {{}}", "thingsboard", "duktape"
    )
    for name, function in {"json": "json", "tekelek/logger": "logger"}.items()
}


def by_script(job: Job) -> Conversion:
    """A conversion as the words of a script say: ``fail``, ``odd`` (every second one fails), ``mark`` (it shows in the
    output), else the payload as it is; what is no JSON becomes a device's name."""
    script = job.converter.script
    if "fail" in script or ("odd" in script and job.seq % 2):
        return Conversion(error=ConversionError("boom", line=1, column=2))
    text = job.payload.decode()
    value = {"deviceName": text, "metadata": msgspec.json.decode(job.metadata), "ts": job.received_ms}
    body = job.payload if text.startswith("{") else msgspec.json.encode(value)
    if "mark" in script:
        body = msgspec.json.encode({"deviceName": "d", "telemetry": text, "by": script[:20]})
    return Conversion((Output("d", "default", body),), logs=("hello",))


def validate(spec: IntegrationSpec) -> None:
    if "no scheme" in spec.configuration["url"]:
        raise SettingsError("configuration.url", "expected http or https")


class Bench:
    """The API with its parts and clients. A datasource on port 1 can't be opened; the one called ``gone`` is gone."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.registry = testing.MemoryRegistry(self.clock)
        self.journal = testing.MemoryJournal(self.clock)
        self.pipeline = testing.FakePipeline()
        self.arrivals = testing.FakeArrivals()
        self.pipeline.missing = {"gone"}
        self.pipeline.converts = self.convert
        self.pipeline.answers = lambda payload: (
            Answer(Status.BUSY, retry_after=5.0)
            if payload == b"full"
            else Answer(Status.STORED, f"e1-{len(payload)}")
        )
        self.registry.watch("datasource", self.opened)
        self.registry.watch("integration", self.opened_out)
        self.converters = testing.FakeConverters(by_script)
        self.trials = testing.FakeConverters(by_script)
        self.versions = ConverterVersions(self.registry, self.converters, LIBRARY)
        self.delivery = testing.FakeDelivery()
        self.delivery.accounts = {"state": "running", "queued": 3, "delivered": 2, "waiting": 1}
        self.delivery.validates = validate
        self.events = testing.MemoryEvents()
        self.devices = testing.MemoryDevices()
        self.devices.saw([testing.telemetry(number, f"dev-{number}") for number in (1, 2)])
        self.owners = testing.FakeSpeakers()
        self.owners.owners |= {("default", name): "lobby" for name in ("dev-1", "dev-2")}
        self.entries = testing.MemoryDeviceEntries()
        self.fleet = Fleet(
            self.entries, self.devices, self.owners, self.registry, self.clock, PlainCalendar(self.clock),
            lambda watch, what, is_wrong, value: None,
        )  # fmt: skip
        testing.fired(self.fleet.start())
        recorder = Recorder(self.events, self.clock)
        self.quarantine = Quarantine(self.fleet, recorder)
        self.releases = Releases(
            self.quarantine, self.fleet, self.journal, self.pipeline, recorder, self.clock
        )
        self.debug_store = testing.MemoryDebugStore()
        self.debug = DebugLog(
            self.debug_store, lambda: self.journal.epochs, recorder, self.clock, PlainCalendar(self.clock)
        )
        self.live = LiveFeed()
        self.sampled = Sampled()
        self.rates = RateMeter([self.sampled], self.live, self.clock)
        self.credentials = testing.MemoryCredentials()
        self.parts = Parts(
            registry=self.registry,
            journal=self.journal,
            pipeline=self.pipeline,
            arrivals=self.arrivals,
            converters=self.converters,
            trials=self.trials,
            versions=self.versions,
            delivery=self.delivery,
            devices=self.devices,
            fleet=self.fleet,
            own_converters=self.fleet,
            quarantine=self.quarantine,
            releases=self.releases,
            owners=self.owners,
            events=self.events,
            datasource_types=Types(
                "none", None, [lambda _: testing.FakeDatasourceType("coap", CoapSettings)]
            ),
            integration_types=Types(
                "none", None, [lambda _: testing.FakeIntegrationType("http", HttpSettings)]
            ),
            target_presets=target_presets(),
            clock=self.clock,
            in_thread=deferToThread,
            downlinks=testing.MemoryDownlinks(self.clock),
            credentials=self.credentials,
            departures=Departures(self.registry, Recorder(self.events, self.clock), self.clock),
            backups=testing.MemoryBackups(),
            backup_plans=testing.MemoryBackupPlans(),
            pause=testing.MemoryPause(),
            jobs=testing.MemoryJobs(),
            updates=testing.MemoryUpdates(),
            files=testing.MemoryStoredFiles(),
            usage=testing.MemoryUsage(),
            live=self.live,
            rates=self.rates,
            debugging=self.debug,
            sites=OwnSites(["gateway.example"]),
            doors=Doors(Recorder(self.events, self.clock), self.clock),
        )
        self.mounts: Any = None
        for kind in ("datasource", "integration"):
            self.registry.watch(kind, self._let_go)

    def _let_go(self, old: Resource | None, new: Resource | None) -> None:
        """Nothing here has a backlog: what is being deleted goes at once."""
        if new is not None and new.deletion is not None:
            self.registry.delete(new.kind, new.id)

    def opened(self, old: Resource | None, new: Resource | None) -> None:
        if new is None:
            del self.pipeline.names[old.id], self.pipeline.statuses[old.id]
            return
        self.pipeline.names[new.id] = new.name
        status = {"state": "listening", "address": "udp 127.0.0.1:5683"}
        if not new.body.get("enabled", True):
            status = {"state": "stopped"}
        elif new.body["configuration"].get("port") == 1:
            status = {"state": "failed", "error": "port 1: permission denied"}
        self.pipeline.statuses[new.id] = status

    def opened_out(self, old: Resource | None, new: Resource | None) -> None:
        """Each integration has a dead letter."""
        if new is not None and old is None:
            record = testing.telemetry(7, "dev-1", received_ms=5, uplink=3)
            self.delivery.dead.append(Parked(new.id, record, DeliveryState.DEAD, 10, 0, "400 Bad Request"))

    def add(
        self, datasource: str, payload: bytes, state: State = State.CONVERTED, device: str = "dev-1",
        converter: str = "id1/1", tenant: str = "default",
    ) -> None:  # fmt: skip
        """A message with its outcome; the first is received at second 1, the next at second 2, …"""
        at_ms = 1000 * (self.journal.last_uplink + 1)
        uplink = Uplink(tenant, datasource, at_ms, payload, b'{"protocol":"http"}')
        seq = self.journal.append(uplink, (lambda answer: None, None))
        outputs = ()
        if state is State.CONVERTED:
            outputs = (Output(device, "default", testing.telemetry(seq, device, received_ms=at_ms).body),)
            self.delivery.made[seq] = [Delivery("out", "delivered", 1, None)]
        error = ConversionError("boom", line=3, column=7) if state is State.FAILED else None
        self.journal.settle(datasource, seq, [Outcome(seq, state, converter, outputs, error)])
        self.journal.flush()

    def convert(self, message: Message) -> State:
        self.journal.settle(message.uplink.datasource, 0, [Outcome(message.seq, State.CONVERTED, "id1/1")])
        self.journal.flush()
        return State.CONVERTED

    def hold_session(self, id: str) -> None:
        """A device has a session with this datasource: ``s1``."""
        datasource = testing.FakeDatasource(None, testing.datasource_context(id=id))
        datasource.open_sessions = [
            {"id": "s1", "identity": "urn:imei:1", "cipher": "PSK-AES128-CCM8", "age": 5.0, "bytes": 100}
        ]
        self.pipeline.running[id] = datasource

    @property
    def messages(self) -> list[Message]:
        return testing.fired(self.journal.messages("default", 0, 1000))

    def token(self, role: Any, tenant: str = ALL_TENANTS, expires_ms: int = 0) -> tuple[str, Any]:
        """A new token's text, and the Deferred of its being saved."""
        text, body = mint(role, tenant, expires_ms)
        return text, self.registry.create("token", "default", f"{role} {body['key']}", body)


@cache
def description() -> Description:
    """What every answer has to be described by."""
    return Description(Bench().parts)


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

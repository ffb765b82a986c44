"""A pipeline on the real journal and registry, with converters that answer when the test says so."""

import msgspec
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from iotgw import testing
from iotgw.core.departures import Departures
from iotgw.core.model import ConverterVersion, State
from iotgw.core.recorder import Recorder
from iotgw.core.shared import SharedResources
from iotgw.core.specs import DownlinkSpec
from iotgw.core.types import Types
from iotgw.devices.speakers import Speakers
from iotgw.pipeline.pipeline import Pipeline
from iotgw.pipeline.sources import Sources
from iotgw.store.sqlite.journal import Journal
from iotgw.store.sqlite.registry import Registry
from tests.peers.patience import Patience

MAX_METADATA = 64 << 10


VERSION = ConverterVersion("c", 1, "json", "UPLINK", "", "thingsboard", "duktape")


class World:
    kinds = (lambda _: testing.FakeDatasourceType("plain"),)
    """What makes its types of datasources."""

    def __init__(self, path):
        self.path = path
        self.converters = testing.FakeConverters()
        self.credentials = testing.MemoryCredentials()
        self.devices = testing.MemoryDevices()
        self.own = testing.MemoryOwnConverters()
        self.make()

    def make(self):
        self.heard = testing.HeardUplinks()
        self.delivery = testing.FakeDelivery()
        self.downlinks = testing.MemoryDownlinks(reactor)
        self.journal = Journal(reactor, self.path / "journal.db")
        self.registry = Registry(reactor, self.path)
        self.types = Types("nobody", reactor, self.kinds)
        self.sources = Sources()
        self.events = testing.MemoryEvents()
        recorder = Recorder(self.events, reactor)
        self.speakers = Speakers(self.devices, self.credentials, self.sources, self.registry)
        self.downlinks.speakers = self.speakers
        self.departures = Departures(self.registry, recorder, reactor)
        self.versions = testing.MemoryConverterVersions({"json": VERSION})
        self.pipeline = Pipeline(
            sources=self.sources, journal=self.journal, registry=self.registry, converters=self.converters,
            versions=self.versions, credentials=self.credentials,
            speakers=self.speakers,
            delivery=self.delivery, downlinks=self.downlinks, recorder=recorder, departures=self.departures,
            listeners=[self.heard], types=self.types, reactor=reactor, max_payload=1000, max_metadata=MAX_METADATA,
            shares=self.shares(), own_converters=self.own,
        )  # fmt: skip

    def shares(self):
        """What its datasources share."""
        return SharedResources()

    async def start(self):
        await self.registry.start()
        await self.speakers.start()
        await self.journal.start(self.pipeline.journal_listener)
        await self.pipeline.start()

    async def stop(self):
        await self.pipeline.stop()
        await self.journal.stop()
        await self.registry.stop()

    async def again(self):
        """End, and begin on the same disk."""
        await self.stop()
        self.make()
        await self.start()

    async def datasource(self, name="ds", **more):
        body = {"type": "plain", "converter": "json", **more}
        resource = await self.registry.create("datasource", "default", name, body)
        await self.pipeline.applied(resource.id)
        return resource.id

    def counts(self, name="ds"):
        """How many uplinks of a datasource went which way."""
        return next(source.counts for source in self.sources.values() if source.spec.name == name)

    def intake(self, name="ds"):
        return self.types.get("plain").built[name].context.intake

    @property
    def records(self):
        """What came out at the end."""
        return self.heard.records

    @property
    def converted_payloads(self):
        return [job.payload for job in self.converters.seen]

    def queue(self, device, payload):
        """A downlink waits for a device."""
        spec = DownlinkSpec(data=payload.decode(), content_type="TEXT")
        testing.fired(self.downlinks.push("default", device, spec))

    def send(self, payload, name="ds", **metadata):
        """An uplink; a Deferred of its answer."""
        done = Deferred()
        self.intake(name).receive(payload, metadata, done.callback)
        return done

    async def until(self, condition):
        patience = Patience(20)
        while not condition():
            assert not patience.is_over(), "waited in vain"
            await deferLater(reactor, 0.01)

    async def message(self, answer):
        return await self.journal.message(int(answer.message_id.split("-")[1]))

    async def converted(self, answer):
        """The message of an answer as soon as it has an outcome."""
        patience = Patience(20)
        while (message := await self.message(answer)).state is State.RECEIVED:
            assert not patience.is_over(), "no outcome"
            await deferLater(reactor, 0.01)
        return message


def asynchronous(test):
    return pytest_twisted.ensureDeferred(test)


def document(name, **values):
    return msgspec.json.encode({"deviceName": name, **values})

"""What the pipeline gives a datasource passes the suite of any intake."""

from functools import cached_property

from msgspec import json

from iotgw import testing
from iotgw.core.departures import Departures
from iotgw.core.recorder import Recorder
from iotgw.core.specs import DatasourceSpec, DownlinkSpec
from iotgw.core.types import Types
from iotgw.pipeline.pipeline import Pipeline
from iotgw.pipeline.sources import Source, Sources
from iotgw.testing.contracts import IntakeContract, PipelineContract, SourcesContract


class House:
    """A pipeline over doubles."""

    max_payload = 1_000

    @cached_property
    def clock(self):
        return testing.MemoryReactor()

    @cached_property
    def pipeline(self):
        """Over doubles, with one datasource that converts nothing."""
        clock = self.clock
        self.downlinks, self.delivery = testing.MemoryDownlinks(clock), testing.FakeDelivery()
        self.journal, registry = testing.MemoryJournal(clock), testing.MemoryRegistry(clock)
        self.type = testing.FakeDatasourceType()
        self.saved = testing.fired(registry.create("datasource", "default", "ds", {"type": "fake"}))
        recorder = Recorder(testing.MemoryEvents(), clock)
        return Pipeline(
            sources=Sources(), journal=self.journal, registry=registry, converters=testing.FakeConverters(),
            versions=testing.MemoryConverterVersions(), credentials=testing.MemoryCredentials(),
            speakers=testing.FakeSpeakers(),
            delivery=self.delivery, downlinks=self.downlinks, listeners=[], reactor=clock,
            recorder=recorder, departures=Departures(registry, recorder, clock), types=Types("none", clock, [lambda _: self.type]),
            max_payload=self.max_payload,
        )  # fmt: skip

    def start(self):
        self.wait(self.journal.start(self.pipeline.journal_listener))
        self.wait(self.pipeline.start())

    def close(self, part):
        self.wait(self.pipeline.stop())


class TestIntake(House, IntakeContract):
    def open(self):
        assert self.pipeline
        self.start()
        return self.type.built["ds"].context.intake

    def fill(self):
        self.delivery.full = ["out"]

    def drain(self):
        self.delivery.full = []
        self.clock.advance(1.0)

    def queue(self, device, content):
        spec = DownlinkSpec(data=content.decode(), content_type="TEXT")
        self.wait(self.downlinks.push("default", device, spec))

    def reports(self):
        return self.downlinks.reports

    def stored_keys(self):
        uplinks = self.journal.storage.uplinks.values()
        return [json.decode(uplink.metadata)["uplinkKey"] for uplink in uplinks]


class TestPipeline(House, PipelineContract):
    def open(self):
        assert self.pipeline
        self.start()
        self.id = self.saved.id
        return self.pipeline


class TestSources(SourcesContract):
    def open(self):
        return Sources()

    def put(self, id, name, datasource):
        self.part[id] = source = Source(id, "default", DatasourceSpec(name=name, type="fake"))
        source.datasource = datasource

"""Every part of the gateway, and every double, keeps its port: its members, their arguments, and their names."""

import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest
from zope.interface import implementedBy, implementer
from zope.interface.exceptions import Invalid
from zope.interface.verify import verifyClass

import iotgw
from iotgw import testing
from iotgw.app import parts
from iotgw.app.pause import Pause
from iotgw.backups.directory import DirectoryPlace
from iotgw.backups.pieces import PieceReader
from iotgw.backups.plans import BackupPlans, Sending
from iotgw.backups.s3 import S3Place
from iotgw.backups.sftp import SftpPlace
from iotgw.connect.asyncio_thread import AsyncioThread
from iotgw.connect.endpoint import Connector
from iotgw.converters.service import ConverterService
from iotgw.converters.versions import ConverterVersions
from iotgw.core.backup_plan import BackupPlan
from iotgw.core.clock import GatewayClock, PlainCalendar
from iotgw.core.departures import Departures
from iotgw.core.epochs import Epochs
from iotgw.core.lent_registry import LentRegistry
from iotgw.core.one_node import OneNode
from iotgw.core.own_converters import NoOwnConverters
from iotgw.core.ports.events import IEvents
from iotgw.core.ports.firmware import Image, UpdateOrder, UpdateState
from iotgw.core.quarantine import NoQuarantine
from iotgw.core.recorder import Recorder
from iotgw.core.shared import SharedResources
from iotgw.core.speakers import Anybody
from iotgw.core.specs import DatasourceSpec, Resource
from iotgw.core.types import Types
from iotgw.core.validate import convert
from iotgw.datasources.coap.ports import CoapPorts
from iotgw.datasources.http.mounts import HttpMounts
from iotgw.datasources.lwm2m.datasource import Lwm2mDatasource
from iotgw.datasources.lwm2m.settings import Lwm2mSettings
from iotgw.delivery.service import DeliveryService
from iotgw.delivery.unbuilt import Unbuilt
from iotgw.devices.credentials import Credentials
from iotgw.devices.fleet import Fleet
from iotgw.devices.quarantine import Quarantine, Releases
from iotgw.devices.speakers import Speakers
from iotgw.downlinks.queue import DownlinkQueue
from iotgw.jobs.downlinks import DownlinkJobs
from iotgw.jobs.firmware import FirmwareJobs
from iotgw.jobs.reprocess import ReprocessJobs
from iotgw.jobs.retry import RetryJobs
from iotgw.jobs.run import JobRun
from iotgw.jobs.service import JobService
from iotgw.jobs.tenants import TenantJobs
from iotgw.observe.debug import DebugLog
from iotgw.observe.events import EventLog
from iotgw.observe.live import LiveFeed
from iotgw.observe.rates import RateMeter
from iotgw.observe.trace import Trace
from iotgw.observe.usage import DeviceMeter, UsageMeter
from iotgw.pipeline.admission import Admission
from iotgw.pipeline.arrivals import PipelineArrivals
from iotgw.pipeline.checkpoints import RegistryCheckpoints
from iotgw.pipeline.intake import Intake
from iotgw.pipeline.latency import Latency
from iotgw.pipeline.long_poll import LongPoll
from iotgw.pipeline.pipeline import Pipeline
from iotgw.pipeline.publisher import Publisher
from iotgw.pipeline.sources import Source, Sources
from iotgw.store.backups import Backups
from iotgw.store.certificate_ends import CertificateEnds
from iotgw.store.certificates import CertificateDirectory
from iotgw.store.forgotten import ForgottenMessages
from iotgw.store.sqlite.debug import DebugStore
from iotgw.store.sqlite.devices import DeviceStore
from iotgw.store.sqlite.downlinks import DownlinkStore
from iotgw.store.sqlite.entries import DeviceEntries
from iotgw.store.sqlite.events import EventFile
from iotgw.store.sqlite.journal import Journal
from iotgw.store.sqlite.kept import KeptRows
from iotgw.store.sqlite.registry import Registry
from iotgw.store.sqlite.usage import UsageStore
from iotgw.store.stored_files import FileStore
from iotgw.testing.contracts.journal_world import HeardJournal
from iotgw.testing.journal import Silent
from iotgw.testing.ports import PORTS, verify_ports
from tests.unit.testing.name_parts import name_parts
from tests.unit.testing.postgres_parts import in_postgres
from tests.unit.testing.target_parts import targets_around_others

NOWHERE = Path("/nonexistent")
BROKER = {"host": "192.0.2.1"}
EVENT_HUB = "Endpoint=sb://192.0.2.1/;SharedAccessKeyName=n;SharedAccessKey=k=;EntityPath=hub"
SQS = {
    "queueUrl": "https://192.0.2.1/123456789012/q", "region": "eu-central-1", "accessKeyId": "id", "secretAccessKey": "secret",
}  # fmt: skip
SETTINGS = {
    "mqtt": {**BROKER, "topics": ["a"]},
    "dragino-mqtt": {**BROKER, "topics": ["a"]},
    "sftp": {**BROKER, "username": "u", "password": "p", "hostKeys": [f"SHA256:{'A' * 43}"]},
    "thingsboard": {**BROKER, "token": "t"},
    "kafka": {"brokers": ["192.0.2.1"], "topics": ["a"]},
    "opc-ua": {"url": "opc.tcp://192.0.2.1"},
    "rabbitmq": {**BROKER, "queue": "q"},
    "aws-sqs": SQS,
    "google-pubsub": {"project": "p", "endpoint": "http://192.0.2.1", "subscription": "sub"},
    "google-pubsub-push": {
        "project": "p",
        "subscription": "sub",
        "audience": "https://192.0.2.1",
        "serviceAccount": "a@b.example",
    },
    "aws-kinesis": {
        "stream": "s",
        "region": "eu-central-1",
        "accessKeyId": "id",
        "secretAccessKey": "secret",
    },
    "azure-event-hub": {"connectionString": EVENT_HUB},
    "azure-iot-hub": {"connectionString": EVENT_HUB},
}
"""Of the types that need some; for an integration over those of a datasource of its name."""


def spine():
    """The pipeline and its parts, over doubles."""
    reactor, journal, downlinks = testing.MemoryReactor(), testing.MemoryJournal(), testing.MemoryDownlinks()
    events, delivery = testing.MemoryEvents(), testing.FakeDelivery()
    recorder = Recorder(events, reactor)
    source = Source("ds", "default", DatasourceSpec(name="ds", type="fake"))
    admission = Admission(journal, delivery, reactor, 1, 1)
    sources = Sources({"ds": source})
    pipeline = Pipeline(
        sources=sources, journal=journal, registry=testing.MemoryRegistry(), converters=testing.FakeConverters(),
        versions=testing.MemoryConverterVersions(), credentials=testing.MemoryCredentials(), delivery=delivery,
        speakers=testing.FakeSpeakers(),
        downlinks=downlinks, recorder=recorder, listeners=[], types=Types("none", reactor, []), reactor=reactor,
        departures=Departures(testing.MemoryRegistry(), recorder, reactor),
    )  # fmt: skip
    intake = Intake(
        source,
        journal,
        admission,
        LongPoll(downlinks, reactor),
        downlinks,
        recorder,
        reactor,
        reactor,
        testing.FakeSpeakers(),
    )
    latency = Latency(reactor, PlainCalendar(reactor))
    return [pipeline, intake, sources, Publisher([], lambda: None), Trace(journal, sources), latency]


def fleet(reactor, registry):
    entries, devices = testing.MemoryDeviceEntries(), testing.MemoryDevices()
    return Fleet(entries, devices, testing.FakeSpeakers(), registry, reactor, PlainCalendar(reactor), print)


def debug_log(reactor):
    recorder = Recorder(testing.MemoryEvents(), reactor)
    return DebugLog(testing.MemoryDebugStore(), Epochs, recorder, reactor, PlainCalendar(reactor))


def backup_places():
    reactor = testing.MemoryReactor()
    connector, pieces = testing.FakeConnector(), PieceReader(reactor, None)
    yield DirectoryPlace(NOWHERE, None)
    pin = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    yield SftpPlace(BackupPlan(to="sftp://u@nas/b", host_keys=[pin]), reactor, connector, pieces)
    keys = {"access_key_id": "A", "secret_access_key": "s"}
    yield S3Place(BackupPlan(to="s3://bucket", **keys), reactor, connector, pieces, None)


def rooms():
    """The other rooms' parts."""
    reactor, registry = testing.MemoryReactor(), testing.MemoryRegistry()
    credentials = Credentials(registry, lambda: 0)
    types = Types("none", reactor, [])
    return [
        Journal(reactor, NOWHERE / "j.db"),
        *in_postgres(reactor),
        OneNode(),
        Unbuilt(OSError("no key")),
        LentRegistry(registry),
        Registry(reactor, NOWHERE),
        DeviceStore(reactor, NOWHERE),
        DeviceEntries(Registry(reactor, NOWHERE)),
        *name_parts(reactor, fleet(reactor, registry)),
        NoQuarantine(),
        quarantine := Quarantine(fleet(reactor, registry), Recorder(testing.MemoryEvents(), reactor)),
        Releases(quarantine, fleet(reactor, registry), None, None, None, reactor),
        fleet(reactor, registry),
        DownlinkStore(NOWHERE, reactor),
        KeptRows(NOWHERE, reactor),
        UsageStore(NOWHERE, reactor),
        DebugStore(NOWHERE, reactor),
        debug_log(reactor),
        DeviceMeter(),
        UsageMeter(testing.MemoryUsage(), [], DeviceMeter(), reactor, PlainCalendar(reactor)),
        GatewayClock().calendar,
        PlainCalendar(reactor),
        PipelineArrivals({}, testing.MemoryJournal(), reactor),
        EventFile(NOWHERE / "e.db"),
        EventLog(EventFile(NOWHERE / "e.db"), reactor),
        LiveFeed(),
        RateMeter([], LiveFeed(), reactor),
        DownlinkQueue(testing.MemoryDownlinkStore(), None, None, None, reactor),
        credentials,
        credentials.of("default"),
        ConverterService(reactor),
        ConverterVersions(registry, testing.FakeConverters(), {}),
        DeliveryService(testing.MemoryJournal(), types, reactor, testing.MemoryEvents(), str),
        BackupPlans({}, None, Sending(NOWHERE, None), None, None, reactor, None),
        *backup_places(),
        Backups(reactor, NOWHERE, NOWHERE, [], Recorder(testing.MemoryEvents(), reactor), reactor),
        Pause(NOWHERE, None, None, None),
        Speakers(testing.MemoryDevices(), credentials, testing.FakeSources(), registry),
        Anybody(),
        NoOwnConverters(),
        CertificateDirectory(testing.ThreadClock(), NOWHERE),
        CertificateEnds(testing.ThreadClock(), NOWHERE),
        AsyncioThread(testing.ThreadClock()),
        JobService(registry, [], reactor, reactor),
        ReprocessJobs(testing.MemoryJournal(), testing.FakePipeline(), PlainCalendar(reactor)),
        TenantJobs(
            registry,
            testing.MemoryJournal(),
            None,
            testing.MemoryDevices(),
            None,
            None,
            None,
            testing.MemoryDownlinks(),
            None,
            None,
            [],
            reactor,
        ),
        ForgottenMessages(None, reactor),
        RetryJobs(testing.FakeDelivery(), reactor),
        FirmwareJobs(None, None, None, None, None, reactor, None, None),
        FileStore(NOWHERE, registry, reactor, reactor, 1),
        DownlinkJobs(fleet(reactor, testing.MemoryRegistry()), testing.MemoryDownlinks(), reactor),
        testing.MemoryJobs(),
        testing.FakeJobRun({}),
        JobRun(
            Resource(
                "job",
                "id",
                "default",
                "name",
                1,
                0,
                0,
                {"what": {}, "cursor": 0, "before": {}, "createdAt": 0},
            ),
            registry,
            reactor,
        ),
        RegistryCheckpoints(registry, "default", "ds"),
    ]


def types_with_what_they_build():
    """Each built-in type, and one part of it."""
    reactor = testing.MemoryReactor()
    shares = SharedResources(CoapPorts(reactor), HttpMounts())
    source, target = testing.datasource_context(reactor=reactor, shares=shares), testing.integration_context()
    connector = Connector(reactor)
    made = [HttpMounts(), connector]
    for type_ in Types("none", reactor, parts.DATASOURCES, connector):
        made += with_part(type_, source, SETTINGS)
    out = {
        **SETTINGS,
        "http": {"url": "http://192.0.2.1/"},
        "thingsboard-http": {"url": "http://192.0.2.1/", "token": "t"},
        "mqtt": BROKER,
        "kafka": {"brokers": ["192.0.2.1"]},
        "rabbitmq": BROKER,
        "google-pubsub": {"project": "p", "endpoint": "http://192.0.2.1", "topic": "top"},
        "azure-iot-hub": {"connectionString": "HostName=h;SharedAccessKeyName=n;SharedAccessKey=a2V5"},
    }
    for type_ in Types("none", reactor, parts.INTEGRATIONS, connector):
        made += with_part(type_, target, out)
    return made


def with_part(type_, context, settings):
    return [type_, type_.build(convert(settings.get(type_.name, {}), type_.settings), context)]


def device_update():
    """An update of a device that isn't there."""
    context = testing.datasource_context(reactor=testing.MemoryReactor())
    source = Lwm2mDatasource(Lwm2mSettings(), context)
    image = Image("app.bin", "/nonexistent", 1, "00" * 32)
    return source.update(UpdateOrder("job", image), UpdateState("dev"), lambda state: None)


def doubles():
    """Every double of `iotgw.testing`."""
    datasource, integration = testing.datasource_context(), testing.integration_context()
    types = [testing.FakeDatasourceType(), testing.FakeIntegrationType()]
    return [
        *types,
        types[0].build(None, datasource),
        types[1].build(types[1].settings(), integration),
        testing.MemoryCredentials(),
        testing.MemoryCredentials().of("default"),
        testing.MemoryReactor(),
        testing.ThreadClock(),
        HeardJournal(),
        *(make() for make in DOUBLES),
    ]


DOUBLES = [
    testing.FakeSpeakers,
    testing.FakeArrivals, testing.FakeAsyncioThread, testing.FakeConnector, testing.FakeConverters, testing.FakeDelivery, testing.FakeIntake, testing.FakePipeline, testing.FakeSources,
    testing.MemoryConverterVersions, testing.MemoryDeviceEntries, testing.MemoryDevices, testing.MemoryOwnConverters, testing.MemoryDownlinks, testing.MemoryDownlinkStore, testing.MemoryEvents,
    testing.MemoryBackupPlans, testing.MemoryBackups, testing.MemoryCheckpoints, testing.MemoryFiles, testing.MemoryJournal, testing.MemoryKept, testing.MemoryMounts, testing.MemoryPause, testing.MemoryPlatformNames, testing.MemoryRegistry, testing.MemoryTrace, testing.MemoryUsage, testing.MemoryDebugStore,
    testing.MemoryStoredFiles, testing.MemoryUpdates,
]  # fmt: skip
PARTS = [
    *spine(),
    *rooms(),
    *types_with_what_they_build(),
    *targets_around_others(),
    device_update(),
    *doubles(),
]


def classes():
    """Every class of the package that says it implements a port."""
    for module in pkgutil.walk_packages(iotgw.__path__, "iotgw."):
        if module.name.startswith("iotgw.converters.engines"):
            continue  # for the worker program only
        for each in vars(importlib.import_module(module.name)).values():
            if inspect.isclass(each) and each.__module__ == module.name and list(implementedBy(each)):
                for port in implementedBy(each).flattened():
                    if port.__module__.startswith(PORTS):
                        yield each, port


@pytest.mark.parametrize("part", PARTS, ids=lambda part: f"{type(part).__module__}.{type(part).__name__}")
def test_a_part_keeps_every_port_that_it_claims(part):
    assert verify_ports(part)


def test_a_listener_that_hears_nothing_can_hear_all_that_a_journal_says():
    assert {"storing", "stored", "refused", "settled", "room_again"} <= set(dir(Silent()))


def test_no_class_that_claims_a_port_is_left_out():
    left = {cls.__qualname__ for cls, _ in classes() if not any(isinstance(part, cls) for part in PARTS)}
    assert left == set()


@pytest.mark.parametrize(("cls", "port"), list(classes()), ids=lambda each: each.__name__)
def test_a_class_has_the_methods_of_its_ports(cls, port):
    assert verifyClass(port, cls)


@implementer(IEvents)
class Renamed(testing.MemoryEvents):
    def emit(self, happened):
        """With another name than the port's."""


@implementer(IEvents)
class Lacking:
    dropped = 0

    def emit(self, event):
        """`query` is not here."""


@implementer(IEvents)
class Demanding(testing.MemoryEvents):
    def emit(self, event, severity):
        """With one argument more than callers give."""


@pytest.mark.parametrize(
    ("part", "error"),
    [(Renamed(), AssertionError), (Lacking(), Invalid), (Demanding(), Invalid), (object(), AssertionError)],
)
def test_a_part_that_breaks_its_port_is_found_out(part, error):
    with pytest.raises(error):
        verify_ports(part)

"""The parts of a gateway, each made with what it needs. None of them is open yet; `iotgw.app.services` opens them."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from msgspec import Struct

from iotgw.api.parts import Parts
from iotgw.api.site import OWN_PATHS, ApiSite
from iotgw.app.backup_plans import plans_of
from iotgw.app.changed import device_changed, device_updated, downlink_changed
from iotgw.app.integrations import RegisteredIntegrations
from iotgw.app.pause import Pause
from iotgw.app.singles import Owned, Singles
from iotgw.app.storage import StoredParts, storage
from iotgw.app.threads import in_threads
from iotgw.backups.plans import BackupPlans
from iotgw.config.settings import IntegrationsSection, Settings
from iotgw.connect.endpoint import Connector
from iotgw.connect.no_proxy import readable
from iotgw.connect.proxy import ENVIRONMENT, of_environment
from iotgw.converters import library
from iotgw.converters.samples import StoredSamples
from iotgw.converters.service import ConverterService
from iotgw.converters.state import RegistryStates
from iotgw.converters.versions import ConverterVersions
from iotgw.core.departed import datasource_name
from iotgw.core.departures import Departures
from iotgw.core.key_guesses import KeyGuesses
from iotgw.core.model import ConverterVersion
from iotgw.core.own_sites import OwnSites
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.datasources import IDatasourceType
from iotgw.core.ports.intake import Severity
from iotgw.core.ports.integrations import IIntegrationType
from iotgw.core.ports.jobs import IJobKind
from iotgw.core.ports.reactor import IReactor
from iotgw.core.ports.usage import IUsageStore
from iotgw.core.recorder import Recorder
from iotgw.core.refusals import Doors
from iotgw.core.shared import SharedResources
from iotgw.core.trusted_proxies import TrustedProxies
from iotgw.core.types import Types
from iotgw.datasources.coap.datasource import CoapType
from iotgw.datasources.coap.ports import CoapPorts
from iotgw.datasources.frames import FrameGroups
from iotgw.datasources.http.datasource import HttpSourceType
from iotgw.datasources.http.mounts import HttpMounts
from iotgw.datasources.kafka.datasource import KafkaSourceType
from iotgw.datasources.kinesis.datasource import KinesisSourceType
from iotgw.datasources.lwm2m.bootstrap import BootstrapType
from iotgw.datasources.lwm2m.source_type import Lwm2mType
from iotgw.datasources.mqtt.source_type import MqttSourceType
from iotgw.datasources.opcua.datasource import OpcuaType
from iotgw.datasources.pubsub.datasource import PubsubSourceType
from iotgw.datasources.pubsub.push import PubsubPushType
from iotgw.datasources.rabbitmq.datasource import RabbitSourceType
from iotgw.datasources.socket.tcp import TcpType
from iotgw.datasources.socket.udp import UdpType
from iotgw.datasources.sqs.datasource import SqsSourceType
from iotgw.datasources.vendors import TYPES as VENDORS
from iotgw.delivery.service import DeliveryService
from iotgw.devices.credentials import Credentials
from iotgw.devices.fleet import Fleet
from iotgw.devices.platform_names import PlatformNames
from iotgw.devices.quarantine import Quarantine, Releases
from iotgw.devices.speakers import Speakers
from iotgw.downlinks.queue import DownlinkQueue
from iotgw.downlinks.reach import Reach
from iotgw.integrations.azure import EventHubType
from iotgw.integrations.azure_iot_hub import IotHubType
from iotgw.integrations.http import HttpType
from iotgw.integrations.kafka import KafkaType
from iotgw.integrations.kinesis import KinesisType
from iotgw.integrations.mqtt import MqttType
from iotgw.integrations.presets import target_presets
from iotgw.integrations.pubsub import PubsubType
from iotgw.integrations.rabbitmq import RabbitType
from iotgw.integrations.sftp import SftpType
from iotgw.integrations.sqs import SqsType
from iotgw.integrations.template import look_at
from iotgw.integrations.thingsboard import ThingsBoardType
from iotgw.integrations.thingsboard_http import ThingsBoardHttpType
from iotgw.jobs.downlinks import DownlinkJobs
from iotgw.jobs.firmware import FirmwareJobs
from iotgw.jobs.reprocess import ReprocessJobs
from iotgw.jobs.retry import RetryJobs
from iotgw.jobs.service import JobService
from iotgw.jobs.tenants import TenantJobs
from iotgw.observe.debug import DebugLog
from iotgw.observe.events import EventLog
from iotgw.observe.live import LiveFeed
from iotgw.observe.rates import RateMeter
from iotgw.observe.trace import Trace
from iotgw.observe.usage import DeviceMeter, UsageMeter
from iotgw.pipeline.arrivals import PipelineArrivals
from iotgw.pipeline.latency import Latency
from iotgw.pipeline.pipeline import Pipeline
from iotgw.pipeline.places import LeasedPlaces
from iotgw.pipeline.sources import Sources
from iotgw.store.backups import Backups
from iotgw.store.certificate_ends import CertificateEnds
from iotgw.store.certificates import CertificateDirectory
from iotgw.store.debug import DebugRing
from iotgw.store.devices import DeviceStateStore
from iotgw.store.forgotten import ForgottenMessages
from iotgw.store.journal import GroupCommitJournal
from iotgw.store.kept import KeptStore
from iotgw.store.registry import StoredRegistry
from iotgw.store.stored_files import FileStore

DATASOURCES = (
    CoapType,
    HttpSourceType,
    TcpType,
    UdpType,
    MqttSourceType,
    KafkaSourceType,
    OpcuaType,
    Lwm2mType,
    BootstrapType,
    RabbitSourceType,
    SqsSourceType,
    KinesisSourceType,
    PubsubSourceType,
    PubsubPushType,
    *VENDORS,
)
INTEGRATIONS = (
    HttpType,
    MqttType,
    KafkaType,
    EventHubType,
    IotHubType,
    RabbitType,
    SqsType,
    KinesisType,
    PubsubType,
    SftpType,
    ThingsBoardType,
    ThingsBoardHttpType,
)


class Gateway(Struct, frozen=True, kw_only=True):
    """The parts that are started and stopped, and those that the API uses."""

    storage: StoredParts
    registry: StoredRegistry
    credentials: Credentials
    speakers: Speakers
    events: EventLog
    devices: DeviceStateStore
    fleet: Fleet
    releases: Releases
    journal: GroupCommitJournal
    downlinks: DownlinkQueue
    kept: KeptStore
    converters: ConverterService
    delivery: DeliveryService
    integrations: RegisteredIntegrations
    pipeline: Pipeline
    trace: Trace
    recorder: Recorder
    shares: SharedResources
    mounts: HttpMounts
    certificates: CertificateDirectory
    backups: Backups
    backup_plans: BackupPlans
    pause: Pause
    jobs: JobService
    files: FileStore
    usage_store: IUsageStore
    usage: UsageMeter
    live: LiveFeed
    rates: RateMeter
    debug_store: DebugRing
    debug: DebugLog
    singles: Singles
    api: Parts


def build(
    settings: Settings, data_dir: Path, reactor: IReactor, calendar: ICalendar, node: str = ""
) -> Gateway:
    """Every part of one gateway, which is the node ``node`` of several. Each gets only parts that were made before it, so none needs to be completed
    later."""
    store = settings.store
    stored = storage(
        store, settings.usage.max_bytes, settings.debug.max_bytes, data_dir, reactor, calendar, node
    )
    registry, journal, devices, kept = stored.registry, stored.journal, stored.devices, stored.kept
    credentials = Credentials(registry, calendar.now_ms)
    live = LiveFeed()
    events = EventLog(stored.events, reactor, tell=live.happened)
    recorder = Recorder(events, calendar)
    sources = Sources()
    speakers = Speakers(devices, credentials, sources, registry)
    fleet = Fleet(
        stored.entries, devices, speakers, registry, reactor, calendar,
        partial(device_changed, recorder, journal, calendar),
    )  # fmt: skip
    quarantine = Quarantine(fleet, recorder)
    trace = Trace(journal, sources, settings.log.level == "debug")

    def report(type: str, version: ConverterVersion, message: str, severity: Severity) -> None:
        recorder.note(type, "converter", version.name, message, version.tenant, severity)

    converters = ConverterService(
        reactor,
        workers=settings.converters.workers,
        time_limit=settings.converters.time_limit,
        memory_limit=settings.converters.memory_limit,
        report=report,
        states=stored.states or RegistryStates(reactor, registry, calendar=calendar),
        dates=calendar,
        is_unconfined=settings.converters.unconfined,
    )
    departures = Departures(
        registry, recorder, reactor, *([stored.partitions.own_is_last()] if stored.partitions else [])
    )
    versions = ConverterVersions(
        registry, converters, library.versions(), StoredSamples(registry, journal).of
    )
    names = PlatformNames(stored.names, fleet)
    reach = Reach(
        registry=registry, journal=journal, versions=versions, converters=converters, sources=sources, clock=reactor, calendar=calendar,
        names=names,
    )  # fmt: skip
    changed = partial(downlink_changed, events, journal)
    downlinks = DownlinkQueue(
        stored.items, reach.encode, reach.find, changed, reactor, calendar, speakers, stored.leases
    )
    certificates = CertificateDirectory(reactor, data_dir / settings.certificates)
    doors, sites, mounts = _served(settings, sources, recorder, reactor)
    coap_ports = CoapPorts(
        reactor, partial(sources.is_away, "coap"), sources.away.find, doors.note, settings.coap_trees
    )
    shares = SharedResources(coap_ports, mounts, FrameGroups())
    connector = way_out(settings.integrations, reactor)
    datasource_types: Types[IDatasourceType] = Types("iotgw.datasources", reactor, DATASOURCES, connector)
    integration_types: Types[IIntegrationType] = Types(
        "iotgw.integrations", reactor, INTEGRATIONS, connector, look_at
    )
    latency = Latency(reactor, calendar)
    shared = registry if stored.partitions else None
    debug = DebugLog(stored.debug, lambda: journal.epochs, recorder, reactor, calendar, shared)
    singles = Singles(stored.leases)
    delivery = DeliveryService(
        journal, integration_types, reactor, events, partial(datasource_name, registry), downlinks.push, registry.unseal, str(data_dir),
        trace, store.max_bytes, calendar, registry.seal,
        debug=debug, durable_at=latency.durable_at, elsewhere=stored.history,
        shared=singles.targets, part=lambda: stored.partitions.own if stored.partitions else 0,
    )  # fmt: skip
    delivery.lead(singles.targets)
    device_meter = DeviceMeter(known=fleet.called)
    usage = UsageMeter(stored.usage, [sources, delivery, converters], device_meter, reactor, calendar)
    rates = RateMeter([sources, delivery], live, reactor)
    pipeline = Pipeline(
        sources=sources, journal=journal, registry=registry, converters=converters, versions=versions,
        credentials=credentials, speakers=speakers, delivery=delivery, downlinks=downlinks, recorder=recorder,
        departures=departures,
        listeners=[latency, trace, live, devices, fleet, delivery], types=datasource_types, reactor=reactor, data_dir=str(data_dir),
        shares=shares, max_payload=store.max_payload, own_converters=fleet,
        max_metadata=store.max_metadata, calendar=calendar,
        files=certificates, quarantine=quarantine, kept=kept,
        meter=device_meter, debug=debug, live=live, places=LeasedPlaces(stored.leases, datasource_types), names=names,
    )  # fmt: skip
    releases = Releases(quarantine, fleet, journal, pipeline, recorder, reactor)
    backups = Backups(
        reactor,
        data_dir,
        data_dir / store.backup_directory,
        stored.writers,
        recorder,
        calendar,
        stored.elsewhere,
    )
    backup_plans = plans_of(settings, data_dir, backups, kept, recorder, reactor, connector, calendar)
    pause = Pause(data_dir, delivery, downlinks, recorder)
    files = FileStore(data_dir, registry, reactor, calendar, store.max_files)
    updates = FirmwareJobs(
        registry, pipeline, files, fleet, kept, reactor, calendar,
        partial(device_updated, recorder, journal, calendar),
    )  # fmt: skip
    kinds: list[IJobKind] = [
        ReprocessJobs(journal, pipeline, calendar),
        RetryJobs(delivery, reactor),
        DownlinkJobs(fleet, downlinks, reactor),
        updates,
        TenantJobs(
            registry, journal, fleet, devices, speakers, quarantine, releases, downlinks, downlinks, files,
            [stored.erasures or ForgottenMessages(journal.erase, reactor), stored.items, stored.names, usage, stored.debug, events, *stored.of_tenants], reactor,
        ),
    ]  # fmt: skip
    jobs = JobService(
        registry, kinds, reactor, calendar, lambda: stored.nodes.name if stored.partitions else "",
        lambda: [node.name for node in stored.nodes.list() if node.name != stored.nodes.name] if stored.partitions else [],
    )  # fmt: skip
    return Gateway(
        storage=stored, registry=registry, credentials=credentials, speakers=speakers, events=events, devices=devices, fleet=fleet, releases=releases, journal=journal,
        downlinks=downlinks, kept=kept, converters=converters, delivery=delivery,
        integrations=RegisteredIntegrations(registry, journal, delivery, departures, recorder, reactor, calendar, Owned(singles, delivery)), singles=singles,
        pipeline=pipeline, trace=trace, recorder=recorder, shares=shares, mounts=mounts, certificates=certificates, backups=backups, backup_plans=backup_plans, pause=pause,
        jobs=jobs, files=files, usage_store=stored.usage, usage=usage, live=live, rates=rates, debug_store=stored.debug, debug=debug, api=Parts(
            registry=registry, journal=journal, pipeline=pipeline, arrivals=PipelineArrivals(sources, journal, reactor), converters=converters, trials=converters.for_trials(), versions=versions,
            delivery=delivery, devices=devices, fleet=fleet, own_converters=fleet, quarantine=quarantine, releases=releases, owners=speakers, events=events, datasource_types=datasource_types,
            integration_types=integration_types, target_presets=target_presets(), clock=reactor, in_thread=in_threads(reactor), downlinks=downlinks, credentials=credentials, departures=departures, backups=backups, backup_plans=backup_plans, pause=pause,
            calendar=calendar, doors=doors, sites=sites, jobs=jobs, usage=usage, debugging=debug, updates=updates, files=files, live=live, rates=rates, latency=latency, meters=(sources, delivery), nodes=stored.nodes, orders=stored.orders, history=stored.history, certificate_ends=CertificateEnds(reactor, data_dir / settings.certificates),
        ),
    )  # fmt: skip


def _served(
    settings: Settings, sources: Sources, recorder: Recorder, reactor: IReactor
) -> tuple[Doors, OwnSites, HttpMounts]:
    """What the HTTP listeners share: who was turned away, which names are ours, and the places of datasources."""
    doors = Doors(recorder, reactor)
    proxies = TrustedProxies(settings.trusted_proxies, settings.proxy_header)
    sites = OwnSites(settings.hosts, proxies)
    make_site = partial(ApiSite, for_devices=True, proxies=proxies, tell=partial(doors.note, "http", "slow"))
    mounts = HttpMounts(
        make_site,
        OWN_PATHS,
        partial(sources.is_away, "http"),
        doors.note,
        sites=sites,
        guesses=KeyGuesses(reactor),
        proxies=proxies,
    )
    return doors, sites, mounts


def way_out(section: IntegrationsSection, reactor: IReactor) -> Connector:
    """What makes all outgoing connections, as the operator says. Raises SettingsError."""
    proxy, no_proxy = section.proxy, section.no_proxy
    if proxy == ENVIRONMENT:
        proxy, more = of_environment(os.environ)
        no_proxy = [*no_proxy, *readable(more)]
    return Connector(reactor, section.forbid, section.allow, proxy, no_proxy, section.proxy_names)

"""What the API is given: the running parts, by their ports. It makes none of them.

`iotgw.api.app` takes them apart again: each file of routes is given the ports that it uses.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field
from twisted.internet.interfaces import IReactorTime

from iotgw.core.clock import PlainCalendar
from iotgw.core.departures import Departures
from iotgw.core.one_node import OneNode
from iotgw.core.own_sites import OwnSites
from iotgw.core.ports.backups import IBackupPlans, IBackups
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.converters import IConverters, IConverterVersions
from iotgw.core.ports.credentials import ICredentials
from iotgw.core.ports.datasources import IDatasourceType
from iotgw.core.ports.debug import IDebugging
from iotgw.core.ports.delivery import IDeliveries
from iotgw.core.ports.devices import IDevices, IFleet, IOwnConverters, IQuarantine, IReleases
from iotgw.core.ports.downlinks import IDownlinkQueue
from iotgw.core.ports.events import IEvents
from iotgw.core.ports.files import ICertificateEnds
from iotgw.core.ports.firmware import IFirmwareJobs
from iotgw.core.ports.integrations import IIntegrationType
from iotgw.core.ports.jobs import IJobs
from iotgw.core.ports.journal import IMessages
from iotgw.core.ports.live import ILive
from iotgw.core.ports.meters import ILatency, IMeters
from iotgw.core.ports.nodes import INodes
from iotgw.core.ports.orders import IOrders
from iotgw.core.ports.pause import IPause
from iotgw.core.ports.pipeline import IArrivals, IPipeline
from iotgw.core.ports.rates import IRates
from iotgw.core.ports.reactor import InThread
from iotgw.core.ports.registry import IRegistry
from iotgw.core.ports.speakers import IOwners
from iotgw.core.ports.stored_files import IStoredFiles
from iotgw.core.ports.usage import IUsage
from iotgw.core.refusals import Doors
from iotgw.core.target_presets import TargetPreset
from iotgw.core.types import Types


class Parts(Struct, frozen=True, kw_only=True):
    """The parts, by their ports. ``clock`` is gateway time, ``in_thread`` runs what takes long beside the reactor. ``trials`` runs what people try out. ``history`` has the messages of all
    nodes, where there are several."""

    registry: IRegistry
    journal: IMessages
    pipeline: IPipeline
    arrivals: IArrivals
    converters: IConverters
    trials: IConverters
    versions: IConverterVersions
    delivery: IDeliveries
    devices: IDevices
    fleet: IFleet
    own_converters: IOwnConverters
    quarantine: IQuarantine
    releases: IReleases
    owners: IOwners
    events: IEvents
    datasource_types: Types[IDatasourceType]
    integration_types: Types[IIntegrationType]
    clock: IReactorTime
    in_thread: InThread
    downlinks: IDownlinkQueue
    credentials: ICredentials
    departures: Departures
    backups: IBackups
    backup_plans: IBackupPlans
    pause: IPause
    jobs: IJobs
    updates: IFirmwareJobs
    files: IStoredFiles
    usage: IUsage
    live: ILive
    rates: IRates
    debugging: IDebugging
    doors: Doors
    sites: OwnSites
    calendar: ICalendar | None = None
    target_presets: Mapping[str, TargetPreset] = {}
    latency: ILatency | None = None
    meters: tuple[IMeters, ...] = ()
    certificate_ends: ICertificateEnds | None = None
    nodes: INodes = field(default_factory=OneNode)
    history: IMessages | None = None
    orders: IOrders | None = None

    @property
    def dates(self) -> ICalendar:
        """The date."""
        return self.calendar or PlainCalendar(self.clock)

"""Where the gateway keeps what it can't do without: in files of the data directory, or in PostgreSQL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from iotgw.config.settings import StoreSection
from iotgw.converters.state import MAX_AGE, MAX_DEVICES, States
from iotgw.core.clock import KeptClock
from iotgw.core.departures import IsLast
from iotgw.core.errors import SettingsError
from iotgw.core.one_node import OneNode
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.devices import IDeviceEntries
from iotgw.core.ports.events import IEventRows
from iotgw.core.ports.journal import IHistory
from iotgw.core.ports.nodes import ILeases, INodes
from iotgw.core.ports.orders import IOrders
from iotgw.core.ports.platform_names import IPlatformNameRows
from iotgw.core.ports.reactor import IReactor
from iotgw.core.ports.tenants import IErasures, IForgetsTenants
from iotgw.core.ports.usage import IUsageStore
from iotgw.store.debug import DebugRing
from iotgw.store.devices import DeviceStateStore
from iotgw.store.downlinks import ItemStore
from iotgw.store.journal import GroupCommitJournal
from iotgw.store.kept import KeptStore
from iotgw.store.loans import LoanJournal
from iotgw.store.migration.copies import FILES
from iotgw.store.registry import StoredRegistry
from iotgw.store.space import JournalLimits
from iotgw.store.sqlite.clock import kept_clock
from iotgw.store.sqlite.debug import DebugStore
from iotgw.store.sqlite.devices import DeviceStore
from iotgw.store.sqlite.downlinks import DownlinkStore
from iotgw.store.sqlite.entries import DeviceEntries
from iotgw.store.sqlite.events import EventFile
from iotgw.store.sqlite.journal import Journal
from iotgw.store.sqlite.kept import KeptRows
from iotgw.store.sqlite.moment import Between
from iotgw.store.sqlite.platform_names import PlatformNameRows
from iotgw.store.sqlite.registry import Registry
from iotgw.store.sqlite.spill import SPILL
from iotgw.store.sqlite.usage import UsageStore

ELSEWHERE = "the gateway's data is in PostgreSQL: back it up there (docs/postgresql.md)"


class IStates(States, Protocol):
    """States of scripts in a database of their own."""

    def start(self) -> Awaitable[object]:
        """Read them."""


class IPartitions(Protocol):
    """The partitions of a database, of which this process may come to hold several."""

    def journal(self, part: int, lost: Callable[[], None]) -> GroupCommitJournal:
        """The journal in a partition that was adopted. ``lost`` is called when another node has taken it."""

    def borrowed(self, part: int) -> LoanJournal:
        """The journal of a partition that another node owns, with what is lent of it."""

    def is_last(self, part: int) -> IsLast:
        """For `Departures` of a partition."""

    def own_is_last(self) -> IsLast:
        """The same for this process's own partition."""

    def lost(self, part: int) -> None:
        """An adopted partition was taken by another node."""

    @property
    def own(self) -> int:
        """The number of this process's own partition."""

    def alone(self, work: Callable[[], Awaitable[None]]) -> Awaitable[object]:
        """Do something that no two nodes may do at once, such as what a first start does. Whoever comes second waits, and sees what the first one did."""

    def begin(self, work: IWork) -> Awaitable[object]:
        """Look at the other nodes from now on, and hear of their changes."""

    def end(self) -> Awaitable[object]:
        """Let go of what was adopted."""

    def leave(self) -> Awaitable[object]:
        """Say that this node stops."""


class IWork(Protocol):
    """What a node does for others."""

    def begin(self, part: int, home: str) -> Awaitable[None]:
        """Go on with the work of an adopted partition, which was the node ``home``'s."""

    def end(self, part: int) -> Awaitable[None]:
        """End that; fires when another one may go on."""

    def figures(self) -> tuple[int, int]:
        """How many messages wait for conversions, and how many for integrations."""

    def drain(self, drains: bool) -> None:
        """Take no more messages, or take them again."""

    def others(self, parts: Collection[int]) -> None:
        """These partitions are other nodes', as of the last look."""


class StoredParts(Struct, frozen=True, kw_only=True):
    """The parts that store. ``erasures`` forgets tenants on all nodes, and ``orders`` has their deliveries do something, where there are several. ``lost_spill`` says what became of a damaged file of spilled messages. ``begin`` and ``end`` are for what comes before them and after them. ``writers`` can stand still for a backup;
    ``elsewhere`` says why there is none of these. ``states`` is what scripts keep of their devices, where the registry doesn't have it, and ``of_tenants`` further stores that keep something of tenants. ``nodes`` are those that work on the same data, ``leases`` what one of them runs, and ``partitions``
    and ``history``, the messages of all of them, None where there is one process alone."""

    registry: StoredRegistry
    entries: IDeviceEntries
    names: IPlatformNameRows
    journal: GroupCommitJournal
    items: ItemStore
    devices: DeviceStateStore
    kept: KeptStore
    events: IEventRows
    usage: IUsageStore
    debug: DebugRing
    states: IStates | None = None
    of_tenants: Sequence[IForgetsTenants] = ()
    writers: Sequence[Between] = ()
    elsewhere: str = ""
    nodes: INodes
    leases: ILeases
    partitions: IPartitions | None = None
    history: IHistory | None = None
    erasures: IErasures | None = None
    orders: IOrders | None = None
    lost_spill: Callable[[], str] = lambda: ""
    begin: Callable[[], Awaitable[object] | None] = lambda: None
    end: Callable[[], Awaitable[object] | None] = lambda: None


def storage(
    section: StoreSection,
    usage_bytes: int,
    debug_bytes: int,
    data_dir: Path,
    reactor: IReactor,
    calendar: ICalendar,
    node: str = "",
) -> StoredParts:
    """The parts that store, as the settings say; ``usage_bytes`` is what usage may take, ``debug_bytes`` what debugging may. ``node`` is this process's name, if it was given one. Raises
    SettingsError."""
    limits = JournalLimits(int(section.max_age * 1000), section.max_bytes)
    if section.url:
        return _in_postgres(section, limits, usage_bytes, debug_bytes, data_dir, reactor, calendar, node)
    if node:
        raise SettingsError("--node", "expected a database for several nodes (`store.url`)")
    alone = OneNode()
    registry = Registry(reactor, data_dir, calendar)
    journal = Journal(reactor, data_dir / "journal.db", limits, max_pending=section.max_pending)
    items = DownlinkStore(data_dir, reactor, calendar)
    kept, usage = KeptRows(data_dir, reactor), UsageStore(data_dir, reactor, usage_bytes)
    return StoredParts(
        registry=registry,
        entries=DeviceEntries(registry),
        names=PlatformNameRows(registry),
        journal=journal,
        items=items,
        nodes=alone,
        leases=alone,
        devices=DeviceStore(reactor, data_dir),
        kept=kept,
        events=EventFile(data_dir / "events.db"),
        usage=usage,
        debug=DebugStore(data_dir, reactor, debug_bytes),
        writers=[each.between_commits for each in (journal, registry, items, kept, usage)],
    )


def _in_postgres(
    section: StoreSection, limits: JournalLimits, usage_bytes: int, debug_bytes: int, data_dir: Path, reactor: IReactor, calendar: ICalendar, node_name: str
) -> StoredParts:  # fmt: skip
    try:
        from iotgw.store.postgres.connection import Address  # noqa: PLC0415 (the extra `postgres`)
        from iotgw.store.postgres.converter_states import PostgresStates  # noqa: PLC0415
        from iotgw.store.postgres.debug import PostgresDebug  # noqa: PLC0415
        from iotgw.store.postgres.devices import PostgresDevices  # noqa: PLC0415
        from iotgw.store.postgres.downlinks import PostgresItems  # noqa: PLC0415
        from iotgw.store.postgres.entries import PostgresEntries  # noqa: PLC0415
        from iotgw.store.postgres.erasures import Erasures  # noqa: PLC0415
        from iotgw.store.postgres.events import PostgresEvents  # noqa: PLC0415
        from iotgw.store.postgres.everywhere import EveryPartition  # noqa: PLC0415
        from iotgw.store.postgres.kept import PostgresKept  # noqa: PLC0415
        from iotgw.store.postgres.names import check  # noqa: PLC0415
        from iotgw.store.postgres.node import DatabaseNode  # noqa: PLC0415
        from iotgw.store.postgres.orders import PostgresOrders  # noqa: PLC0415
        from iotgw.store.postgres.partitions import DatabasePartitions  # noqa: PLC0415
        from iotgw.store.postgres.platform_names import PostgresPlatformNames  # noqa: PLC0415
        from iotgw.store.postgres.registry import PostgresRegistry  # noqa: PLC0415
        from iotgw.store.postgres.spill import Spill  # noqa: PLC0415
        from iotgw.store.postgres.spilling import SpillingJournal  # noqa: PLC0415
        from iotgw.store.postgres.usage import PostgresUsage  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError(
            "store.url", f"expected the extra iotgw[postgres] to be installed, got: {error}"
        ) from error
    for name in FILES:
        if (data_dir / name).exists():
            raise SettingsError(
                "store.url",
                f"expected a data directory without {name}, whose content would be ignored: `iotgwctl store migrate` copies it into the database",
            )
    address = Address(section.url, password_file(section, data_dir))
    address.check()
    key_file = data_dir / "secret.key"
    if node_name:
        check(node_name)
    node = DatabaseNode(reactor, address, key_file, node_name, lease=section.lease)
    registry = PostgresRegistry(reactor, address, key_file, calendar)
    entries = PostgresEntries(registry)
    items = PostgresItems(address, reactor, calendar, node)
    partitions = DatabasePartitions(reactor, node, registry, entries, items, limits, section.max_pending)
    spill = Spill(reactor, data_dir / SPILL, section.max_spill)
    journal = SpillingJournal(
        reactor, node, spill, limits, max_pending=section.max_pending,
        lost=reactor.stop,
    )  # fmt: skip
    states = PostgresStates(reactor, address, calendar, MAX_DEVICES, MAX_AGE)
    return StoredParts(
        registry=registry,
        entries=entries,
        names=PostgresPlatformNames(registry),
        journal=journal,
        items=items,
        devices=PostgresDevices(reactor, address, lambda: node.part),
        kept=PostgresKept(address, reactor),
        events=PostgresEvents(address, lambda: node.name),
        states=states,
        of_tenants=[states],
        debug=PostgresDebug(address, reactor, debug_bytes, lambda: node.name),
        usage=PostgresUsage(address, reactor, usage_bytes, lambda: node.name),
        elsewhere=ELSEWHERE,
        nodes=partitions.nodes,
        leases=partitions.nodes,
        partitions=partitions,
        history=EveryPartition(
            reactor, address, journal, lambda: node.part, lambda: partitions.nodes.is_alone, calendar
        ),
        erasures=Erasures(reactor, address),
        orders=PostgresOrders(reactor, address, lambda: node.part),
        lost_spill=lambda: journal.put_aside,
        begin=node.start,
        end=node.stop,
    )


def password_file(section: StoreSection, data_dir: Path) -> Path | None:
    """The file with the database's password; None for none."""
    return data_dir / section.password_file if section.password_file else None


def kept_time(section: StoreSection, data_dir: Path, node: str = "") -> KeptClock | None:
    """What is kept of the gateway's clock; None where nothing is, or where it can't be read: opening the rest will say so."""
    if not section.url:
        return kept_clock(data_dir / "journal.db")
    try:
        from iotgw.store.postgres.clock import kept_clock as kept_in_postgres  # noqa: PLC0415
        from iotgw.store.postgres.connection import Address  # noqa: PLC0415
    except ImportError:
        return None
    return kept_in_postgres(Address(section.url, password_file(section, data_dir)), node)

"""Where the gateway keeps what it can't do without: in files of the data directory, or in PostgreSQL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from msgspec import Struct

from iotgw.config.settings import StoreSection
from iotgw.core.clock import KeptClock
from iotgw.core.errors import SettingsError
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.devices import IDeviceEntries
from iotgw.core.ports.events import IEventRows
from iotgw.core.ports.reactor import IReactor
from iotgw.core.ports.usage import IUsageStore
from iotgw.store.devices import DeviceStateStore
from iotgw.store.downlinks import ItemStore
from iotgw.store.journal import GroupCommitJournal
from iotgw.store.kept import KeptStore
from iotgw.store.migration.copies import FILES
from iotgw.store.registry import StoredRegistry
from iotgw.store.space import JournalLimits
from iotgw.store.sqlite.clock import kept_clock
from iotgw.store.sqlite.devices import DeviceStore
from iotgw.store.sqlite.downlinks import DownlinkStore
from iotgw.store.sqlite.entries import DeviceEntries
from iotgw.store.sqlite.events import EventFile
from iotgw.store.sqlite.journal import Journal
from iotgw.store.sqlite.kept import KeptRows
from iotgw.store.sqlite.moment import Between
from iotgw.store.sqlite.registry import Registry
from iotgw.store.sqlite.usage import UsageStore

ELSEWHERE = "the gateway's data is in PostgreSQL: back it up there (docs/postgresql.md)"


class StoredParts(Struct, frozen=True, kw_only=True):
    """The parts that store. ``begin`` and ``end`` are for what comes before them and after them. ``writers`` can stand still for a backup;
    ``elsewhere`` says why there is none of these."""

    registry: StoredRegistry
    entries: IDeviceEntries
    journal: GroupCommitJournal
    items: ItemStore
    devices: DeviceStateStore
    kept: KeptStore
    events: IEventRows
    usage: IUsageStore
    writers: Sequence[Between] = ()
    elsewhere: str = ""
    begin: Callable[[], Awaitable[object] | None] = lambda: None
    end: Callable[[], Awaitable[object] | None] = lambda: None


def storage(
    section: StoreSection, usage_bytes: int, data_dir: Path, reactor: IReactor, calendar: ICalendar
) -> StoredParts:
    """The parts that store, as the settings say; ``usage_bytes`` is what usage may take. Raises SettingsError."""
    limits = JournalLimits(int(section.max_age * 1000), section.max_bytes)
    if section.url:
        return _in_postgres(section, limits, usage_bytes, data_dir, reactor, calendar)
    registry = Registry(reactor, data_dir, calendar)
    journal = Journal(reactor, data_dir / "journal.db", limits, max_pending=section.max_pending)
    items = DownlinkStore(data_dir, reactor, calendar)
    kept, usage = KeptRows(data_dir, reactor), UsageStore(data_dir, reactor, usage_bytes)
    return StoredParts(
        registry=registry,
        entries=DeviceEntries(registry),
        journal=journal,
        items=items,
        devices=DeviceStore(reactor, data_dir),
        kept=kept,
        events=EventFile(data_dir / "events.db"),
        usage=usage,
        writers=[each.between_commits for each in (journal, registry, items, kept, usage)],
    )


def _in_postgres(
    section: StoreSection,
    limits: JournalLimits,
    usage_bytes: int,
    data_dir: Path,
    reactor: IReactor,
    calendar: ICalendar,
) -> StoredParts:
    try:
        from iotgw.store.postgres.connection import Address  # noqa: PLC0415 (the extra `postgres`)
        from iotgw.store.postgres.devices import PostgresDevices  # noqa: PLC0415
        from iotgw.store.postgres.downlinks import PostgresItems  # noqa: PLC0415
        from iotgw.store.postgres.entries import PostgresEntries  # noqa: PLC0415
        from iotgw.store.postgres.events import PostgresEvents  # noqa: PLC0415
        from iotgw.store.postgres.journal import PostgresJournal  # noqa: PLC0415
        from iotgw.store.postgres.kept import PostgresKept  # noqa: PLC0415
        from iotgw.store.postgres.node import DatabaseNode  # noqa: PLC0415
        from iotgw.store.postgres.registry import PostgresRegistry  # noqa: PLC0415
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
    node = DatabaseNode(reactor, address, key_file)
    registry = PostgresRegistry(reactor, address, key_file, calendar)
    journal = PostgresJournal(
        reactor, node, limits, max_pending=section.max_pending,
        lost=reactor.stop,
    )  # fmt: skip
    return StoredParts(
        registry=registry,
        entries=PostgresEntries(registry),
        journal=journal,
        items=PostgresItems(address, reactor, calendar),
        devices=PostgresDevices(reactor, address),
        kept=PostgresKept(address, reactor),
        events=PostgresEvents(address),
        usage=PostgresUsage(address, reactor, usage_bytes),
        elsewhere=ELSEWHERE,
        begin=node.start,
        end=node.stop,
    )


def password_file(section: StoreSection, data_dir: Path) -> Path | None:
    """The file with the database's password; None for none."""
    return data_dir / section.password_file if section.password_file else None


def kept_time(section: StoreSection, data_dir: Path) -> KeptClock | None:
    """What is kept of the gateway's clock; None where nothing is, or where it can't be read: opening the rest will say so."""
    if not section.url:
        return kept_clock(data_dir / "journal.db")
    try:
        from iotgw.store.postgres.clock import kept_clock as kept_in_postgres  # noqa: PLC0415
        from iotgw.store.postgres.connection import Address  # noqa: PLC0415
    except ImportError:
        return None
    return kept_in_postgres(Address(section.url, password_file(section, data_dir)))

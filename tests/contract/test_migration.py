"""What a gateway has in files goes into a database and back, and each goes on where the other stopped."""

import shutil

import pytest

from iotgw.core.device_entry import DeviceEntry
from iotgw.core.downlink_item import Item, ItemState
from iotgw.core.errors import AlreadyRunning
from iotgw.core.model import DeliveryState
from iotgw.core.ports.platform_names import NameClaim
from iotgw.core.ports.usage import DeviceTally, UsageQuery
from iotgw.core.specs import DownlinkSpec
from iotgw.store.lock import DataDirectoryLock
from iotgw.store.migration.copies import FILES, NotMigrated
from iotgw.store.migration.into_database import migrate_into_database
from iotgw.store.migration.into_files import migrate_into_files
from iotgw.store.postgres.connection import Address
from iotgw.testing import ThreadClock
from iotgw.testing.contracts.device_entries import FULL
from iotgw.testing.contracts.devices import seen
from iotgw.testing.contracts.events import happened
from iotgw.testing.contracts.journal_world import parked
from iotgw.testing.contracts.usage import BEGUN, tally
from tests.contract.stores import OnPostgres, OnSqlite
from tests.unit.store.sqlite.world import World

pytestmark = pytest.mark.interop
KINDS = ("kept", "devices", "events", "usage", "items", "registry")


@pytest.fixture
def address(postgres, database, tmp_path):
    return Address(database, postgres.password_file(tmp_path))


@pytest.fixture
def files(tmp_path):
    return OnSqlite(tmp_path / "data")


@pytest.fixture
def in_database(address, files):
    return OnPostgres(address, files.folder / "secret.key")


class Parts:
    """All that one gateway stores, while it is open."""

    def __init__(self, backend):
        self.backend, self.clock = backend, ThreadClock()

    def __enter__(self):
        self.world = World(self.clock, self.backend.journal)
        for kind in KINDS:
            part = getattr(self.backend, kind)(self.clock)
            self.clock.wait(part.start())
            setattr(self, kind, part)
        self.entries = self.backend.entries(self.registry)
        self.names = self.backend.platform_names(self.registry)
        self.states = self.backend.states(self.clock, self.registry)
        return self

    def __exit__(self, *exc):
        self.wait(self.states.stop())
        for kind in KINDS:
            self.wait(getattr(self, kind).stop())
        self.world.teardown_method()

    def wait(self, result):
        return self.clock.wait(result)

    def work(self, number):
        """Something of everything."""
        wait, world = self.wait, self.world
        seqs = world.store(b"\0", b"b", b"c", metadata=b'{"n":1}')
        records = world.convert(*seqs[:2], device="d\0")
        world.progress(
            "int1", records[-1].seq,
            [parked(records[0], DeliveryState.DEAD, error="?\0"), parked(records[1], DeliveryState.RETRYING)],
            delivered=number,
        )  # fmt: skip
        world.journal.keep_clock(f'{{"n":{number}}}')
        wait(world.journal.committed())
        body = {"type": "coap", "secret": self.registry.seal(f"pass{number}")}
        wait(self.registry.create("datasource", "default", f"ds{number}", body))
        wait(self.entries.write([DeviceEntry("acme", FULL, number, 1000, 2000)]))
        wait(self.names.claim([NameClaim("acme", "d\0", "i")]))
        spec = DownlinkSpec(msg={"n": number}, metadata={"fPort": 2}, ttl=60)
        wait(
            self.items.save(
                [
                    Item(
                        f"dl{number}",
                        number,
                        "default",
                        "d\0",
                        spec,
                        ItemState.QUEUED,
                        1,
                        2,
                        60_000,
                        network="n",
                    )
                ]
            )
        )
        self.devices.saw([seen("D\0", attributes={"fw": number}, telemetry=[(number, {"t": 1})], shape=7)])
        wait(self.devices.count())
        self.devices.saw(
            [seen("D\0", attributes={"fw": 9}, telemetry=[(9, {"t": 9})], received_ms=2000, shape=7)]
        )
        self.devices.own("default", "D\0", "ds1", True)
        self.devices.trouble("default", "D\0", "silent", number)
        wait(self.kept.save(f"ds{number}", {"k\0": b"\0\xff"}))
        self.states.put("default", "bundled:a/b", f"d{number}", b'{"n":%d}' % number)
        self.events.emit(happened(number, detail={"a": [1]}))
        wait(
            self.usage.add(
                BEGUN, [tally("a", messages=number, cpu=0.25)], [DeviceTally("default", "d\0", number, 10)]
            )
        )

    def told(self):
        """All that is there, as it is told."""
        wait, journal = self.wait, self.world.journal
        messages = wait(journal.messages("default", 0, 99))
        resources = self.registry.list("datasource")
        return {
            "messages": [(journal.epochs.message_id(each.seq), each) for each in messages],
            "uplinks": wait(journal.read_uplinks("ds1", 0, 99)),
            "telemetry": wait(journal.read_telemetry(0, 99)),
            "parked": wait(journal.read_parked("int1", None, 0, 99)),
            "cursors": (journal.conversion_cursors(), journal.integrations(), journal.counts()),
            "ends": (journal.last_uplink, journal.head),
            "resources": resources,
            "secrets": [self.registry.unseal(each.body["secret"]) for each in resources],
            "entries": wait(self.entries.load()),
            "bound": wait(self.names.owner("acme", "d\0")),
            "items": wait(self.items.open_items()),
            "network": wait(self.items.of_network("default", "n")),
            "devices": wait(self.devices.list("default", "", 99, "d")),
            "belonging": (wait(self.devices.owners()), wait(self.devices.troubles()), wait(self.devices.seen())),
            "position": self.devices.position,
            "kept": [wait(self.kept.rows(f"ds{number}")) for number in (1, 2, 3)],
            "states": [self.states.get("default", "bundled:a/b", f"d{number}") for number in (1, 2, 3)],
            "events": [event for _, event in wait(self.events.query("default", 0, 99))],
            "used": wait(self.usage.rows(UsageQuery("default", "datasource", "hour"))),
            "of devices": wait(self.usage.rows(UsageQuery("default", "device", "day"))),
        }  # fmt: skip


def worked(backend, number):
    """A gateway works, and ends; returns what its next start finds."""
    with Parts(backend) as parts:
        parts.work(number)
    return found(backend)


def found(backend):
    with Parts(backend) as parts:
        return parts.told()


def test_a_gateway_goes_on_in_the_database_and_in_files_again(address, files, in_database):
    first = worked(files, 1)
    done = migrate_into_database(files.folder, address)
    assert (done.rows["uplink"], done.rows["parked"], done.rows["device_state"]) == (3, 2, 1)
    assert not any((files.folder / name).exists() for name in FILES)
    assert found(in_database) == first
    second = worked(in_database, 2)
    assert [id for id, _ in second["messages"]][3:] == [id for id, _ in first["messages"]]
    assert len({id for id, _ in second["messages"]}) == 6
    migrate_into_files(files.folder, address)
    assert found(files) == second
    third = worked(files, 3)
    assert [id for id, _ in third["messages"]][3:] == [id for id, _ in second["messages"]]
    with address.connect() as connection:
        (where,) = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'iotgw_migrated%' ORDER BY 1 DESC"
        ).fetchone()
        assert connection.execute(f"SELECT count(*) FROM {where}.uplink").fetchone() == (6,)
        connection.execute(f"DROP SCHEMA {where} CASCADE")


def test_nothing_is_overwritten_on_either_side(address, files, in_database):
    worked(files, 1)
    copy = files.folder.with_name("copy")
    shutil.copytree(files.folder, copy)
    migrate_into_database(files.folder, address)
    with pytest.raises(NotMigrated, match="nothing is overwritten"):
        migrate_into_database(copy, address)
    with pytest.raises(NotMigrated, match="nothing is overwritten"):
        migrate_into_files(copy, address)
    with pytest.raises(NotMigrated, match=r"registry\.db or another"):
        migrate_into_database(files.folder, address)
    assert len(found(OnSqlite(copy))["messages"]) == 3
    assert len(found(in_database)["messages"]) == 3


def test_a_gateway_that_runs_on_the_files_is_in_the_way(address, files):
    worked(files, 1)
    lock = DataDirectoryLock(files.folder)
    lock.acquire()
    with pytest.raises(AlreadyRunning):
        migrate_into_database(files.folder, address)
    lock.release()
    assert len(found(files)["messages"]) == 3


def test_another_key_is_refused(address, files, in_database, tmp_path):
    worked(files, 1)
    migrate_into_database(files.folder, address)
    (files.folder / "secret.key").write_bytes(b"x" * 44)
    with pytest.raises(NotMigrated, match="sealed with"):
        migrate_into_files(files.folder, address)
    (files.folder / "secret.key").unlink()
    with pytest.raises(NotMigrated, match="got no file"):
        migrate_into_files(files.folder, address)
    assert not (files.folder / "journal.db").exists()


def test_what_has_no_place_is_said_and_nothing_is_changed(address, files, in_database):
    with Parts(files) as parts:
        parts.work(1)
        parts.wait(
            parts.registry.create("datasource", "default", "a\0b", {"secret": parts.registry.seal("x")})
        )
    with pytest.raises(NotMigrated, match="a row of resource has no place"):
        migrate_into_database(files.folder, address)
    assert len(found(files)["messages"]) == 3
    assert found(in_database)["messages"] == []

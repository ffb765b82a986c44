"""What several nodes write into one table, and what is written again because nobody could tell whether it was."""

from contextlib import contextmanager

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iotgw.core.clock import PlainCalendar
from iotgw.core.ports.usage import DeviceTally, UsageQuery
from iotgw.observe.events import EventLog
from iotgw.store.device_state import DeviceState
from iotgw.store.devices import FLUSH_SECONDS
from iotgw.store.postgres import schema
from iotgw.store.postgres.connection import Address
from iotgw.store.postgres.converter_states import EVERY, SWEEP, PostgresStates
from iotgw.store.postgres.device_rows import DeviceStateTable
from iotgw.store.postgres.devices import PostgresDevices
from iotgw.store.postgres.events import PostgresEvents
from iotgw.store.postgres.kept import PostgresKept
from iotgw.store.postgres.session import DatabaseSession
from iotgw.store.postgres.usage import PostgresUsage
from iotgw.testing import ThreadClock
from iotgw.testing.contracts.devices import seen
from iotgw.testing.contracts.events import happened
from iotgw.testing.contracts.usage import BEGUN, tally

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def address(postgres, tmp_path_factory):
    where = Address(
        postgres.dsn(postgres.new_database()), postgres.password_file(tmp_path_factory.mktemp("password"))
    )
    with where.connect() as connection:
        schema.upgrade(connection)
    return where


@pytest.fixture(autouse=True)
def emptied(address):
    with address.connect() as connection:
        connection.execute(
            "TRUNCATE kept, device_state, device_owner, device_trouble, event, usage_hour, usage_day, usage_batch"
        )


@pytest.fixture
def clock():
    return ThreadClock()


@pytest.fixture
def started(clock):
    """Starts a part, and stops it at the end."""
    parts = []

    def start(part):
        clock.wait(part.start())
        parts.append(part)
        return part

    yield start
    for part in parts:
        clock.wait(part.stop())


@contextmanager
def away(postgres, address):
    """The database takes no connections meanwhile, and has none."""
    name = address.url.rpartition("/")[2].partition("?")[0]
    with postgres.connect("postgres") as connection:
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [name]
        )
        try:
            yield
        finally:
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


STEPS = [
    seen(telemetry=[(1000, {"t": 1, "h": 2})], received_ms=1000, shape=1),
    seen(telemetry=[(2000, {"t": 3, "h": 4})], received_ms=2000, shape=1),
    seen(telemetry=[(3000, {"t": 5})], received_ms=3000, shape=2),
    seen(telemetry=[(1500, {"t": 6, "h": 7})], received_ms=1500, shape=1),
    seen(attributes={"fw": 1}, telemetry=[(2500, {"h": 8})], received_ms=2500),
    seen("d\0", attributes={"fw": 2}, received_ms=4000, shape=3),
]


@settings(max_examples=20)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 1)), min_size=1, max_size=10))
def test_a_device_that_moves_between_nodes_has_the_state_of_all_its_records(address, steps):
    with address.connect() as connection:
        connection.execute("TRUNCATE device_state")
    nodes = [DeviceStateTable(DatabaseSession(address), part) for part in (1, 2)]
    expected = {}
    for record, node in steps:
        key = ("default", record.device_name)
        nodes[node].write({key: record})
        plain = msgspec.structs.replace(record, shape=0)
        if key in expected:
            expected[key].saw(plain)
        else:
            expected[key] = DeviceState.of(plain)
    found = nodes[0].page("default", "", 9, "D")
    for node in nodes:
        node.close()

    def told(state):
        return state.first_ms, state.last_ms, [msgspec.json.decode(text) for text in state.encoded()]

    assert {("default", name): told(state) for name, state in found} == {
        key: told(state) for key, state in expected.items()
    }


def test_states_that_could_not_be_written_are_written_when_the_database_is_back(
    clock, started, postgres, address
):
    devices = started(PostgresDevices(clock, address))
    with away(postgres, address):
        devices.saw([seen("a")])
        devices.own("default", "a", "ds", True)
        clock.advance(FLUSH_SECONDS)
        clock.until(lambda: not devices._writes)
    assert clock.wait(devices.get("default", "a"))["name"] == "a"
    assert clock.wait(devices.owners()) == [("default", "a", "ds", True)]


def test_rows_of_one_owner_are_seen_by_every_node(clock, started, address):
    one, other = started(PostgresKept(address, clock)), started(PostgresKept(address, clock))
    clock.wait(one.save("ds", {"a\0": b"1", "b": b"2"}))
    clock.wait(other.save("ds", {"b": None, "c": b"3"}))
    assert clock.wait(one.rows("ds")) == {"a\0": b"1", "c": b"3"}


def test_events_of_all_nodes_are_read_together_and_each_node_removes_its_own(clock, started, address):
    one = started(EventLog(PostgresEvents(address, lambda: "one"), clock, capacity=5))
    two = started(EventLog(PostgresEvents(address, lambda: "two"), clock, capacity=5))
    for number in range(4):
        two.emit(happened(number))
    clock.wait(two.query("default", 0, 1))
    for number in range(10, 30):
        one.emit(happened(number))
    names = [event.name for _, event in clock.wait(one.query("default", 0, 99))]
    assert names == [f"n{number}" for number in (29, 28, 27, 26, 25, 3, 2, 1, 0)]


def test_events_that_happen_while_the_database_is_away_are_stored_later_in_order(
    clock, started, postgres, address
):
    log = started(EventLog(PostgresEvents(address), clock, pending=3))
    log.emit(happened(1))
    clock.wait(log.query("default", 0, 1))
    with away(postgres, address):
        for number in range(2, 7):
            log.emit(happened(number))
        clock.until(lambda: log._again is not None)
    assert log.dropped == 2
    clock.advance(5)
    names = [event.name for _, event in clock.wait(log.query("default", 0, 99))]
    assert names == ["n4", "n3", "n2", "n1"]


def test_an_event_that_is_written_again_is_there_once(address):
    rows = [(n, "default", "gateway", f"n{n}\0", "started", b"x") for n in range(3)]
    first, again = PostgresEvents(address), PostgresEvents(address)
    first.open()
    again.open()
    first.write(rows[:2], [])
    again.write(rows, [])  # the same numbers, and one more: the answer to the first attempt was lost
    assert len(first.select("default", 0, 99, None, None, None)) == 3
    assert len(first.select("default", 0, 99, "gateway", "n1\0", "started")) == 1
    first.close()
    again.close()


def test_usage_is_summed_over_nodes_and_what_is_added_again_counts_once(clock, started, address):
    one, again = (
        started(PostgresUsage(address, clock, node=lambda: "one")),
        started(PostgresUsage(address, clock, node=lambda: "one")),
    )
    two = started(PostgresUsage(address, clock, node=lambda: "two"))
    for each in (one, again, two):
        things = [tally("a", messages=1, cpu=0.5), tally("a", messages=1)]
        clock.wait(each.add(BEGUN, things, [DeviceTally("default", "d\0", 1, 10)] * 2))
    (row,) = clock.wait(one.rows(UsageQuery("default", "datasource")))
    assert (row.amounts.messages, row.amounts.cpu) == (4, 1.0)
    (device,) = clock.wait(one.rows(UsageQuery("default", "device")))
    assert (device.name, device.amounts.messages, device.amounts.bytes) == ("d\0", 4, 40)
    clock.wait(one.add(BEGUN, [tally("a", messages=1)], []))
    (row,) = clock.wait(two.rows(UsageQuery("default", "datasource")))
    assert row.amounts.messages == 5


def test_the_oldest_usage_goes_where_there_is_too_much(clock, started, address):
    usage = started(PostgresUsage(address, clock, max_bytes=200 * 20))
    for hour in range(30):
        at_ms = BEGUN + hour * 3_600_000
        clock.wait(usage.add(at_ms, [tally("a", messages=1)], [DeviceTally("default", f"d{hour}", 1, 1)]))
    hours = clock.wait(usage.rows(UsageQuery("default", "datasource", "hour")))
    assert hours[-1].at == BEGUN + 29 * 3_600_000
    assert len(hours) < 30
    (all_,) = clock.wait(usage.rows(UsageQuery("default", "datasource", since=BEGUN)))
    assert all_.amounts.messages == 30


class TestStatesOfConverters:
    @pytest.fixture(autouse=True)
    def nobody_s(self, address):
        with address.connect() as connection:
            connection.execute("TRUNCATE converter_state")

    def states(self, clock, address, limit=100, max_age=1e6):
        return PostgresStates(clock, address, PlainCalendar(clock), limit, max_age)

    def test_what_one_node_writes_the_others_read(self, clock, started, address):
        one, two = started(self.states(clock, address)), started(self.states(clock, address))
        one.put("t", "c", "d\0", b'{"n":1}')
        clock.advance(EVERY)
        clock.until(lambda: clock.advance(EVERY) or two.get("t", "c", "d\0") == b'{"n":1}')
        two.put("t", "c", "d\0", b'{"n":2}')
        two.put("t", "c", "e", b'{"n":3}')
        clock.until(lambda: clock.advance(EVERY) or one.get("t", "c", "e") == b'{"n":3}')
        assert one.get("t", "c", "d\0") == b'{"n":2}'
        one.put("t", "c", "e", b"")
        clock.until(lambda: clock.advance(EVERY) or not two.get("t", "c", "e"))

    def test_what_could_not_be_written_is_written_when_the_database_is_back(
        self, clock, started, postgres, address
    ):
        states = started(self.states(clock, address))
        with away(postgres, address):
            states.put("t", "c", "d", b'{"n":1}')
            clock.advance(EVERY)
            clock.until(lambda: states._changed)
        assert states.get("t", "c", "d") == b'{"n":1}'
        clock.advance(EVERY)
        clock.until(lambda: not states._writing)
        assert started(self.states(clock, address)).get("t", "c", "d") == b'{"n":1}'

    def test_the_oldest_of_too_many_go_and_a_tenant_s(self, clock, started, address):
        states = started(self.states(clock, address, limit=2))
        for device in "abcd":
            states.put("t", "c", device, b"{}")
            clock.advance(EVERY)
            clock.until(lambda: not states._writing)
        clock.advance(SWEEP)
        clock.until(lambda: not states.get("t", "c", "b"))
        assert [states.get("t", "c", device) for device in "abcd"] == [b"", b"", b"{}", b"{}"]
        states.put("u", "c", "e", b"{}")
        assert clock.wait(states.forget_tenant("t")) == 2
        assert (states.get("t", "c", "d"), states.get("u", "c", "e")) == (b"", b"{}")

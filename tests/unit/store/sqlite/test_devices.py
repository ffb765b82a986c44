import tempfile
import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import ensureDeferred

from iotgw.store import devices as module
from iotgw.store.device_overlay import Unwritten, laid_over
from iotgw.store.device_state import MAX_KEYS, DeviceState
from iotgw.store.devices import FLUSH_SECONDS
from iotgw.store.sqlite import database as sqlite
from iotgw.store.sqlite.device_rows import DeviceReads, DeviceRows
from iotgw.store.sqlite.devices import DeviceStore
from iotgw.testing.contracts.devices import seen as record


class World:
    def __init__(self, clock, data_dir, **settings):
        self.clock, self.data_dir = clock, data_dir
        self.devices = DeviceStore(clock, data_dir, **settings)
        clock.wait(self.devices.start())

    def reopen(self):
        self.clock.wait(self.devices.stop())
        self.devices = DeviceStore(self.clock, self.data_dir)
        self.clock.wait(self.devices.start())

    def get(self, name="d1", tenant="default"):
        return self.clock.wait(self.devices.get(tenant, name))

    def write(self):
        """Have written what waits."""
        self.clock.wait(self.devices.count())

    def names(self, after="", limit=99, text="", tenant="default"):
        return [d["name"] for d in self.clock.wait(self.devices.list(tenant, after, limit, text))]


@pytest.fixture
def world(clock, tmp_path):
    world = World(clock, tmp_path)
    yield world
    clock.wait(world.devices.stop())


def test_changes_are_written_every_few_seconds(world):
    world.devices.saw([record()])
    world.clock.advance(FLUSH_SECONDS)
    path = world.data_dir / "devices.db"
    world.clock.until(lambda: not world.devices._writes)
    other = sqlite.connect_reader(path)
    assert other.execute("SELECT name FROM device").fetchall() == [("d1",)]
    other.close()


def test_a_device_cannot_grow_without_end(world):
    for n in range(3):
        values = {f"k{n}-{i}": i for i in range(MAX_KEYS // 2)}
        world.devices.saw([record(attributes=values, telemetry=[(1, values)])])
    world.devices.saw([record(attributes={"big": "x" * 20_000})])
    device = world.get()
    assert len(device["telemetry"]) <= MAX_KEYS
    assert len(device["attributes"]) <= MAX_KEYS
    assert "big" not in device["attributes"]
    assert f"k2-{MAX_KEYS // 2 - 1}" in device["telemetry"]


def test_too_many_changes_at_once_are_counted_not_kept(clock, tmp_path):
    world = World(clock, tmp_path, max_changed=10)
    world.devices.saw([record(f"d{n:02}") for n in range(15)])
    assert world.devices.dropped == 5
    assert len(world.names()) == 10
    world.devices.saw([record("d14")])
    assert len(world.names()) == 11
    clock.wait(world.devices.stop())


def test_changes_that_wait_are_bounded_in_bytes_too(clock, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FLUSH_BYTES", 1 << 30)
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    world = World(clock, tmp_path)
    world.devices.saw([record(f"d{n}", telemetry=[(1, {"text": "x" * 400})]) for n in range(5)])
    assert world.devices.dropped == 2
    assert world.names() == ["d0", "d1", "d2"]
    world.devices.saw([record("d3", telemetry=[(1, {"t": 1})])])
    assert world.names() == ["d0", "d1", "d2", "d3"]
    clock.wait(world.devices.stop())


def test_many_bytes_of_changes_are_written_without_waiting_for_the_time(clock, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FLUSH_BYTES", 1000)
    world = World(clock, tmp_path)
    world.devices.saw([record(f"d{n}", telemetry=[(1, {"text": "x" * 400})]) for n in range(5)])
    assert not world.devices._changed
    clock.wait(world.devices.stop())


def test_many_devices_are_written_before_the_time(world, monkeypatch):
    monkeypatch.setattr(module, "FLUSH_DEVICES", 100)
    world.devices.saw([record(f"d{n:03}", telemetry=[(1, {"t": n})]) for n in range(700)])
    assert world.devices._writes
    assert world.clock.wait(world.devices.count()) == 700
    world.devices.saw([record(f"d{n:03}", telemetry=[(2, {"t": -n})]) for n in range(0, 700, 2)])
    assert world.get("d698")["telemetry"] == {"t": {"ts": 2, "value": -698}}
    assert world.get("d699")["telemetry"] == {"t": {"ts": 1, "value": 699}}
    assert world.clock.wait(world.devices.count()) == 700


def test_a_state_of_the_known_shape_replaces_the_row_as_it_is(world):
    for ts in (1, 2, 3):
        world.devices.saw([record(attributes={"fw": ts}, telemetry=[(ts, {"t": ts})], received_ms=1000 * ts)])
        device = world.get()
        assert device["telemetry"] == {"t": {"ts": ts, "value": ts}}
        assert (device["firstSeen"], device["lastSeen"]) == (1000, 1000 * ts)
    world.devices.saw([record(attributes={"fw": 9}, telemetry=[(2, {"t": 9})], received_ms=500)])
    device = world.get()
    assert device["telemetry"] == {"t": {"ts": 3, "value": 3}}
    assert device["attributes"] == {"fw": 9}
    assert (device["firstSeen"], device["lastSeen"]) == (500, 3000)


def test_a_disk_that_is_full_for_a_while_loses_no_state(world):
    world.devices.saw([record(telemetry=[(1, {"a": 1})])])
    world.write()
    world.devices._rows.connection.execute("PRAGMA max_page_count = 1")  # no page more than there are
    world.devices.saw([record(f"d{n}", telemetry=[(1, {"a": n})]) for n in range(100)])
    assert world.clock.wait(world.devices.count()) == 1
    assert world.devices._weight > 100  # what was put back counts
    world.devices._rows.connection.execute("PRAGMA max_page_count = 1073741823")
    assert world.get("d99")["telemetry"] == {"a": {"ts": 1, "value": 99}}
    assert world.clock.wait(world.devices.count()) == 100


SHAPED = [
    record(telemetry=[(1000, {"t": 1, "h": 2})], received_ms=1000, shape=1),
    record(telemetry=[(2000, {"t": 3, "h": 4})], received_ms=2000, shape=1),
    record(telemetry=[(3000, {"t": 5})], received_ms=3000, shape=2),
    record(telemetry=[(1500, {"t": 6, "h": 7})], received_ms=1500, shape=1),
    record(attributes={"fw": 1}, telemetry=[(2500, {"h": 8})], received_ms=2500),
    record(attributes={"fw": 2}, received_ms=4000, shape=3),
]


@given(st.permutations(SHAPED), st.integers(0, len(SHAPED)))
def test_shapes_are_but_a_short_cut_in_whatever_order_records_come(records, flushed):
    def states(records):
        state = DeviceState.of(records[0])
        for one in records[1:flushed]:
            state.saw(one)
        state.settle()
        for one in records[max(1, flushed) :]:
            state.saw(one)
        return [msgspec.json.decode(text) for text in state.encoded()], state.first_ms, state.last_ms

    plain = [msgspec.structs.replace(one, shape=0) for one in records]
    assert states(records) == states(plain)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(SHAPED), st.booleans()), min_size=1, max_size=12))
def test_what_is_written_in_short_reads_like_what_is_written_in_full(steps):
    def told(shaped, folder):
        rows, state = DeviceRows(Path(folder) / f"{shaped}.db"), None
        for step, flush in [*steps, (steps[-1][0], True)]:
            one = step if shaped else msgspec.structs.replace(step, shape=0)
            if state is None:
                state = DeviceState.of(one)
            else:
                state.saw(one)
            if flush:
                rows.write({("default", "d1"): state})
                state = None
        ((name, found),) = rows.shown("default")
        rows.close()
        texts = [msgspec.json.decode(text) for text in found.encoded()]
        return name, found.type, found.datasource, found.first_ms, found.last_ms, texts

    with tempfile.TemporaryDirectory() as folder:
        assert told(True, folder) == told(False, folder)


@given(st.permutations(SHAPED), st.lists(st.integers(0, 2), min_size=len(SHAPED), max_size=len(SHAPED)))
def test_a_state_is_the_same_whether_it_is_written_yet_or_not(records, how_far):
    """Each record is in the file, is being written, or waits."""

    def told(overlaid):
        with tempfile.TemporaryDirectory() as folder:
            path, key = Path(folder) / "devices.db", ("default", "d1")
            rows, unwritten, waiting = DeviceRows(path), Unwritten(), {}
            for far in (0, 1, 2) if overlaid else (0, 0, 0):
                changes = {}
                for one, where in zip(records, how_far, strict=True):
                    if where == far or not overlaid:
                        state = changes.setdefault(key, DeviceState.of(one))
                        state.saw(one)
                if far == 2:
                    waiting = changes
                elif far == 1:
                    unwritten.begin(changes)
                if far < 2:
                    rows.write(changes)
            reads = DeviceReads(path)
            found = laid_over(reads.of("default", ["d1"]), unwritten.of("default", ["d1"], waiting))["d1"]
            rows.close()
            reads.close()
        attributes, values, times = (msgspec.json.decode(text) for text in found.encoded())
        return attributes.keys(), values, times, found.first_ms, found.last_ms

    assert told(True) == told(False)


def test_who_looks_at_a_device_waits_for_no_other_to_be_written(world):
    held = threading.Event()
    world.devices._worker.run(lambda: held.wait(30) and None)
    world.devices.saw([record(telemetry=[(1, {"a": 1})])])
    try:
        assert world.get()["telemetry"] == {"a": {"ts": 1, "value": 1}}
    finally:
        held.set()


def test_records_like_the_one_before_leave_the_row_of_the_device_alone(world):
    world.devices.saw([record(attributes={"fw": 1}, telemetry=[(1000, {"t": 1})], shape=7)])
    world.write()
    for n in range(2, 5):
        world.devices.saw(
            [record(attributes={"fw": n}, telemetry=[(n * 1000, {"t": n})], received_ms=n * 1000, shape=7)]
        )
        world.write()
    connection = world.devices._rows.connection
    assert connection.execute("SELECT last_ms FROM device").fetchall() == [(1000,)]
    assert connection.execute("SELECT at_ms FROM latest").fetchall() == [(4000,)]
    world.reopen()
    device = world.get()
    assert (device["attributes"], device["lastSeen"]) == ({"fw": 4}, 4000)
    assert device["telemetry"] == {"t": {"ts": 4000, "value": 4}}
    world.devices.saw([record(telemetry=[(5000, {"h": 1})], received_ms=5000, shape=8)])
    assert list(world.get()["telemetry"]) == ["t", "h"]
    world.write()
    assert world.devices._rows.connection.execute("SELECT count(*) FROM latest").fetchone() == (0,)


class TestWhatWasSeenLast:
    """The position in the telemetry stream up to which the states are written."""

    def at(self, seq, name="d1"):
        return msgspec.structs.replace(record(name), seq=seq)

    def test_it_is_kept_with_the_states(self, world):
        assert world.devices.position == 0
        world.devices.saw([self.at(4), self.at(7)])
        world.reopen()
        assert world.devices.position == 7

    def test_devices_of_an_earlier_version_have_none_and_belong_to_where_they_were_heard_last(
        self, clock, tmp_path
    ):
        path = tmp_path / "devices.db"
        connection = sqlite.connect(path)
        sqlite.upgrade(connection, "devices", sqlite.upgrades("devices")[:2])
        connection.execute(
            "INSERT INTO device VALUES (1, 'default', 'd1', 't', 'ds7', 1, 1, '{}', '{}', '{}')"
        )
        connection.close()
        devices = DeviceStore(clock, tmp_path)
        clock.wait(devices.start())
        assert devices.position is None
        assert clock.wait(devices.owners()) == [("default", "d1", "ds7", False)]
        clock.wait(devices.stop())

    def test_what_is_read_again_does_not_count_as_seen_before_it_is_all_read(self, world):
        class Records:
            head = 9

            async def read_telemetry(self, after, limit):
                return [record for record in (one, two) if record.seq > after]

        one, two = self.at(8), self.at(9, "d2")
        world.devices.saw([self.at(20, "live")])
        learned = []
        count = world.clock.wait(ensureDeferred(world.devices.rebuild(Records(), learned.extend, 7)))
        assert (count, [each.seq for each in learned], world.devices.position) == (2, [8, 9], 20)
        assert world.names() == ["d1", "d2", "live"]

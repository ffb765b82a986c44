"""What is the SQLite journal's own; it passes the suite of any journal in tests/contract."""

import json
import re
import sqlite3
from contextlib import closing

from msgspec.structs import replace

from iotgw.core.model import Counters, DeliveryState, Progress
from tests.unit.store.sqlite.world import World, parked


def test_an_epoch_is_ten_characters(world):
    assert re.fullmatch("[0-9a-f]{10}", world.journal.epochs.current)


def test_a_full_queue_has_no_room_until_it_is_half_empty(clock, backend):
    world = World(clock, lambda clock: backend(clock, max_pending=10))
    world.append(*[b"x"] * 9)
    assert world.journal.room
    world.append(b"x")
    assert not world.journal.room
    clock.until(lambda: world.listener.rooms)
    assert world.journal.room
    assert len(world.listener.entries) == 10
    world.wait(world.journal.stop())


def test_large_uplinks_fill_the_queue_by_their_bytes(clock, backend):
    world = World(clock, lambda clock: backend(clock, max_pending_bytes=1000))
    world.append(b"x" * 900)
    assert not world.journal.room
    clock.until(lambda: world.listener.rooms)
    world.wait(world.journal.stop())


def test_a_clock_that_was_wrong_for_a_while_leaves_the_order_of_times(world):
    before = world.convert(*world.store(b"a"))
    world.clock.advance(1e8)
    world.convert(*world.store(b"b"))
    world.clock.rightNow -= 1e8 - 60
    after = world.convert(*world.store(b"c"))
    assert world.wait(world.journal.time_to_seq(*[before[0].received_ms] * 2)) == before[0].seq
    assert world.wait(world.journal.time_to_seq(*[after[0].received_ms] * 2)) == after[0].seq


def test_a_page_of_large_records_ends_at_its_weight(world, monkeypatch):
    monkeypatch.setattr("iotgw.store.sqlite.reader.WEIGHT", 1000)
    seqs = world.store(*[b"x" * 400] * 40)
    records = world.convert(*seqs)
    page = world.wait(world.journal.read_uplinks("ds1", 0, 100))
    assert [stored.seq for stored in page] == seqs[:3]  # the third makes it 1000 bytes
    assert len(world.wait(world.journal.read_uplinks("ds1", 0, 2))) == 2
    assert len(world.wait(world.journal.read_uplinks("ds1", seqs[37], 100))) == 2
    size = len(records[0].body)
    page = world.wait(world.journal.read_telemetry(0, 100))
    assert page == records[: -(-1000 // size)]
    world.progress("int1", 1, [parked(record, DeliveryState.DEAD) for record in records])
    for state in (None, DeliveryState.DEAD):
        letters = world.wait(world.journal.read_parked("int1", state, 0, 100))
        assert [letter.record for letter in letters] == records[: -(-1000 // size)]
    assert world.wait(world.journal.read_parked("int1", DeliveryState.RETRYING, 0, 100)) == []


def some_parked(world):
    seqs = world.store(b"a", b"b", b"c", b"d")
    r1, r2, r3, r4 = world.convert(*seqs)
    items = [
        parked(r1, DeliveryState.RETRYING, next_try_ms=5000),
        parked(r2, DeliveryState.RETRYING, attempts=0),
        parked(replace(r3, device_name="other"), DeliveryState.RETRYING, next_try_ms=3000),
        parked(r4, DeliveryState.DEAD),
    ]
    world.progress("int1", r4.seq, items)
    return items


def test_what_is_released_and_parked_again_before_a_commit_stays(world):
    """By one progress, or by two that are written together."""
    items = some_parked(world)
    first, second = items[0], items[1]
    changed = replace(first, attempts=7)
    progress = Progress("int1", 9, Counters(), (changed,), (first.record.seq,))
    world.journal.progress(progress)
    world.journal.progress(Progress("int1", 9, Counters(), (), (second.record.seq,)))
    world.journal.progress(Progress("int1", 9, Counters(), (second,), ()))
    found = world.wait(world.journal.read_parked("int1", None, 0, 9))
    assert found == [changed, second, items[2], items[3]]


def test_accounts_that_an_older_version_kept_are_read(world, tmp_path):
    world.progress("int1", 5, queued=7, delivered=5, counted=7)
    world.close(world.journal)
    (path,) = tmp_path.glob("**/journal.db")
    with closing(sqlite3.connect(path)) as connection, connection:
        (text,) = connection.execute("SELECT counters FROM integration").fetchone()
        older = {key: value for key, value in json.loads(text).items() if key not in ("done", "open")}
        connection.execute("UPDATE integration SET counters = ?", (json.dumps(older).encode(),))
    journal = world.open()
    cursor, counters = journal.integrations()["int1"]
    world.close(journal)
    world.reopen()
    assert (cursor, counters.queued, counters.done, counters.open) == (5, 7, 0, [])

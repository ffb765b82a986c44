"""What any journal must do; `conftest.backend` names the backends that the suite runs on."""

import json
import re
import sqlite3
from contextlib import closing

import pytest
from msgspec.structs import replace
from zope.interface.verify import verifyObject

from iotgw.core.errors import Unavailable
from iotgw.core.model import ConversionError, Counters, DeliveryState, Kind, Outcome, Progress, State
from iotgw.core.ports.journal import IJournal
from iotgw.core.stream import Tail
from tests.unit.store.sqlite.world import event, output, parked


def test_provides_the_interface(world):
    assert verifyObject(IJournal, world.journal)


def test_the_epoch_is_eight_characters_and_stays(world):
    epoch = world.journal.epoch
    assert re.fullmatch("[0-9a-f]{8}", epoch)
    world.reopen()
    assert world.journal.epoch == epoch


def test_an_uplink_comes_back_with_its_position_and_token(world):
    (seq,) = world.store(b"\x00\xffabc")
    ((stored, token),) = world.listener.entries
    assert (stored.seq, stored.uplink, token) == (seq, world.uplink(b"\x00\xffabc"), b"\x00\xffabc")


def test_what_one_turn_brings_is_one_commit(world):
    world.store(*[b"%d" % n for n in range(300)])
    assert world.listener.commits == 1
    assert [stored.uplink.payload for stored, _ in world.listener.entries] == [b"%d" % n for n in range(300)]


def test_who_waits_for_rest_is_called_when_no_commit_is_under_way(world):
    heard = []
    world.journal.at_rest(lambda: heard.append("idle"))
    assert heard == ["idle"]
    world.append(b"a")
    world.clock.advance(0)  # the commit begins
    world.journal.at_rest(lambda: heard.append(len(world.listener.entries)))
    assert heard == ["idle"]
    world.clock.until(lambda: len(heard) == 2)
    assert heard == ["idle", 1]  # after the listener


def test_positions_grow_over_a_restart(world):
    first = world.store(b"a", b"b")
    world.reopen()
    second = world.store(b"c")
    assert first[0] < first[1] < second[0]
    assert world.journal.last_uplink == second[0]


def test_no_position_is_given_below_a_cursor(world):
    """A datasource that was made while uplinks were refused begins after their positions."""
    world.journal.settle("new", 1000, [])
    world.progress("int1", 2000)
    world.reopen()
    assert world.store(b"a", datasource="new")[0] > 1000
    assert world.convert(world.journal.last_uplink, datasource="new")[0].seq > 2000


def test_stopping_writes_what_is_queued(world):
    world.append(b"a", b"b")
    world.wait(world.journal.stop())
    assert len(world.listener.entries) == 2
    world.open()
    assert len(world.wait(world.journal.read_uplinks("ds1", 0, 10))) == 2


def test_a_datasource_reads_its_own_uplinks_in_order(world):
    world.store(b"a", datasource="ds1")
    world.store(b"b", datasource="ds2")
    world.store(b"c", b"d", datasource="ds1")
    read = world.wait(world.journal.read_uplinks("ds1", 0, 2))
    assert [stored.uplink.payload for stored in read] == [b"a", b"c"]
    more = world.wait(world.journal.read_uplinks("ds1", read[-1].seq, 2))
    assert [stored.uplink for stored in more] == [world.uplink(b"d")]
    assert world.wait(world.journal.read_uplinks("unknown", 0, 2)) == []


def test_outcomes_make_telemetry_records(world):
    (seq,) = world.store(b"a", tenant="acme")
    records = world.settle([Outcome(seq, State.CONVERTED, "c/3", (output("d1"), output("d2", "meter")))])
    assert [(r.uplink, r.tenant, r.datasource, r.device_name, r.device_type, r.kind) for r in records] == [
        (seq, "acme", "ds1", "d1", "default", Kind.TELEMETRY),
        (seq, "acme", "ds1", "d2", "meter", Kind.TELEMETRY),
    ]
    assert records[0].received_ms == world.now_ms
    assert world.journal.head == records[1].seq
    assert world.wait(world.journal.read_telemetry(0, 10)) == records
    assert world.wait(world.journal.read_telemetry(records[0].seq, 10)) == records[1:]


def test_the_time_of_an_uplink_may_be_told_with_its_outcome(world):
    (seq,) = world.store(b"a")
    (record,) = world.convert(seq, received_ms=77)
    assert record.received_ms == 77


def test_a_conversion_cursor_moves_with_its_outcomes(world):
    seqs = world.store(b"a", b"b")
    world.settle([Outcome(seqs[0], State.FILTERED, "c/1")])
    world.reopen()
    assert world.journal.conversion_cursors() == {"ds1": seqs[0]}
    assert [s.seq for s in world.wait(world.journal.read_uplinks("ds1", seqs[0], 9))] == seqs[1:]


def test_a_cursor_moves_without_outcomes_and_never_back(world):
    world.journal.settle("ds1", 7, [])
    world.journal.settle("ds1", 3, [])
    world.reopen()
    assert world.journal.conversion_cursors() == {"ds1": 7}


def test_events_are_in_the_telemetry_stream(world):
    world.journal.emit(event())
    world.clock.until(lambda: world.listener.records)
    (record,) = world.listener.records
    assert (record.kind, record.uplink, record.seq) == (Kind.EVENT, 0, world.journal.head)
    assert world.wait(world.journal.read_telemetry(0, 9)) == [record]


def test_a_message_shows_all_that_became_of_it(world):
    a, b, c, d = world.store(b"a", b"b", b"c", b"d")
    error = ConversionError("boom", line=3, column=4, stack="at Decoder")
    (record,) = world.settle(
        [
            Outcome(a, State.CONVERTED, "c/1", (output(),)),
            Outcome(b, State.FILTERED, "c/1"),
            Outcome(c, State.FAILED, "c/1", (), error),
        ]
    )
    messages = [world.wait(world.journal.message(seq)) for seq in (a, b, c, d)]
    assert [(m.seq, m.state, m.converter, m.error, m.records) for m in messages] == [
        (a, State.CONVERTED, "c/1", None, (record,)),
        (b, State.FILTERED, "c/1", None, ()),
        (c, State.FAILED, "c/1", error, ()),
        (d, State.RECEIVED, "", None, ()),
    ]
    assert messages[0].uplink == world.uplink(b"a")
    assert world.wait(world.journal.message(d + 99)) is None


def test_a_second_outcome_replaces_the_first(world):
    (seq,) = world.store(b"a")
    world.settle([Outcome(seq, State.FAILED, "c/1", (), ConversionError("boom"))])
    (first,) = world.settle([Outcome(seq, State.CONVERTED, "c/2", (output("d1"),))])
    (second,) = world.settle([Outcome(seq, State.CONVERTED, "c/3", (output("d2"),))])
    message = world.wait(world.journal.message(seq))
    assert (message.state, message.converter, message.error) == (State.CONVERTED, "c/3", None)
    assert message.records == (second,)
    assert world.wait(world.journal.read_telemetry(0, 9)) == [first, second]  # consumers see both
    stats = world.wait(world.journal.stats())
    assert (stats["received"], stats["converted"], stats["failed"], stats["waiting"]) == (1, 1, 0, 0)


def test_two_outcomes_in_one_commit_count_once(world):
    (seq,) = world.store(b"a")
    world.journal.settle("ds1", seq, [Outcome(seq, State.FAILED, "c/1")])
    world.settle([Outcome(seq, State.FILTERED, "c/1")])
    world.clock.until(lambda: len(world.listener.outcomes) == 2)
    stats = world.wait(world.journal.stats())
    assert (stats["failed"], stats["filtered"], stats["waiting"]) == (0, 1, 0)


def test_messages_are_listed_newest_first_by_page(world):
    seqs = world.store(*[b"%d" % n for n in range(5)])
    page = world.wait(world.journal.messages("default", 0, 3))
    assert [m.seq for m in page] == seqs[:1:-1]
    page = world.wait(world.journal.messages("default", page[-1].seq, 3))
    assert [m.seq for m in page] == seqs[1::-1]


def listed(world, **conditions):
    return [m.seq for m in world.wait(world.journal.messages("default", 0, 99, **conditions))]


def test_messages_are_filtered(world):
    a, b = world.store(b"a", b"b", datasource="ds1")
    c, d, e = world.store(b"c", b"d", b"e", datasource="ds2")
    (other,) = world.store(b"o", tenant="acme", datasource="ds3")
    world.convert(a, b, device="d1")
    world.settle(
        [
            Outcome(c, State.CONVERTED, "c/1", (output("d1"), output("d1"), output("d2"))),
            Outcome(d, State.FAILED, "c/1", (), ConversionError("x")),
        ],
        "ds2",
    )
    world.convert(other, device="d1", datasource="ds3")
    assert listed(world) == [e, d, c, b, a]
    assert listed(world, datasource="ds1") == [b, a]
    assert listed(world, device="d1") == [c, b, a]
    assert listed(world, device="d1", datasource="ds2") == [c]
    assert listed(world, device="d2") == [c]
    assert listed(world, state=State.FAILED) == [d]
    assert listed(world, state=State.FILTERED) == []
    assert listed(world, state=State.CONVERTED) == [c, b, a]
    assert listed(world, state=State.CONVERTED, device="d1") == [c, b, a]
    assert listed(world, state=State.RECEIVED) == [e]
    assert listed(world, state=State.RECEIVED, datasource="ds1") == []
    assert [m.seq for m in world.wait(world.journal.messages("acme", 0, 9))] == [other]


def test_uplinks_that_are_only_kept_are_filtered_messages(world):
    a, b, c = world.store(b"a", b"b", b"c")
    world.journal.settle("ds1", b, [], kept=2)
    world.store(b"d", datasource="ds2")
    assert [message.state for message in world.wait(world.journal.messages("default", 0, 9, "ds1"))] == [
        State.RECEIVED,
        State.FILTERED,
        State.FILTERED,
    ]
    assert listed(world, state=State.FILTERED) == [b, a]
    assert listed(world, state=State.RECEIVED, datasource="ds1") == [c]
    world.settle([Outcome(a, State.FAILED, "c/1")])
    assert listed(world, state=State.FILTERED) == [b]
    stats = world.wait(world.journal.stats())
    assert stats["datasources"]["ds1"] == {"received": 3, "filtered": 1, "failed": 1}


def test_stats_keep_the_identity(world):
    a, b, c, d = world.store(b"a", b"b", b"c", b"d")
    world.convert(a)
    world.settle([Outcome(b, State.FAILED, "c/1"), Outcome(c, State.FILTERED, "c/1")])
    world.reopen()
    stats = world.wait(world.journal.stats())
    assert stats["received"] == 4
    assert stats["received"] == stats["converted"] + stats["failed"] + stats["filtered"] + stats["waiting"]
    assert stats["datasources"]["ds1"] == {"received": 4, "converted": 1, "failed": 1, "filtered": 1}
    assert stats["uplink"] == {"first": a, "last": d, "oldest": world.now_ms}
    assert stats["bytes"] > 0
    assert stats["room"] is True


def test_progress_is_written_within_a_second_and_outlasts_a_restart(world):
    world.progress("int1", 5, queued=5, delivered=3, dropped={"overflow": 2})
    world.reopen()
    assert world.journal.integrations() == {
        "int1": (5, Counters(queued=5, delivered=3, dropped={"overflow": 2}))
    }


def test_a_forgotten_integration_leaves_nothing(world):
    (record,) = world.convert(*world.store(b"a"))
    world.progress("int1", 1, [parked(record, DeliveryState.DEAD)])
    world.progress("int2", 1)
    world.journal.forget("int1")
    assert world.wait(world.journal.read_parked("int1", None, 0, 9)) == []
    world.reopen()
    assert list(world.journal.integrations()) == ["int2"]


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


def test_parked_deliveries_come_back_whole(world):
    items = some_parked(world)
    world.reopen()
    journal = world.journal
    assert world.wait(journal.read_parked("int1", None, 0, 9)) == items
    assert world.wait(journal.read_parked("int1", None, items[1].record.seq, 1)) == [items[2]]
    assert world.wait(journal.read_parked("int1", DeliveryState.DEAD, 0, 9)) == [items[3]]
    assert world.wait(journal.read_parked("int2", None, 0, 9)) == []


def test_parked_behind_is_by_device_and_position(world):
    items = some_parked(world)
    found = world.wait(world.journal.parked_behind("int1", "dev", items[0].record.seq, 9))
    assert found == [items[1]]  # a dead letter waits behind nobody


def test_parked_deliveries_change_and_go(world):
    items = some_parked(world)
    changed = replace(items[0], attempts=2, next_try_ms=9000, error="503")
    released = items[1].record.seq
    world.progress("int1", items[3].record.seq, [changed], [released])
    assert world.wait(world.journal.read_parked("int1", None, 0, 9)) == [changed, items[2], items[3]]


def test_a_read_of_parked_deliveries_sees_the_progress_queued_before_it(world):
    items = some_parked(world)
    world.progress("int1", 99, [], [item.record.seq for item in items])
    assert world.wait(world.journal.read_parked("int1", None, 0, 9)) == []


def test_the_last_word_on_a_parked_delivery_holds(world):
    (record,) = world.convert(*world.store(b"a"))
    item = parked(record, DeliveryState.RETRYING)
    world.journal.stop  # noqa: B018 (one turn: both are written together)
    from iotgw.core.model import Progress

    world.journal.progress(Progress("int1", 1, Counters(), (item,)))
    world.journal.progress(Progress("int1", 1, Counters(), (), (record.seq,)))
    assert world.wait(world.journal.read_parked("int1", None, 0, 9)) == []
    world.journal.progress(Progress("int1", 1, Counters(), (), (record.seq,)))
    world.journal.progress(Progress("int1", 1, Counters(), (item,)))
    assert world.wait(world.journal.read_parked("int1", None, 0, 9)) == [item]


def test_time_to_seq_finds_the_first_record_received_then(world):
    records = []
    for _ in range(4):
        records += world.convert(*world.store(b"a", b"b"))
        world.clock.advance(7)
    (again,) = world.convert(records[0].uplink)  # an old message, converted again
    for record in records[::2]:
        assert world.wait(world.journal.time_to_seq(record.received_ms)) == record.seq
        assert world.wait(world.journal.time_to_seq(record.received_ms - 6999)) == record.seq
    assert world.wait(world.journal.time_to_seq(0)) == records[0].seq
    assert world.wait(world.journal.time_to_seq(world.now_ms)) == again.seq + 1


def test_a_full_queue_has_no_room_until_it_is_half_empty(clock, backend):
    from tests.unit.store.sqlite.world import World

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
    from tests.unit.store.sqlite.world import World

    world = World(clock, lambda clock: backend(clock, max_pending_bytes=1000))
    world.append(b"x" * 900)
    assert not world.journal.room
    clock.until(lambda: world.listener.rooms)
    world.wait(world.journal.stop())


@pytest.mark.parametrize("bad", [output("d\ud800"), output(type_="\udfff"), output(body=b'"\xff"')])
def test_an_output_that_cannot_be_stored_costs_only_its_own_message(world, bad):
    good, other = world.store(b"a", b"b")
    world.settle(
        [
            Outcome(good, State.CONVERTED, "c/1", (output("d1"),)),
            Outcome(other, State.CONVERTED, "c/1", (bad,)),
        ]
    )
    message = world.wait(world.journal.message(other))
    assert (message.state, message.error.stage) == (State.FAILED, "store")
    assert "expected valid Unicode" in message.error.message
    assert world.wait(world.journal.message(good)).state is State.CONVERTED
    assert [outcome.state for outcome in world.listener.outcomes] == [State.CONVERTED, State.FAILED]


@pytest.mark.parametrize(
    "bad",
    [
        {"datasource": "ds\ud800"},
        {"tenant": "\ud800"},
        {"metadata": b'"\xff"'},
        {"received_ms": 1 << 63},
    ],
)
def test_an_uplink_that_cannot_be_stored_is_refused_alone(world, bad):
    world.journal.append(replace(world.uplink(b"bad"), **bad), "bad")
    world.store(b"good")
    assert [token for _, token in world.listener.lost] == ["bad"]
    assert [token for _, token in world.listener.entries] == [b"good"]
    assert len(world.wait(world.journal.read_uplinks("ds1", 0, 9))) == 1


def test_an_event_that_cannot_be_stored_is_dropped(world):
    world.journal.emit(replace(event(), device_name="\ud800"))
    world.journal.emit(event())
    world.clock.until(lambda: world.listener.records)
    assert world.listener.records == world.wait(world.journal.read_telemetry(0, 9))


def test_an_error_of_any_text_can_be_parked(world):
    (record,) = world.convert(*world.store(b"a"))
    world.progress("int1", 1, [parked(record, DeliveryState.DEAD, error="\ud800!")])
    (item,) = world.wait(world.journal.read_parked("int1", None, 0, 9))
    assert item.error == "?!"


def test_what_cannot_be_mended_does_not_stop_the_journal(world):
    world.progress("int1", 1, dropped={"x": object()})
    world.store(b"a")
    world.progress("int1", 2, queued=1)
    world.reopen()
    assert world.journal.integrations() == {"int1": (2, Counters(queued=1))}


def test_an_outcome_of_an_uplink_that_is_gone_does_not_stop_the_journal(world):
    (record,) = world.convert(99)
    assert (record.uplink, record.tenant) == (99, "default")
    world.store(b"a")


def test_a_clock_that_was_wrong_for_a_while_leaves_the_order_of_times(world):
    before = world.convert(*world.store(b"a"))
    world.clock.advance(1e8)
    world.convert(*world.store(b"b"))
    world.clock.rightNow -= 1e8 - 60
    after = world.convert(*world.store(b"c"))
    assert world.wait(world.journal.time_to_seq(before[0].received_ms)) == before[0].seq
    assert world.wait(world.journal.time_to_seq(after[0].received_ms)) == after[0].seq


def test_a_reader_of_the_stream_gets_each_record_once(world):
    """Reads that run beside commits, and live records, as delivery joins them."""
    got = []
    world.convert(*world.store(*[b"x"] * 50))
    tail = Tail(
        world.journal.read_telemetry, 0, 8, lambda: got.extend(tail.take(5)), lambda record: len(record.body)
    )
    heard = world.listener.settled
    world.journal._listener.settled = lambda o, r: (heard(o, r), tail.offer(r))
    tail.fill()
    for _ in range(30):
        world.convert(*world.store(*[b"y"] * 7))
        got.extend(tail.take(5))

    def drained():
        got.extend(tail.take(100))
        return tail.caught_up

    world.clock.until(drained)
    assert [r.seq for r in got] == [r.seq for r in world.listener.records]


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


def test_a_stopped_journal_says_so(world):
    world.wait(world.journal.stop())
    with pytest.raises(Unavailable):
        world.wait(world.journal.read_telemetry(0, 1))
    world.open()


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
    world.wait(world.journal.stop())
    (path,) = tmp_path.glob("**/journal.db")
    with closing(sqlite3.connect(path)) as connection, connection:
        (text,) = connection.execute("SELECT counters FROM integration").fetchone()
        older = {key: value for key, value in json.loads(text).items() if key not in ("done", "open")}
        connection.execute("UPDATE integration SET counters = ?", (json.dumps(older).encode(),))
    world.open()
    cursor, counters = world.journal.integrations()["int1"]
    assert (cursor, counters.queued, counters.done, counters.open) == (5, 7, 0, [])

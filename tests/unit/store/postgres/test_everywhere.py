"""What users see of the messages of all nodes, whichever they ask."""

import msgspec
import pytest

from iotgw.core.clock import KeptClock, PlainCalendar, Stretch
from iotgw.core.message_query import Instant, MessageQuery
from iotgw.core.model import (
    ConversionError,
    Counters,
    DeliveryState,
    Event,
    Outcome,
    Parked,
    Progress,
    State,
    Uplink,
)
from iotgw.core.places import is_walk, part_of, walk
from iotgw.core.series import SeriesQuery
from iotgw.core.times import DateMs, SteadyMs
from iotgw.delivery.elsewhere import StandingsElsewhere
from iotgw.delivery.route import RecordRoute
from iotgw.store.postgres.events import PostgresEvents
from iotgw.store.postgres.everywhere import EveryPartition
from iotgw.store.postgres.journal import PostgresJournal
from iotgw.store.postgres.node import DatabaseNode
from iotgw.testing import ThreadClock
from iotgw.testing.contracts.journal_world import HeardJournal, nobody, output

pytestmark = pytest.mark.interop
HOUR = 3_600_000


class Node:
    """A node of a database, with a journal that is filled by hand."""

    def __init__(self, clock, address, key, name, is_alone=lambda: False):
        self.clock, self.listener = clock, HeardJournal()
        self.node = DatabaseNode(clock, address, key, name)
        clock.wait(self.node.start())
        self.journal = PostgresJournal(clock, self.node)
        clock.wait(self.journal.start(self.listener))
        self.every = EveryPartition(
            clock, address, self.journal, lambda: self.node.part, is_alone, PlainCalendar(clock)
        )

    def store(
        self, at_ms, payload=b"x", device="", error=None, body=b'{"telemetry":[{"ts":1,"values":{"t":1}}]}'
    ):
        """A message that was received then, and converted or failed; returns its id."""
        seq = self.journal.append(
            Uplink("default", "ds1", DateMs(at_ms), payload, b'{"n":"%s"}' % device.encode()), (nobody, None)
        )
        if error:
            outcome = Outcome(seq, State.FAILED, "conv/1", error=error)
        else:
            outcome = Outcome(
                seq,
                State.CONVERTED,
                "conv/1",
                (output(device or "dev", body=body),),
                received_ms=DateMs(at_ms),
            )
        self.clock.until(lambda: any(stored.seq == seq for stored, _ in self.listener.entries))
        self.journal.settle("ds1", seq, [outcome])
        self.clock.wait(self.journal.durable())
        return self.journal.epochs.message_id(seq)

    def listed(self, limit=4, before=0, **conditions):
        """The payloads of all pages of a list, as whoever leafs through it gets them, by the texts that the API hands out."""
        found, place = [], before
        while True:
            page = self.clock.wait(
                self.every.search(MessageQuery(tenant="default", **conditions), place, limit)
            )
            assert len(page.messages) <= limit
            found += [message.uplink.payload for message in page.messages]
            if not page.next:
                return found
            text = self.every.epochs.message_id(page.next)
            place = self.clock.wait(self.every.where(text))
            assert place == page.next

    def stop(self):
        self.clock.wait(self.every.stop())
        self.clock.wait(self.journal.stop())
        self.clock.wait(self.node.stop())


@pytest.fixture
def clock():
    return ThreadClock()


@pytest.fixture
def join(clock, address, tmp_path):
    """Starts a node."""
    nodes = []

    def start(name):
        nodes.append(Node(clock, address, tmp_path / "key", name))
        return nodes[-1]

    yield start
    for each in nodes:
        each.stop()


@pytest.fixture
def three(join):
    return [join(name) for name in "abc"]


def test_a_list_has_the_messages_of_all_nodes_by_the_time_at_which_they_came(three):
    payloads = [b"%d" % number for number in range(40)]
    for number, payload in enumerate(payloads):
        three[number * number % 3].store(1000 + number, payload)
    for node in three:
        for limit in (1, 3, 7, 100):
            assert node.listed(limit) == payloads[::-1]


def test_messages_that_came_at_one_time_or_were_stored_late_come_once(three):
    a, b, c = three
    for number in range(12):
        (a, b, c)[number % 3].store(5000, b"%d" % number)
    b.store(100, b"late")  # out of a file, after newer ones
    b.store(6000, b"new")
    found = a.listed(3)
    assert sorted(found) == sorted([*(b"%d" % number for number in range(12)), b"late", b"new"])
    assert found[0] == b"new"


def test_a_list_goes_on_with_what_is_older_than_a_message_of_any_node(three):
    a, b, c = three
    ids = [node.store(1000 + number, b"%d" % number) for number, node in enumerate([a, b, c, a, b, c, b, b])]
    for number, id in enumerate(ids):
        before = c.clock.wait(c.every.where(id))
        assert c.listed(3, before) == [b"%d" % each for each in range(number)][::-1]


def test_an_id_is_one_and_the_same_message_on_all_nodes(three):
    ids = {node.store(1000, name): name for node, name in zip(three, [b"a", b"b", b"c"], strict=True)}
    for node in three:
        for id, payload in ids.items():
            seq = node.clock.wait(node.every.where(id))
            assert node.clock.wait(node.every.message(seq)).uplink.payload == payload
            assert node.every.epochs.message_id(seq) == id


def test_what_is_no_id_and_no_place_of_a_list_is_nothing(three):
    a = three[0]
    a.store(1000)
    for text in (
        "",
        "x",
        "all-",
        "all-1",
        "all-1zz",
        "all-2" + "0" * 16,
        "all-1" + "f" * 15,
        "0000000000-1",
        "-1",
    ):
        assert a.clock.wait(a.every.where(text)) is None
    nowhere = walk({99: 5})
    assert a.clock.wait(a.every.message(nowhere)) is None
    page = a.clock.wait(a.every.search(MessageQuery(tenant="default"), nowhere, 5))
    assert (page.messages, page.next) == ([], 0)


def test_conditions_hold_on_all_nodes(three):
    a, b, c = three
    error = ConversionError("no such field 17", "convert", "TypeError")
    a.store(1000, b"1", "one")
    b.store(2000, b"2", "two")
    c.store(3000, b"3", "two", error)
    b.store(4000, b"4", "one")
    assert a.listed(device="one") == [b"4", b"1"]
    assert a.listed(state=State.FAILED) == [b"3"]
    since, until = (Instant(DateMs(each), SteadyMs(each)) for each in (2000, 4000))
    assert a.listed(since=since, until=until) == [b"3", b"2"]
    assert a.listed(datasource="ds1", limit=1) == [b"4", b"3", b"2", b"1"]
    assert c.listed(text="two") == [b"3", b"2"]


def test_a_message_that_one_node_has_too_little_of_does_not_hold_up_the_others(three, monkeypatch):
    """A search looks at so much in each partition. What it hasn't seen may be newer than what others have found."""
    a, b, _ = three
    for number in range(30):
        a.store(1000 + number, b"%d" % number, "often")
    b.store(900, b"seldom", "seldom")
    b.store(2000, b"last", "other")
    assert b.listed(device="seldom") == [b"seldom"]
    assert b.listed(device="often") == [b"%d" % number for number in range(30)][::-1]


def test_a_node_whose_time_runs_ahead_is_searched_by_its_own(three, address):
    """Its marks are in its own time, which a jump of its clock has parted from the date."""
    a, b, _ = three
    b.store(5 * HOUR, b"early")
    b.store(6 * HOUR, b"late")
    with address.connect() as connection:  # as if its marks had been made 9 h ahead of the date
        connection.execute("DELETE FROM mark WHERE part = 2")
        for hour, seq in ((14, 0), (15, 1), (16, 2)):
            connection.execute("INSERT INTO mark VALUES (2, %s, %s, 0)", (hour * HOUR, seq))
        kept = KeptClock("", 0.0, 16 * HOUR, [Stretch(0, -9 * HOUR)])
        connection.execute(
            "INSERT INTO fact VALUES ('clock/2', %s) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (msgspec.json.encode(kept),),
        )
    for since, found in ((4.5, [b"late", b"early"]), (5.5, [b"late"]), (6.5, [])):
        at_ms = int(since * HOUR)
        assert a.listed(since=Instant(DateMs(at_ms), SteadyMs(at_ms))) == found
        assert a.listed(until=Instant(DateMs(at_ms), SteadyMs(at_ms)), limit=9) == [
            each for each in (b"late", b"early") if each not in found
        ]
    (flow,) = a.clock.wait(a.every.flow(SteadyMs(5 * HOUR), SteadyMs(6 * HOUR), HOUR))
    assert (flow.at_ms, flow.received) == (5 * HOUR, 1)


def test_a_devices_readings_come_from_all_nodes(three):
    a, b, c = three
    for number, node in enumerate([a, b, c, a]):
        ts = 1000 * (number + 1)
        node.store(ts, b"x", "moved", body=b'{"telemetry":[{"ts":%d,"values":{"t":%d}}]}' % (ts, number))
    query = SeriesQuery(tenant="default", device="moved")
    for node in three:
        found = node.clock.wait(node.every.series(query, 0, 100))
        assert [(each.ts, each.value) for each in found.readings["t"]] == [
            (1000, 0),
            (2000, 1),
            (3000, 2),
            (4000, 3),
        ]
        whole = msgspec.structs.replace(query, every_ms=10_000)
        (bucket,) = node.clock.wait(node.every.series(whole, 0, 100)).buckets["t"]
        assert (bucket.count, bucket.min, bucket.max, bucket.mean) == (4, 0, 3, 1.5)
    seen, place = [], 0
    while True:
        page = a.clock.wait(a.every.series(query, place, 1))
        seen += [each.value for each in page.readings.get("t", [])]
        if not page.next:
            break
        place = page.next
        assert is_walk(place)
    assert sorted(seen) == [0, 1, 2, 3]


def test_one_fault_on_several_nodes_is_one_group(three):
    for number, node in enumerate(three):
        error = ConversionError(f"no field {number}", "convert", "TypeError", line=3)
        node.store(1000 + number, b"x", error=error)
        newest = node.store(2000 + number, b"newest", error=error)
    for node in three:
        (group,) = node.clock.wait(
            node.every.failures(MessageQuery(tenant="default", state=State.FAILED), 0)
        ).groups
        assert (group.count, group.first_ms, group.last_ms) == (6, 1000, 2002)
        assert node.every.epochs.message_id(group.sample) == newest
        assert node.listed(state=State.FAILED, group=group.id)[0] == b"newest"


class Integration:
    """An integration that gets everything."""

    name = "everything"
    route = RecordRoute(lambda record: True, "default")


def test_deliveries_of_other_nodes_are_as_their_last_commits_say(three):
    a, b, _ = three
    ids = [b.store(1000 + number, b"%d" % number, f"d{number}") for number in range(6)]
    records = b.listener.records
    dead, lost, waits, later = (record.seq for record in records[2:])
    row = Parked("int1", records[2], DeliveryState.DEAD, 4, 0, "410 Gone")
    counters = Counters(
        queued=5, since=records[0].seq, lost=[(lost, lost, "overflow")], done=later, open=[waits]
    )
    b.journal.progress(Progress("int1", lost, counters, (row,), ()))
    b.clock.advance(1.0)
    b.clock.wait(b.journal.committed())
    messages = [a.clock.wait(a.every.message(a.clock.wait(a.every.where(id)))) for id in ids]
    assert {part_of(each.seq) for each in messages} == {2}
    standings = StandingsElsewhere(a.every, a.clock, PlainCalendar(a.clock))
    found = a.clock.wait(standings.of(messages, {"int1": Integration()}))
    assert [[(each.state, each.error) for each in some] for some in found] == [
        [],  # before it was there
        [("delivered", None)],
        [("dead", "410 Gone")],
        [("dropped", "overflow")],
        [("queued", None)],
        [("delivered", None)],
    ]
    (dead,) = a.clock.wait(a.every.dead_deliveries(MessageQuery(tenant="default"), ("int1",)))
    assert (dead.count, a.every.epochs.message_id(dead.sample)) == (1, ids[2])


def test_whoever_is_alone_asks_his_own_journal(clock, address, tmp_path):
    node = Node(clock, address, tmp_path / "key", "a", is_alone=lambda: True)
    for number in range(5):
        node.store(1000 + number, b"%d" % number)
    page = clock.wait(node.every.search(MessageQuery(tenant="default"), 0, 2))
    assert page.next == page.messages[-1].seq
    node.stop()


def test_whoever_looks_on_sees_what_happens_on_other_nodes_from_then_on(three):
    a, b, c = three
    b.store(1000, b"before")

    def looked(messages=True, events=True):
        found = a.clock.wait(a.every.happened(messages, events))
        shown = [
            (a.every.epochs.message_id(each.message.seq), each.devices, each.state, each.message.head)
            for each in found.messages
        ]
        return shown, [event.message for event in found.events]

    assert looked() == ([], [])
    first = b.store(2000, b"x" * 99, "one")
    second = c.store(3000, b"y", error=ConversionError("no"))
    a.store(4000, b"mine")
    rows = PostgresEvents(a.node.address, lambda: "b")
    rows.open()
    event = Event(5000, "up", "node", "b", "it was said")
    rows.write([(5000, "default", "node", "b", "up", msgspec.msgpack.encode(event))], [])
    rows.close()
    assert looked() == (
        [(first, ("one",), State.CONVERTED, b"x" * 16), (second, (), State.FAILED, b"y")],
        ["it was said"],
    )
    assert looked() == ([], [])
    assert looked(messages=False) == ([], [])
    c.store(6000, b"nobody looked")
    assert looked() == ([], [])
    third = c.store(7000, b"z")
    assert [id for id, *_ in looked()[0]] == [third]

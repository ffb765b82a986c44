from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from twisted.internet.defer import Deferred, succeed

from iotgw.core.stream import WEIGHT, StreamReader


class Record(Struct, frozen=True):
    seq: int
    weight: int = 1


def records(first, last):
    return [Record(n) for n in range(first, last + 1)]


def weigh(records):
    return sum(record.weight for record in records)


class Journal:
    """A stream on disk whose reads are answered when the test says so."""

    def __init__(self):
        self.durable = []
        self.asked = []

    def read(self, after, limit):
        self.asked.append((after, limit, Deferred()))
        return self.asked[-1][2]

    def answer(self):
        after, limit, deferred = self.asked.pop(0)
        deferred.callback([r for r in self.durable if r.seq > after][:limit])


class World:
    def __init__(self, position=0, capacity=4):
        self.journal = Journal()
        self.ready = 0
        self.reader = StreamReader(self.journal.read, position, capacity, self.is_ready, weigh)

    def is_ready(self):
        self.ready += 1

    def store(self, first, last):
        self.journal.durable += records(first, last)
        self.reader.offer(records(first, last))

    def catch_up(self):
        self.reader.fill()
        while self.journal.asked:
            self.journal.answer()

    def drain(self):
        got = []
        while taken := self.reader.take(3):
            got += [r.seq for r in taken]
            while self.journal.asked:
                self.journal.answer()
        return got


def test_starts_with_what_the_journal_holds():
    world = World()
    world.journal.durable = records(1, 3)
    world.catch_up()
    assert world.ready == 1
    assert world.drain() == [1, 2, 3]
    assert world.reader.caught_up


def test_live_records_come_from_memory_once_caught_up():
    world = World()
    world.catch_up()
    world.store(1, 2)
    assert [r.seq for r in world.reader.take(9)] == [1, 2]
    assert not world.journal.asked


def test_a_slow_reader_keeps_only_its_capacity_and_reads_the_rest_later():
    world = World()
    world.catch_up()
    for n in range(1, 101):
        world.store(n, n)
    assert len(world.reader) == 4
    assert world.reader.behind
    assert world.drain() == list(range(1, 101))
    assert world.reader.caught_up


def test_records_offered_while_a_read_is_under_way_are_neither_lost_nor_doubled():
    world = World()
    world.journal.durable = records(1, 2)
    world.reader.fill()
    world.store(3, 3)  # the read that is under way will see it too
    world.journal.answer()
    world.store(4, 4)
    assert world.drain() == [1, 2, 3, 4]


def test_records_stored_after_the_snapshot_of_a_read_are_kept():
    world = World()
    world.journal.durable = records(1, 1)
    world.reader.fill()
    snapshot = list(world.journal.durable)
    world.store(2, 3)
    world.journal.asked.pop()[2].callback(snapshot)
    assert world.drain() == [1, 2, 3]


def test_seek_goes_back_in_history():
    world = World()
    world.store(1, 3)
    world.catch_up()
    assert world.drain() == [1, 2, 3]
    world.reader.seek(1)
    world.journal.answer()
    assert world.drain() == [2, 3]


def test_a_failed_read_is_tried_again_with_the_next_record():
    world = World()
    world.reader.fill()
    world.journal.asked.pop()[2].errback(OSError("disk"))
    world.store(1, 1)
    world.journal.answer()
    assert world.drain() == [1]


def test_unread_records_come_again_in_order():
    world = World()
    world.catch_up()
    world.store(1, 3)
    first, second, third = world.reader.take(3)
    world.reader.unread([second, third])
    assert world.reader.take(9) == [second, third]
    assert first.seq == 1


def test_large_records_are_bounded_by_their_weight():
    world = World(capacity=100)
    world.catch_up()
    large = [Record(n, WEIGHT // 4) for n in range(1, 21)]
    for record in large:
        world.journal.durable.append(record)
        world.reader.offer([record])
    assert len(world.reader) == 4
    assert world.reader.behind

    def read(after, limit):
        return succeed([r for r in large if r.seq > after][:4])  # a page of that weight

    world.reader._read = read
    got = []
    while taken := world.reader.take(3):
        got += [r.seq for r in taken]
        assert len(world.reader) <= 6
    assert got == list(range(1, 21))
    assert world.reader.caught_up


def test_anticipated_records_are_there_at_once_and_do_not_come_again():
    world = World()
    world.catch_up()
    world.reader.anticipate(records(1, 2))
    assert [r.seq for r in world.reader.take(1)] == [1]
    world.store(1, 2)
    assert world.drain() == [2]


def test_anticipated_records_that_were_not_stored_are_dropped():
    world = World()
    world.catch_up()
    world.reader.anticipate(records(1, 3))
    world.reader.drop({1, 3})
    world.store(4, 4)
    assert world.drain() == [2, 4]


def test_a_tail_that_is_behind_anticipates_nothing_since_it_could_not_read_that_yet():
    world = World()
    world.catch_up()
    world.store(1, 4)
    world.store(5, 5)
    assert world.reader.behind
    world.reader.anticipate(records(6, 6))
    assert [r.seq for r in world.reader.take(9)] == [1, 2, 3, 4]
    world.journal.answer()
    assert [r.seq for r in world.reader.take(9)] == [5]
    world.store(6, 6)
    assert world.drain() == [6]


def test_a_closed_tail_takes_nothing_more():
    world = World()
    world.catch_up()
    world.reader.close()
    world.reader.anticipate(records(1, 1))
    world.store(2, 2)
    assert world.drain() == []


groups = st.tuples(
    st.integers(1, 4), st.booleans(), st.sets(st.integers(0, 3)), st.integers(0, 5), st.booleans()
)


@given(st.lists(groups, max_size=25))
def test_whatever_is_anticipated_refused_taken_and_read_each_stored_record_comes_once_and_in_order(groups):
    """Of each group: its size, whether it is anticipated, which of it the disk refuses, how many are taken while
    it is written, and whether a read of the journal ends then."""
    world = World()
    world.catch_up()
    got, last = [], 0
    for size, is_anticipated, refused, taken, is_read in groups:
        group = records(last + 1, last + size)
        last += size
        if is_anticipated:
            world.reader.anticipate(group)
        early = world.reader.take(taken) if taken else []
        if is_read and world.journal.asked:
            world.journal.answer()
        lost = {group[index].seq for index in refused if index < size}
        world.reader.drop(lost)
        got += [r.seq for r in early if r.seq not in lost]
        stored = [r for r in group if r.seq not in lost]
        world.journal.durable += stored
        world.reader.offer(stored)
    while world.journal.asked:
        world.journal.answer()
    assert got + world.drain() == [r.seq for r in world.journal.durable]
    assert world.reader.caught_up

"""A partition's owner lends what is to be delivered to an integration, and whoever has the loan, and the lease, writes how far it has come."""

import time

import pytest

from iotgw.core.model import Counters, DeliveryState, Progress
from iotgw.core.ports.nodes import lease_of
from iotgw.store.group import Group
from iotgw.store.postgres.borrowed import EVERY, BorrowedJournal, BorrowedReader
from iotgw.store.postgres.borrowed_writer import BorrowedNames, BorrowedWriter, Borrower
from iotgw.store.postgres.journal import PostgresJournal
from iotgw.store.postgres.node import DatabaseNode
from iotgw.testing.contracts import Threaded
from iotgw.testing.contracts.journal_world import HeardJournal, JournalWorld, parked

pytestmark = pytest.mark.interop
OUT = "out"
LEASE = 600.0
GIVE = "INSERT INTO lease VALUES (%s, %s, now()) ON CONFLICT (what) DO UPDATE SET node = excluded.node, alive_at = now()"


class TestBorrowed(Threaded, JournalWorld):
    @pytest.fixture(autouse=True)
    def in_database(self, address, tmp_path):
        self.address, self.key = address, tmp_path / "secret.key"

    def open(self):
        node = DatabaseNode(self.clock, self.address, self.key)
        self.wait(node.start())
        journal = PostgresJournal(self.clock, node)
        self.wait(journal.start(self.listener))
        self.number = node.part
        return journal

    def close(self, journal):
        self.wait(journal.stop())

    def do(self, statement, *values):
        with self.address.connect() as connection:
            connection.execute(statement, values)

    def give_lease(self, node):
        self.do(GIVE, lease_of(OUT), node)

    def lend(self, cursor=0, **counters):
        self.part.progress(Progress(OUT, cursor, Counters(**counters), lent=True))
        self.wait(self.part.committed())

    def borrower(self, node):
        names = BorrowedNames()
        who = Borrower(self.address, node, self.number, LEASE)
        reader = BorrowedReader(who, names)
        reader.look()
        reader.close()
        return BorrowedWriter(who, names)

    def look(self, happened):
        """Let time pass until it has happened."""
        while not happened():
            self.clock.advance(EVERY)
            self.clock.turn()
            time.sleep(0.02)

    def stands(self):
        """Where the owner finds the integration when it takes it back."""
        return self.wait(self.part.take_back(OUT))

    def test_the_owner_goes_on_where_the_borrower_stood(self):
        (seq,) = self.store(b"x")
        self.convert(seq)
        self.lend(queued=1)
        self.give_lease("b")
        writer = self.borrower("b")
        assert writer.borrow(OUT) == (0, Counters(queued=1))
        assert writer.commit(group(1, delivered=1)) == []
        assert self.stands() == (1, Counters(delivered=1))
        assert writer.commit(group(2, delivered=2)) == [OUT]
        assert self.stands() == (1, Counters(delivered=1))

    def test_nothing_is_borrowed_of_what_is_not_lent_and_without_the_lease(self):
        self.part.progress(Progress(OUT, 0, Counters()))
        self.wait(self.part.committed())
        self.give_lease("b")
        assert self.borrower("b").borrow(OUT) is None
        self.lend()
        assert self.borrower("c").borrow(OUT) is None
        assert self.borrower("b").borrow(OUT) is not None

    def test_a_borrower_that_stood_still_writes_nothing_when_another_one_has_the_lease(self):
        self.lend()
        self.give_lease("b")
        paused = self.borrower("b")
        paused.borrow(OUT)
        self.give_lease("c")
        assert paused.commit(group(5)) == [OUT], "another node has the lease, and has not borrowed yet"
        later = self.borrower("c")
        assert later.borrow(OUT) == (0, Counters())
        assert later.commit(group(3)) == []
        assert self.stands() == (3, Counters())

    def test_a_lease_that_comes_back_does_not_bring_back_the_loan(self):
        self.lend()
        self.give_lease("b")
        paused = self.borrower("b")
        paused.borrow(OUT)
        again = self.borrower("b")
        again.borrow(OUT)
        assert paused.commit(group(5)) == [OUT]
        assert again.commit(group(4)) == []
        assert self.stands() == (4, Counters())

    def test_nothing_is_written_after_the_lease_has_run_out_although_nobody_else_has_it(self):
        self.lend()
        self.give_lease("b")
        writer = self.borrower("b")
        writer.borrow(OUT)
        self.do("UPDATE lease SET alive_at = now() - interval '1 hour'")
        assert writer.commit(group(5)) == [OUT]
        assert self.stands() == (0, Counters())

    def test_a_commit_whose_connection_is_lost_is_made_once_more_on_another_one(self):
        (seq,) = self.store(b"x")
        (record,) = self.convert(seq)
        self.lend()
        self.give_lease("b")
        writer = self.borrower("b")
        writer.borrow(OUT)
        made = Group()
        made.advance(Progress(OUT, 1, Counters(), (parked(record, DeliveryState.RETRYING),)))
        writer.close()
        assert writer.commit(made) == []
        assert writer.commit(made) == []
        assert self.stands() == (1, Counters())
        (found,) = self.wait(self.part.read_parked(OUT, None, 0, 10))
        assert found.record == record

    def test_a_borrowed_journal_hands_on_what_the_owner_commits_under_the_owners_keys(self):
        (seq,) = self.store(b"x")
        self.convert(seq)
        self.lend()
        self.give_lease("b")
        heard, told = HeardJournal(), []
        journal = BorrowedJournal(self.clock, Borrower(self.address, "b", self.number, LEASE))
        journal.listen(told.append)
        self.wait(journal.start(heard))
        try:
            journal.watch()
            assert self.wait(journal.borrow(OUT)) == (0, Counters())
            (before,) = self.wait(journal.read_telemetry(0, 10))
            (seq,) = self.store(b"y")
            self.convert(seq)
            self.look(lambda: journal.head == self.part.head)
            (_, after) = self.wait(journal.read_telemetry(0, 10))
            for record in (before, after):
                assert journal.epochs.key(record) == self.part.epochs.key(record)
            journal.progress(Progress(OUT, after.seq, Counters(delivered=2)))
            self.wait(journal.committed())
            assert self.stands() == (after.seq, Counters(delivered=2))
            journal.progress(Progress(OUT, 99, Counters()))
            self.look(lambda: journal.is_lost(OUT))
            assert told == [OUT]
            self.lend(after.seq)
            self.look(lambda: told == [OUT, OUT])
            assert self.wait(journal.borrow(OUT)) == (after.seq, Counters())
        finally:
            self.wait(journal.stop())

    def test_a_restarted_owner_knows_what_it_has_lent(self):
        (seq,) = self.store(b"x")
        self.convert(seq)
        self.lend()
        self.reopen()
        assert OUT in self.part.lent()


def group(cursor, **counters):
    made = Group()
    made.advance(Progress(OUT, cursor, Counters(**counters)))
    return made

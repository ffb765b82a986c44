"""What is the PostgreSQL journal's own; it passes the suite of any journal in tests/contract."""

from types import SimpleNamespace

import pytest

from iotgw.store.forgotten import ForgottenMessages
from iotgw.store.postgres import erasing
from iotgw.store.postgres.journal import PostgresJournal
from iotgw.store.postgres.node import DatabaseNode
from iotgw.testing.contracts import Threaded
from iotgw.testing.contracts.journal_world import JournalWorld

pytestmark = pytest.mark.interop


class TestPostgresJournal(Threaded, JournalWorld):
    @pytest.fixture(autouse=True)
    def in_database(self, address, tmp_path):
        self.address, self.key = address, tmp_path / "secret.key"

    def open(self):
        node = DatabaseNode(self.clock, self.address, self.key)
        self.wait(node.start())
        journal = PostgresJournal(self.clock, node)
        self.wait(journal.start(self.listener))
        return journal

    def close(self, journal):
        self.wait(journal.stop())

    def test_all_of_a_tenant_goes_and_nothing_of_others(self, monkeypatch):
        monkeypatch.setattr(erasing, "PIECE", 3)
        soon = SimpleNamespace(
            callLater=lambda seconds, function, *args: self.clock.callFromThread(function, *args)
        )
        seqs = []
        for tenant in ["north", "south"] * 7:
            seqs += self.store(b"x", tenant=tenant, datasource=f"of {tenant}")
            self.convert(seqs[-1], datasource=f"of {tenant}")
        forget = ForgottenMessages(self.part.erase, soon).forget_tenant
        assert self.wait(forget("north")) == 14
        assert self.wait(forget("north")) == 0
        assert self.wait(forget("nobody")) == 0
        assert self.wait(self.part.messages("north", 0, 100)) == []
        assert [each.seq for each in self.wait(self.part.messages("south", 0, 100))] == seqs[1::2][::-1]
        self.reopen()
        assert self.part.last_uplink == seqs[-1]

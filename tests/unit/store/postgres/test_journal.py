"""The journal on PostgreSQL passes the suite of any journal."""

import pytest

from iotgw.store.postgres.journal import PostgresJournal
from iotgw.store.postgres.node import DatabaseNode
from iotgw.testing.contracts import DiskJournalContract, Threaded

pytestmark = pytest.mark.interop


class TestPostgresJournal(Threaded, DiskJournalContract):
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

"""The journal of either database passes the suite of any journal."""

from iotgw.testing.contracts import DiskJournalContract
from tests.contract.stores import Stored


class TestJournal(Stored, DiskJournalContract):
    kind = "journal"

    def open(self):
        journal = self.backend.journal(self.clock)
        self.wait(journal.start(self.listener))
        return journal

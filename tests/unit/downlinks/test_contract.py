"""The queue on its SQLite store passes the suite of any queue of downlinks."""

import pytest
from twisted.internet.defer import succeed

from iotgw import testing
from iotgw.core.downlink_item import payload
from iotgw.downlinks.leaving import LastSeen
from iotgw.downlinks.queue import DownlinkQueue
from iotgw.store.sqlite.downlinks import DownlinkStore
from iotgw.testing.contracts import DownlinkRightsContract, DownlinkStoreContract, Threaded
from tests.unit.jumps import DAY, Jumps


class TestDownlinkQueue(Threaded, DownlinkRightsContract):
    @pytest.fixture(autouse=True)
    def in_directory(self, tmp_path):
        self.path = tmp_path
        self.identities = {}
        self.speakers = testing.FakeSpeakers()

    def open(self):
        store = DownlinkStore(self.path, self.clock)
        queue = DownlinkQueue(
            store, self.encode, self.find, lambda event, item: None, self.clock, speakers=self.speakers
        )
        self.wait(queue.start())
        return queue

    def close(self, queue):
        self.wait(queue.stop())

    def encode(self, datasource, item):
        return succeed((payload(item.spec), item.spec.content_type, item.spec.metadata))

    def find(self, tenant, device):
        return succeed(LastSeen("ds", None, self.identities.get(device, "")))

    def know(self, device, identity):
        self.identities[device] = identity

    def forbid(self, datasource, device):
        self.speakers.forbidden.add((datasource, device))


class TestSqliteDownlinkStoreWhenTheDateJumps(Threaded, DownlinkStoreContract):
    """A store that is opened by a date 400 days later keeps what isn't so old."""

    @pytest.fixture(autouse=True)
    def in_directory(self, tmp_path):
        self.path = tmp_path
        self.jumps = None

    def open(self):
        if self.jumps is None:
            self.jumps = Jumps(self.clock)
        else:
            self.jumps.jump(400 * DAY)
        store = DownlinkStore(self.path, self.clock, self.jumps.calendar)
        self.wait(store.start())
        return store

    def close(self, store):
        self.wait(store.stop())

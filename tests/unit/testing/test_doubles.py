"""The doubles pass the suites of their ports, as the gateway's own parts do."""

from functools import cached_property

import pytest
from twisted.internet.defer import CancelledError
from twisted.internet.protocol import Factory, Protocol

from iotgw import testing
from iotgw.core.errors import SettingsError
from iotgw.core.model import ConverterVersion
from iotgw.core.specs import DownlinkSpec
from iotgw.core.validate import convert
from iotgw.core.verdict import DELIVERED
from iotgw.datasources.socket.tcp import TcpType
from iotgw.datasources.socket.udp import UdpType
from iotgw.testing import contracts
from iotgw.testing.integrations import FakeSettings
from tests.unit.datasources.fakes import FakeSocket


class KeepsItsPart(contracts.Contract):
    """For a double whose state is the part itself: another one on the same storage is the same."""

    @cached_property
    def made(self):
        return self.make()

    def open(self):
        return self.made


class TestMemoryRegistry(KeepsItsPart, contracts.RegistryContract):
    def make(self):
        return testing.MemoryRegistry(self.clock)


class TestMemoryDeviceEntries(KeepsItsPart, contracts.DeviceEntriesContract):
    make = testing.MemoryDeviceEntries


class TestMemoryPlatformNames(KeepsItsPart, contracts.PlatformNamesContract):
    make = testing.MemoryPlatformNames


class TestMemoryDevices(KeepsItsPart, contracts.DevicesContract):
    make = testing.MemoryDevices


class TestMemoryFiles(KeepsItsPart, contracts.OperatorFilesContract):
    make = testing.MemoryFiles

    def put(self, name, content, tenant):
        self.part.put(name, content, tenant)


class TestMemoryEvents(KeepsItsPart, contracts.EventsContract):
    make = testing.MemoryEvents


class TestMemoryConverterVersions(KeepsItsPart, contracts.ConverterVersionsContract):
    def make(self):
        bundled = ConverterVersion("bundled:json", 1, "json", "UPLINK", "", "thingsboard", "duktape")
        return testing.MemoryConverterVersions({"json": bundled})


class TestFakeConverters(KeepsItsPart, contracts.ConvertersContract):
    make = testing.FakeConverters


class TestFakeDelivery(contracts.DeliveriesContract):
    def open(self):
        service = testing.FakeDelivery()
        service.missing = {"nobody"}
        service.validates = self.validate
        return service

    def validate(self, spec):
        if spec.type != "fake":
            raise SettingsError("type", "expected fake")


class TestFakePipeline(contracts.PipelineContract):
    id = "ds1"

    def open(self):
        pipeline = testing.FakePipeline()
        pipeline.names["ds1"], pipeline.statuses["ds1"] = "ds", {"state": "listening"}
        pipeline.running["ds1"] = testing.FakeDatasource(None, testing.datasource_context())
        pipeline.missing = {"gone"}
        return pipeline


class TestFakeSources(contracts.SourcesContract):
    def open(self):
        return testing.FakeSources()

    def put(self, id, name, datasource):
        self.part.names[id] = name
        if datasource is not None:
            self.part.open[id] = datasource


class TestMemoryCredentials(KeepsItsPart, contracts.CredentialsContract):
    make = testing.MemoryCredentials

    def add_psk(self, identity, secret, device="", tenant="default"):
        self.part.add_psk(identity, secret, device, tenant)

    def add_x509(self, name, device=""):
        self.part.add_x509(name, device)

    def revoke(self, grant):
        self.part.revoke(grant)


class TestMemoryDownlinks(KeepsItsPart, contracts.DownlinkRightsContract):
    def make(self):
        self.speakers = testing.FakeSpeakers()
        return testing.MemoryDownlinks(self.clock, speakers=self.speakers)

    def know(self, device, identity):
        self.part.identities["default", device] = identity

    def forbid(self, datasource, device):
        self.speakers.forbidden.add((datasource, device))


class TestMemoryDownlinkStore(KeepsItsPart, contracts.DownlinkStoreContract):
    make = testing.MemoryDownlinkStore


class TestMemoryStoredFiles(KeepsItsPart, contracts.StoredFilesContract):
    make = testing.MemoryStoredFiles


class TestMemoryUsage(KeepsItsPart, contracts.UsageStoreContract):
    make = testing.MemoryUsage


class TestMemoryDebugStore(KeepsItsPart, contracts.DebugStoreContract):
    make = testing.MemoryDebugStore


class TestMemoryKept(KeepsItsPart, contracts.KeptContract):
    make = testing.MemoryKept


class TestMemoryJournal(contracts.JournalContract):
    @cached_property
    def storage(self):
        return testing.MemoryJournal().storage

    def open(self):
        journal = testing.MemoryJournal(self.clock, self.storage)
        self.wait(journal.start(self.listener))
        return journal

    def close(self, journal):
        self.wait(journal.stop())


class TestFakeIntake(contracts.IntakeContract):
    def open(self):
        return testing.FakeIntake(max_payload=self.max_payload, clock=self.clock)

    def fill(self):
        self.part.fill()

    def drain(self):
        self.part.drain()

    def queue(self, device, content):
        self.part.put(device, content)

    def reports(self):
        return [(id, report.partition(":")[0]) for id, report in self.part.outcomes]

    def stored_keys(self):
        return [metadata["uplinkKey"] for _, metadata in self.part.received]


class TestFakeDatasource(contracts.DatasourceContract):
    message = b"hello"

    def open(self):
        datasource = testing.FakeDatasource(None, self.context)
        self.wait(datasource.start())
        return datasource

    def send(self, data):
        self.intake.receive(data or b"-", {}, lambda answer: None)

    def test_nothing_that_a_network_sends_raises(self):
        self.send(b"")


class TestFakeIntegration(contracts.IntegrationContract):
    def open(self):
        target = testing.FakeIntegration(FakeSettings(batch=3), self.context)
        target.says = lambda records: DELIVERED
        return target


class TestUdpDatasource(contracts.DatasourceContract):
    """A real one: datagrams to a socket's reader in memory."""

    message = b"hello"
    identity = "192.0.2.7"

    def open(self):
        settings = convert({"port": 1024, "identity": "address"}, UdpType.settings)
        datasource = UdpType(self.clock).build(settings, self.context)
        datasource._socket = FakeSocket()
        return datasource

    def send(self, data):
        self.part._datagram(data, ("192.0.2.7", 4000))


class TestTcpDatasource(contracts.DatasourceContract):
    """A real one: lines of connections without sockets."""

    message = b"hello\n"
    identity = "192.0.2.7"

    def open(self):
        settings = convert({"port": 1024, "identity": "address"}, TcpType.settings)
        return TcpType(self.clock).build(settings, self.context)

    def send(self, data):
        device = testing.FakeTcpDevice(self.part)
        device.send(data)
        device.hang_up()


def test_a_crash_of_the_memory_journal_leaves_what_is_durable():
    clock = testing.clock()
    journal = testing.MemoryJournal(clock)
    suite = TestMemoryJournal()
    journal.append(suite.uplink(b"durable"), (print, None))
    clock.pump([0] * 3)
    journal.append(suite.uplink(b"lost"), (print, None))
    left = testing.fired(journal.crashed().read_uplinks("ds1", 0, 9))
    assert [stored.uplink.payload for stored in left] == [b"durable"]


def test_the_memory_journal_refuses_uplinks_while_its_disk_has_a_problem():
    suite = TestMemoryJournal()
    suite.part.problem = "no space left"
    suite.append(b"a")
    suite.until(lambda: suite.listener.lost)
    assert suite.listener.reasons == ["no space left"]
    suite.part.problem = ""
    suite.store(b"b")


def test_downlinks_that_are_held_leave_when_told():
    queue = testing.MemoryDownlinks()
    testing.fired(queue.push("default", "dev", DownlinkSpec(data="x", content_type="TEXT")))
    queue.held, taken = [], []
    queue.take("default", "dev", "ds", 1, taken.append)
    assert taken == []
    queue.held.pop()()
    assert [item.payload for item in taken[0]] == [b"x"]


def test_connections_of_the_fake_connector_are_made_or_refused_when_told():
    connector = testing.FakeConnector()
    factory = Factory.forProtocol(Protocol)
    made = connector.endpoint("broker", 1883, 5.0).connect(factory)
    endpoint = connector.endpoints["broker", 1883]
    transport = endpoint.accept()
    testing.fired(made).transport.write(b"hello")
    assert transport.value() == b"hello"
    refused = endpoint.connect(factory)
    endpoint.refuse(ConnectionRefusedError("nobody there"))
    with pytest.raises(ConnectionRefusedError):
        testing.fired(refused)
    given_up = endpoint.connect(factory)
    given_up.addErrback(lambda failure: failure.trap(CancelledError))
    given_up.cancel()
    assert endpoint.attempts == []

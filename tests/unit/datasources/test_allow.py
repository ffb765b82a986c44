"""What comes from an address that a datasource doesn't allow is dropped before it is looked at, and leaves a trace."""

import pytest
import pytest_twisted
from msgspec import structs
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred

from iotgw import testing
from iotgw.app.parts import DATASOURCES
from iotgw.connect.endpoint import Connector
from iotgw.core.errors import SettingsError
from iotgw.core.networks import NOT_ALLOWED, Networks
from iotgw.core.ports.datasources import IChecksAddresses
from iotgw.core.specs import DatasourceSpec
from iotgw.core.types import Types
from iotgw.core.validate import convert
from iotgw.datasources.coap.datasource import CoapType
from iotgw.datasources.coap.settings import CoapSettings
from iotgw.datasources.http.allowed import AllowedFactory
from iotgw.datasources.socket.tcp import TcpDatasource, TcpSettings
from iotgw.datasources.socket.udp import UdpType
from iotgw.wire.coap import numbers as n
from tests.unit.datasources.coap.test_datasource import House
from tests.unit.datasources.fakes import FakeDevice, FakeIntake, UdpField, clock, context
from tests.unit.datasources.http.test_uploads import Field as HttpField
from tests.unit.datasources.http.test_uploads import status

ALLOW = Networks(["192.0.2.0/24"])
REFUSED = ("network", "203.0.113.9", NOT_ALLOWED)


def limited(given):
    return structs.replace(given, allow=ALLOW)


def test_a_tcp_connection_is_not_even_taken():
    intake = FakeIntake()
    source = TcpDatasource(TcpSettings(), limited(context(intake, clock())))
    with pytest.raises(ConnectionRefusedError):
        FakeDevice(source, "203.0.113.9")
    FakeDevice(source, "192.0.2.7").send(b"line\n")
    assert intake.refusals == [REFUSED]
    assert [payload for payload, _ in intake.received] == [b"line"]
    assert source.counts["refused"] == 1


def test_behind_a_balancer_the_device_s_address_counts():
    intake = FakeIntake()
    source = TcpDatasource(TcpSettings(proxy_protocol=True), limited(context(intake, clock())))
    for host in ("203.0.113.9", "192.0.2.7"):
        device = FakeDevice(source, "10.0.0.1")
        device.send(b"PROXY TCP4 %b 198.51.100.1 5555 10560\r\nline\n" % host.encode())
        assert device.is_closed == (host == "203.0.113.9")
    assert intake.refusals == [REFUSED]
    assert len(intake.received) == 1


def test_a_datagram_is_dropped_unread():
    field = UdpField(UdpType, handler={"type": "JSON"})
    field.source.context = limited(field.source.context)
    field.send(b"no JSON", ("203.0.113.9", 1))
    field.send(b'{"a":1}', ("::ffff:192.0.2.7", 1))
    assert (field.intake.refusals, field.intake.rejected) == ([REFUSED], [])
    assert field.payloads == [b'{"a":1}']


@pytest.mark.parametrize("is_allowed", [True, False])
def test_an_http_upload_is_answered_403(monkeypatch, is_allowed):
    field = HttpField(monkeypatch)
    field.source.context = structs.replace(
        field.source.context, allow=ALLOW if is_allowed else Networks(["10.0.0.0/8"])
    )
    assert status(field.post(b"no callback")) == (400 if is_allowed else 403)
    assert len(field.intake.rejected) == is_allowed
    assert [reason for reason, *_ in field.intake.refusals] == ["network"] * (not is_allowed)


def test_a_listener_of_its_own_does_not_take_the_connection():
    told = []
    inner = TcpDatasource(TcpSettings(), context(FakeIntake(), clock()))
    factory = AllowedFactory(ALLOW, lambda *about: told.append(about), inner)
    assert factory.buildProtocol(IPv4Address("TCP", "203.0.113.9", 1)) is None
    assert factory.buildProtocol(IPv4Address("TCP", "192.0.2.7", 1)) is not None
    assert told == [REFUSED]


class Shared(House):
    """CoAP datasources on one port."""

    async def limited(self, key, *allow, **more):
        intake = FakeIntake()
        given = testing.datasource_context(intake, reactor, routing_key=key, shares=self.shares)
        settings = convert({"interface": "127.0.0.1", "port": 0, **more}, CoapSettings)
        made = CoapType(reactor).build(settings, structs.replace(given, allow=Networks(allow)))
        await made.start()
        self.open.append(made)
        return made, intake


@pytest.fixture
def house():
    made = Shared()
    yield made
    pytest_twisted.blockon(Deferred.fromCoroutine(made.close()))


@ensureDeferred
async def test_a_coap_port_drops_what_comes_from_where_nobody_there_allows(house):
    near, _ = await house.limited("near", "127.0.0.0/8")
    assert (await house.device(near).post("i/near")).code == n.CHANGED
    far, refused = await house.limited("far", "192.0.2.0/24")
    port = far._shares[0].port
    assert port is near._shares[0].port
    assert (await house.device(near).post("i/near", mid=2)).code == n.CHANGED, "somebody allows it"
    await near.stop()
    house.open.remove(near)
    assert not port.admits("127.0.0.1")
    assert refused.refusals == [("network", "127.0.0.1", NOT_ALLOWED)]
    open_, _ = await house.limited("open")
    assert port.admits is None
    await open_.stop()
    house.open.remove(open_)


@ensureDeferred
async def test_on_a_shared_coap_port_each_datasource_is_for_those_that_it_allows(house):
    _, refused = await house.limited("far", "192.0.2.0/24")
    near, intake = await house.limited("near")
    device = house.device(near)
    device.send(n.CON, n.POST, 1, "i/far", b"x")
    answer = await device.post("i/near", mid=2)
    assert (answer.mid, answer.code) == (2, n.CHANGED), "the first one is not answered"
    assert (refused.received, len(intake.received)) == ([], 1)
    assert refused.refusals == [("network", "127.0.0.1", NOT_ALLOWED)]


def test_every_type_but_those_that_subscribe_checks_addresses():
    types = Types("none", testing.MemoryReactor(), DATASOURCES, Connector(testing.MemoryReactor()))
    assert {type_.name for type_ in types if not IChecksAddresses.providedBy(type_)} == {
        "mqtt",
        "dragino-mqtt",
        "kafka",
        "opc-ua",
        "azure-event-hub",
        "azure-iot-hub",
        "rabbitmq",
        "aws-sqs",
        "aws-kinesis",
    }


def test_what_is_no_network_is_refused_when_it_is_saved():
    with pytest.raises(SettingsError, match=r"allow\[0\]"):
        convert({"name": "n", "type": "t", "allow": ["here"]}, DatasourceSpec)

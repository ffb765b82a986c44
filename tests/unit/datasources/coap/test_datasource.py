"""The coap datasource on a real loopback socket, with an intake that the test answers for."""

from __future__ import annotations

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import DatagramProtocol

from iotgw.core.errors import SettingsError
from iotgw.core.model import Answer, Downlink, Status
from iotgw.core.ports.datasources import DatasourceContext
from iotgw.core.shared import SharedResources
from iotgw.core.validate import convert
from iotgw.datasources.coap.datasource import CoapType
from iotgw.datasources.coap.ports import CoapPorts
from iotgw.datasources.coap.settings import CoapSettings
from iotgw.testing import FakeIntake
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import decode, encode, options, uri_options
from tests.peers.process import free_udp_port
from tests.unit.jumps import Jumps

LOCAL = {"port": 0, "interface": "127.0.0.1"}


def says(answer):
    """A gateway that always answers this."""
    intake = FakeIntake()
    intake.says = answer
    return intake


class Device(DatagramProtocol):
    """A CoAP peer that sends what it is told and hands over what comes, one message at a time."""

    def __init__(self, address):
        self.address = address
        self.inbox = []
        self.waiting = None

    def datagramReceived(self, datagram, addr):
        self.inbox.append(decode(datagram))
        if self.waiting is not None:
            waiting, self.waiting = self.waiting, None
            waiting.callback(None)

    def send(self, type_, code, mid, path="", payload=b"", *pairs, token=b"t"):
        data = encode(type_, code, mid, token if code else b"", options(*uri_options(path), *pairs), payload)
        self.transport.write(data, self.address)

    async def next(self):
        while not self.inbox:
            self.waiting = Deferred()
            await self.waiting
        return self.inbox.pop(0)

    async def post(self, path, payload=b"", *pairs, mid=1, code=n.POST):
        self.send(n.CON, code, mid, path, payload, *pairs)
        return await self.next()


class House:
    """Datasources of one type instance, and devices; closed by the fixture."""

    def __init__(self):
        self.type = CoapType(reactor)
        self.shares = SharedResources(CoapPorts(reactor))
        self.jumps = Jumps(reactor)
        self.open = []
        self.ports = []

    async def datasource(self, key, intake=None, **configuration):
        intake = intake or FakeIntake()
        settings = convert({**LOCAL, **configuration}, CoapSettings)
        datasource = self.type.build(
            settings,
            DatasourceContext(
                key,
                f"source {key}",
                "default",
                key,
                {},
                intake,
                reactor,
                None,
                shares=self.shares,
                calendar=self.jumps.calendar,
            ),
        )
        await datasource.start()
        self.open.append(datasource)
        return datasource, intake

    def device(self, datasource):
        host, port = datasource._shares[0].port.address[:2]
        device = Device((host, port))
        self.ports.append(reactor.listenUDP(0, device, interface=host))
        return device

    async def close(self):
        for datasource in self.open:
            await datasource.stop()
        for port in self.ports:
            await maybeDeferred(port.stopListening)


@pytest.fixture
def house(request):
    import pytest_twisted

    made = House()
    yield made
    pytest_twisted.blockon(Deferred.fromCoroutine(made.close()))


@ensureDeferred
async def test_an_uplink_reaches_the_intake_with_its_metadata_and_gets_2_04(house):
    datasource, intake = await house.datasource("k1")
    device = house.device(datasource)
    reply = await device.post("i/k1/sub?unit=C&x", b'{"t":1}', (n.CONTENT_FORMAT, n.JSON), (2050, b"\x01"))
    assert (reply.type, reply.code, reply.mid, reply.token) == (n.ACK, n.CHANGED, 1, b"t")
    ((payload, metadata),) = intake.received
    assert payload == b'{"t":1}'
    assert metadata == {
        "integrationName": "source k1",
        "protocol": "coap",
        "method": "POST",
        "type": "CON",
        "path": "sub",
        "query": {"unit": "C", "x": ""},
        "contentFormat": 50,
        "contentType": "application/json",
        "options": {"2050": "01"},
        "remoteIp": "127.0.0.1",
        "remotePort": device.transport.getHost().port,
    }


@ensureDeferred
async def test_each_message_has_the_metadata_of_its_own_options_and_peer(house):
    datasource, intake = await house.datasource("k1")
    device, other = house.device(datasource), house.device(datasource)
    for mid, path in enumerate(("i/k1/a", "i/k1/a", "i/k1/b", "i/k1/a")):
        await device.post(path, b"x", mid=mid)
    await other.post("i/k1/a", b"x", code=n.PUT)
    assert [(metadata["path"], metadata["method"]) for _, metadata in intake.received] == [
        ("a", "POST"), ("a", "POST"), ("b", "POST"), ("a", "POST"), ("a", "PUT"),
    ]  # fmt: skip
    ports = [metadata["remotePort"] for _, metadata in intake.received]
    assert ports == [device.transport.getHost().port] * 4 + [other.transport.getHost().port]


@ensureDeferred
async def test_path_prefixes_stand_in_front_of_the_routing_key(house):
    datasource, intake = await house.datasource("k1", pathPrefixes=["api/v2"])
    device = house.device(datasource)
    assert (await device.post("api/v2/i/k1", b"a", code=n.PUT)).code == n.CHANGED
    assert (await device.post("api/i/k1", b"b", mid=2)).code == n.NOT_FOUND
    assert [payload for payload, _ in intake.received] == [b"a"]


@ensureDeferred
async def test_datasources_share_a_port_and_one_closes_without_the_other(house):
    first, one = await house.datasource("k1")
    second, two = await house.datasource("k2")
    assert first._shares[0].port is second._shares[0].port
    device = house.device(first)
    await device.post("i/k1", b"1", mid=1)
    await device.post("i/k2", b"2", mid=2)
    assert ([p for p, _ in one.received], [p for p, _ in two.received]) == ([b"1"], [b"2"])
    await second.stop()
    assert (await device.post("i/k2", b"3", mid=3)).code == n.NOT_FOUND
    assert (await device.post("i/k1", b"4", mid=4)).code == n.CHANGED


@ensureDeferred
async def test_a_routing_key_that_is_taken_is_refused_and_the_first_stays(house):
    datasource, _ = await house.datasource("k1")
    with pytest.raises(SettingsError, match="/i/k1 is taken"):
        await house.datasource("k1")
    assert (await house.device(datasource).post("i/k1")).code == n.CHANGED


@pytest.mark.parametrize(
    ("answer", "code", "max_age"),
    [
        (Answer(Status.BUSY, retry_after=7.0), n.SERVICE_UNAVAILABLE, 7),
        (Answer(Status.BUSY, retry_after=7.0, is_limited=True), n.TOO_MANY_REQUESTS, 7),
        (Answer(Status.TOO_LARGE), n.REQUEST_ENTITY_TOO_LARGE, None),
        (Answer(Status.FAILED), 150, None),
        (Answer(Status.REFUSED), n.FORBIDDEN, None),
    ],
)
@ensureDeferred
async def test_what_is_not_stored_is_not_acknowledged_as_such(house, answer, code, max_age):
    datasource, _ = await house.datasource("k1", says(answer))
    reply = await house.device(datasource).post("i/k1", b"x")
    assert reply.code == code
    assert reply.options.get_uint(n.MAX_AGE) == max_age


@ensureDeferred
async def test_a_slow_commit_is_an_empty_ack_and_then_a_response_that_is_retransmitted(house):
    intake = FakeIntake(auto=False)
    datasource, _ = await house.datasource("k1", intake, emptyAckDelay=0.01, ackTimeout=0.02)
    device = house.device(datasource)
    ack = await device.post("i/k1", b"x", mid=7)
    assert (ack.type, ack.code, ack.mid) == (n.ACK, n.EMPTY, 7)
    intake.answer()
    first = await device.next()
    again = await device.next()
    assert first == again and (first.type, first.code, first.token) == (n.CON, n.CHANGED, b"t")
    device.send(n.ACK, n.EMPTY, first.mid)


@ensureDeferred
async def test_a_downlink_is_a_message_of_its_own_whose_arrival_is_known(house):
    downlink = Downlink("d1", "dev", b'{"on":1}', "JSON")
    intake = says(Answer(Status.STORED, downlinks=(downlink,)))
    datasource, _ = await house.datasource("k1", intake)
    device = house.device(datasource)
    ack = await device.post("i/k1", b"x")
    assert (ack.type, ack.code) == (n.ACK, n.EMPTY)
    response = await device.next()
    assert (response.type, response.payload) == (n.CON, b'{"on":1}')
    assert response.options.get_uint(n.CONTENT_FORMAT) == n.JSON
    assert intake.outcomes == [("d1", "sent")]
    device.send(n.ACK, n.EMPTY, response.mid)
    intake.says = None
    await device.post("i/k1", b"x", mid=2)  # behind the ACK, so that it has been read
    assert intake.outcomes == [("d1", "sent"), ("d1", "delivered")]


@ensureDeferred
async def test_a_piggybacked_downlink_counts_as_delivered_with_the_next_request(house):
    downlink = Downlink("d1", "dev", b"\x01")
    intake = says(Answer(Status.STORED, downlinks=(downlink,)))
    datasource, _ = await house.datasource("k1", intake, confirmDownlinks=False)
    device = house.device(datasource)
    reply = await device.post("i/k1", b"x")
    assert (reply.type, reply.payload) == (n.ACK, b"\x01")
    assert await device.post("i/k1", b"x") == reply  # the same answer, not the next item
    assert intake.outcomes == [("d1", "sent")]
    intake.says = None
    await device.post("i/k1", b"y", mid=2)
    assert intake.outcomes == [("d1", "sent"), ("d1", "delivered")]


def test_presets_and_single_values_make_the_timing():
    def lifetime(**settings):
        return convert(settings, CoapSettings).transmission.exchange_lifetime

    assert lifetime() == 247
    assert lifetime(timing="nb-iot") == 315
    assert lifetime(timing="nb-iot", maxRetransmit=2) == 255
    assert lifetime(timing="lobaro") == 292


@pytest.mark.parametrize(
    ("configuration", "place"),
    [
        ({"port": 70000}, "configuration.port"),
        ({"timing": "slow"}, "configuration.timing"),
        ({"blockSize": 100}, "configuration.blockSize"),
        ({"interface": "localhost"}, "configuration"),
        ({"prot": 1}, "configuration"),
        ({"ackTimeout": 0}, "configuration.ackTimeout"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_path(configuration, place):
    with pytest.raises(SettingsError) as caught:
        convert(configuration, CoapSettings, "configuration")
    assert caught.value.path == place


@ensureDeferred
async def test_ipv6_is_served_and_told(house):
    datasource, intake = await house.datasource("k1", interface="::1")
    assert (await house.device(datasource).post("i/k1", b"x")).code == n.CHANGED
    assert intake.received[0][1]["remoteIp"] == "::1"


@ensureDeferred
async def test_a_closed_datasource_leaves_no_timer_and_answers_nobody(house):
    intake = FakeIntake(auto=False)
    datasource, _ = await house.datasource("k1", intake)
    device = house.device(datasource)
    device.send(n.CON, n.POST, 1, "i/k1", b"x")
    assert (await device.next()).code == n.EMPTY
    await datasource.stop()
    before = set(reactor.getDelayedCalls())
    intake.answer()
    assert set(reactor.getDelayedCalls()) <= before
    assert datasource.status() == {"state": "stopped"}


@ensureDeferred
async def test_discovery_tells_of_uplinks_but_not_of_routing_keys(house):
    datasource, _ = await house.datasource("secret")
    device = house.device(datasource)
    device.send(n.CON, n.GET, 1, ".well-known/core")
    answer = await device.next()
    assert answer.payload == b'</i>;rt="iotgw.uplink";ct="0 50 60"'
    hidden, _ = await house.datasource("other", interface="127.0.0.2", discovery="off")
    host, port = hidden._shares[0].port.address[:2]
    device.address = host, port
    device.send(n.CON, n.GET, 2, ".well-known/core")
    assert (await device.next()).code == n.NOT_FOUND


@ensureDeferred
async def test_what_datasources_of_one_port_count_is_each_one_s_own(house):
    port = free_udp_port()
    one, _ = await house.datasource("k1", port=port)
    other, _ = await house.datasource("k2", port=port)
    device = house.device(one)
    await device.post("i/k1", b"x", mid=1)
    await device.post("i/k1", b"x", mid=2)
    await device.post("i/k2", b"x", mid=3)
    assert one.status()["coap"] == {"requests": 2}
    assert other.status()["coap"] == {"requests": 1}
    assert one.status()["coapPort"] == other.status()["coapPort"]
    await other.stop()
    assert "malformed" in one.status()["coap"]
    assert "coapPort" not in one.status()


@ensureDeferred
async def test_garbage_is_counted_and_told_once_a_minute(house):
    datasource, _ = await house.datasource("k1")
    device = house.device(datasource)
    lines = []
    datasource._shares[0].port.log = _Log(lines)
    for _ in range(5):
        device.transport.write(b"\x00garbage", device.address)
    device.send(n.CON, n.EMPTY, 9)
    await device.next()
    assert datasource.status()["coap"]["malformed"] == 5
    assert len(lines) == 1


@ensureDeferred
async def test_forged_addresses_do_not_fill_the_log(house):
    datasource, _ = await house.datasource("k1")
    port, lines = datasource._shares[0].port, []
    port.log = _Log(lines)
    for number in range(500):
        port.endpoint.datagram(b"garbage", (f"192.0.2.{number}", 1), 0.0)
    assert len(lines) == 30


class _Log:
    def __init__(self, lines):
        self.info = self.error = self.failure = lambda line, **facts: lines.append(line.format(**facts))


@ensureDeferred
async def test_a_fault_of_ours_costs_one_datagram_and_not_the_port(house):
    datasource, intake = await house.datasource("k1")
    socket = datasource._shares[0].port.socket
    lines, handle = [], socket._received
    socket.log = _Log(lines)

    def faulty(data, address):
        if b"bad" in data:
            raise ZeroDivisionError
        handle(data, address)

    socket._received = faulty
    device = house.device(datasource)
    device.send(n.CON, n.POST, 1, "i/k1", b"bad")
    assert (await device.post("i/k1", b"good", mid=2)).code == n.CHANGED
    assert [payload for payload, _ in intake.received] == [b"good"]
    assert lines == ["a datagram could not be handled"]

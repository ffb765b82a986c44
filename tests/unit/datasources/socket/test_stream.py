"""What every TCP datasource owes: limits, patience with an end, and no reading while the gateway is full."""

from __future__ import annotations

import contextlib
import socket

import msgspec
import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransport

from iotgw.core.model import Status
from iotgw.datasources.socket.connection import ONE_READ, unacknowledged
from iotgw.datasources.socket.tcp import TcpDatasource, TcpSettings
from tests.unit.datasources.fakes import FakeDevice, FakeIntake, clock, context


class Field:
    def __init__(self, **settings) -> None:
        self.intake = FakeIntake()
        self.clock = clock()
        self.source = TcpDatasource(TcpSettings(**settings), context(self.intake, self.clock))

    def connect(self, host: str = "192.0.2.7") -> FakeDevice:
        return FakeDevice(self.source, host)

    @property
    def lines(self) -> list[bytes]:
        return [payload for payload, _ in self.intake.received]


def test_each_line_is_a_message_with_the_peer_in_its_metadata():
    field = Field()
    device = field.connect()
    device.send(b"one\r\ntwo\n", 1)
    assert field.lines == [b"one", b"two"]
    facts = field.intake.received[0][1]
    assert (facts["remoteIp"], facts["remotePort"], facts["protocol"]) == ("192.0.2.7", 40000, "tcp")
    assert (facts["integrationName"], facts["contentType"]) == ("field", "TEXT")


def test_too_many_connections_are_turned_away_and_the_others_stay():
    field = Field(max_connections=2)
    first, second, third = field.connect(), field.connect("192.0.2.8"), field.connect("192.0.2.9")
    assert third.is_closed and not first.is_closed and not second.is_closed
    third.hang_up()
    first.hang_up()
    assert not field.connect("192.0.2.9").is_closed
    assert field.source.counts["refused"] == 1
    assert field.intake.events == [
        ("refused", "refused a connection from 192.0.2.9: the limit of connections")
    ]


def test_too_many_connections_of_one_address_are_turned_away():
    field = Field(max_connections_per_address=1)
    first, second, other = field.connect(), field.connect(), field.connect("192.0.2.8")
    assert second.is_closed and not first.is_closed and not other.is_closed
    first.hang_up()
    second.hang_up()
    assert not field.connect().is_closed


def test_refusals_are_reported_once_a_minute_and_peer():
    field = Field(max_connections=1)
    field.connect()
    for _ in range(50):
        field.connect().hang_up()
    assert len(field.intake.events) == 1
    field.clock.advance(61)
    field.connect()
    assert field.intake.events[1][1].endswith("(49 more before)")


def test_a_connection_that_sends_nothing_is_closed_without_a_word():
    field = Field(idle_timeout=30)
    device = field.connect()
    field.clock.advance(29)
    assert not device.is_closed
    field.clock.advance(1)
    assert device.is_closed
    assert field.intake.rejected == [] and field.intake.events == []


def test_whole_messages_keep_a_connection_and_single_bytes_do_not():
    field = Field(idle_timeout=30)
    talker, loris = field.connect(), field.connect()
    for _ in range(5):
        field.clock.advance(10)
        talker.send(b"line\n")
        if not loris.is_closed:
            loris.send(b"x")
    assert not talker.is_closed and loris.is_closed
    # the last line without an end is a line
    assert b"xxx" in field.lines


def test_a_frame_over_the_limit_is_kept_and_ends_only_its_connection():
    field = Field()
    bad, good = field.connect(), field.connect()
    bad.send(b"x" * 200)
    good.send(b"fine\n")
    (payload, facts, reason) = field.intake.rejected[0]
    assert payload == b"x" * 200 and facts["remoteIp"] == "192.0.2.7"
    assert reason == "expected a delimiter within 128 bytes"
    assert bad.is_closed and not good.is_closed and field.lines == [b"fine"]
    said = "bytes from 192.0.2.7 are no message: expected a delimiter within 128 bytes"
    assert field.intake.events == [("malformed", said)]


def test_a_flood_of_rubbish_is_counted_and_not_all_of_it_kept():
    field = Field()
    for _ in range(100):
        device = field.connect()
        device.send(b"x" * 200)
        device.hang_up()
    assert field.source.counts["faults"] == 100 and len(field.intake.rejected) == 30
    field.clock.advance(61)
    field.connect().send(b"x" * 200)
    field.connect("192.0.2.8").send(b"x" * 200)
    assert len(field.intake.rejected) == 32


def test_nothing_is_read_after_a_close():
    field = Field()
    device = field.connect()
    device.send(b"x" * 200)
    device.send(b"more\n")
    device.hang_up()
    assert field.lines == [] and len(field.intake.rejected) == 1


def test_a_line_in_the_wrong_charset_is_kept_and_the_next_is_fine():
    field = Field()
    device = field.connect()
    device.send(b"\xb0C\nok\n")
    assert field.intake.rejected[0][2] == "expected text in UTF-8"
    assert field.lines == [b"ok"] and not device.is_closed


def test_reading_stops_while_the_gateway_is_full_and_nothing_is_lost():
    field = Field()
    device = field.connect()
    field.intake.fill()
    device.send(b"one\ntwo\n")
    assert field.lines == [] and device.is_paused
    field.intake.drain()
    assert field.lines == [b"one", b"two"] and not device.is_paused


def test_a_message_that_the_journal_refused_is_handed_over_again():
    field = Field()
    field.intake.auto = False
    device = field.connect()
    device.send(b"one\n")
    field.intake.answer(0, Status.BUSY)
    assert device.is_paused
    field.clock.advance(1)
    assert field.lines == [b"one", b"one"] and not device.is_paused


def test_messages_of_a_device_that_left_while_the_gateway_was_full_are_kept():
    field = Field()
    device = field.connect()
    field.intake.fill()
    device.send(b"one\n")
    device.hang_up()
    field.intake.drain()
    assert field.lines == [b"one"]


def test_a_device_is_not_idle_while_the_gateway_keeps_it_waiting():
    field = Field(idle_timeout=30)
    device = field.connect()
    field.intake.fill()
    device.send(b"one\n")
    field.clock.advance(100)
    assert not device.is_closed


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_address_in_front_of_a_load_balancer(size):
    field = Field(proxy_protocol=True)
    device = field.connect("10.0.0.1")
    device.send(b"PROXY TCP4 203.0.113.9 198.51.100.1 5555 10560\r\none\n", size)
    facts = field.intake.received[0][1]
    assert (facts["remoteIp"], facts["remotePort"]) == ("203.0.113.9", 5555)


def test_limits_per_address_count_the_address_in_front_of_the_balancer():
    field = Field(proxy_protocol=True, max_connections_per_address=1)
    first, second, same = (field.connect("10.0.0.1") for _ in range(3))
    first.send(b"PROXY TCP4 203.0.113.1 198.51.100.1 1 2\r\n")
    second.send(b"PROXY TCP4 203.0.113.2 198.51.100.1 1 2\r\n")
    same.send(b"PROXY TCP4 203.0.113.1 198.51.100.1 1 2\r\n")
    assert [first.is_closed, second.is_closed, same.is_closed] == [False, False, True]


def test_only_the_balancers_that_are_trusted_may_connect():
    field = Field(proxy_protocol=True, trusted_proxies=["10.0.0.0/24"])
    assert field.source.buildProtocol(IPv4Address("TCP", "192.0.2.66", 1)) is None
    device = field.connect("10.0.0.1")
    device.send(b"PROXY TCP4 203.0.113.9 198.51.100.1 5555 10560\r\none\n")
    assert field.intake.received[0][1]["remoteIp"] == "203.0.113.9"
    assert field.intake.events == [
        ("refused", "refused a connection from 192.0.2.66: it is no trusted proxy")
    ]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"proxy_protocol": True, "trusted_proxies": ["haproxy"]},
            "trustedProxies\\[0\\]: expected an address",
        ),
        ({"trusted_proxies": ["10.0.0.1"]}, "expected `proxyProtocol`"),
    ],
)
def test_trusted_proxies_are_networks_and_go_with_the_protocol(settings, said):
    with pytest.raises(ValueError, match=said):
        TcpSettings(**settings)


def test_without_the_header_that_was_announced_the_connection_is_refused():
    field = Field(proxy_protocol=True)
    device = field.connect()
    device.send(b"one\n")
    assert device.is_closed and field.lines == []
    assert "expected a PROXY header" in field.intake.events[0][1]


def test_a_header_that_was_not_announced_is_only_bytes():
    field = Field()
    field.connect().send(b"PROXY TCP4 203.0.113.9 198.51.100.1 5555 10560\r\n")
    assert field.intake.received[0][1]["remoteIp"] == "192.0.2.7"


def test_a_downlink_goes_back_on_the_connection():
    field = Field(identity="address")
    field.intake.put("192.0.2.7", b"go")
    device = field.connect()
    device.send(b"one\n")
    assert device.read() == b"go"
    assert field.intake.outcomes == [("192.0.2.7-0", "sent")]


def test_a_downlink_leaves_at_once_while_the_connection_is_open():
    field = Field(identity="address")
    device = field.connect()
    field.intake.put("192.0.2.7", b"go")
    field.intake.sessions["192.0.2.7"](field.intake.take("192.0.2.7", 1))
    assert device.read() == b"go"
    device.vanish()
    assert field.intake.outcomes[-1] == ("192.0.2.7-0", "lost: the connection broke")
    assert field.intake.sessions == {}


def test_a_peer_that_closes_its_side_is_answered_before_ours_is_closed():
    field = Field(identity="address")
    field.intake.auto = False
    field.intake.put("192.0.2.7", b"go")
    device = field.connect()
    device.send(b"one\ntwo")
    device.half_close()
    assert field.lines == [b"one", b"two"] and not device.is_closed
    field.intake.answer(0)
    assert device.read() == b"go" and not device.is_closed
    field.intake.answer(1)
    assert device.is_closed


def test_a_peer_that_closes_its_side_without_a_word_is_closed():
    field = Field()
    device = field.connect()
    device.half_close()
    assert device.is_closed


def test_stop_waits_for_the_last_connection():
    field = Field()
    field.source._port = _Port()
    device = field.connect()
    done = field.source.stop()
    assert not done.called
    device.hang_up()
    assert done.called
    assert field.clock.getDelayedCalls() == []


class _Port:
    def stopListening(self) -> None:
        return None


@pytest.mark.parametrize(
    ("configuration", "problem"),
    [
        ({"interface": "example.org"}, "does not appear to be an IPv4 or IPv6 address"),
        ({"port": 70000}, "`int` <= 65535"),
        ({"handler": {"type": "TEXT", "charset": "utf-99"}}, "expected a charset such as UTF-8"),
        ({"handler": {"type": "XML"}}, "Invalid value 'XML'"),
        ({"idleTimeout": 0}, "`float` > 0"),
        ({"handle": {}}, "unknown field `handle`"),
    ],
)
def test_wrong_settings_are_refused(configuration, problem):
    with pytest.raises(msgspec.ValidationError, match=problem):
        msgspec.convert(configuration, TcpSettings)


@pytest.mark.parametrize(
    ("handler", "data", "messages"),
    [
        ({"type": "TEXT", "delimiter": "nul", "stripDelimiter": False}, b"a\0b\0", [b"a\0", b"b\0"]),
        ({"type": "TEXT", "charset": "latin-1"}, b"\xb0\n", ["°".encode()]),
        ({"type": "BINARY", "lengthFieldLength": 1, "initialBytesToStrip": 1}, b"\2hi\1!", [b"hi", b"!"]),
        ({"type": "BINARY", "byteOrder": "LITTLE_ENDIAN", "initialBytesToStrip": 2}, b"\1\0x", [b"x"]),
        ({"type": "JSON"}, b'{"a":1}[1,2]', [b'{"a":1}', b"[1,2]"]),
        ({"type": "HEX"}, b"cafe\n01 02\n", [b"\xca\xfe", b"\1\2"]),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_handlers(handler, data, messages, size):
    settings = msgspec.convert({"handler": handler}, TcpSettings)
    field = Field(**{name: getattr(settings, name) for name in ("handler",)})
    field.connect().send(data, size)
    assert field.lines == messages


def test_what_a_peer_s_tcp_has_not_acknowledged_is_counted():
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        peer, _ = server.accept()
        with ours, peer:
            ours.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    ours.send(bytes(65536))
            assert unacknowledged(ours) > 0
            while unacknowledged(ours):
                peer.recv(1 << 20)
    assert unacknowledged(StringTransport()) == 0


def test_a_device_s_bytes_are_read_a_few_at_a_time_so_that_others_have_their_turn():
    assert Field().connect().transport.bufferSize == ONE_READ

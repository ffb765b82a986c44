"""What a converter has devices answered, over each datasource's own way."""

from __future__ import annotations

import json

import pytest
from pytest_twisted import ensureDeferred

from iotgw.core.model import Answer, DeviceReply, Downlink, Status
from iotgw.datasources.gathering import Gathering
from iotgw.datasources.socket.connection import MOST_UNSENT
from iotgw.datasources.socket.datagram import LONGEST_REPLY, REPLIES
from iotgw.datasources.socket.udp import UdpType
from iotgw.datasources.vendors.dragino import DraginoUdpType
from iotgw.datasources.vendors.lobaro import LobaroUdpType
from iotgw.envelopes.envelope import PLAIN
from iotgw.wire.coap import numbers as n
from tests.unit.connect.brokers import publish
from tests.unit.datasources.coap.test_datasource import house, says
from tests.unit.datasources.fakes import UdpField
from tests.unit.datasources.http.test_uploads import Field as HttpField
from tests.unit.datasources.http.test_uploads import body, status
from tests.unit.datasources.mqtt.test_datasource import Field as MqttField
from tests.unit.datasources.socket.test_stream import Field as TcpField
from tests.unit.datasources.vendors.test_dragino import NDDS75
from tests.unit.datasources.vendors.test_dragino import Field as DraginoField

__all__ = ["house"]

HERE = ("192.0.2.7", 4000)
ITEM = Downlink("1", "d", b"go")


def said(payload: bytes = b"ok", kind="TEXT", *items, topic: str = "") -> Answer:
    return Answer(Status.STORED, "1-1", 0.0, items, DeviceReply(payload, kind, topic))


# --- CoAP ---


@pytest.mark.parametrize(
    ("kind", "number"), [("TEXT", n.TEXT_PLAIN), ("JSON", n.JSON), ("BINARY", n.OCTET_STREAM)]
)
@ensureDeferred
async def test_over_coap_it_is_the_response_s_payload(house, kind, number):
    datasource, _ = await house.datasource("k", says(said(b"ok", kind)))
    reply = await house.device(datasource).post("i/k", b"x")
    assert (reply.type, reply.code, reply.payload) == (n.ACK, n.CHANGED, b"ok")
    assert reply.options.get_uint(n.CONTENT_FORMAT) == number


@ensureDeferred
async def test_a_retransmitted_coap_request_gets_the_same_reply_and_is_one_message(house):
    datasource, intake = await house.datasource("k", says(said()))
    device = house.device(datasource)
    first = await device.post("i/k", b"x", mid=9)
    second = await device.post("i/k", b"x", mid=9)
    assert (first.payload, second.payload) == (b"ok", b"ok") and len(intake.received) == 1


@ensureDeferred
async def test_a_long_reply_over_coap_goes_in_blocks(house):
    datasource, _ = await house.datasource("k", says(said(b"x" * 3000)))
    reply = await house.device(datasource).post("i/k", b"x")
    assert reply.options.get_uint(n.SIZE2) in (None, 3000) and len(reply.payload) == 1024


@ensureDeferred
async def test_over_coap_an_item_waits_for_the_next_response(house):
    datasource, intake = await house.datasource("k", says(said(b"ok", "TEXT", ITEM)))
    assert (await house.device(datasource).post("i/k", b"x")).payload == b"ok"
    assert intake.outcomes == [("1", "returned")]


# --- HTTP ---


@pytest.fixture
def http(monkeypatch) -> HttpField:
    return HttpField(monkeypatch, lambda: PLAIN)


@pytest.mark.parametrize(
    ("kind", "media"),
    [("TEXT", b"text/plain; charset=utf-8"), ("JSON", b"application/json"), ("BINARY", b"application/octet-stream")],
)  # fmt: skip
def test_over_http_it_is_the_response_s_body(http, kind, media):
    http.intake.says = said(b"ok", kind)
    answer = http.post(b"x")
    assert status(answer) == 200 and b"ok" in body(answer)
    assert media in answer.value() and b"1-1" in answer.value()


def test_over_http_an_item_waits_for_the_next_answer(http):
    http.intake.says = said(b"ok", "TEXT", ITEM)
    assert b"ok" in body(http.post(b"x"))
    assert http.intake.outcomes == [("1", "returned")]


def test_of_several_messages_in_one_request_the_first_reply_counts():
    answers = []
    gathering = Gathering(lambda answer, items: answers.append((answer, items)))
    first, second, third = (gathering.expect(name) for name in "abc")
    gathering.close()
    second(said(b"second"))
    third(said(b"third", "TEXT", ITEM))
    first(Answer(Status.FAILED, "1-2"))
    ((answer, items),) = answers
    assert (answer.status, answer.reply.payload, items) == (Status.FAILED, b"second", [("c", ITEM)])


@pytest.mark.parametrize("worst", [Status.BUSY, Status.TOO_LARGE, Status.REFUSED, Status.FAILED])
@pytest.mark.parametrize("later", [Status.STORED, Status.FAILED])
def test_of_several_messages_in_one_request_one_that_is_not_stored_is_said_though_the_next_one_is(
    worst, later
):
    answers = []
    gathering = Gathering(lambda answer, items: answers.append(answer))
    refused, stored = gathering.expect("a"), gathering.expect("b")
    gathering.close()
    refused(Answer(worst))
    stored(Answer(later, "1-2"))
    assert [answer.status for answer in answers] == [worst]


# --- UDP ---


def udp(type_=UdpType, **settings) -> UdpField:
    return UdpField(type_, **settings)


def test_over_udp_it_is_a_datagram_before_the_items():
    field = udp()
    field.intake.says = said(b"ok", "TEXT", ITEM)
    field.send(b"x")
    assert field.socket.sent == [(b"ok", HERE), (b"go", HERE)]
    assert field.source.counts["replies"] == 1


def test_a_forged_address_gets_no_long_reply():
    field = udp()
    field.intake.says = said(b"x" * (LONGEST_REPLY + 1))
    field.send(b"x")
    field.send(b"x")
    assert field.socket.sent == [] and field.source.counts["repliesLost"] == 2
    why = f"a converter's reply was not sent: expected at most {LONGEST_REPLY} bytes over UDP, got {LONGEST_REPLY + 1}"
    assert field.intake.events == [("reply.lost", why)]


def test_a_reply_of_a_closed_datasource_is_lost_and_counted():
    field = udp()
    field.intake.auto = False
    field.send(b"x")
    field.source.stop()
    field.intake.answers[0](said())
    assert field.source.counts["repliesLost"] == 1


def test_a_copy_that_the_envelope_recognizes_gets_the_same_reply_and_is_no_message():
    field = udp(LobaroUdpType)
    field.intake.says = said(b"ok")
    first, other = (json.dumps({"i": "123456101550542", "n": number, "d": {}}).encode() for number in (7, 8))
    field.send(first)
    field.send(other)
    field.intake.says = said(b"no")
    field.send(first, ("192.0.2.8", 5000))
    assert field.socket.sent == [(b"ok", HERE), (b"ok", HERE), (b"ok", ("192.0.2.8", 5000))]
    assert len(field.intake.received) == 2


def test_replies_are_kept_for_a_bounded_number_of_copies():
    field = udp(LobaroUdpType)
    field.intake.says = said(b"ok")
    for counter in range(REPLIES + 10):
        field.send(json.dumps({"i": "123456101550542", "n": counter, "d": {}}).encode())
    assert len(field.source._said) == REPLIES


def test_an_envelope_does_not_touch_a_reply():
    field = udp(DraginoUdpType)
    field.intake.says = said(b"\x01\x02", "BINARY")
    field.send(NDDS75)
    assert field.socket.sent == [(b"\x01\x02", HERE)]


# --- TCP ---


def test_over_tcp_its_bytes_go_back_before_the_items():
    field = TcpField()
    device = field.connect()
    field.intake.says = said(b"ok\n", "TEXT", ITEM)
    device.send(b"one\n")
    assert device.read() == b"ok\ngo"
    assert field.source.counts["replies"] == 1


def test_a_device_that_has_closed_its_side_still_gets_its_reply():
    field = TcpField()
    device = field.connect()
    field.intake.auto = False
    device.send(b"one")
    device.half_close()
    assert not device.is_closed
    field.intake.answers[0](said())
    assert device.read() == b"ok" and device.is_closed


def test_a_reply_to_a_device_that_has_gone_is_lost_and_counted():
    field = TcpField()
    device = field.connect()
    field.intake.auto = False
    device.send(b"one\n")
    device.hang_up()
    field.intake.answers[0](said())
    assert device.read() == b"" and field.source.counts["repliesLost"] == 1


def test_a_device_that_does_not_read_its_replies_is_cut_off():
    field = TcpField()
    device = field.connect()
    field.intake.says = said()
    device.transport.dataBuffer = b"x" * (MOST_UNSENT + 1)
    device.send(b"one\n")
    assert device.is_closed and device.read() == b""
    assert field.intake.events == [
        ("refused", "refused a connection from 192.0.2.7: it doesn't read its replies")
    ]
    device.send(b"two\n")
    assert field.lines == [b"one"]


def test_a_vendor_s_connection_takes_replies_too():
    field = DraginoField()
    device = field.connect()
    field.intake.says = said(b"\x01", "BINARY")
    device.send(NDDS75)
    field.clock.advance(3)
    assert device.read() == b"\x01"


# --- MQTT ---


def mqtt(filter_: str = "up/#", **settings) -> MqttField:
    field = MqttField(**settings)
    field.source.settings.topics[:] = [filter_]
    field.up()
    return field


def test_over_mqtt_it_is_published_where_downlinks_go():
    field = mqtt(downlink_topic="down/{topic}", downlink_qos=0)
    field.intake.says = said()
    field.wire.say(publish("up/7", b"x", 7))
    assert field.turn() == publish("down/up/7", b"ok", qos=0) + b"\x40\x02\x00\x07"
    assert field.source.counts["replies"] == 1 and field.intake.outcomes == []


def test_over_mqtt_a_converter_may_name_the_topic():
    field = mqtt()
    field.intake.says = said(topic="down/7")
    field.wire.say(publish("up/7", b"x", 7))
    heard = field.turn()
    assert b"down/7" in heard and b"ok" in heard


def test_a_broker_s_acknowledgement_of_a_reply_confirms_no_item():
    field = mqtt(downlink_topic="down", downlink_qos=1)
    field.intake.says = said()
    field.wire.say(publish("up/7", b"x", 7))
    field.turn()
    field.source.on_acknowledged([1])
    field.again()
    assert field.intake.outcomes == []


@pytest.mark.parametrize("filter_", ["#", "up/+", "$share/group/up/+"])
def test_a_reply_to_a_topic_that_is_subscribed_to_would_be_answered_forever(filter_):
    field = mqtt(filter_, downlink_topic="up/answers")
    field.intake.says = said()
    field.wire.say(publish("up/7", b"x", 7))
    assert field.turn() == b"\x40\x02\x00\x07"
    assert field.source.counts["repliesLost"] == 1
    assert [type_ for type_, _ in field.intake.events if type_ == "reply.lost"] == ["reply.lost"]


def test_without_a_topic_a_reply_is_lost_and_said():
    field = mqtt()
    field.intake.says = said()
    field.wire.say(publish("up/7", b"x", 7))
    field.turn()
    assert field.source.counts["repliesLost"] == 1
    assert (
        "reply.lost",
        "a converter's reply was not sent: expected a topic for downlinks, got ''",
    ) in field.intake.events

"""Simulated devices send what real ones send: the decoders understand every word."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.datasources.pubsub import push_body
from iotgw.simulate import pubsub_push
from iotgw.simulate.coap import CoapSensor, DraginoCoapNode, LobaroCoapGateway
from iotgw.simulate.coaps import CoapsSensor, Key
from iotgw.simulate.device import imei
from iotgw.simulate.dragino import DraginoNode
from iotgw.simulate.lobaro import LobaroGateway
from iotgw.simulate.tekelek import TekelekSensor
from iotgw.wire import dragino, jwt, lobaro, tekelek
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import decode, encode, options
from iotgw.wire.framing import Frame

NOW = 1_795_262_400_000


def test_a_made_up_imei_has_a_right_check_digit():
    # the example of 3GPP TS 23.003 annex B has the digits 49015420323751, check digit 8
    class Fixed(random.Random):
        def randrange(self, *_):
            return 323751

    assert imei(Fixed(), "49015420") == "490154203237518"


@pytest.mark.parametrize("seed", range(5))
def test_a_simulated_tek811_sends_right_frames(seed):
    sensor = TekelekSensor(random.Random(seed))
    for _ in range(30):
        (event,) = tekelek.TekelekFramer().feed(sensor.uplink(NOW))
        facts = tekelek.metadata(event.data, NOW)
    assert (facts["crcOk"], facts["imei"], facts["deviceModel"]) == (True, sensor.identity, "TEK811")
    assert facts["rtcTime"] == "12:00" and facts["sampleTimes"][0] == NOW
    assert len(event.data) == 140 and event.data[26 + 4 * 27 : 138] != bytes(4)


@pytest.mark.parametrize(
    ("command", "types"),
    [
        ("R1=01", [4]),
        ("R1=02", [6]),
        ("R1=20", [8]),
        ("R6=02", [16]),
        ("R7=23", [17]),
        ("R1=02,R6=02", [6, 16]),
    ],
)
def test_it_answers_commands_with_the_frame_that_they_ask_for(command, types):
    sensor = TekelekSensor(random.Random(1))
    sensor.uplink(NOW)
    reaction = sensor.received(f"TEK811,{command}\r\n".encode(), NOW)
    frames = [event.data for event in tekelek.TekelekFramer().feed(reaction.send)]
    assert [tekelek.metadata(frame, NOW)["messageType"] for frame in frames] == types
    assert not reaction.is_done


def test_it_sets_registers_and_sleeps_when_it_is_told_to():
    sensor = TekelekSensor(random.Random(1))
    assert not sensor.received(b"TEK811,S0=8", NOW).downlinks
    assert sensor.received(b"1,S1=02\r\n", NOW).downlinks == 2
    text = sensor.received(b"TEK811,R1=02\r\n", NOW).send
    assert b"S0=81,S1=02" in text
    assert sensor.received(b"TEK811,R3=ACTIVE,R1=80\r\n", NOW).is_done


def test_a_simulated_position_and_a_ready_are_understood():
    sensor = TekelekSensor(random.Random(1))
    (frame,) = tekelek.TekelekFramer().feed(sensor.received(b"TEK811,R7=23\r\n", NOW).send)
    assert tekelek.metadata(frame.data, NOW)["gpsTime"] == NOW
    assert tekelek.TekelekFramer().feed(sensor.received(b"TEK811,R1=40\r\n", NOW).send) == [Frame(b"RDY,0")]


def test_a_simulated_nddds75_is_recognised():
    node = DraginoNode(random.Random(1))
    facts = dragino.metadata(dragino.parse(node.uplink(NOW)))
    assert (facts["deviceModel"], facts["imei"], facts["firmware"]) == ("NDDS75", node.identity, "1.5.2")
    node.received(bytes.fromhex("01000e10"), NOW)
    frame = node.uplink(NOW)
    assert int.from_bytes(frame[23:27], "big") == NOW // 1000 - 3600 or frame[17:21] == (
        NOW // 1000
    ).to_bytes(4, "big")


def test_a_simulated_lobaro_gateway_counts_its_messages():
    gateway = LobaroGateway(random.Random(1))
    first, second = (lobaro.parse(gateway.uplink(NOW)) for _ in range(2))
    assert (first.counter, second.counter) == (1, 2) and first.identity == gateway.identity


@given(
    st.lists(st.binary(max_size=100) | st.binary(max_size=60).map(b"\x16\xfe\xfd\0\0\0\0\0\0\0\0".__add__))
)
def test_no_bytes_make_a_simulated_coaps_device_raise(datagrams):
    sensor = CoapsSensor(random.Random(1), Key("meter-{id}", b"secret"))
    sensor.uplink(NOW)
    for datagram in datagrams:
        assert not sensor.received(datagram, NOW).is_answer


def reply(request, kind=n.ACK, code=n.CHANGED, payload=b""):
    asked = decode(request)
    return encode(kind, code, asked.mid, asked.token, options(), payload)


def test_a_simulated_node_takes_its_interval_as_hexadecimal_text_within_the_acknowledgement():
    node = DraginoCoapNode(random.Random(1))
    request = node.uplink(NOW)
    facts = dragino.metadata(dragino.parse(decode(request).payload))
    assert (facts["encoding"], facts["imei"]) == ("asciihex", node.identity)
    reaction = node.received(reply(request, payload=b"01000384"), NOW)
    assert (reaction.is_done, reaction.is_answer, reaction.downlinks) == (True, True, 1)
    assert node.received(reply(request, payload=b"no hex"), NOW).downlinks == 1


def test_a_simulated_lobaro_device_posts_its_envelope():
    device = LobaroCoapGateway(random.Random(1))
    assert lobaro.parse(decode(device.uplink(NOW)).payload).identity == device.identity


def test_a_request_is_a_downlink_and_the_response_is_still_awaited():
    sensor = CoapSensor(random.Random(1))
    request = sensor.uplink(NOW)
    reaction = sensor.received(reply(request, n.CON, n.POST, b"{}"), NOW)
    assert (decode(reaction.send).code, reaction.downlinks, reaction.is_done) == (n.CHANGED, 1, False)
    assert not sensor.received(reply(request, code=0), NOW).is_done
    separate = sensor.received(reply(request, n.CON), NOW)
    assert separate.is_answer and decode(separate.send).type == n.ACK


@given(st.sampled_from([CoapSensor, DraginoCoapNode, LobaroCoapGateway]), st.binary(max_size=60))
def test_no_bytes_make_a_simulated_coap_device_raise(make, data):
    device = make(random.Random(1))
    device.uplink(NOW)
    device.received(data, NOW)


def test_a_simulated_subscription_signs_what_it_pushes_and_pushes_it_until_it_is_taken():
    keys = jwt.key_set(pubsub_push.key_set())
    expected = jwt.Expected(pubsub_push.ISSUER, pubsub_push.AUDIENCE, pubsub_push.ACCOUNT)
    device = pubsub_push.PushedSensor(random.Random(1))
    bodies = []
    for answer in (b"HTTP/1.1 503 X\r\n\r\n", b"HTTP/1.1 204 X\r\n\r\n", b""):
        head, _, body = device.uplink(1_795_262_400_000).partition(b"\r\n\r\n")
        (token,) = [
            line[22:] for line in head.decode().split("\r\n") if line.startswith("Authorization: Bearer ")
        ]
        assert jwt.objection(token, keys.get, expected, 1_795_262_400) == ""
        bodies.append(body)
        device.received(answer, 0)
    assert bodies[0] == bodies[1] != bodies[2]
    pushed = push_body.wrapped(bodies[0])
    assert pushed.subscription == pubsub_push.SUBSCRIPTION
    assert json.loads(pushed.message.data)["deviceName"] == device.identity

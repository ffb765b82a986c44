"""Dragino nodes over TCP and UDP: where frames end, who they are from, and their downlinks."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from iotgw.datasources.vendors.dragino import (
    DraginoMqttType,
    DraginoSettings,
    DraginoType,
    DraginoUdpType,
)
from tests.unit.datasources.fakes import FakeDevice, FakeIntake, UdpField, clock, context

VECTORS = json.loads((Path(__file__).parents[3] / "data" / "dragino.json").read_text())
FRAMES = {vector["name"][:2]: bytes.fromhex(vector["hex"]) for vector in VECTORS}
NDDS75, NLMS01 = FRAMES["D3"], FRAMES["D2"]
IMEI = "867787054545078"


class Field:
    def __init__(self, **settings) -> None:
        self.intake = FakeIntake()
        self.clock = clock()
        converted = msgspec.convert(settings, DraginoSettings)
        self.source = DraginoType(self.clock).build(converted, context(self.intake, self.clock))

    def connect(self) -> FakeDevice:
        return FakeDevice(self.source)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_every_frame_of_the_facts(vector, size):
    field = Field()
    device = field.connect()
    device.send(bytes.fromhex(vector["hex"]), size)
    field.clock.advance(3)
    ((payload, facts),) = field.intake.received
    assert payload == bytes.fromhex(vector["hex"])
    assert facts["identity"] == vector.get("imei", vector.get("deviceId"))
    assert not device.is_closed


def test_a_frame_of_a_known_layout_needs_a_short_pause_only():
    field = Field(pause=0.5)
    field.connect().send(NDDS75)
    field.clock.advance(0.5)
    assert len(field.intake.received) == 1


def test_bytes_of_no_known_layout_get_longer():
    field = Field(pause=0.5)
    device = field.connect()
    device.send(NDDS75[:40])
    field.clock.advance(1)
    assert field.intake.received == []
    device.send(NDDS75[40:])
    field.clock.advance(0.5)
    assert field.intake.received[0][0] == NDDS75


def test_the_end_of_the_stream_ends_a_frame():
    field = Field()
    device = field.connect()
    device.send(NDDS75)
    device.hang_up()
    assert len(field.intake.received) == 1
    assert field.clock.getDelayedCalls() == []


def test_a_downlink_goes_out_while_the_node_listens():
    field = Field()
    field.intake.put(IMEI, bytes.fromhex("01000384"))
    device = field.connect()
    device.send(NDDS75)
    field.clock.advance(1)
    assert device.read() == bytes.fromhex("01000384")
    device.hang_up()
    assert [state for _, state in field.intake.outcomes] == ["sent", "delivered"]


def test_a_downlink_that_is_queued_while_the_node_listens_leaves_at_once():
    field = Field()
    device = field.connect()
    device.send(NDDS75)
    field.clock.advance(1)
    field.intake.put(IMEI, b"\x04\xff")
    field.intake.sessions[IMEI](field.intake.take(IMEI, 1))
    assert device.read() == b"\x04\xff"
    device.hang_up()
    assert field.intake.sessions == {}


def test_a_downlink_for_a_node_that_left_stays_queued():
    field = Field()
    field.intake.put(IMEI, bytes.fromhex("01000384"))
    device = field.connect()
    device.send(NDDS75)
    device.hang_up()
    assert field.intake.outcomes == [(f"{IMEI}-0", "lost: the device closed the connection")]


def test_settings_by_device_say_the_model_and_the_form_of_downlinks():
    field = Field(devices={"868411056754138": {"model": "NLMS01", "encoding": "asciihex"}}, model="CPN01")
    field.intake.put("868411056754138", b"\x04\xff")
    device = field.connect()
    device.send(NLMS01)
    field.clock.advance(1)
    assert field.intake.received[0][1]["deviceModel"] == "NLMS01"
    assert device.read() == b"04FF"


def test_a_default_model_serves_frames_that_do_not_tell():
    field = Field(model="NLMS01")
    device = field.connect()
    device.send(NLMS01 + NDDS75)
    device.hang_up()
    other = field.connect()
    other.send(NDDS75)
    other.hang_up()
    models = [facts.get("deviceModel") for _, facts in field.intake.received]
    assert models[-1] == "NDDS75"


def test_a_guess_lasts_over_a_node_s_connections():
    field = Field()
    # pH and temperature with one record, then the same without, which a leaf's moisture could be as well
    header, now, before = "f86841105675413800640c7817", "01000225010b6315537b", "0226010b631550fb"
    for frame in (header + now, header + now + before, header + now):
        device = field.connect()
        device.send(bytes.fromhex(frame))
        device.hang_up()
    models = [facts["deviceModel"] for _, facts in field.intake.received]
    assert models == ["NLMS01", "NSPH01", "NSPH01"]
    assert all(facts["deviceModelGuessed"] for _, facts in field.intake.received)


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b'{"a":1}', b"\xf8\x67", b"x" * 3000])
def test_what_is_no_frame_is_kept_and_ends_only_its_connection(data):
    field = Field()
    bad, good = field.connect(), field.connect()
    bad.send(data)
    good.send(NDDS75)
    field.clock.advance(3)
    assert field.intake.rejected[0][0] == data[:4096] and "expected" in field.intake.rejected[0][2]
    assert bad.is_closed and not good.is_closed and len(field.intake.received) == 1


# --- UDP ------------------------------------------------------------------------------------------


def test_each_datagram_is_a_frame_and_its_answer_the_downlink():
    field = UdpField(DraginoUdpType)
    field.intake.put(IMEI, b"\x04\xff")
    field.send(NDDS75)
    assert field.intake.received[0][1]["remotePort"] == 4000
    assert field.socket.sent == [(b"\x04\xff", ("192.0.2.7", 4000))]


def test_malformed_datagrams_are_counted_and_one_a_minute_is_kept():
    field = UdpField(DraginoUdpType)
    for _ in range(100):
        field.send(b"rubbish")
    assert field.source.counts["faults"] == 100
    assert len(field.intake.rejected) == 1 and len(field.intake.events) == 1
    field.clock.advance(61)
    field.send(b"rubbish")
    assert len(field.intake.rejected) == 2


def test_a_datagram_that_is_too_large_is_kept_as_failed():
    field = UdpField(DraginoUdpType, maxDatagram=50)
    field.send(NDDS75)
    assert field.intake.rejected[0][2] == "expected at most 50 bytes, got 69"


def test_a_datagram_while_the_gateway_is_full_is_counted():
    field = UdpField(DraginoUdpType)
    field.intake.fill()
    field.send(NDDS75)
    assert field.intake.received == [] and field.source.counts["refused"] == 1


def test_nodes_behind_a_broker_are_no_platform():
    assert DraginoMqttType(clock(), None).presets() == []

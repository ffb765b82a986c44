"""A frame that two network servers post to two datasources of one group."""

from __future__ import annotations

import json

import msgspec
import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransport
from twisted.web.server import Site

from iotgw.core.shared import SharedResources
from iotgw.datasources.frames import FrameGroups
from iotgw.datasources.http.datasource import HttpSourceType
from iotgw.datasources.http.mounts import HttpMounts, MountRoot
from iotgw.datasources.http.settings import HttpSourceSettings
from iotgw.testing import FakeIntake, datasource_context
from iotgw.testing.reactor import clock

TTS = {
    "end_device_ids": {"device_id": "p7", "dev_eui": "70B3D57ED0000017"},
    "uplink_message": {
        "session_key_id": "k", "f_port": 2, "f_cnt": 1, "frm_payload": "AOc=", "received_at": "2026-11-22T00:00:00Z",
        "rx_metadata": [{"gateway_ids": {"gateway_id": "roof"}, "rssi": -100, "snr": 3}],
    },
}  # fmt: skip
CHIRPSTACK = {
    "deduplicationId": "x", "deviceInfo": {"devEui": "70b3d57ed0000017"}, "fPort": 2, "fCnt": 1, "data": "AOc=",
    "rxInfo": [{"gatewayId": "0016c001f153a14c", "rssi": -50, "snr": 9}],
}  # fmt: skip


class World:
    def __init__(self):
        self.clock = clock()
        self.mounts = HttpMounts()
        self.shares = SharedResources(self.mounts, FrameGroups())
        self.intakes = {}
        self.sources = {}

    def source(self, preset, **settings):
        intake = self.intakes[preset] = FakeIntake()
        context = datasource_context(intake, self.clock, shares=self.shares, routing_key=preset)
        given = msgspec.convert({"preset": preset, "gatherWith": "fields", **settings}, HttpSourceSettings)
        self.sources[preset] = HttpSourceType(self.clock).build(given, context)
        self.sources[preset].start()

    def post(self, path, body):
        transport = StringTransport(peerAddress=IPv4Address("TCP", "192.0.2.7", 4000))
        channel = Site(MountRoot(self.mounts)).buildProtocol(transport.getPeer())
        channel.makeConnection(transport)
        data = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: gateway\r\nContent-Length: {len(data)}\r\n\r\n"
        channel.dataReceived(head.encode() + data)
        return transport


def test_both_are_answered_when_the_one_message_is_stored():
    world = World()
    world.source("the-things-stack")
    world.source("chirpstack")
    answers = [world.post("/i/the-things-stack", TTS), world.post("/i/chirpstack?event=up", CHIRPSTACK)]
    assert [answer.value() for answer in answers] == [b"", b""]
    world.clock.advance(1.0)
    assert all(b" 204 " in answer.value() for answer in answers)
    assert not world.intakes["chirpstack"].received
    ((_, metadata),) = [each[:2] for each in world.intakes["the-things-stack"].received]
    assert [each["gatewayId"] for each in metadata["gateways"]] == ["0016c001f153a14c", "roof"]
    assert world.sources["chirpstack"].status()["gatheredElsewhere"] == 1
    assert "gatheredElsewhere" not in world.sources["the-things-stack"].status()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"preset": "chirpstack", "gatherSeconds": 0}, "gatherSeconds: expected more than 0"),
        ({"preset": "none"}, "gatherWith: expected a preset"),
    ],
)
def test_a_group_needs_a_window_and_frames_that_are_told_apart(settings, reason):
    with pytest.raises(msgspec.ValidationError, match=reason):
        msgspec.convert({"gatherWith": "fields", **settings}, HttpSourceSettings)

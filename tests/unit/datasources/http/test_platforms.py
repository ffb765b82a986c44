"""Platforms that post: what their preset makes of a request, and what the answer is."""

from __future__ import annotations

import json

import msgspec
import pytest
from twisted.web.server import Site

from iotgw.api.site import OWN_PATHS
from iotgw.core.errors import SettingsError
from iotgw.core.model import Answer, Status
from iotgw.datasources.http.datasource import HttpSourceType
from iotgw.datasources.http.mounts import HttpMounts, MountRoot
from iotgw.datasources.http.settings import HttpSourceSettings
from iotgw.testing import FakeConnector
from tests.unit.datasources.fakes import FakeIntake, clock, context
from tests.unit.datasources.http.test_uploads import Field, body, status

TTS = {
    "end_device_ids": {"device_id": "probe-7", "dev_eui": "70B3D57ED0000017"},
    "received_at": "2023-05-19T05:33:35.848446463Z",
    "uplink_message": {"f_port": 2, "frm_payload": "AOc="},
}


def network(monkeypatch, **settings) -> Field:
    return Field(monkeypatch, profile="none", **settings)


def test_a_platform_s_message_is_an_uplink_whole_with_the_device_s_bytes_beside_it(monkeypatch):
    field = network(monkeypatch, preset="the-things-stack")
    headers = b"X-Downlink-Apikey: NNSXS.hush\r\nX-Downlink-Push: https://hush/\r\nX-Tts-Domain: eu1\r\n"
    assert status(field.post(TTS, headers=headers)) == 204
    ((payload, facts),) = field.intake.received
    assert json.loads(payload) == TTS
    assert (facts["identity"], facts["deviceName"], facts["frame"], facts["fPort"]) == (
        "probe-7",
        "probe-7",
        "00e7",
        2,
    )
    assert facts["Header:X-Tts-Domain"] == "eu1" and "hush" not in str(facts)


def test_a_downlink_is_not_written_into_an_answer_that_no_device_reads(monkeypatch):
    field = network(monkeypatch, preset="the-things-stack")
    field.intake.put("probe-7", b"\x01\x02")
    answer = field.post(TTS, path="/i/key?ttd=60")
    assert (status(answer), body(answer), field.intake.outcomes) == (204, b"", [])


def test_a_platform_is_answered_when_a_message_is_durable_whatever_its_converter_makes_of_it(monkeypatch):
    field = network(monkeypatch, preset="the-things-stack")
    assert field.intake.never_waits
    for says in (Answer(Status.FAILED, "1"), Answer(Status.REFUSED)):
        field.intake.says = says
        assert status(field.post(TTS)) == 204
    assert not network(monkeypatch).intake.never_waits


def test_what_happened_and_what_is_unknown_are_no_uplinks(monkeypatch):
    field = network(monkeypatch, preset="the-things-stack")
    assert status(field.post({"end_device_ids": {"device_id": "probe-7"}, "join_accept": {}})) == 204
    assert status(field.post({"dreamt": 1})) == 204
    assert field.intake.received == []
    assert field.intake.events == [("network.join_accept", "the network reports join_accept of probe-7")]
    assert field.source.status()["unknownKinds"] == field.source.status()["networkEvents"] == 1


@pytest.mark.parametrize(
    ("reaches", "status_", "outcomes"), [(None, 200, 1), (True, 200, 1), (False, 204, 0)]
)
def test_a_setting_says_whether_an_answer_reaches_the_device(monkeypatch, reaches, status_, outcomes):
    field = Field(monkeypatch, answersReachDevice=reaches)
    field.intake.put("a", b"\x01")
    assert status(field.post([{"device": "a", "data": "1"}], path="/i/key?ttd=1")) == status_
    assert len(field.intake.outcomes) == outcomes


def test_a_preset_of_one_s_own_is_written_in_the_settings(monkeypatch):
    own = {"device": {"identity": "body.serial"}, "payload": [{"at": "body.hex", "encoding": "hex"}]}
    field = network(monkeypatch, preset="custom", custom=own)
    assert status(field.post({"serial": "s1", "hex": "0a"})) == 204
    assert [(facts["identity"], facts["frame"]) for _, facts in field.intake.received] == [("s1", "0a")]


def test_what_a_platform_sends_again_is_one_message_also_after_a_restart(monkeypatch):
    field = network(monkeypatch, preset="the-things-stack")
    assert field.intake.recalls == 1
    known = TTS["uplink_message"] | {"session_key_id": "k", "f_cnt": 7}
    for _ in range(2):
        assert status(field.post(TTS | {"uplink_message": known})) == 204
    assert field.intake.keys == ["probe-7/k/7/2023-05-19T05:33:35.848446463Z"]
    assert [facts["uplinkKey"] for _, facts in field.intake.received] == field.intake.keys


def test_without_a_preset_nothing_has_a_key(monkeypatch):
    field = network(monkeypatch)
    for _ in range(2):
        field.post({"x": 1})
    assert (field.intake.keys, field.intake.recalls, len(field.intake.received)) == ([], 0, 2)


def test_with_an_api_what_waits_for_a_device_goes_by_it_and_not_into_the_answer():
    intake, connector = FakeIntake(), FakeConnector()
    api = {"server": "https://ns", "values": {"application": "a", "webhook": "w"}, "secrets": {"token": "t"}}
    settings = msgspec.convert({"preset": "the-things-stack", "downlinkApi": api}, HttpSourceSettings)
    given = context(intake, clock())
    source = HttpSourceType(clock(), connector).build(settings, given)
    source.start()
    intake.put("probe-7", b"\x01\x02")
    field = Field.__new__(Field)
    field.site = Site(MountRoot(given.shared(HttpMounts)))
    answer = field.post(TTS, path="/i/key?ttd=60")
    assert (status(answer), body(answer)) == (204, b"")
    assert len(connector.endpoints["ns", 443].attempts) == 1
    source.push({"identity": "probe-7"}, intake.take("probe-7", 1))
    assert source.status()["downlinkApi"]["waiting"] == 1
    assert intake.outcomes == []
    source.stop()
    assert intake.outcomes == [("probe-7-0", "returned")]


LOBARO = {
    "/api/chirpstack/uplink": ("chirpstack", "/api/chirpstack/uplink?event=up"),
    "/api/ttn/data": ("the-things-stack", "/api/ttn/data"),
    "/api/actility/data": ("thingpark", "/api/actility/data"),
    "/api/element-iot/data": ("element-iot", "/api/element-iot/data"),
    "/api/everynet/data": ("everynet", "/api/everynet/data"),
    "/api/wanesy": ("kerlink-wanesy", "/api/wanesy/dataUp"),
}


@pytest.mark.parametrize("path", LOBARO)
def test_a_datasource_answers_under_a_path_of_another_server_s_too(monkeypatch, path):
    preset, url = LOBARO[path]
    secret = {"secret": "x"} if preset == "thingpark" else {"headersFilter": {"X-Key": "hush"}}
    field = network(monkeypatch, preset=preset, path=path, **secret)
    assert field.source.status()["urls"] == ["/i/key", path]
    answer = status(field.post({}, path=url, headers=b"X-Key: hush\r\n"))
    assert answer == (401 if preset == "thingpark" else field.source.envelope.status)
    assert status(field.post({}, path=url)) == 401
    field.source.stop()
    assert status(field.post({}, path=url, headers=b"X-Key: hush\r\n")) == 404


def test_a_first_message_without_anything_is_answered_as_the_platform_that_tries_a_url_expects(monkeypatch):
    lists = ("reports", "registrations", "deregistrations", "updates", "expirations", "responses")
    assert status(network(monkeypatch, preset="iot-creators").post({name: [] for name in lists})) == 200


@pytest.mark.parametrize("preset", ["thingpark", "kpn-things"])
def test_a_platform_that_doesn_t_sign_proves_itself_by_a_header_and_one_without_any_proof_is_refused(
    monkeypatch, preset
):
    with pytest.raises(SettingsError, match="expected the key with which the platform signs"):
        network(monkeypatch, preset=preset)
    for proof, header in (
        ({"headersFilter": {"X-Key": "hush"}}, b"X-Key: hush\r\n"),
        ({"security": {"mode": "bearer", "token": "hush"}}, b"Authorization: Bearer hush\r\n"),
    ):
        field = network(monkeypatch, preset=preset, **proof)
        assert status(field.post({})) == 401
        assert status(field.post({}, headers=header)) == field.source.envelope.status
        both = network(monkeypatch, preset=preset, secret="key", **proof)
        assert status(both.post({}, headers=header)) == 401  # it has no signature


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"path": "/api/ttn/data"}, "anybody can guess a path"),
        ({"path": "api/ttn/data"}, "expected two or more segments"),
        ({"path": "/data"}, "expected two or more segments"),
        ({"path": "/a//b"}, "expected two or more segments"),
        ({"path": "/a/b?c"}, "expected two or more segments"),
    ],
)
def test_a_path_that_can_t_be_served_is_refused(settings, reason):
    with pytest.raises(msgspec.ValidationError, match=reason):
        msgspec.convert(settings, HttpSourceSettings)


def test_no_datasource_takes_the_api_s_own_paths(monkeypatch):
    mounts = HttpMounts(reserved=OWN_PATHS)
    for path in (("api",), ("api", "v1"), ("api", "v1", "devices"), ("health", "x"), ("i",)):
        with pytest.raises(SettingsError):
            mounts.add(path, None)
    mounts.add(("api", "ttn", "data"), None)


EVERYNET_ASKS = {
    "type": "downlink_request",
    "meta": {"device": "70b3d57ed0000017", "packet_hash": "691f54ad"},
    "params": {"counter_down": 3, "max_size": 2},
}


def test_a_network_that_asks_for_a_downlink_gets_it_in_the_answer(monkeypatch):
    field = network(monkeypatch, preset="everynet")
    assert (status(field.post(EVERYNET_ASKS)), field.intake.received) == (200, [])
    field.intake.put("70b3d57ed0000017", b"\x01\x02", b"\x01\x02\x03")
    answer = field.post(EVERYNET_ASKS)
    assert status(answer) == 200
    assert json.loads(body(answer)) == {
        "type": "downlink_response", "meta": EVERYNET_ASKS["meta"],
        "params": {"port": 1, "payload": "AQI=", "confirmed": False, "counter_down": 3},
    }  # fmt: skip
    assert status(field.post(EVERYNET_ASKS)) == 200
    assert field.intake.outcomes == [
        ("70b3d57ed0000017-0", "offered as 70b3d57ed0000017/3"),
        ("70b3d57ed0000017-1", "refused: expected at most 2 bytes at this data rate, got 3"),
    ]


def test_a_network_that_hangs_up_before_its_answer_is_out_leaves_the_downlink(monkeypatch):
    field = network(monkeypatch, preset="everynet")
    field.intake.put("70b3d57ed0000017", b"\x01")
    answer = field.post(EVERYNET_ASKS)
    assert b"AQ==" in answer.value()
    assert field.intake.outcomes == [("70b3d57ed0000017-0", "offered as 70b3d57ed0000017/3")]


def test_sigfox_s_device_that_listens_gets_its_eight_bytes_in_the_answer(monkeypatch):
    field = network(monkeypatch, preset="sigfox")
    callback = {"device": "1A2B3C", "data": "2a00", "time": 1795262400, "seqNumber": 7}
    field.intake.put("1A2B3C", b"\x01" * 8)
    assert status(field.post({**callback, "ack": False})) == 204
    answer = field.post({**callback, "seqNumber": 8, "ack": True})
    assert status(answer) == 200 and b'{"1A2B3C":{"downlinkData":"0101010101010101"}}' in answer.value()
    assert field.intake.outcomes == [("1A2B3C-0", "offered")]
    field.post({"device": "1A2B3C", "infoCode": 0})
    assert field.intake.outcomes[-1] == ("1A2B3C", "confirmed as sent")
    assert status(field.post(b"batch=1A2B3C%3B1795262500%3B2a01%3B9")) == 204
    assert [facts["seqNumber"] for _, facts in field.intake.received] == [7, 8, 9]


def test_loriot_s_rx_and_gw_of_one_frame_are_one_message(monkeypatch):
    field = network(monkeypatch, preset="loriot")
    frame = {
        "EUI": "70B3D57ED0000017",
        "seqno": 9,
        "fcnt": 17,
        "port": 2,
        "data": "00e7",
        "rssi": -90,
        "snr": 1,
    }
    first = field.post({**frame, "cmd": "rx"})
    heard = [{"gweui": "A", "rssi": -90, "snr": 1}, {"gweui": "B", "rssi": -50, "snr": 8}]
    second = field.post({**frame, "cmd": "gw", "gws": heard})
    assert first.value() == second.value() == b"" and field.intake.received == []
    field.clock.advance(1.0)
    ((payload, facts),) = field.intake.received
    assert json.loads(payload)["cmd"] == "gw"
    assert [each["gatewayId"] for each in facts["gateways"]] == ["B", "A"] and facts["gatewayId"] == "B"
    assert status(first) == status(second) == 204
    network(monkeypatch, preset="loriot", gatherSeconds=0).post({**frame, "cmd": "rx"})

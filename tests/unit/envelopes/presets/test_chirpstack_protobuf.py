"""ChirpStack's Protobuf encoding: messages that its own library wrote (chirpstack-api 4, google.protobuf)."""

from __future__ import annotations

import json

import pytest

from iotgw.core.errors import ProtocolError
from iotgw.core.model import Downlink
from iotgw.envelopes.envelope import Happened, Malformed, Reading, Receipt
from iotgw.envelopes.presets import chirpstack_protobuf
from iotgw.envelopes.presets.choices import named
from iotgw.envelopes.presets.envelope import PresetEnvelope
from iotgw.wire import protobuf
from iotgw.wire.protobuf import DEEPEST, MOST, Field

UP = bytes.fromhex(
    "0a083361633765336334120c08afecafd00610e8ee86b2021a420a01741a08313763383265393622066669656c647332056d657465723a0770726f62652d37"
    "4210373062336435376564303030303031374a090a04726f6f6d120133220830303138393434302801300138044002520200e75a5d0a170a016f12122a100a"
    "0e0a0178120911000000000000f03f0a080a026f6b120220010a1e0a046c697374121632140a0911000000000000f03f0a031a01610a0208000a180a0b7465"
    "6d70657261747572651209119a9999999919374062530a103030313663303031663135336131346310cfdeefda0f30dcffffffffffffffff013d0000284162"
    "0909000000000000f83f6a0545334f574f7a140a0b726567696f6e5f6e616d65120565753836388001026a1208a0cff89d03120a1a0808c8d00710072801"
)
JSON = {
    "deduplicationId": "3ac7e3c4", "time": "2026-05-19T05:33:35.641841Z",
    "deviceInfo": {
        "tenantId": "t", "applicationId": "17c82e96", "applicationName": "fields", "deviceProfileName": "meter",
        "deviceName": "probe-7", "devEui": "70b3d57ed0000017", "tags": {"room": "3"},
    },
    "devAddr": "00189440", "adr": True, "dr": 1, "fCnt": 4, "fPort": 2, "data": "AOc=",
    "object": {"temperature": 23.1, "list": [1.0, "a", None], "ok": True, "o": {"x": 1.0}},
    "rxInfo": [
        {
            "gatewayId": "0016c001f153a14c", "uplinkId": 4217106255, "rssi": -36, "snr": 10.5, "location": {"latitude": 1.5},
            "context": "RTNPV08=", "metadata": {"region_name": "eu868"}, "crcStatus": "CRC_OK",
        }
    ],
    "txInfo": {"frequency": 868100000, "modulation": {"lora": {"bandwidth": 125000, "spreadingFactor": 7, "codeRate": "CR_4_5"}}},
}  # fmt: skip
"""What google.protobuf.json_format made of it."""
DEVICE = "120608afecafd0061a12421037306233643537656430303030303137"
ITEM = "2430313233343536372d383961622d386364652d383036372d366637343637373730303030"
NAMED = "dl0123456789abcde0"


def read(data: bytes, event: str):
    return PresetEnvelope(named("chirpstack")).read(data, {"query": {"event": event}}, 0)[0]


def test_an_uplink_is_what_its_json_form_is():
    assert chirpstack_protobuf.read(UP, "up") == JSON
    reading = read(UP, "up")
    as_json = read(json.dumps(JSON).encode(), "up")
    assert isinstance(reading, Reading) and json.loads(reading.payload) == JSON
    assert (reading.facts, reading.identity, reading.key) == (as_json.facts, as_json.identity, as_json.key)
    assert reading.facts["frame"] == "00e7"


@pytest.mark.parametrize(
    ("event", "rest", "expected"),
    [
        ("ack", f"22{ITEM}28013003", Receipt("70b3d57ed0000017", "delivered", "ChirpStack: ack", NAMED)),
        (
            "ack",
            f"22{ITEM}",
            Receipt("70b3d57ed0000017", "lost", "ChirpStack: ack: not acknowledged by the device", NAMED),
        ),
        ("txack", f"22{ITEM}320430303136", Receipt("70b3d57ed0000017", "sent", "ChirpStack: txack", NAMED)),
    ],
)
def test_a_receipt_names_its_item(event, rest, expected):
    assert read(bytes.fromhex(DEVICE + rest), event) == expected


def test_a_log_entry_refuses_its_item():
    head = "0a0608afecafd006121242103730623364353765643030303030313718022001"
    data = bytes.fromhex(f"{head}2a09746f6f206c6172676532350a0d71756575655f6974656d5f696412{ITEM}")
    assert read(data, "log") == Receipt("70b3d57ed0000017", "refused", "ChirpStack: log: too large", NAMED)


@pytest.mark.parametrize(
    ("event", "rest", "detail"),
    [
        ("status", "28fbffffffffffffffff01450000b542", {"margin": -5, "batteryLevel": 90.5}),
        ("join", "22083030313839343430", {"devAddr": "00189440"}),
        (
            "location",
            "220b09cdcccccccc0c48402003",
            {"location": {"latitude": 48.1, "source": "GEO_RESOLVER_TDOA"}},
        ),
    ],
)
def test_what_happened_is_an_event(event, rest, detail):
    happened = read(bytes.fromhex(DEVICE + rest), event)
    assert isinstance(happened, Happened)
    assert {name: happened.detail[name] for name in detail} == detail


def test_a_downlink_goes_in_the_form_in_which_the_platform_speaks():
    envelope = PresetEnvelope(named("chirpstack"), publishes=True)
    topic = "application/1/device/70b3d57ed0000017/event/up"
    item = Downlink(NAMED, "d", b"\xbe\xef", "BINARY", {"fPort": 2}, True)
    assert envelope.publish(item, "70b3d57ed0000017", topic).content_type == "application/json"
    envelope.read(UP, {"topic": topic}, 0)
    command = envelope.publish(item, "70b3d57ed0000017", topic)
    assert command.payload.hex() == f"0a{ITEM}121037306233643537656430303030303137180120022a02beef"
    envelope.read(json.dumps(JSON).encode(), {"topic": topic}, 0)
    assert envelope.publish(item, "70b3d57ed0000017", topic).content_type == "application/json"


def test_damage_is_no_exception():
    for at in range(len(UP)):
        for byte in (0, 0x7F, 0x80, 0xFF):
            event = read(UP[:at] + bytes([byte]) + UP[at + 1 :], "up")
            assert isinstance(event, Reading | Malformed)
        assert isinstance(read(UP[:at], "up"), Reading | Malformed)
    assert isinstance(read(UP, "unknown"), Malformed)
    assert isinstance(read(b"\x0a\x01x", "up"), Malformed)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x0a\x05x", "cut off"),
        (b"\x0a", "cut off"),
        (b"\xff" * 11, "cut off"),
        (b"\x03", "number of a field"),
        (b"\x0b", "wire type 3"),
        (b"\x08\x01", "expected bytes"),
        (b"\x10\x01" * (MOST + 1), "fields"),
        (b"\x12\x01x", "expected a number"),
        (b"\x1a\x01x", "another size"),
        (b"\x22\x02\x08\xff", "cut off"),
        (b"\x22\x0b\x08" + b"\xff" * 9 + b"\x01", "since 1970"),
    ],
)
def test_what_is_no_message_is_refused(data, reason):
    table = {
        1: Field("text", "text"),
        2: Field("number", "uint"),
        3: Field("real", "double"),
        4: Field("time", "time"),
    }
    with pytest.raises(ProtocolError, match=reason):
        protobuf.decode(data, table)


def test_levels_and_what_is_no_finite_number_are_bounded():
    table: dict[int, Field] = {}
    table[1] = Field("in", table)
    data = b""
    for _ in range(DEEPEST + 1):
        data = protobuf.field(1, data)
    with pytest.raises(ProtocolError, match="levels"):
        protobuf.decode(data, table)
    nan = {1: Field("x", "float"), 2: Field("e", ("A",))}
    assert protobuf.decode(bytes.fromhex("0d0000c07f1005"), nan) == {"x": None, "e": 5}
    deep = b"\x2a\x00"
    for _ in range(40):
        deep = protobuf.field(5, protobuf.field(1, protobuf.field(2, deep)))
    with pytest.raises(ProtocolError):
        protobuf.decode(
            protobuf.field(1, protobuf.field(1, protobuf.field(2, deep))), {1: Field("s", "struct")}
        )

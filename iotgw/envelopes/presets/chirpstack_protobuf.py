"""ChirpStack's messages in its Protobuf encoding, as its JSON encoding has them; chirpstack api/proto/integration/integration.proto,
gw/gw.proto and common/common.proto."""

from __future__ import annotations

import base64
from typing import Any

from iotgw.core.errors import ProtocolError
from iotgw.wire import protobuf
from iotgw.wire.protobuf import Field

_DEVICE = {
    1: Field("tenantId", "text"),
    2: Field("tenantName", "text"),
    3: Field("applicationId", "text"),
    4: Field("applicationName", "text"),
    5: Field("deviceProfileId", "text"),
    6: Field("deviceProfileName", "text"),
    7: Field("deviceName", "text"),
    8: Field("devEui", "text"),
    9: Field("tags", "map"),
    10: Field("deviceClassEnabled", ("CLASS_A", "CLASS_B", "CLASS_C")),
}
_LOCATION = {
    1: Field("latitude", "double"),
    2: Field("longitude", "double"),
    3: Field("altitude", "double"),
    4: Field(
        "source",
        (
            "UNKNOWN",
            "GPS",
            "CONFIG",
            "GEO_RESOLVER_TDOA",
            "GEO_RESOLVER_RSSI",
            "GEO_RESOLVER_GNSS",
            "GEO_RESOLVER_WIFI",
        ),
    ),
    5: Field("accuracy", "float"),
}
_RX = {
    1: Field("gatewayId", "text"),
    2: Field("uplinkId", "uint"),
    3: Field("gwTime", "time"),
    6: Field("rssi", "int"),
    7: Field("snr", "float"),
    8: Field("channel", "uint"),
    9: Field("rfChain", "uint"),
    10: Field("board", "uint"),
    11: Field("antenna", "uint"),
    12: Field("location", _LOCATION),
    13: Field("context", "bytes"),
    15: Field("metadata", "map"),
    16: Field("crcStatus", ("NO_CRC", "BAD_CRC", "CRC_OK")),
    17: Field("nsTime", "time"),
}
_CODE_RATE = (
    "CR_UNDEFINED", "CR_4_5", "CR_4_6", "CR_4_7", "CR_4_8", "CR_3_8", "CR_2_6", "CR_1_4", "CR_1_6", "CR_5_6", "CR_LI_4_5",
    "CR_LI_4_6", "CR_LI_4_8",
)  # fmt: skip
_LORA = {
    1: Field("bandwidth", "uint"),
    2: Field("spreadingFactor", "uint"),
    4: Field("polarizationInversion", "bool"),
    5: Field("codeRate", _CODE_RATE),
    6: Field("preamble", "uint"),
    7: Field("noCrc", "bool"),
}
_FSK = {1: Field("frequencyDeviation", "uint"), 2: Field("datarate", "uint")}
_LR_FHSS = {
    1: Field("operatingChannelWidth", "uint"),
    3: Field("gridSteps", "uint"),
    4: Field("codeRate", _CODE_RATE),
}
_MODULATION = {3: Field("lora", _LORA), 4: Field("fsk", _FSK), 5: Field("lrFhss", _LR_FHSS)}
_TX = {1: Field("frequency", "uint"), 2: Field("modulation", _MODULATION)}
_HEAD = {1: Field("deduplicationId", "text"), 2: Field("time", "time"), 3: Field("deviceInfo", _DEVICE)}
EVENTS: dict[str, dict[int, Field]] = {
    "up": {
        **_HEAD,
        4: Field("devAddr", "text"),
        5: Field("adr", "bool"),
        6: Field("dr", "uint"),
        7: Field("fCnt", "uint"),
        8: Field("fPort", "uint"),
        9: Field("confirmed", "bool"),
        10: Field("data", "bytes"),
        11: Field("object", "struct"),
        12: Field("rxInfo", _RX, True),
        13: Field("txInfo", _TX),
        16: Field("regionConfigId", "text"),
    },
    "join": {**_HEAD, 4: Field("devAddr", "text"), 7: Field("regionConfigId", "text")},
    "ack": {**_HEAD, 4: Field("queueItemId", "text"), 5: Field("acknowledged", "bool"), 6: Field("fCntDown", "uint")},
    "txack": {
        1: Field("downlinkId", "uint"),
        2: Field("time", "time"),
        3: Field("deviceInfo", _DEVICE),
        4: Field("queueItemId", "text"),
        5: Field("fCntDown", "uint"),
        6: Field("gatewayId", "text"),
    },
    "log": {
        1: Field("time", "time"),
        2: Field("deviceInfo", _DEVICE),
        3: Field("level", ("INFO", "WARNING", "ERROR")),
        4: Field(
            "code",
            (
                "UNKNOWN", "DOWNLINK_PAYLOAD_SIZE", "UPLINK_CODEC", "DOWNLINK_CODEC", "OTAA", "UPLINK_F_CNT_RESET", "UPLINK_MIC",
                "UPLINK_F_CNT_RETRANSMISSION", "DOWNLINK_GATEWAY", "RELAY_NEW_END_DEVICE", "F_CNT_DOWN", "EXPIRED",
            ),
        ),
        5: Field("description", "text"),
        6: Field("context", "map"),
    },
    "status": {
        **_HEAD,
        5: Field("margin", "int"),
        6: Field("externalPowerSource", "bool"),
        7: Field("batteryLevelUnavailable", "bool"),
        8: Field("batteryLevel", "float"),
    },
    "location": {**_HEAD, 4: Field("location", _LOCATION)},
}  # fmt: skip
"""The fields of each kind of message."""


def read(data: bytes, event: str) -> dict[str, Any] | None:
    """A message of a kind (``up``, ``ack``, …) as JSON has it; None for what is none."""
    table = EVENTS.get(event)
    if table is None or not data:
        return None
    try:
        found = protobuf.decode(data, table)
    except ProtocolError:
        return None
    return found if "deviceInfo" in found else None


def write(body: dict[str, Any]) -> bytes:
    """A ``DownlinkCommand`` of what its JSON form is. Raises ValueError."""
    payload = base64.b64decode(str(body.get("data", "")), validate=True)
    parts = [
        protobuf.field(1, str(body.get("id", "")).encode()),
        protobuf.field(2, str(body.get("devEui", "")).encode()),
        *([protobuf.field(3, 1)] if body.get("confirmed") else []),
        protobuf.field(4, int(body.get("fPort", 0))),
        protobuf.field(5, payload),
    ]
    return b"".join(parts)

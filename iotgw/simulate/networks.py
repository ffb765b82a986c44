"""More platforms as `iotgw.simulate.platforms` has them: what each posts for an uplink, made of its documents."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from urllib.parse import unquote

from iotgw.simulate.radio import Form, Post, RadioFrame

AS_KEY = "00112233445566778899aabbccddeeff"
"""The key of ThingPark's example in the documentation."""
SHARED_SECRET = "my-shared-secret"
"""The secret of KPN's example there."""


def chirpstack_v3(frame: RadioFrame) -> Post:
    """ChirpStack v3's ``up``: the DevEUI is in base64."""
    return Post(
        "?event=up",
        {
            "applicationID": "1",
            "applicationName": "simulated",
            "deviceName": f"node-{frame.eui[-4:]}",
            "devEUI": base64.b64encode(bytes.fromhex(frame.eui)).decode(),
            "rxInfo": [{"gatewayID": "AAFDgP//AAE=", "time": frame.iso, "rssi": frame.rssi, "loRaSNR": 7.5}],
            "txInfo": {
                "frequency": 868100000,
                "loRaModulationInfo": {"bandwidth": 125, "spreadingFactor": 7},
            },
            "fCnt": frame.counter,
            "fPort": frame.port,
            "data": frame.base64,
        },
    )


def milesight_gateway(frame: RadioFrame) -> Post:
    """A Milesight gateway's uplink."""
    return Post(
        "/up",
        {
            "applicationID": 1,
            "deviceName": f"node-{frame.eui[-4:]}",
            "devEUI": frame.eui.lower(),
            "time": frame.iso,
            "rxInfo": [{"mac": "24e124fffef00001", "rssi": frame.rssi, "loRaSNR": 7.5}],
            "txInfo": {"frequency": 868100000, "dataRate": {"bandwidth": 125, "spreadFactor": 7}},
            "fCnt": frame.counter,
            "fPort": frame.port,
            "data": frame.base64,
        },
    )


def thingpark(frame: RadioFrame) -> Post:
    """ThingPark's ``DevEUI_uplink``, signed."""
    report = {
        "Time": frame.iso.replace("Z", "+00:00"),
        "DevEUI": frame.eui,
        "FPort": frame.port,
        "FCntUp": frame.counter,
        "payload_hex": frame.payload.hex(),
        "LrrRSSI": float(frame.rssi),
        "LrrSNR": 7.5,
        "SpFact": 7,
        "Lrrid": "00000065",
        "CustomerID": "100000507",
    }
    return thingpark_post("DevEUI_uplink", report)


def thingpark_post(name: str, report: dict[str, Any], key: str = AS_KEY) -> Post:
    """A report of ThingPark, signed."""
    query = f"LrnDevEui={report['DevEUI']}&LrnFPort={report['FPort']}&LrnInfos=TWA_1&AS_ID=simulated&Time={report['Time']}"
    signed = ("CustomerID", "DevEUI", "FPort", "FCntUp", "payload_hex", "FCntDn")
    said = "".join(str(report[field]) for field in signed if field in report)
    token = hashlib.sha256(f"{said}{unquote(query)}{key}".encode()).hexdigest()
    return Post(f"?{query}&Token={token}", {name: report})


def kpn_things(frame: RadioFrame, secret: str = SHARED_SECRET) -> Post:
    """KPN's raw SenML pack, signed."""
    name = f"urn:dev:DEVEUI:{frame.eui}:"
    pack = [
        {"bn": name, "bt": frame.now_ms / 1000, "n": "payload", "vs": frame.payload.hex()},
        {"n": "port", "v": float(frame.port)},
    ]
    token = hashlib.sha256(json.dumps(pack).encode() + secret.encode()).hexdigest()
    return Post("", pack, {"Things-Message-Token": token})


def element_iot(frame: RadioFrame) -> Post:
    """ELEMENT's packet."""
    meta = {"device_eui": frame.eui, "frame_port": frame.port, "frame_count_up": frame.counter}
    return Post(
        "",
        {
            "id": f"{frame.eui}-{frame.now_ms}",
            "device_id": f"device-{frame.eui}",
            "packet_type": "up",
            "payload": frame.payload.hex(),
            "payload_encoding": "binary",
            "transceived_at": frame.iso,
            "meta": {
                **meta,
                "gateway_stats": [{"router_id_hex": "0016C001F153A14C", "rssi": frame.rssi, "snr": 7.5}],
            },
        },
    )


def helium(frame: RadioFrame) -> Post:
    """The Console's uplink."""
    return Post(
        "",
        {
            "type": "uplink",
            "uuid": f"{frame.eui}-{frame.now_ms}",
            "id": f"device-{frame.eui}",
            "name": f"node-{frame.eui[-4:]}",
            "dev_eui": frame.eui,
            "fcnt": frame.counter,
            "port": frame.port,
            "payload": frame.base64,
            "reported_at": frame.now_ms,
            "hotspots": [
                {"name": "roof", "rssi": frame.rssi, "snr": 7.5, "spreading": "SF7BW125", "frequency": 868.1}
            ],
        },
    )


def netmore(frame: RadioFrame) -> Post:
    """Netmore's array of one; numbers are texts."""
    return Post(
        "",
        [
            {
                "devEui": frame.eui.lower(),
                "fPort": str(frame.port),
                "fCntUp": frame.counter,
                "payload": frame.payload.hex(),
                "timestamp": frame.iso,
                "rssi": str(frame.rssi),
                "snr": "7.5",
                "spreadingFactor": "7",
                "gatewayIdentifier": "roof",
            }
        ],
    )


FORMS: dict[str, Form] = {
    "chirpstack-v3": chirpstack_v3,
    "element-iot": element_iot,
    "helium": helium,
    "kpn-things": kpn_things,
    "milesight-gateway": milesight_gateway,
    "netmore": netmore,
    "netmore-portal": netmore,
    "thingpark": thingpark,
}

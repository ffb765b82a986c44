"""What platforms make of calls of their APIs: logins, and downlinks with what is said of them later."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from iotgw.simulate.networks import thingpark_post
from iotgw.simulate.radio import Post


class Called(NamedTuple):
    """A downlink that was handed to a platform's API: for which device (empty: it was a login), the status and body of the answer, and
    what the platform posts about it later."""

    eui: str
    status: int
    answer: Any
    posts: list[Post] = []
    headers: dict[str, str] = {}


class _Call(NamedTuple):
    """A call: its path, the parameters of its query, and its body as JSON or as a form's text."""

    path: str
    query: dict[str, str]
    body: Any


def called(platform: str, target: str, body: bytes) -> Called | None:
    """What a platform makes of a call of its API; None if that is no downlink."""
    reader = _CALLS.get(platform)
    if reader is None:
        return None
    try:
        url = urlsplit(target)
        query = {name: found[0] for name, found in parse_qs(url.query).items()}
        return reader(_Call(url.path, query, json.loads(body) if body[:1] in (b"{", b"[") else body.decode()))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return None


def _found(pattern: str, path: str) -> str:
    """The device that a path names; raises ValueError."""
    match = re.search(pattern, path)
    if match is None:
        raise ValueError(path)
    return match[1].upper()


def _the_things_stack(call: _Call) -> Called:
    eui = _found(r"/devices/eui-([0-9a-f]{16})/down/push$", call.path)
    downlink = call.body["downlinks"][0]
    device = {"end_device_ids": {"device_id": f"eui-{eui.lower()}", "dev_eui": eui}}
    words = ["downlink_queued", "downlink_sent", *(["downlink_ack"] if downlink.get("confirmed") else [])]
    return Called(eui, 200, {}, [Post("", {**device, word: downlink}) for word in words])


def _chirpstack(call: _Call) -> Called:
    eui, id = _found(r"/api/devices/([0-9a-f]{16})/queue$", call.path), str(uuid4())
    event = {"deviceInfo": {"devEui": eui.lower()}, "queueItemId": id}
    posts = [Post("?event=txack", event)]
    if call.body["queueItem"].get("confirmed"):
        posts.append(Post("?event=ack", {**event, "acknowledged": True}))
    return Called(eui, 200, {"id": id}, posts)


def _chirpstack_v3(call: _Call) -> Called:
    eui = _found(r"/api/devices/([0-9a-f]{16})/queue$", call.path)
    item = call.body["deviceQueueItem"]
    counter = _number(item)
    event = {"devEUI": eui.lower(), "fCnt": counter}
    posts = [Post("?event=txack", event)]
    if item.get("confirmed"):
        posts.append(Post("?event=ack", {**event, "acknowledged": True}))
    return Called(eui, 200, {"fCnt": counter}, posts)


def _thingpark(call: _Call) -> Called:
    query = call.query
    report = {
        "Time": query["Time"],
        "DevEUI": query["DevEUI"],
        "FPort": int(query["FPort"]),
        "FCntDn": 1,
        "CorrelationID": query["CorrelationID"],
        "DeliveryStatus": 1,
        "CustomerID": "100000507",
    }
    return Called(query["DevEUI"], 202, None, [thingpark_post("DevEUI_downlink_Sent", report)])


def _loriot(call: _Call) -> Called:
    eui = call.body["EUI"].upper()
    sent = Post("", {"cmd": "txd", "EUI": eui, "seqdn": 0})
    return Called(eui, 200, {"success": True, "seqdn": 0}, [sent])


def _kpn_things(call: _Call) -> Called:
    if not call.path.endswith("/downlinks"):
        return Called("", 200, {"access_token": "simulated", "expires_in": 3600})
    return Called(call.body[0]["bn"].split(":")[3], 200, {})


def _element_iot(call: _Call) -> Called:
    eui = _found(r"/devices/by-eui/([0-9A-F]{16})/actions/send_down_frame$", call.path)
    return Called(eui, 200, {"ok": True, "status": 200, "body": {"id": str(uuid4())}})


def _helium(call: _Call) -> Called:
    return Called(_found(r"/api/v1/down/[^/]+/[^/]+/device-([0-9A-F]{16})$", call.path), 200, None)


def _kerlink_wanesy(call: _Call) -> Called:
    if call.path.endswith("/login"):
        return Called("", 201, {"token": "simulated", "tokenType": "Bearer"})
    id = uuid4().hex[:24]
    said = {"dataDownId": id, "event": "DOWNLINK", "status": "OK"}
    eui = call.body["endDevice"]["devEui"]
    return Called(
        eui, 201, None, [Post("/dataDownEvent", said)], {"location": f"/gms/application/dataDown/{id}"}
    )


def _huawei_iotda(call: _Call) -> Called:
    if call.path.endswith("/v3/auth/tokens"):
        return Called("", 201, {"token": {}}, headers={"x-subject-token": "simulated"})
    eui = _found(r"/devices/device-([0-9A-F]{16})/messages$", call.path)
    id = call.body["message_id"]
    header = {"device_id": f"device-{eui}", "node_id": eui}
    notify = {"header": header, "body": {"message_id": id, "status": "DELIVERED"}}
    post = Post("", {"resource": "device.message.status", "event": "update", "notify_data": notify})
    return Called(eui, 201, {"message_id": id}, [post])


def _oceanconnect(call: _Call) -> Called:
    if call.path.endswith("/login"):
        return Called("", 200, {"accessToken": "simulated", "tokenType": "bearer", "expiresIn": 3600})
    eui, id = call.body["deviceId"], uuid4().hex
    states = [{"deviceId": eui, "commandId": id, "result": {"resultCode": code}} for code in ("SENT", "DELIVERED", "SUCCESSFUL")]  # fmt: skip
    return Called(eui, 201, {"commandId": id, "status": "PENDING"}, [Post("", state) for state in states])


def _iot_creators(call: _Call) -> Called:
    return Called(_found(r"/m2m/endpoints/IMEI:([0-9A-F]{16})/downlinkMsg/0/data$", call.path), 200, {})


def _particle(call: _Call) -> Called:
    eui = _found(r"/v1/devices/([0-9A-F]{16})/[^/]+$", call.path)
    return Called(eui, 200, {"id": eui, "connected": True, "return_value": len(call.body["arg"])})


def _netmore(call: _Call) -> Called:
    return Called(_found(r"/devices/LoRaWAN/([0-9a-f]{16})/LoRaWAN/downlink$", call.path), 200, 4711)


def _netmore_portal(call: _Call) -> Called:
    if "/core/login/" in call.path:
        return Called("", 200, {"success": True, "token": "simulated"})
    eui = _found(r"/net/sensors/([0-9A-F]{16})/downlink$", call.path)
    said = {"requestId": call.query["requestId"], "devEui": eui.lower()}
    states = [{**said, "deliveryStatus": status} for status in ("QUEUED", "DOWNLINK_SENT")]
    return Called(eui, 200, {"success": True}, [Post("", [state]) for state in states])


def _number(value: Any) -> int:
    """A frame counter for a downlink: another one for another."""
    return int.from_bytes(hashlib.sha256(json.dumps(value).encode() + uuid4().bytes).digest()[:2], "big")


_CALLS: dict[str, Callable[[_Call], Called]] = {
    "ttn": _the_things_stack,
    "chirpstack": _chirpstack,
    "chirpstack-v3": _chirpstack_v3,
    "thingpark": _thingpark,
    "loriot": _loriot,
    "kpn-things": _kpn_things,
    "element-iot": _element_iot,
    "helium": _helium,
    "kerlink-wanesy": _kerlink_wanesy,
    "huawei-iotda": _huawei_iotda,
    "oceanconnect": _oceanconnect,
    "iot-creators": _iot_creators,
    "particle": _particle,
    "netmore": _netmore,
    "netmore-portal": _netmore_portal,
}
ANSWERING = tuple(_CALLS)
"""The platforms whose API is simulated."""

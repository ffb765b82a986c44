"""What platforms say of downlinks: after an answer that carried one, and after a call of their API."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import uuid4

from iotgw.simulate.radio import Post


class Called(NamedTuple):
    """A downlink that was handed to a platform's API: for which device, the status and body of the answer, and what the platform
    posts about it later."""

    eui: str
    status: int
    answer: Any
    posts: list[Post]


def asked(platform: str, eui: str, counter: int) -> list[Post]:
    """What a platform asks after an uplink of a device."""
    if platform != "everynet":
        return []
    meta = {"device": eui.lower(), "packet_hash": f"{eui}{counter}"}
    return [
        Post(
            "",
            {"type": "downlink_request", "meta": meta, "params": {"counter_down": counter, "max_size": 51}},
        )
    ]


def answered(platform: str, eui: str, body: bytes) -> list[Post] | None:
    """What a platform says of the downlink in an answer; None if the answer has none."""
    try:
        found = json.loads(body)
    except ValueError:
        return None
    if platform == "sigfox" and isinstance(found, dict) and eui in found:
        return [Post("", {"device": eui, "infoCode": 0, "infoMessage": "Acked"})]
    if platform == "everynet" and isinstance(found, dict) and found.get("type") == "downlink_response":
        counter = found.get("params", {}).get("counter_down")
        return [
            Post("", {"type": "downlink", "meta": found.get("meta"), "params": {"counter_down": counter}})
        ]
    return None


def called(platform: str, path: str, body: bytes) -> Called | None:
    """What a platform makes of a call of its API; None if that is no downlink."""
    reader = _CALLS.get(platform)
    if reader is None:
        return None
    try:
        return reader(path, json.loads(body) if body else {})
    except (ValueError, KeyError, IndexError, TypeError):
        return None


def _the_things_stack(path: str, body: Any) -> Called | None:
    match = re.search(r"/devices/eui-([0-9a-f]{16})/down/push$", path)
    if match is None:
        return None
    downlink = body["downlinks"][0]
    device = {"end_device_ids": {"device_id": f"eui-{match[1]}", "dev_eui": match[1].upper()}}
    words = ["downlink_queued", "downlink_sent", *(["downlink_ack"] if downlink.get("confirmed") else [])]
    return Called(match[1].upper(), 200, {}, [Post("", {**device, word: downlink}) for word in words])


def _chirpstack(path: str, body: Any) -> Called | None:
    match = re.search(r"/api/devices/([0-9a-f]{16})/queue$", path)
    if match is None:
        return None
    item, id = body["queueItem"], str(uuid4())
    event = {"deviceInfo": {"devEui": match[1]}, "queueItemId": id}
    posts = [Post("?event=txack", event)]
    if item.get("confirmed"):
        posts.append(Post("?event=ack", {**event, "acknowledged": True}))
    return Called(match[1].upper(), 200, {"id": id}, posts)


def _loriot(path: str, body: Any) -> Called | None:
    sent = Post("", {"cmd": "txd", "EUI": body["EUI"], "seqdn": 0})
    return Called(body["EUI"].upper(), 200, {"success": True, "seqdn": 0}, [sent])


_CALLS: dict[str, Callable[[str, Any], Called | None]] = {
    "ttn": _the_things_stack,
    "chirpstack": _chirpstack,
    "loriot": _loriot,
}
ANSWERING = tuple(_CALLS)
"""The platforms whose API is simulated."""

"""What five platforms' envelopes say, read by hand: the presets must find the same."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

from msgspec import Struct


class Said(Struct, frozen=True):
    """The device, its bytes, port, counter and time (ms since 1970; None if the envelope has none)."""

    device: str
    frame: bytes
    port: int
    counter: int
    time: int | None


def padded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4))


def at(text: str | None) -> int | None:
    return None if not text else int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)


def chirpstack(body: dict[str, Any]) -> Said:
    said = body.get("time")
    port = body.get("fPort", 0)
    data = padded(body.get("data") or "") if port else b""
    return Said(body["deviceInfo"]["devEui"].lower(), data, port, body.get("fCnt", 0), at(said))


def chirpstack_v3(body: dict[str, Any]) -> Said:
    eui = body["devEUI"]
    device = eui.lower() if len(eui) == 16 else padded(eui).hex()
    said = (body.get("rxInfo") or [{}])[0].get("time") or body.get("publishedAt")
    return Said(device, padded(body.get("data") or ""), body.get("fPort", 0), body.get("fCnt", 0), at(said))


def loriot(body: dict[str, Any]) -> Said:
    data = bytes.fromhex(body.get("data") or "")
    return Said(body["EUI"].upper(), data, body.get("port", 0), body.get("fcnt", 0), body.get("ts"))


def the_things_stack(body: dict[str, Any]) -> Said:
    up = body["uplink_message"]
    said = up.get("received_at") or body.get("received_at")
    data = padded(up.get("frm_payload") or "") if up.get("f_port") else b""
    device = body["end_device_ids"]["device_id"]
    return Said(device, data, up.get("f_port", 0), up.get("f_cnt", 0), at(said))


def thingpark(body: dict[str, Any]) -> Said:
    up = body["DevEUI_uplink"]
    data = bytes.fromhex(up.get("payload_hex") or "")
    return Said(
        up["DevEUI"].upper(), data, int(up.get("FPort", 0)), int(up.get("FCntUp", 0)), at(up.get("Time"))
    )

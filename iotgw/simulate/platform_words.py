"""What platforms ask after an uplink, and what they say of an answer that carried a downlink."""

from __future__ import annotations

import json

from iotgw.simulate.radio import Post


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

"""Turns what a target sends back for a device into an item for the downlink queue."""

from __future__ import annotations

import base64
from typing import Any

from iotgw.core import plain_json


def item_of(data: bytes) -> dict[str, Any]:
    """Make a downlink item of received bytes. An object with ``msg`` or ``data`` is one already (as the API
    takes it), other JSON becomes ``msg``, and anything else becomes ``data`` in base64."""
    try:
        value = plain_json.decode(data)
    except plain_json.NotJson:
        return {"data": base64.b64encode(data).decode(), "contentType": "BINARY"}
    if isinstance(value, dict) and ("msg" in value or "data" in value):
        return value
    return {"msg": value}


Items = list[tuple[str, dict[str, Any]]]
"""Device and item of each downlink."""
MOST_ITEMS = 100
"""Downlinks that one response may carry: more than a target has to say at once, and few enough to be stored, recorded
and sent as events between two messages."""


def items_of(data: bytes, device: str, most: int = MOST_ITEMS) -> tuple[Items, int]:
    """The downlinks in a response, at most ``most``, and how many more there were. An array carries several; an object may
    name its ``deviceName``, else it is for ``device`` (none when empty)."""
    if not data.strip():
        return [], 0
    try:
        value = plain_json.decode(data)
    except plain_json.NotJson:
        return [], 0  # a web page or some text: no downlink
    found: Items = []
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, dict) and ("msg" in one or "data" in one):
            item = dict(one)
            name = str(item.pop("deviceName", "") or device)
            if name:
                found.append((name, item))
    return found[:most], max(0, len(found) - most)

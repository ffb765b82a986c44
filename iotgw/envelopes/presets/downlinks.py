"""What a preset's expressions on a downlink see."""

from __future__ import annotations

import base64
from typing import Any

from iotgw.core import plain_json
from iotgw.core.model import Downlink
from iotgw.envelopes.presets import ids
from iotgw.envelopes.presets.form import DownlinkForm


def _json(payload: bytes) -> Any:
    try:
        return plain_json.decode(payload)
    except plain_json.NotJson:
        return None


def downlink_facts(form: DownlinkForm | None, item: Downlink, identity: str) -> dict[str, Any]:
    """The facts of a downlink for the device with this identity. Raises ValueError for one that the network doesn't take."""
    port = item.metadata.get("fPort", item.metadata.get("port", form.port if form is not None else 1))
    if isinstance(port, float) and port.is_integer():
        port = int(port)
    if form is not None:
        if type(port) is not int or not form.lowest_port <= port <= form.highest_port:
            raise ValueError(f"fPort: expected {form.lowest_port} to {form.highest_port}, got {port!r}"[:200])
        if len(item.payload) > form.largest:
            raise ValueError(f"expected at most {form.largest} bytes, got {len(item.payload)}")
    return {
        "identity": identity,
        "id": ids.as_text(item.id, item.attempt),
        "uuid": ids.as_uuid(item.id, item.attempt),
        "hex64": ids.as_hex64(item.id, item.attempt),
        "base64": base64.b64encode(item.payload).decode(),
        "hex": item.payload.hex(),
        "text": item.payload.decode("utf-8", "replace"),
        "json": _json(item.payload),
        "fPort": port,
        "confirmed": item.confirmed,
        "metadata": item.metadata,
    }

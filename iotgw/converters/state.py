"""What scripts keep of their devices between messages, on request: bounded in size and in age."""

from __future__ import annotations

from collections import OrderedDict

import msgspec
from msgspec import Struct

MAX_STATE = 16 << 10
"""Bytes of one device's state, as JSON."""
MAX_DEVICES = 100_000


class _Identity(Struct):
    deviceName: str | int | None = None
    devEui: str | None = None
    devEUI: str | None = None
    imei: str | int | None = None
    identity: str | None = None
    deviceId: str | int | None = None


_identity = msgspec.json.Decoder(_Identity)


def device_of(metadata: bytes) -> str:
    """Whose state a message may use, from its metadata (JSON text); empty when it names no device."""
    try:
        found = _identity.decode(metadata)
    except msgspec.MsgspecError:
        return ""
    name = found.deviceName or found.devEui or found.devEUI or found.imei or found.identity or found.deviceId
    return str(name or "")


class MemoryStates:
    """States in memory only; the least recently written go first."""

    def __init__(self, limit: int = MAX_DEVICES) -> None:
        self._states: OrderedDict[tuple[str, str, str], bytes] = OrderedDict()
        self._limit = limit

    def get(self, tenant: str, converter: str, device: str) -> bytes:
        """The state as JSON; empty when there is none."""
        return self._states.get((tenant, converter, device), b"")

    def put(self, tenant: str, converter: str, device: str, state: bytes) -> None:
        """Keep a state."""
        key = (tenant, converter, device)
        self._states[key] = state
        self._states.move_to_end(key)
        if len(self._states) > self._limit:
            self._states.popitem(last=False)

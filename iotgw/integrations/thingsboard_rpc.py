"""RPC of ThingsBoard that waits for the answers of devices. A converter answers by a value under a key that the settings name."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from iotgw.core.model import TelemetryRecord

MOST_DEVICES = 10_000
MOST_OF_ONE = 32
"""Requests of one device that are remembered; the oldest are forgotten."""


class RpcAnswer(Struct, frozen=True):
    """What a device answered to request ``id``."""

    device: str
    id: int
    data: Any


class OpenRequests:
    """The requests that no device has answered yet, and the answers in records. ``key`` is where converters put them."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._mark = msgspec.json.encode(key)
        self._open: dict[str, deque[int]] = {}
        self._answered: dict[int, RpcAnswer] = {}
        """By the positions of records that are on their way."""

    def asked(self, device: str, id: int) -> None:
        """A request came for a device."""
        waiting = self._open.pop(device, None) or deque(maxlen=MOST_OF_ONE)
        self._open[device] = waiting
        if id not in waiting:
            waiting.append(id)
        if len(self._open) > MOST_DEVICES:
            del self._open[next(iter(self._open))]

    def split(self, record: TelemetryRecord) -> tuple[bytes, RpcAnswer | None]:
        """A record's body without the answer in it, and the answer. It belongs to the ``id`` in it, if it is an object with ``id`` and ``data``;
        otherwise to the device's oldest request. Where no request is open it is a value like any other."""
        if self._mark not in record.body:
            return record.body, None
        body = msgspec.json.decode(record.body)
        found = _taken(body, self._key)
        if found is _NOTHING:
            return record.body, None
        answer = self._answered.get(record.seq) or self._answer(record.device_name, found)
        if answer is None:
            return record.body, None
        self._answered[record.seq] = answer
        return msgspec.json.encode(body), answer

    def settled(self, seqs: Iterable[int]) -> None:
        """These records were delivered, or will not be sent in this way any more."""
        for seq in seqs:
            self._answered.pop(seq, None)

    def _answer(self, device: str, found: Any) -> RpcAnswer | None:
        waiting = self._open.get(device)
        if isinstance(found, dict) and type(found.get("id")) is int and "data" in found:
            id, data = found["id"], found["data"]
            if waiting is not None and id in waiting:
                waiting.remove(id)
        elif waiting:
            id, data = waiting.popleft(), found
        else:
            return None
        if not waiting:
            self._open.pop(device, None)
        return RpcAnswer(device, id, data)


_NOTHING = object()


def _taken(body: dict[str, Any], key: str) -> Any:
    """The latest value under a key of a record's body, from which it is taken."""
    found: Any = _NOTHING
    for entry in body.get("telemetry") or ():
        found = entry["values"].pop(key, found)
    if "telemetry" in body:
        body["telemetry"] = [entry for entry in body["telemetry"] if entry["values"]]
    return (body.get("attributes") or {}).pop(key, found)

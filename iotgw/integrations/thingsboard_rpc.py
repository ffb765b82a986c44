"""RPC of ThingsBoard in both directions: requests that wait for the answers of devices, and what devices ask the server. A converter says both by
values under keys that the settings name."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from iotgw.core import plain_json
from iotgw.core.model import TelemetryRecord
from iotgw.core.ports.integrations import Queued

ASKED = b"v1/devices/me/rpc/request/"
ANSWERED = "v1/devices/me/rpc/response"
ANSWERS = ANSWERED + "/+"
CALLERS_PATIENCE = 5.0
"""Seconds that a request may wait to be stored: ThingsBoard's callers wait for ten."""
MOST_DEVICES = 10_000
MOST_OF_ONE = 32
"""Requests of one device that are remembered; the oldest are forgotten."""
_decode = plain_json.reader()


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

    def withdrawn(self, device: str, id: int) -> None:
        """A request won't come to its device."""
        waiting = self._open.get(device)
        if waiting is not None and id in waiting:
            waiting.remove(id)
            if not waiting:
                del self._open[device]

    def split(self, record: TelemetryRecord) -> tuple[bytes, RpcAnswer | None]:
        """A record's body without the answer in it, and the answer. It belongs to the ``id`` in it, if it is an object with ``id`` and ``data``;
        otherwise to the device's oldest request. Where no request is open it is a value like any other."""
        if self._mark not in record.body:
            return record.body, None
        body = _decode(record.body)
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


class ServerRequest(Struct, frozen=True):
    """What a device asks the server."""

    device: str
    method: str
    params: Any


class ServerRequests:
    """What devices ask the server. ``key`` is where converters put an object with ``method`` and ``params``.

    By the gateway API no device can ask: there a request is the gateway's own, with the device among its ``params``. See
    https://thingsboard.io/docs/reference/mqtt-api/rpc/ and ``AbstractGatewaySessionHandler`` of github.com/thingsboard/thingsboard.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._mark = msgspec.json.encode(key)
        self._open: dict[int, ServerRequest] = {}
        self._last = 0

    def split(self, device: str, body: bytes) -> tuple[bytes, ServerRequest | None]:
        """A record's body without the request in it, and the request. What is none is a value like any other."""
        if self._mark not in body:
            return body, None
        said = _decode(body)
        found = _taken(said, self._key)
        if not isinstance(found, dict) or not isinstance(found.get("method"), str):
            return body, None
        return msgspec.json.encode(said), ServerRequest(device, found["method"], found.get("params", {}))

    def begin(self) -> None:
        """A connection begins: nobody answers what was asked before."""
        self._open.clear()

    def packet(self, asked: ServerRequest) -> tuple[bytes, bytes]:
        """The topic and the payload of a request of the gateway's."""
        self._last = self._last % 0x7FFF_FFFF + 1
        self._open[self._last] = asked
        if len(self._open) > MOST_DEVICES:
            del self._open[next(iter(self._open))]
        params = asked.params if isinstance(asked.params, dict) else {"params": asked.params}
        return b"%b%d" % (ASKED, self._last), request({**params, "device": asked.device}, asked.method)

    def answered(self, topic: str) -> ServerRequest | None:
        """The request that the message on a topic answers; None if it answers none."""
        head, _, number = topic.rpartition("/")
        if head != ANSWERED or not (number.isascii() and number.isdigit() and len(number) < 12):
            return None
        return self._open.pop(int(number), None)


def request(params: Any, method: str) -> bytes:
    """A request as ThingsBoard reads it."""
    return msgspec.json.encode({"method": method, "params": params})


def to_caller(queued: Queued) -> dict[str, Any]:
    """What the caller of RPC is told of a request, which a sleeping device may answer only tomorrow."""
    return {"queued": False, "error": queued.reason} if queued.reason else {"queued": True}


def answer_of(asked: ServerRequest, said: bytes) -> dict[str, Any]:
    """What a device is told of an answer, which may be any JSON, or text."""
    try:
        data = plain_json.decode(said)
    except plain_json.NotJson:
        data = said.decode("utf-8", "replace")
    return {"method": asked.method, "data": data}


_NOTHING = object()


def _taken(body: dict[str, Any], key: str) -> Any:
    """The latest value under a key of a record's body, from which it is taken."""
    found: Any = _NOTHING
    for entry in body.get("telemetry") or ():
        found = entry["values"].pop(key, found)
    if "telemetry" in body:
        body["telemetry"] = [entry for entry in body["telemetry"] if entry["values"]]
    return (body.get("attributes") or {}).pop(key, found)

"""Lobaro's message envelope ``{i, n, q, d}``, and the input of its parsers.

The envelope is public (nb-iot wMBus gateway ≥ 0.5.0 "CBOR messages over UDP", Lobaro's parsers, MQTT
manual). That it is also what travels on UDP port 1064 is a reconstruction: Lobaro does not publish it.

| key | meaning |
|---|---|
| ``i`` | device: IMEI or DevEUI |
| ``n`` | the device's message counter since its boot |
| ``q`` | type: data, status, device, config, env, …; absent means the transport's default |
| ``d`` | data; byte strings are CBOR byte strings, or base64 in JSON |
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import cbor2
from msgspec import Struct

from iotgw.core import plain_json
from iotgw.wire import cbor


class LobaroMessage(Struct, frozen=True):
    """A decoded message. ``value`` is the whole envelope as JSON values; bytes have become base64.

    ``encoding`` is how it came: ``cbor``, ``json``, or ``raw`` when it was neither, and then there is no
    value.
    """

    encoding: str
    value: dict[str, Any] = {}

    @property
    def identity(self) -> str:
        """The device, empty when the envelope doesn't say."""
        identity = self.value.get("i")
        return identity if isinstance(identity, str) else ""

    @property
    def counter(self) -> int | None:
        """The device's message counter."""
        counter = self.value.get("n")
        return counter if isinstance(counter, int) and not isinstance(counter, bool) else None

    @property
    def query(self) -> str:
        """The message's type, empty when absent."""
        query = self.value.get("q")
        return query if isinstance(query, str) else ""


def parse(data: bytes) -> LobaroMessage:
    """The envelope in these bytes: a CBOR map, else a JSON object, else raw. Never raises.

    A CBOR map counts only when it names its device (``i``) and fills the whole message.
    """
    if not data:
        return LobaroMessage("raw")
    if 0xA0 <= data[0] <= 0xBF:
        value = _cbor(data)
        if isinstance(value, dict) and isinstance(value.get("i"), str):
            return LobaroMessage("cbor", value)
    elif data.lstrip()[:1] == b"{":
        value = _json(data)
        if isinstance(value, dict):
            return LobaroMessage("json", value)
    return LobaroMessage("raw")


def _cbor(data: bytes) -> Any:
    try:
        return cbor.decode(data)
    except cbor.NotPlain:
        return None


def _json(data: bytes) -> Any:
    try:
        return plain_json.decode(data, depth=cbor.DEPTH)
    except plain_json.NotJson:
        return None


def metadata(envelope: LobaroMessage, default_query: str = "data") -> dict[str, Any]:
    """What converters get besides the payload: ``encoding``, ``input`` for ``Parse``, and its short facts."""
    facts: dict[str, Any] = {"vendor": "Lobaro", "encoding": envelope.encoding}
    if envelope.value:
        facts["messageName"] = envelope.query or default_query
        facts["input"] = {"q": default_query, **envelope.value}
    if envelope.counter is not None:
        facts["messageCount"] = envelope.counter
    return facts


def downlink(value: dict[str, Any]) -> bytes:
    """A downlink such as ``{"q": "config", "d": {…}}`` in CBOR: configuration and firmware always are."""
    return cbor2.dumps(value)


class DuplicateFilter:
    """Remembers the last messages by device and counter; bounded in number and in age.

    Counters start again at 1 after a reboot, so a pair identifies a message only for a while.
    """

    def __init__(self, size: int = 10_000, window_ms: int = 300_000) -> None:
        self._size = size
        self._window_ms = window_ms
        self._seen: OrderedDict[tuple[str, int], int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def is_new(self, identity: str, counter: int | None, now_ms: int) -> bool:
        """Whether this message is new within the window; it counts as seen from now on."""
        if not identity or counter is None:
            return True
        seen = self._seen
        while seen and (len(seen) > self._size or next(iter(seen.values())) <= now_ms - self._window_ms):
            seen.popitem(last=False)
        key = (identity, counter)
        if key in seen:
            return False
        seen[key] = now_ms
        return True

    def forget(self, identity: str, counter: int | None) -> None:
        """The message was not accepted after all: its retransmission must count as new."""
        if counter is not None:
            self._seen.pop((identity, counter), None)

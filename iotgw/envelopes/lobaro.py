"""Lobaro's devices: the envelope ``{i, n, q, d}`` over UDP, CoAP and MQTT; downlinks in CBOR.

`iotgw.wire.lobaro` says what is public about the envelope. Converters get the whole message as payload, and the
decoded envelope as ``input``. The transports add the query and the path (CoAP), the topic (MQTT), or nothing
(UDP).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from iotgw.core import plain_json
from iotgw.core.model import Downlink, Metadata
from iotgw.envelopes.envelope import Command, Envelope, Ignored, Reading
from iotgw.wire import lobaro

CBOR = "application/cbor"


class LobaroEnvelope(Envelope):
    """What the three transports have in common."""

    def write(self, item: Downlink, identity: str) -> Command:
        """See `Envelope.write`: JSON text is translated to CBOR, anything else goes out as it is."""
        return Command(downlink_cbor(item.payload), CBOR)


class LobaroDatagrams(LobaroEnvelope):
    """Legacy UDP (port 1064), deprecated by Lobaro, and a reconstruction here. Each datagram is an envelope.

    Repetitions within ``window_ms`` are recognized by the device's message counter; 0 accepts every message.
    Without ``answers``, devices get no downlinks. ``seconds()`` is a clock that can't jump; without one, the dates of the messages
    have to do.
    """

    def __init__(self, window_ms: int, answers: bool, seconds: Callable[[], float] | None = None) -> None:
        self._seen = lobaro.DuplicateFilter(window_ms=window_ms)
        self._answers = answers
        self._seconds = seconds

    def read(self, data: bytes, facts: Metadata, now_ms: int) -> Sequence[Reading | Ignored]:
        """See `Envelope.read`."""
        envelope = lobaro.parse(data)
        identity, counter = envelope.identity, envelope.counter
        key = () if counter is None else (identity, counter)
        at_ms = now_ms if self._seconds is None else int(self._seconds() * 1000)
        if not self._seen.is_new(identity, counter, at_ms):
            return (Ignored("duplicates", key),)
        found = lobaro.metadata(envelope, "udp")
        found["receivedTime"] = now_ms
        # without an identity no downlink is looked up, and so none is answered
        if identity and not self._answers:
            found["device"], identity = identity, ""
        return (Reading(data, found, identity, self._answers, key),)

    def forget(self, reading: Reading) -> None:
        """See `Envelope.forget`."""
        if reading.key:
            identity, counter = reading.key
            self._seen.forget(str(identity), int(counter))


class LobaroRequests(LobaroEnvelope):
    """CoAP: the sender is named by the certificate, else ``i``, else the query, else the end of the path."""

    def read(self, data: bytes, facts: Metadata, now_ms: int) -> Sequence[Reading]:
        """See `Envelope.read`; ``facts`` may have a ``query`` with ``q`` and ``i`` or ``address``, and a ``path``."""
        envelope = lobaro.parse(data)
        query = facts.get("query", {})
        found = lobaro.metadata(envelope, query.get("q", "data"))
        found["receivedTime"] = now_ms
        path = facts.get("path", "").rpartition("/")[2]
        identity = envelope.identity or query.get("i") or query.get("address") or path
        if "q" in query and "input" in found:
            found["messageName"] = found["input"]["q"] = query["q"]
        return (Reading(data, found, identity),)


class LobaroTopics(LobaroEnvelope):
    """MQTT: ``<prefix>{DevEUI}/up/{q}``. An ``identity`` among the facts takes precedence over the topic's."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def read(self, data: bytes, facts: Metadata, now_ms: int) -> Sequence[Reading]:
        """See `Envelope.read`; ``facts`` have the ``topic``."""
        envelope = lobaro.parse(data)
        rest = str(facts.get("topic", "")).removeprefix(self._prefix).split("/")
        found = lobaro.metadata(envelope, rest[2] if len(rest) > 2 else "data")
        found["receivedTime"] = now_ms
        identity = facts.get("identity") or rest[0].removeprefix("urn:dev:mac:") or envelope.identity
        return (Reading(data, found, identity),)


def lobaro_filters(prefix: str) -> list[str]:
    """The topic filters of what devices send; ``prefix`` is the beginning of their topics."""
    return [f"{prefix}+/up/#"]


def downlink_cbor(payload: bytes) -> bytes:
    """A downlink in CBOR; one that is JSON text is translated, anything else goes out as it is."""
    if payload[:1] == b"{":
        try:
            value = plain_json.decode(payload)
        except plain_json.NotJson:
            return payload
        return lobaro.downlink(value)
    return payload

"""IBM Watson IoT Platform over MQTT, as an application: devices' events in, commands out.

The service itself ended in 2023. Maximo Monitor and others have its topics ("Communicating with applications (MQTT)"):
``iot-2/type/{type}/id/{device}/evt/{event}/fmt/{format}``, ``…/cmd/{command}/fmt/{format}``, ``…/mon``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from iotgw.core import plain_json
from iotgw.core.model import Downlink, Metadata
from iotgw.envelopes.envelope import Command, Envelope, Event, Happened, Ignored, Malformed, Reading

FILTERS = ["iot-2/type/+/id/+/evt/+/fmt/+", "iot-2/type/+/id/+/mon"]
"""What is subscribed to where the settings name no topics."""
LARGEST = 131_072
"""Bytes of a message."""
APPLICATION = re.compile(r"[aA]:[^:/+#]+:[^:/+#]+")
"""The client id of an application: ``a:organisation:application``, or ``A:…`` for one of several that share the messages."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,36}")
_FORMATS = {"application/json": "json", "text/plain": "txt", "application/xml": "xml"}
LARGEST_DETAIL = 4096
"""Bytes of an event's detail."""


class WatsonTopics(Envelope):
    """The envelope. A device's identity is its type and its id: ``thermometer:7``."""

    is_network = True
    addresses = True

    def read(self, data: bytes, facts: Metadata, now_ms: int) -> Sequence[Event]:
        """See `Envelope.read`; ``facts`` have the ``topic``."""
        levels = str(facts.get("topic", "")).split("/")
        if levels[0] != "iot-2" or levels[1:2] != ["type"] or len(levels) < 6 or levels[3] != "id":
            return (Ignored("ignored"),)
        type_, device = levels[2], levels[4]
        identity = f"{type_}:{device}"
        if levels[5] == "mon":
            return (_status(data, identity),)
        if levels[5] != "evt" or len(levels) != 9:
            return (Ignored("ignored"),)
        found: Metadata = {"deviceName": device, "deviceType": type_, "event": levels[6], "format": levels[8]}
        return (Reading(data, found, identity),)

    def publish(self, item: Downlink, identity: str, topic: str) -> Command:
        """See `Envelope.publish`: the command that ``metadata.command`` names, in the format that ``metadata.format`` or the
        item's media type says."""
        type_, _, device = identity.partition(":")
        command = item.metadata.get("command", "downlink")
        format_ = item.metadata.get(
            "format", _FORMATS.get((item.content_type or "").partition(";")[0], "bin")
        )
        for what, text in (
            ("device type", type_),
            ("device id", device),
            ("command", command),
            ("format", format_),
        ):
            if not isinstance(text, str) or _NAME.fullmatch(text) is None:
                raise ValueError(f"expected a {what} of letters, digits, - _ and ., got {text!r}"[:200])
        if len(item.payload) > LARGEST:
            raise ValueError(f"expected at most {LARGEST} bytes, got {len(item.payload)}")
        return Command(item.payload, topic=f"iot-2/type/{type_}/id/{device}/cmd/{command}/fmt/{format_}")


def _status(data: bytes, identity: str) -> Event:
    """The platform's word on a device's connection: ``{"Action": "Connect", …}``."""
    try:
        body = plain_json.decode(data)
    except plain_json.NotJson as error:
        return Malformed(data, f"expected JSON: {error}")
    if not isinstance(body, dict):
        return Malformed(data, "expected a JSON object")
    action = body.get("Action")
    kind = (
        {"Connect": "connected", "Disconnect": "disconnected"}.get(action, "")
        if isinstance(action, str)
        else ""
    )
    is_small = len(msgspec.json.encode(body)) <= LARGEST_DETAIL
    return Happened(kind or "other", identity, body if is_small else {})

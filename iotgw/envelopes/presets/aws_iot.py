"""AWS IoT Core over MQTT: devices' own topics, shadows, jobs and what happens to things.

A device's own topics are whatever its maker chose, so their messages are taken as they are. Topics that begin with ``$aws``
are AWS's (AWS IoT Core Developer Guide, "Device Shadow MQTT topics", "Jobs topics", "Event messages").

A downlink is published as it is, or is an update of the thing's shadow: that of a device that sleeps. AWS answers the update at
``…/accepted`` or ``…/rejected``, with the ``clientToken`` that it came with.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from iotgw.core import plain_json
from iotgw.core.model import Became, Downlink, Metadata
from iotgw.envelopes.envelope import Command, Envelope, Event, Happened, Ignored, Malformed, Reading, Receipt
from iotgw.envelopes.presets import ids, values
from iotgw.wire import mqtt

SHADOWS = [
    "$aws/things/+/shadow/update/accepted",
    "$aws/things/+/shadow/update/rejected",
    "$aws/things/+/shadow/name/+/update/accepted",
    "$aws/things/+/shadow/name/+/update/rejected",
]
"""What is subscribed to where the settings name no topics."""
LARGEST_SHADOW = 8192
"""Bytes of a shadow's document; the account's limit may be higher."""
AGAIN = {409, 429, 500, 503}
"""Codes of refusals that may not come a second time ("Device Shadow error messages")."""
HTTPS = 443
"""MQTT has this port only in TLS with ALPN ("Protocols, port mappings, and authentication")."""

_THING = re.compile(r"[a-zA-Z0-9:_-]{1,128}")
_SHADOW = re.compile(r"[$a-zA-Z0-9:_-]{1,64}")
LARGEST_DETAIL = 4096
"""Bytes of an event's detail."""


def alpn(port: int, has_certificate: bool) -> str:
    """What to ask for in TLS: X.509 or a custom authorizer, which AWS tells apart by it on port 443."""
    if port != HTTPS:
        return ""
    return "x-amzn-mqtt-ca" if has_certificate else "mqtt"


class AwsIotTopics(Envelope):
    """The envelope. ``filters`` are what is subscribed to: without a shadow's ``accepted``, no receipt can come. With
    ``whole``, converters get a shadow's whole message and not only what the device reported."""

    is_network = True
    addresses = True

    def __init__(self, filters: Sequence[str] = (), whole: bool = False) -> None:
        self._filters = tuple(filters) or tuple(SHADOWS)
        self._whole = whole

    def read(self, data: bytes, facts: Metadata, now_ms: int) -> Sequence[Event]:
        """See `Envelope.read`; ``facts`` have the ``topic``."""
        levels = str(facts.get("topic", "")).split("/")
        if levels[0] != "$aws":
            return (Reading(data),)
        try:
            body = plain_json.decode(data)
        except plain_json.NotJson as error:
            return (Malformed(data, f"expected JSON: {error}"),)
        if not isinstance(body, dict):
            return (Malformed(data, "expected a JSON object"),)
        room = levels[1] if len(levels) > 1 else ""
        if room == "things" and len(levels) > 4:
            if levels[3] == "shadow":
                return (self._shadow(levels[2], levels[4:], body, data),)
            if levels[3] == "jobs":
                return (_happened("job", levels[2], levels[4:], body),)
        if room == "events" and len(levels) > 3:
            if levels[2] == "presence":  # …/connected/{client}, …/disconnected/{client}
                return (_happened("", "/".join(levels[4:]), levels[3:4], body),)
            return (_happened(levels[2], "", levels[-1:], body),)
        return (Ignored("ignored"),)

    def _shadow(self, thing: str, levels: list[str], body: dict[str, Any], data: bytes) -> Event:
        name = levels[1] if levels[0] == "name" and len(levels) > 2 else ""
        asked, answer = levels[-2:] if len(levels) > 1 else ("", "")
        item = ids.item_of(body.get("clientToken"))
        if asked == "update" and answer == "accepted":
            if item:
                return Receipt(thing, "sent", "AWS IoT: the shadow has it", item)
            return self._reported(thing, name, body, data)
        if asked == "update" and answer == "rejected":
            code, message = body.get("code"), values.text(body.get("message"))
            if item:
                became: Became = "lost" if isinstance(code, int) and code in AGAIN else "refused"
                return Receipt(
                    thing, became, " ".join(f"AWS IoT: {values.text(code)} {message}".split()), item
                )
            return Happened("shadow-rejected", thing, {"shadow": name, "code": code, "message": message})
        if asked == "update" and answer == "documents":
            current = body.get("current")
            return self._reported(thing, name, current if isinstance(current, dict) else {}, data)
        return Ignored("ignored")

    def _reported(self, thing: str, name: str, body: dict[str, Any], data: bytes) -> Event:
        """What a device reported; an update of what others desire is none."""
        state = body.get("state")
        reported = state.get("reported") if isinstance(state, dict) else None
        if not isinstance(reported, dict):
            return Ignored("ignored")
        facts: Metadata = {"deviceName": thing, "shadow": name}
        if isinstance(body.get("version"), int):
            facts["shadowVersion"] = body["version"]
        if (date := values.date_ms(body.get("timestamp"), "s")) is not None:
            facts["time"] = date
        return Reading(data if self._whole else msgspec.json.encode(reported), facts, thing)

    def publish(self, item: Downlink, identity: str, topic: str) -> Command:
        """See `Envelope.publish`: an update of the shadow that ``metadata.shadow`` names (true is the classic one), or the
        downlink as it is."""
        shadow = item.metadata.get("shadow")
        if shadow is None or shadow is False:
            return Command(item.payload, awaits_receipt=False)
        if _THING.fullmatch(identity) is None:
            raise ValueError(f"expected the name of a thing, got {identity[:128]!r}")
        place = f"$aws/things/{identity}/shadow"
        if shadow is not True and shadow != "":
            if not isinstance(shadow, str) or _SHADOW.fullmatch(shadow) is None:
                raise ValueError(f"shadow: expected true or a shadow's name, got {shadow!r}"[:200])
            place += f"/name/{shadow}"
        try:
            desired = plain_json.decode(item.payload)
        except plain_json.NotJson as error:
            raise ValueError(f"expected JSON for the shadow: {error}") from error
        if not isinstance(desired, dict):
            raise ValueError("expected a JSON object for the shadow")
        body = msgspec.json.encode(
            {"state": {"desired": desired}, "clientToken": ids.as_text(item.id, item.attempt)}
        )
        if len(body) > LARGEST_SHADOW:
            raise ValueError(f"expected at most {LARGEST_SHADOW} bytes for a shadow, got {len(body)}")
        answer = f"{place}/update/accepted"
        awaits = any(mqtt.matches(filter_, answer) for filter_ in self._filters)
        return Command(body, "application/json", f"{place}/update", awaits_receipt=awaits)


def _happened(group: str, device: str, levels: list[str], body: dict[str, Any]) -> Event:
    kind = "-".join(part for part in (group, *levels[-1:]) if part)
    is_small = len(msgspec.json.encode(body)) <= LARGEST_DETAIL
    return Happened(kind[:64], device[:128], body if is_small else {})

"""MQTT 5's properties of a message as metadata (MQTT 5.0 §3.3.2.3)."""

from __future__ import annotations

from iotgw.core.model import Metadata
from iotgw.datasources.secret_names import is_secret_header
from iotgw.wire.mqtt import Properties

LARGEST = 8192
"""Characters of user properties that enter the metadata, names and values together."""

_EXPIRY, _CONTENT_TYPE, _RESPONSE_TOPIC, _CORRELATION = 0x02, 0x03, 0x08, 0x09


def facts(properties: Properties) -> Metadata:
    """The metadata that a message's properties make.

    A user property that is there several times becomes a list. Those that carry secrets by their names are left out, and all
    beyond `LARGEST`; ``propertiesLeftOut`` then says how many.
    """
    found: Metadata = {}
    texts = properties.texts
    if content_type := texts.get(_CONTENT_TYPE):
        found["contentType"] = content_type
    if response_topic := texts.get(_RESPONSE_TOPIC):
        found["responseTopic"] = response_topic
    if properties.correlation:
        found["correlationData"] = properties.correlation.hex()
    if (expiry := properties.numbers.get(_EXPIRY)) is not None:
        found["messageExpiry"] = expiry
    if properties.pairs:
        found |= _user_properties(properties.pairs)
    return found


def _user_properties(pairs: list[tuple[str, str]]) -> Metadata:
    users: dict[str, str | list[str]] = {}
    size = left_out = 0
    for name, value in pairs:
        if is_secret_header(name):
            continue
        size += len(name) + len(value)
        if size > LARGEST:
            left_out += 1
            continue
        before = users.get(name)
        if before is None:
            users[name] = value
        elif isinstance(before, list):
            before.append(value)
        else:
            users[name] = [before, value]
    found: Metadata = {"userProperties": users} if users else {}
    if left_out:
        found["propertiesLeftOut"] = left_out
    return found

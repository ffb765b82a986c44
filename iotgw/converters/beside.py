"""What a converter's result says to the sender of the message, beside telemetry: a ``reply``, and facts of its ``session``.

A result may have one only if the script's text names it. So it is known when a script is saved whether devices have to wait
for it, and a script that passes on a device's JSON as it is lets no device answer itself.
"""

from __future__ import annotations

import base64
import re
from typing import Any

import msgspec

from iotgw.converters.dialect import named
from iotgw.core.errors import SettingsError
from iotgw.core.model import Aside, ConverterVersion, DeviceReply, Metadata
from iotgw.core.names import unfit
from iotgw.core.session_facts import excess

REPLY, SESSION = "reply", "session"
MAX_REPLY = 32_768
"""Bytes of a reply."""
MAX_NAME = 255
_LEAST, _MOST = -0x8000000000000000, 0x7FFFFFFFFFFFFFFF

_NAMED = {name: re.compile(rf"(?<![\w$]){name}(?![\w$])") for name in (REPLY, SESSION)}
_PARTS = frozenset(("contentType", "data", "topic"))
_RESERVED = frozenset(
    ("rejected", "unreadable", "simulated", "clockUnsure", "identityType", "dtlsIdentity", "cipher")
)
"""Facts that only the gateway states: what it thinks of a message, and what a sender has proved."""
_NOTHING: frozenset[str] = frozenset()

_encode = msgspec.json.Encoder().encode


class AsideRefused(Exception):
    """A reply or facts break a rule; the message begins with the place."""


def names(version: ConverterVersion) -> frozenset[str]:
    """Which of ``reply`` and ``session`` the results of a version may have. Of the dialects that aren't ThingsBoard's, only
    TS013's result has a place for them, beside its ``data``."""
    try:
        dialect = named(version.dialect, version.direction)
    except SettingsError:
        return _NOTHING
    if version.direction != "UPLINK" or not (dialect.native or dialect.name == "ts013"):
        return _NOTHING
    return frozenset(name for name, pattern in _NAMED.items() if pattern.search(version.script))


class AsideMaker:
    """Puts together what the objects of one result say."""

    def __init__(self) -> None:
        self._reply: DeviceReply | None = None
        self._facts: Metadata = {}

    def take(self, name: str, value: Any, at: str) -> None:
        """A ``reply`` or ``session`` at this place. Raises AsideRefused."""
        if value is None:
            return
        if name == REPLY:
            if self._reply is not None:
                raise AsideRefused(f"{at}: expected one reply to a message, got a second one")
            self._reply = reply_of(value, at)
        else:
            self._facts |= facts_of(value, at)
            problem = excess(self._facts)
            if problem:
                raise AsideRefused(f"{at}: {problem}")

    def made(self) -> Aside | None:
        """All of it; None if there is nothing."""
        if self._reply is None and not self._facts:
            return None
        return Aside(self._reply, self._facts)


def reply_of(value: Any, at: str) -> DeviceReply:
    """The reply that ``{contentType, data, topic}`` means. Raises AsideRefused.

    Without a content type, a text is TEXT, bytes are BINARY, and all else is JSON.
    """
    if type(value) is not dict:
        raise AsideRefused(f"{at}: expected an object {{contentType, data}}")
    if unknown := value.keys() - _PARTS:
        raise AsideRefused(f"{at}.{min(unknown)[:40]}: expected contentType, data or topic")
    data = value.get("data")
    if data is None:
        raise AsideRefused(f"{at}.data: expected a text, bytes, or a JSON value, it is missing")
    listed = _listed(data)
    kind: Any = value.get("contentType")
    if kind is None:
        kind = "TEXT" if type(data) is str else "BINARY" if listed is not None else "JSON"
    if kind not in ("JSON", "TEXT", "BINARY"):
        raise AsideRefused(f"{at}.contentType: expected one of JSON, TEXT, BINARY, got {str(kind)[:40]!r}")
    if kind == "BINARY":
        payload = _binary(data, listed, f"{at}.data")
    elif type(data) is str:
        payload = data.encode("utf-8", "replace")
    elif kind == "JSON":
        payload = _encode(data)
    else:
        raise AsideRefused(f"{at}.data: expected a text")
    if len(payload) > MAX_REPLY:
        raise AsideRefused(f"{at}.data: expected at most {MAX_REPLY} bytes, got {len(payload)}")
    topic = value.get("topic", "")
    if type(topic) is not str or len(topic) > MAX_NAME or unfit(topic):
        raise AsideRefused(f"{at}.topic: expected a text of at most {MAX_NAME} characters")
    return DeviceReply(payload, kind, topic)


def _listed(data: Any) -> list[Any] | None:
    """The list of bytes that a value is: a list, or what JSON makes of a Buffer or of a typed array; None for other values."""
    if type(data) is list:
        return data
    if type(data) is not dict:
        return None
    if data.keys() == {"type", "data"} and data["type"] == "Buffer" and type(data["data"]) is list:
        found: list[Any] = data["data"]
        return found
    if data and all(key == str(index) for index, key in enumerate(data)):
        return list(data.values())
    return None


def _binary(data: Any, listed: list[Any] | None, at: str) -> bytes:
    if type(data) is str:
        try:
            return base64.b64decode(data, validate=True)
        except ValueError as error:
            raise AsideRefused(f"{at}: expected base64 for BINARY: {error}") from error
    if listed is None:
        raise AsideRefused(f"{at}: expected a list of bytes, or base64")
    for index, byte in enumerate(listed):
        if type(byte) not in (int, float) or not -128 <= byte <= 255 or byte != int(byte):
            raise AsideRefused(f"{at}[{index}]: expected a byte, got {str(byte)[:40]!r}")
    return bytes(int(byte) & 255 for byte in listed)


def facts_of(value: Any, at: str) -> Metadata:
    """The facts that a ``session`` object states. Raises AsideRefused."""
    if type(value) is not dict:
        raise AsideRefused(f"{at}: expected an object of facts")
    facts: Metadata = {}
    for name, stated in value.items():
        fact = str(stated) if name == "identity" and type(stated) is int else stated
        if not 0 < len(name) <= MAX_NAME or name in _RESERVED:
            raise AsideRefused(f"{at}: expected another name for a fact than {name[:40]!r}")
        if fact is not None and type(fact) not in (str, int, float, bool):
            raise AsideRefused(f"{at}.{name}: expected a number, text or boolean")
        if name == "identity" and fact is not None and not _is_name(fact):
            raise AsideRefused(f"{at}.identity: expected 1 to {MAX_NAME} characters")
        facts[name] = float(fact) if type(fact) is int and not _LEAST <= fact <= _MOST else fact
    return facts


def _is_name(value: Any) -> bool:
    return type(value) is str and 0 < len(value) <= MAX_NAME and not unfit(value)

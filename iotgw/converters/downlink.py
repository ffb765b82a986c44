"""The result of a downlink converter: one form for every dialect."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
from msgspec import Struct

from iotgw.converters.dialect import Dialect
from iotgw.converters.output import OutputRefused

_TYPES = ("JSON", "TEXT", "BINARY")


class Encoded(Struct, rename="camel"):
    """What leaves for the device; ``data`` is text, for BINARY in base64."""

    content_type: str = "BINARY"
    data: str = ""
    metadata: dict[str, Any] = {}
    warnings: list[str] = []
    decoded: Any = None
    """What the script's ``decodeDownlink`` reads from the bytes."""


def encoded(dialect: Dialect, result: Any) -> Encoded:
    """Check what a downlink converter returned. Raises Refused with the place."""
    if dialect.native:
        return _thingsboard(result)
    if isinstance(result, list):  # ChirpStack v3 and The Things Network v2 return the bytes
        return Encoded(data=_bytes(result, ""))
    if not isinstance(result, dict):
        raise OutputRefused("expected a list of bytes, or an object with `bytes`")
    if result.get("errors"):
        errors = result["errors"]
        raise OutputRefused("; ".join(map(str, errors)) if isinstance(errors, list) else str(errors))
    metadata = {key: result[key] for key in ("fPort", "confirmed") if result.get(key) is not None}
    warnings = [str(warning) for warning in result.get("warnings") or []]
    return Encoded(
        data=_bytes(result.get("bytes"), "bytes"),
        metadata=metadata,
        warnings=warnings,
        decoded=result.get("decoded"),
    )


def _thingsboard(result: Any) -> Encoded:
    if not isinstance(result, dict):
        raise OutputRefused("expected an object {contentType, data, metadata}")
    kind = result.get("contentType", "JSON")
    if kind not in _TYPES:
        raise OutputRefused(f"contentType: expected one of {', '.join(_TYPES)}, got {kind!r}")
    data = result.get("data", "")
    if kind == "BINARY" and isinstance(data, list):
        data = _bytes(data, "data")
    elif kind == "JSON" and not isinstance(data, str):
        data = msgspec.json.encode(data).decode()
    if not isinstance(data, str):
        raise OutputRefused("data: expected a text")
    if kind == "BINARY":
        try:
            base64.b64decode(data, validate=True)
        except ValueError as error:
            raise OutputRefused(f"data: expected base64 for BINARY: {error}") from error
    metadata = result.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise OutputRefused("metadata: expected an object")
    return Encoded(kind, data, metadata)


def _bytes(values: Any, at: str) -> str:
    prefix = f"{at}: " if at else ""
    if not isinstance(values, list):
        raise OutputRefused(f"{prefix}expected a list of bytes")
    for index, value in enumerate(values):
        if not isinstance(value, (int, float)) or not -128 <= value <= 255 or int(value) != value:
            raise OutputRefused(f"{at}[{index}]: expected a byte, got {value!r}")
    return base64.b64encode(bytes(int(value) & 255 for value in values)).decode("ascii")

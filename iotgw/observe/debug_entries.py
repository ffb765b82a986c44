"""What debugging keeps of a conversion or a delivery: bounded, and without secrets."""

from __future__ import annotations

import base64
import re
from typing import Any

import msgspec

from iotgw.core.model import Conversion, Job
from iotgw.core.redaction import MASK, redacted

LONGEST = 16 << 10
"""Bytes of a payload, and characters of any text."""
DEEPEST = 100
"""Levels of what a message's metadata has."""
MOST = 100
"""Lines of a log, and outputs."""
_SECRET = re.compile(r"authori[sz]ation|passw|secret|token|api[-_]?key|cookie|credential", re.IGNORECASE)


def conversion_entry(datasource: str, job: Job, conversion: Conversion) -> dict[str, Any]:
    """What went into a converter and what came out of it."""
    version = job.converter
    said: dict[str, Any] = {
        "datasource": datasource,
        "converter": version.name,
        "version": version.version,
        "payload": base64.b64encode(job.payload[:LONGEST]).decode(),
        "payloadBytes": len(job.payload),
        "metadata": masked(_decoded(job.metadata)),
        "outputs": [_decoded(output.body) for output in conversion.outputs[:MOST]],
        "logs": [short(redacted(line)) for line in conversion.logs[:MOST]],
        "warnings": [short(redacted(line)) for line in conversion.warnings[:MOST]],
    }
    if conversion.error is not None:
        said["error"] = msgspec.to_builtins(conversion.error)
    if conversion.aside is not None and conversion.aside.reply is not None:
        said["reply"] = base64.b64encode(conversion.aside.reply.payload[:LONGEST]).decode()
    return said


def delivery_entry(integration: str, device: str, request: str, answer: str) -> dict[str, Any]:
    """What a target was sent, and what it answered."""
    return {
        "integration": integration,
        "device": device,
        "request": short(redacted(request)),
        "answer": short(redacted(answer)),
    }


def masked(value: Any, levels: int = DEEPEST) -> Any:
    """A JSON value without what its names call a secret, and without what is nested deeper than so many levels."""
    if isinstance(value, dict | list) and not levels:
        return "…"
    if isinstance(value, dict):
        return {
            key: MASK if _SECRET.search(key) and item else masked(item, levels - 1)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [masked(item, levels - 1) for item in value]
    return redacted(value) if isinstance(value, str) else value


def short(text: str) -> str:
    """A text that is not longer than a person reads."""
    more = len(text) - LONGEST
    return text if more <= 0 else f"{text[:LONGEST]}… ({more} characters more)"


def _decoded(body: bytes) -> Any:
    if len(body) > LONGEST:
        return f"{body[:200].decode(errors='replace')}… ({len(body)} bytes)"
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):  # msgspec has a limit of levels, too
        return body.decode(errors="replace")

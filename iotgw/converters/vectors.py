"""The dialect of a script that may be of several: the one whose results are those of the script's own vectors."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

import msgspec

from iotgw.converters.loading import loading_time
from iotgw.converters.script import Arm, Engines, LoadFailed, Script, load
from iotgw.core.model import ConverterVersion
from iotgw.core.specs import ConverterSpec

MOST = 10
"""Vectors that are tried."""


def tried(
    spec: ConverterSpec, choices: Sequence[str], engine: str, engines: Engines, limit: float, arm: Arm
) -> str | None:
    """The only one of the ``choices`` that gives what most vectors want; None where there is no such."""
    scores = {name: _score(spec, name, engine, engines, limit, arm) for name in choices}
    best = max(scores.values())
    found = [name for name, score in scores.items() if score == best]
    return found[0] if best and len(found) == 1 else None


def _score(spec: ConverterSpec, dialect: str, engine: str, engines: Engines, limit: float, arm: Arm) -> int:
    version = ConverterVersion(
        "draft", 0, spec.name, spec.type, spec.script, dialect, engine, time_limit=limit,
        options=spec.options, files=spec.files,
    )  # fmt: skip
    try:
        arm(limit + 0.1 + loading_time(version.length))
        script = load(version, engines)
    except LoadFailed:
        return 0
    score = 0
    for vector in spec.tests[:MOST]:
        arm(limit + 0.1 + loading_time(version.length))
        score += _passes(script, vector)
    return score


def _passes(script: Script, vector: dict[str, Any]) -> bool:
    payload = _payload(vector)
    metadata, received_ms = vector.get("metadata") or {}, vector.get("receivedAt") or 0
    if payload is None or not isinstance(metadata, dict) or not isinstance(received_ms, int):
        return False
    conversion, _ = script.convert(payload, json.dumps(metadata).encode(), received_ms)
    telemetry = [msgspec.json.decode(output.body) for output in conversion.outputs]
    return conversion.error is None and vector.get("output") in (script.last, telemetry)


def _payload(vector: dict[str, Any]) -> bytes | None:
    try:
        if vector.get("hex") is not None:
            return bytes.fromhex(vector["hex"])
        if vector.get("text") is not None:
            return str(vector["text"]).encode()
        return base64.b64decode(vector.get("payload") or "", validate=True)
    except (ValueError, TypeError):
        return None

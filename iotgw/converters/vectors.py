"""The dialect of a script that may be of several: the one whose results are those of the script's own vectors, or the
strictest that makes something of the messages that it is for."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from iotgw.converters.loading import loading_time
from iotgw.converters.script import Arm, Engines, LoadFailed, Script, load
from iotgw.core.model import ConverterVersion
from iotgw.core.specs import ConverterSpec

MOST = 10
"""Vectors, or messages, that are tried."""

Each = TypeVar("Each")
Sample = tuple[bytes, bytes, int]
"""A payload, its metadata in JSON, and when it was received, in ms."""


class DialectTrials:
    """Tries of one script in one engine, each within its ``limit`` in seconds."""

    def __init__(self, spec: ConverterSpec, engine: str, engines: Engines, limit: float, arm: Arm) -> None:
        self._spec = spec
        self._engine = engine
        self._engines = engines
        self._limit = limit
        self._arm = arm

    def by_vectors(self, choices: Sequence[str]) -> str | None:
        """The only one of the dialects that gives what most vectors want; None where there is no such."""
        scores = {
            name: sum(_passes(script, vector) for script, vector in self._each(name, self._spec.tests))
            for name in choices
        }
        best = max(scores.values())
        found = [name for name, score in scores.items() if score == best]
        return found[0] if best and len(found) == 1 else None

    def by_samples(self, choices: Sequence[str], samples: Sequence[Sample]) -> str | None:
        """The first of the dialects, of which the strictest comes first, in which no message fails, and one has telemetry.

        A message of which nothing comes says nothing: scripts filter.
        """
        for name in choices:
            made = [script.convert(*sample)[0] for script, sample in self._each(name, samples)]
            if any(each.outputs for each in made) and not any(each.error for each in made):
                return name
        return None

    def _each(self, dialect: str, inputs: Sequence[Each]) -> Iterator[tuple[Script, Each]]:
        """The script as one of a dialect, with each input: none where it doesn't load as such."""
        spec = self._spec
        version = ConverterVersion(
            "draft", 0, spec.name, spec.type, spec.script, dialect, self._engine, time_limit=self._limit,
            options=spec.options, files=spec.files,
        )  # fmt: skip
        try:
            self._arm(self._limit + 0.1 + loading_time(version.length))
            script = load(version, self._engines)
        except LoadFailed:
            return
        for each in inputs[:MOST]:
            self._arm(self._limit + 0.1 + loading_time(version.length))
            yield script, each


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

"""Records as files: JSON, NDJSON, and the columns of CSV, whose header is stable."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from iotgw.core import private

FIXED = ["time", "deviceName", "deviceType"]
MAX_COLUMNS = 1000
"""Most value columns of a CSV file; further keys are left out, so that a device can't widen it without end."""


class Columns:
    """The value columns per device type, kept in a file. New keys are added on the right; columns never
    move."""

    def __init__(self, path: str) -> None:
        self._path = Path(path) if path else None
        self._known: dict[str, list[str]] = {}
        if self._path is not None:
            with contextlib.suppress(OSError, msgspec.DecodeError):
                self._known = msgspec.json.decode(self._path.read_bytes(), type=dict[str, list[str]])

    def of(self, device_type: str, keys: Sequence[str]) -> list[str]:
        """The columns of a device type, with these keys among them."""
        columns = self._known.setdefault(device_type, [])
        new = sorted(set(keys).difference(columns))[: MAX_COLUMNS - len(columns)]
        if new:
            columns += new
            self._keep()
        return columns

    def _keep(self) -> None:
        if self._path is not None:
            temporary = self._path.with_suffix(".new")
            private.write_file(temporary, msgspec.json.encode(self._known))
            os.replace(temporary, self._path)


def json_file(documents: Sequence[bytes]) -> bytes:
    """An array of documents, also of one: who reads a batch needn't ask which it is."""
    return b"[" + b",\n".join(documents) + b"]\n"


def ndjson_file(documents: Sequence[bytes]) -> bytes:
    """A document per line."""
    return b"".join(document + b"\n" for document in documents)

"""Records as files: JSON, NDJSON, and the columns of CSV, whose header is stable."""

from __future__ import annotations

from collections.abc import Sequence

from iotgw.core.own_file import OwnFile

FIXED = ["time", "deviceName", "deviceType"]
MAX_COLUMNS = 1000
"""Most value columns of a CSV file; further keys are left out, so that a device can't widen it without end."""


class Columns:
    """The value columns per device type, kept in a file. New keys are added on the right; columns never
    move."""

    def __init__(self, path: str) -> None:
        self._file = OwnFile(path)
        self._known = self._file.read(dict[str, list[str]]) or {}

    def of(self, device_type: str, keys: Sequence[str]) -> list[str]:
        """The columns of a device type, with these keys among them."""
        columns = self._known.setdefault(device_type, [])
        new = sorted(set(keys).difference(columns))[: MAX_COLUMNS - len(columns)]
        if new:
            columns += new
            self._file.write(self._known)
        return columns


def json_file(documents: Sequence[bytes]) -> bytes:
    """An array of documents, also of one: who reads a batch needn't ask which it is."""
    return b"[" + b",\n".join(documents) + b"]\n"


def ndjson_file(documents: Sequence[bytes]) -> bytes:
    """A document per line."""
    return b"".join(document + b"\n" for document in documents)

"""Small files that an integration or datasource keeps in the data directory: read as a whole, replaced as a whole.

Their names are ``KIND-ID.json``, so that all of an integration's can be found and removed with it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import TypeVar

import msgspec

from iotgw.core import private

T = TypeVar("T")
_NAME = re.compile(r"[a-z]+-([0-9a-f]{16})(-[a-z]+)?\.(json|new)")
"""The name of such a file; the registry makes the ids."""


def path_of(data_dir: str, kind: str, id: str) -> str:
    """The path of an integration's file; empty, which is no file, where there is no data directory or the integration isn't saved."""
    return f"{data_dir}/{kind}-{id}.json" if data_dir and id else ""


def found(data_dir: Path) -> list[Path]:
    """All such files that are whole."""
    return [
        path
        for path in sorted(data_dir.iterdir())
        if path.suffix == ".json" and _NAME.fullmatch(path.name) is not None
    ]


def remove_all(data_dir: str, id: str) -> None:
    """Remove the files of an integration that is being deleted, half-written ones included. Raises OSError for the first that can't be
    removed; files that aren't there are none."""
    if data_dir and id:
        for path in sorted(Path(data_dir).glob(f"*-{id}.*")):
            path.unlink(missing_ok=True)


def remove_strangers(data_dir: str, ids: Collection[str]) -> None:
    """Remove the files of all that has none of these ``ids``: it was deleted, and a crash left them. Raises OSError."""
    for path in sorted(Path(data_dir).iterdir()) if data_dir else ():
        if (match := _NAME.fullmatch(path.name)) and match[1] not in ids:
            path.unlink(missing_ok=True)


class OwnFile:
    """One such file. Without a ``path`` nothing is kept."""

    def __init__(self, path: str) -> None:
        self._path = Path(path) if path else None

    def __bool__(self) -> bool:
        """Whether anything is kept."""
        return self._path is not None

    @property
    def name(self) -> str:
        """The file's name, for people."""
        return self._path.name if self._path is not None else ""

    def read(self, type_: type[T]) -> T | None:
        """What is in it. None where there is none, or none that can be read as ``type_``."""
        if self._path is None:
            return None
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=type_)
        except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
            return None

    def remove(self) -> None:
        """Remove it; raises OSError."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def write(self, value: object) -> None:
        """Replace it durably; raises OSError."""
        if self._path is None:
            return
        temporary = self._path.with_suffix(".new")
        private.write_file(temporary, msgspec.json.encode(value))
        os.replace(temporary, self._path)

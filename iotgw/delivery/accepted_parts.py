"""Remembers which parts of a record a target accepted while others of it were not, so that they are not sent again.

It knows those of the latest `MOST_RECORDS` records, over restarts by a file. A part that it forgot is sent again, with the same key.
"""

from __future__ import annotations

import contextlib
from typing import Any

from msgspec import Struct
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from iotgw.core.own_file import OwnFile
from iotgw.core.parts import Split

MOST_RECORDS = 10_000
LAG = 1.0
"""Seconds after which a change is written."""


class _File(Struct):
    """What is kept: for each record's key, the numbers of parts as bits of a number in hexadecimal."""

    split: str
    parts: dict[str, str]


class AcceptedParts:
    """The accepted parts of records that are not delivered, by the record's key; each as a number whose bits are the numbers of the
    parts. ``path`` is its file; without one it forgets at a restart. ``split`` is how the parts came about: others don't count.
    """

    _log = Logger()

    def __init__(self, path: str, split: Split, clock: IReactorTime) -> None:
        self._file = OwnFile(path)
        self._split = split
        self._clock = clock
        self.parts: dict[str, int] = {}
        """Those of each record. Others look whether there are any, and change nothing."""
        self._later: Any = None

    def __len__(self) -> int:
        """How many records there are."""
        return len(self.parts)

    def load(self) -> None:
        """Read the file."""
        kept = self._file.read(_File)
        if kept is not None and kept.split == self._split:
            with contextlib.suppress(ValueError):
                self.parts = {key: int(bits, 16) for key, bits in kept.parts.items()}

    def of(self, key: str) -> int:
        """The accepted parts of a record."""
        return self.parts.get(key, 0)

    def put(self, key: str, parts: int) -> None:
        """Remember a record's accepted parts; 0 forgets it."""
        if not parts:
            if self.parts.pop(key, None) is None:
                return
        elif self.parts.get(key) == parts:
            return
        else:
            self.parts.pop(key, None)
            self.parts[key] = parts
            if len(self.parts) > MOST_RECORDS:
                del self.parts[next(iter(self.parts))]
        if self._later is None and self._file:
            self._later = self._clock.callLater(LAG, self.write)

    def write(self) -> None:
        """Write what changed now."""
        later, self._later = self._later, None
        if later is None:
            return
        if later.active():
            later.cancel()
        try:
            self._file.write(_File(self._split, {key: f"{parts:x}" for key, parts in self.parts.items()}))
        except OSError as error:
            self._log.warn(
                "accepted parts could not be written to {name}: {error}", name=self._file.name, error=error
            )

"""Retained values: a broker sends the last one of each topic again with every subscription.

Only one that differs from what came last on its topic is a reading. So what came last is remembered, by topic. A value counts
once the gateway has answered it: until then the broker's copy may be the only one.

Between clean stops it is kept in a file, which is gone while the datasource runs. After a crash nothing is known, and each
retained value is a reading once more: a repeated one is better than one that is lost.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

import msgspec

from iotgw.core import private

MOST = 20_000
"""Topics that are remembered; the one that was first to be seen makes room."""
LONGEST_TOPIC = 1024
"""Characters. What comes on longer ones is always a reading."""
LARGEST_KEPT = 256
"""Bytes. Of a larger payload only a digest is remembered."""

_Digests = dict[str, int]


class Retained:
    """What came last on each topic. ``path`` is the file, None for none; ``trouble(reason)`` is called when it can't be
    used."""

    def __init__(self, path: Path | None, trouble: Callable[[str], None]) -> None:
        self._path = path
        self._trouble = trouble
        self._last: dict[str, bytes | int] = {}
        """Payloads, or digests of larger ones and of those from the file."""

    def note(self, topic: str, payload: bytes) -> None:
        """A message on this topic has been answered."""
        last = self._last
        if topic not in last:
            if len(topic) > LONGEST_TOPIC:
                return
            if len(last) >= MOST:
                del last[next(iter(last))]
        last[topic] = payload if len(payload) <= LARGEST_KEPT else _digest(payload)

    def is_known(self, topic: str, payload: bytes) -> bool:
        """Whether this is what came last on its topic."""
        known = self._last.get(topic)
        return known == payload if type(known) is bytes else known is not None and known == _digest(payload)

    def load(self) -> None:
        """Read the file of the last clean stop, and remove it."""
        if self._path is None:
            return
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=_Digests)
            self._path.unlink()
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError, RecursionError) as error:
            self._trouble(f"{self._path.name} can't be read, retained values may come again: {error}")
            return
        self._last |= found

    def save(self) -> None:
        """Write the file."""
        if self._path is None or not self._last:
            return
        digests = {
            topic: _digest(last) if isinstance(last, bytes) else last for topic, last in self._last.items()
        }
        temporary = self._path.with_suffix(".new")
        try:
            private.write_file(temporary, msgspec.json.encode(digests))
            os.replace(temporary, self._path)
        except OSError as error:
            self._trouble(f"{self._path.name} can't be written, retained values may come again: {error}")

    def forget(self) -> None:
        """Remove the file."""
        if self._path is not None:
            try:
                self._path.unlink(missing_ok=True)
            except OSError as error:
                self._trouble(f"{self._path.name} can't be removed: {error}")


def file_of(data_dir: str, id: str) -> Path | None:
    """The file of the datasource with this id; None without a directory."""
    return Path(data_dir) / f"mqtt-{id}-retained.json" if data_dir else None


def _digest(payload: bytes) -> int:
    return int.from_bytes(blake2b(payload, digest_size=7, person=b"iotgwretained").digest(), "big")

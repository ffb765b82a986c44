"""Which shards of a stream are to be read, and from where. No I/O.

A stream that is scaled splits and merges shards: the old ones end, and new ones follow. A device's records are in order only if a
shard is read after those that it follows, its parents, are read and durable (Kinesis developer guide, "Resharding"). A parent
that isn't listed any more has nothing that is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from iotgw.connect.kinesis import KinesisShard

DONE = "done"
"""The position of a shard that has ended, and is durable to its end."""
STARTED = "started"
"""Beside the shards' positions: the date when the stream was read first, in milliseconds since 1970."""


class Lineage:
    """The shards of a stream with their positions: sequence numbers of the last durable records, or `DONE`."""

    def __init__(self, positions: Mapping[str, str]) -> None:
        self.positions = dict(positions)
        self._parents: dict[str, list[str]] = {}
        self._reading: set[str] = set()

    @property
    def reading(self) -> int:
        """How many shards are being read."""
        return len(self._reading)

    def listed(self, shards: Iterable[KinesisShard]) -> None:
        """These shards are there, and no others. What is known of others is forgotten, except of those being read."""
        self._parents = {each.shard_id: each.parents for each in shards}
        kept = {*self._parents, *self._reading, STARTED}
        self.positions = {name: position for name, position in self.positions.items() if name in kept}

    def due(self) -> list[str]:
        """The shards whose turn has come; they count as being read now."""
        found = [
            shard
            for shard, parents in self._parents.items()
            if shard not in self._reading
            and self.positions.get(shard) != DONE
            and all(self._is_over(parent) for parent in parents)
        ]
        self._reading.update(found)
        return found

    def reached(self, shard: str, sequence: str) -> None:
        """A shard is durable up to a record."""
        self.positions[shard] = sequence

    def ended(self, shard: str) -> None:
        """A shard has ended, and is durable to its end."""
        self._reading.discard(shard)
        self.positions[shard] = DONE

    def _is_over(self, shard: str) -> bool:
        return shard not in self._parents or self.positions.get(shard) == DONE

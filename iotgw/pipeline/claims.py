"""Which open datasource uses which port or path, so that the error for a second one can name it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from iotgw.core.errors import Conflict
from iotgw.core.needs import ANY_SEGMENT, CoapPath, HttpMount, Need, collide
from iotgw.pipeline.away import AwayPaths
from iotgw.pipeline.sources import Source

Key = tuple[str | int, ...]


class Claims:
    """The needs of the datasources that are open; ``away`` has the paths of those that aren't."""

    def __init__(self, away: AwayPaths | None = None) -> None:
        self.away = away if away is not None else AwayPaths()
        self._needs: dict[str, Sequence[Need]] = {}
        self._claimed: dict[Key, list[tuple[Source, Need]]] = {}

    def take(self, source: Source, needs: Sequence[Need]) -> None:
        """Record what a datasource is about to open. Raises Conflict if another one uses any of it."""
        for need in needs:
            for other, had in self._near(need):
                if other is not source and collide(need, had):
                    raise Conflict(f"{source.spec.name!r} needs {need}; {_named(other, source)} has {had}")
        self._needs[source.id] = needs
        for need in needs:
            self._claimed.setdefault(_key(need), []).append((source, need))

    def release(self, source: Source) -> None:
        """Release a datasource's claims: it is closed, or could not be opened."""
        for need in self._needs.pop(source.id, ()):
            key = _key(need)
            left = [claim for claim in self._claimed[key] if claim[0] is not source]
            if left:
                self._claimed[key] = left
            else:
                self._claimed.pop(key)

    def _near(self, need: Need) -> Iterator[tuple[Source, Need]]:
        """The claims that could collide with a need, and few others."""
        keys: Iterable[Key] = [_key(need)]
        if isinstance(need, HttpMount):
            keys = [_key(need), need.path[:1]] if len(need.path) > 1 else list(self._claimed)
        elif isinstance(need, CoapPath):
            patterns = _patterns(need)
            if need.is_pattern:
                keys = [key for key in self._claimed if key[: len(patterns) - 1] == patterns[:-1]]
            else:
                keys = [_key(need), patterns]
        for key in keys:
            yield from self._claimed.get(key, ())


def _key(need: Need) -> Key:
    if isinstance(need, CoapPath):
        return _patterns(need) if need.is_pattern else (*_patterns(need)[:-1], *need.place)
    return need.path[:2] if isinstance(need, HttpMount) else (type(need).__name__, need.port)


def _patterns(need: CoapPath) -> Key:
    """The key of the patterns that could have a path in common with this one: the first segment is never any."""
    return "CoapPath", need.port, need.protocol, *need.place[:1], ANY_SEGMENT


def _named(other: Source, asking: Source) -> str:
    return repr(other.spec.name) if other.tenant == asking.tenant else "a datasource of another tenant"

"""The CoAP paths of datasources that aren't open now, but may be again. What comes there is to come back later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from iotgw.core.needs import ANY_SEGMENT, CoapPath, Need, UdpPort

LONGEST = 32
"""Segments of a path that are looked at."""
Key = tuple[UdpPort, tuple[str, ...]]


class AwayPaths:
    """Paths by the id of their datasource. A look-up takes no longer with more datasources, unless they have patterns."""

    def __init__(self) -> None:
        self._paths: dict[str, list[CoapPath]] = {}
        self._at: dict[Key, list[CoapPath]] = {}

    def put(self, source: str, needs: Sequence[Need]) -> None:
        """A datasource with these needs is not open; replaces what is known of it."""
        self.remove(source)
        paths = [need for need in needs if isinstance(need, CoapPath)]
        if paths:
            self._paths[source] = paths
        for path in paths:
            self._at.setdefault(_key(path), []).append(path)

    def remove(self, source: str) -> None:
        """A datasource is open, or won't be again."""
        for path in self._paths.pop(source, ()):
            key = _key(path)
            self._at[key].remove(path)
            if not self._at[key]:
                del self._at[key]

    def find(self, port: UdpPort, path: tuple[str, ...]) -> CoapPath | None:
        """The path of such a datasource on a port to which a request for ``path`` would go, the most exact one."""
        return next((had for had in self._near(port, path) if had.takes(path)), None)

    def _near(self, port: UdpPort, path: tuple[str, ...]) -> Iterator[CoapPath]:
        if not self._at:
            return
        for length in range(min(len(path), LONGEST), 0, -1):
            yield from self._at.get((port, path[:length]), ())
        yield from self._at.get((port, (*path[:1], ANY_SEGMENT)), ())
        yield from self._at.get((port, ()), ())


def _key(path: CoapPath) -> Key:
    """Where a path is kept: patterns by their first segment, which is never any."""
    port = UdpPort(path.interface, path.port, path.protocol)
    return port, (*path.place[:1], ANY_SEGMENT) if path.is_pattern else path.place

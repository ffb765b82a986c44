"""The resources of an endpoint, found by path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.exchange import Exchange
from iotgw.wire.coap.message import Message
from iotgw.wire.coap.timing import DEFAULT_POLICY, Policy

Path = tuple[str, ...]

Attributes = Mapping[str, str | Iterable[str] | None]
"""Attributes of a link (RFC 6690 §3), without ``obs``; a value of None is an attribute that has none."""


class Resource:
    """What answers at a path. Subclass it and override `render`.

    ``methods`` are the codes that it takes; ``takes_rest`` makes it answer for longer paths as well;
    ``takes_multicast`` lets it answer requests to a group;
    ``links`` are the attributes by which discovery shows it (None: it is not shown).
    """

    methods: frozenset[int] = frozenset((n.GET,))
    policy: Policy = DEFAULT_POLICY
    takes_rest = False
    takes_multicast = False
    is_observable = False
    admits: Callable[[Hashable], bool] | None = None
    """Says whether a peer, the endpoint's ``remote``, may ask at all; None is everybody."""
    links: Attributes | None = None
    quirks: Counter[str] = Counter()
    """How often each quirk was forgiven; one that forgives any has a counter of its own."""

    def render(self, request: Message, exchange: Exchange) -> None:
        """Handle a whole request: call ``exchange.reply`` once, now or later."""
        raise NotImplementedError

    def etag(self, request: Message) -> bytes | None:
        """The entity-tag of the representation that a conditional request is about; None if it has none.

        Needed for If-Match and If-None-Match only (RFC 7252 §5.10.8).
        """
        return None

    def exists(self, request: Message) -> bool:
        """Whether there is something at the request's path, for If-None-Match."""
        return True

    def takes(self, request: Message) -> bool:
        """Whether the conditions of a request hold: If-Match and If-None-Match (RFC 7252 §5.10.8)."""
        opts = request.options
        if opts.get(n.IF_NONE_MATCH) is not None and self.exists(request):
            return False
        wanted = opts.get_all(n.IF_MATCH)
        if not wanted:
            return True
        return self.exists(request) and (b"" in wanted or self.etag(request) in wanted)

    def can_be_observed(self, request: Message) -> bool:
        """Whether the representation that a request is about can be observed."""
        return self.is_observable

    def observed(self, request: Message, remote: Hashable, key: tuple[int, bytes]) -> None:
        """A peer observes the representation of a request; ``key`` names the observation."""

    def unobserved(self, key: tuple[int, bytes]) -> None:
        """That observation has ended."""

    def entries(self, path: Path) -> Iterator[tuple[Path, Attributes]]:
        """The links that discovery shows for this resource at ``path``."""
        if self.links is not None:
            yield path, {**self.links, "obs": None} if self.is_observable else self.links


def parse_path(path: str) -> Path:
    """``"/a/b"`` as segments."""
    return tuple(segment for segment in path.split("/") if segment)


ANY_SEGMENT = "*"


class Site:
    """Resources by path. A request goes to the first of these that there is: the resource at its path; the one with the
    longest path above it, which must have ``takes_rest``; a path with `ANY_SEGMENT` in place of some segments, the most
    exact one first; what `otherwise` finds; a resource at the root that ``takes_rest``."""

    def __init__(self) -> None:
        self._resources: dict[Path, Resource] = {}
        self._patterns: dict[int, list[Path]] = {}  # by length, the most exact ones first
        self.otherwise: Callable[[Path], Resource | None] = lambda path: None
        """Answers for a path that nobody serves, if it wants to."""

    def __iter__(self) -> Iterator[tuple[Path, Resource]]:
        return iter(self._resources.items())

    def __contains__(self, path: Path) -> bool:
        return path in self._resources

    def __len__(self) -> int:
        return len(self._resources)

    def add(self, path: Path, resource: Resource) -> None:
        """Serve a resource; raises KeyError when the path is taken."""
        if path in self._resources:
            raise KeyError("/" + "/".join(path))
        self._resources[path] = resource
        if ANY_SEGMENT in path:
            alike = self._patterns.setdefault(len(path), [])
            alike.append(path)
            alike.sort(key=_looseness)

    def remove(self, path: Path) -> None:
        """Stop serving a resource."""
        del self._resources[path]
        if ANY_SEGMENT in path:
            self._patterns[len(path)].remove(path)

    def find(self, path: Path) -> tuple[Resource, Path] | None:
        """The resource for a path, and the path's rest behind it."""
        resource = self._resources.get(path)
        if resource is not None:
            return resource, ()
        for length in range(min(len(path), 32) - 1, 0, -1):
            resource = self._resources.get(path[:length])
            if resource is not None and resource.takes_rest:
                return resource, path[length:]
        for pattern in self._patterns.get(len(path), ()):
            if _fits(pattern, path):
                return self._resources[pattern], ()
        resource = self.otherwise(path)
        if resource is not None:
            return resource, path
        resource = self._resources.get(())
        return (resource, path) if resource is not None and resource.takes_rest else None


def _fits(pattern: Path, path: Path) -> bool:
    return all(wanted in (ANY_SEGMENT, segment) for wanted, segment in zip(pattern, path, strict=True))


def _looseness(pattern: Path) -> tuple[int, list[bool]]:
    return pattern.count(ANY_SEGMENT), [segment == ANY_SEGMENT for segment in pattern]

"""The paths of the API's listener that datasources serve, whatever their types.

``http`` datasources have ``/i/{routingKey}``. Another type may serve any free path::

    unmount = context.shared(HttpMounts).add(("acme", "hook"), resource)
    ...
    unmount()
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence

from twisted.internet.interfaces import IProtocolFactory
from twisted.web.pages import notFound
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site
from zope.interface import implementer

from iotgw.core.errors import SettingsError
from iotgw.core.key_guesses import RETRY_AFTER as GUESSER_RETRY_AFTER
from iotgw.core.key_guesses import KeyGuesses
from iotgw.core.needs import HttpMount
from iotgw.core.own_sites import OwnSites
from iotgw.core.ports.intake import Reason
from iotgw.core.ports.mounts import IMounts
from iotgw.core.refusals import GUESSES, NoteRefusal, nobody, wrong_key
from iotgw.core.shared import SharedResource
from iotgw.core.trusted_proxies import NO_PROXIES, TrustedProxies
from iotgw.datasources.http.request import peer_of, problem

Segments = tuple[str, ...]
MakeSite = Callable[[IResource, int], IProtocolFactory]
"""Makes a listener's site of a resource and the largest body in bytes."""
RETRY_AFTER = 10
"""Seconds after which a sender may try again, whose datasource isn't open."""
UPLOADS = "i"
"""Uploads are below this segment, one routing key each; no datasource can take all of it."""


def plain_site(resource: IResource, max_body: int) -> Site:
    """A plain site without limits of its own."""
    site = Site(resource)
    site.displayTracebacks = False
    return site


@implementer(IMounts)
class HttpMounts(SharedResource):
    """What is served below one listener.

    ``make_site`` makes the sites of further listeners; ``reserved`` are paths that nobody may have, with all below them.
    ``is_away`` says whether an upload's routing key is that of a datasource that isn't open now: its sender may try
    again later, and should, while one whose key is nobody's should not. ``refused`` is told of the latter, as of a
    sender at ``listener``, and of requests of other ``sites``. ``proxies`` are those in front of all these listeners.
    """

    def __init__(
        self,
        make_site: MakeSite = plain_site,
        reserved: Collection[Segments] = (),
        is_away: Callable[[str], bool] = lambda key: False,
        refused: NoteRefusal = nobody,
        listener: str = "api",
        sites: OwnSites | None = None,
        guesses: KeyGuesses | None = None,
        proxies: TrustedProxies = NO_PROXIES,
    ) -> None:
        self.make_site = make_site
        self.proxies = proxies
        self._sites = sites or OwnSites()
        self._listener = listener
        self._refused = refused
        self._guesses = guesses
        self._nobody = _Nobody(self.refuse, guesses)
        self.is_away = is_away
        self._is_closing = False
        self._reserved = tuple(reserved)
        self._not_ours = frozenset(path[0] for path in reserved)
        self._resources: dict[tuple[bytes, ...], IResource] = {}
        self._refusers: dict[tuple[bytes, ...], Callable[[Reason, str, str], None] | None] = {}
        self._above: Counter[tuple[bytes, ...]] = Counter()
        """The mounted paths."""
        self._longest = 0

    def add(
        self,
        path: Segments,
        resource: IResource,
        is_for_all_sites: bool = False,
        refuse: Callable[[Reason, str, str], None] | None = None,
    ) -> Callable[[], None]:
        """Serve a resource at a path, with all below it, until the function that this returns is called.

        Requests of other sites' web pages don't get there, unless it ``is_for_all_sites``; ``refuse``, such as
        `IIntake.refuse`, is told of them. A resource that isn't a leaf is asked for its children as Twisted does. Raises SettingsError when the path, or
        one above or below it, is taken.
        """
        is_ours = any(path[: len(own)] == own[: len(path)] for own in self._reserved)
        if not path or is_ours or path == (UPLOADS,):
            raise SettingsError(
                "path", f"expected a path that the gateway doesn't need itself, got {HttpMount(path)}"
            )
        key = tuple(segment.encode() for segment in path)
        above = [key[:length] for length in range(1, len(key))]
        if key in self._above or any(each in self._resources for each in (*above, key)):
            raise SettingsError("path", f"{HttpMount(path)} is taken by another datasource")
        self._resources[key] = resource
        self._refusers[key] = None if is_for_all_sites else refuse or self.refuse
        self._above.update(above)
        self._longest = max(self._longest, len(key))

        def remove() -> None:
            if self._resources.get(key) is resource:
                del self._resources[key], self._refusers[key]
                self._above -= Counter(above)

        return remove

    def elsewhere(self, listener: str) -> HttpMounts:
        """Mounts like these for another listener, of that name."""
        return HttpMounts(
            self.make_site,
            is_away=self.is_away,
            refused=self._refused,
            listener=listener,
            sites=self._sites,
            guesses=self._guesses,
            proxies=self.proxies,
        )

    def close(self) -> None:
        """The gateway stops: what isn't served any more is not gone but away."""
        self._is_closing = True

    def resource(self, first: bytes, request: Request) -> IResource | None:
        """See `IMounts.resource`."""
        rest = request.postpath or []
        for length in range(min(len(rest) + 1, self._longest), 0, -1):
            key = (first, *rest[: length - 1])
            found = self._resources.get(key)
            if found is not None:
                objection = self._object_to(request, self._refusers[key]) or self._limited(
                    first, rest, request
                )
                if objection is not None:
                    return objection
                if request.prepath is not None:
                    request.prepath += rest[: length - 1]
                request.postpath = rest[length - 1 :]
                return found
        if self._is_closing and first.decode("utf-8", "replace") not in self._not_ours:
            return _AWAY
        if first != UPLOADS.encode():
            return None
        if objection := self._object_to(request, self.refuse):
            return objection
        is_away = bool(rest) and self.is_away(rest[0].decode("utf-8", "replace"))
        return (self._limited(first, rest, request) or _AWAY) if is_away else self._nobody

    def _limited(self, first: bytes, rest: Sequence[bytes], request: Request) -> IResource | None:
        """What answers somebody who has guessed keys, and has found one; None for others."""
        if self._guesses is None or first != UPLOADS.encode() or not rest:
            return None
        peer, key = peer_of(request), rest[0].decode("utf-8", "replace")
        if self._guesses.may(peer, key):
            return None
        self.refuse("key", peer, "it has tried many wrong routing keys, and this one for the first time")
        return _GUESSER

    def refuse(self, reason: Reason, peer: str, message: str) -> None:
        """Note that somebody at ``peer`` was turned away at this listener."""
        self._refused(self._listener, reason, peer, message)

    def _object_to(
        self, request: Request, refuse: Callable[[Reason, str, str], None] | None
    ) -> IResource | None:
        """What answers a request of another site; None if it isn't one, or nobody minds."""
        objection = self._sites.objection(request) if refuse is not None else ""
        if refuse is None or not objection:
            return None
        refuse("site", peer_of(request), objection)
        return _OtherSite(objection)


class MountRoot(Resource):
    """The root of a listener that has nothing but mounts."""

    def __init__(self, mounts: HttpMounts) -> None:
        super().__init__()
        self._mounts = mounts

    def getChildWithDefault(self, path: bytes, request: Request) -> IResource:
        """The resource of a path whose first segment is given."""
        found = self._mounts.resource(path, request)
        return found if found is not None else notFound()


class _Nobody(Resource):
    """An upload with an unknown routing key."""

    isLeaf = True

    def __init__(self, refused: Callable[[Reason, str, str], None], guesses: KeyGuesses | None) -> None:
        super().__init__()
        self._refused = refused
        self._guesses = guesses

    def render(self, request: Request) -> bytes:
        """Say so, unless the sender guesses keys."""
        key, peer = (request.postpath or [b""])[0].decode("utf-8", "replace"), peer_of(request)
        is_limited = self._guesses is not None and self._guesses.wrong(peer, key)
        self._refused("key", peer, wrong_key(key) + (GUESSES if is_limited else ""))
        if is_limited:
            return _GUESSER.render(request)
        return problem(request, 404, "expected /i/{routingKey} of a datasource that is open")


class _Guesser(Resource):
    """An upload of somebody who guesses routing keys, whether this one is right or wrong."""

    isLeaf = True

    def render(self, request: Request) -> bytes:
        """Say when to come back."""
        request.setHeader(b"retry-after", b"%d" % GUESSER_RETRY_AFTER)
        return problem(request, 429, "this address has tried too many routing keys; come back later")


_GUESSER = _Guesser()


class _OtherSite(Resource):
    """A request of another site's page."""

    isLeaf = True

    def __init__(self, objection: str) -> None:
        super().__init__()
        self._objection = objection

    def render(self, request: Request) -> bytes:
        """Say so."""
        return problem(request, 403, self._objection)


class _Away(Resource):
    """An upload to a datasource that isn't open now."""

    isLeaf = True

    def render(self, request: Request) -> bytes:
        """Say so, and when to come back."""
        request.setHeader(b"retry-after", b"%d" % RETRY_AFTER)
        return problem(request, 503, "this datasource is not open now; come back later")


_AWAY = _Away()

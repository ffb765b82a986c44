"""The UDP ports of CoAP datasources, whatever their types: each is opened for its first user and closed with its last.

A datasource opens a port, gets a share of it, and serves resources there::

    share = context.shared(CoapPorts).open(context, "0.0.0.0", 5683)
    share.serve({("acme", "v1"): resource})
    ...
    share.close()
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Literal

from twisted.internet.defer import Deferred, succeed

from iotgw.core.errors import SettingsError
from iotgw.core.key_guesses import KeyGuesses
from iotgw.core.needs import CoapPath, UdpPort
from iotgw.core.networks import NOT_ALLOWED
from iotgw.core.pem import Files
from iotgw.core.ports.datasources import DatasourceContext
from iotgw.core.ports.reactor import IReactor
from iotgw.core.refusals import GUESSES, NoteRefusal, nobody, wrong_key
from iotgw.core.shared import SharedResource
from iotgw.datasources.coap.port import NOT_OPEN, CoapPort
from iotgw.datasources.coap.secure_port import CoapsPort
from iotgw.dtls.settings import DtlsSettings
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.exchange import Exchange
from iotgw.wire.coap.lenient import QUIRKS
from iotgw.wire.coap.message import Message
from iotgw.wire.coap.site import Path, Resource
from iotgw.wire.coap.timing import DEFAULT, Policy, Timing


class CoapPorts(SharedResource):
    """The open ports of a gateway, by interface, port and whether they speak DTLS.

    ``is_away(key)`` says whether a routing key is that of a datasource that isn't open now, and ``away_at(port, path)``
    gives the path of such a datasource to which a request would go: who sends there is told to come back later (5.03),
    not that there is no such thing. ``refused`` is told who sends to a key that is nobody's. ``trees`` are the txThings
    trees that datasources may mount, as ``package.module:name``.
    """

    def __init__(
        self,
        reactor: IReactor,
        is_away: Callable[[str], bool] = lambda key: False,
        away_at: Callable[[UdpPort, Path], CoapPath | None] = lambda port, path: None,
        refused: NoteRefusal = nobody,
        trees: Iterable[str] = (),
    ) -> None:
        self.trees = frozenset(trees)
        self._reactor = reactor
        self._guesses = KeyGuesses(reactor)
        self._refused = refused
        self._is_away = is_away
        self._away_at = away_at
        self._used: dict[tuple[str, int, bool], _Used] = {}

    def open(
        self,
        context: DatasourceContext,
        interface: str,
        port: int,
        dtls: DtlsSettings | None = None,
        files: Files | None = None,
    ) -> CoapShare:
        """A datasource's share of a UDP port: of ``coap``, or of ``coaps`` with ``dtls``, whose certificates may be in
        ``files`` (`DatasourceContext.read_files` of ``dtls.files``).

        All users of a ``coaps`` port belong to one tenant and have the same DTLS settings, except for the
        certificates that they trust.
        Raises CannotListenError, SettingsError or Unavailable.
        """
        key = interface, port, dtls is not None
        used = self._used.get(key)
        if used is None:
            used = self._used[key] = _Used(self._new(context, interface, port, dtls, files or {}))
            protocol: Literal["coap", "coaps"] = "coap" if dtls is None else "coaps"
            used.port.site.otherwise = partial(self._away, used, UdpPort(interface, port, protocol))
            used.port.unserved = partial(self._unserved, f"{protocol} {interface}:{port}")
        share = CoapShare(self, key, used.port, dtls, context)
        try:
            used.admit(share, context.tenant, files or {})
        except Exception:
            self._close_if_unused(key)
            raise
        return share

    def _new(
        self, context: DatasourceContext, interface: str, port: int, dtls: DtlsSettings | None, files: Files
    ) -> CoapPort:
        if dtls is None:
            return CoapPort(self._reactor, port, interface)
        return CoapsPort(self._reactor, port, interface, dtls, context, files)

    def users(self, key: tuple[str, int, bool]) -> int:
        """How many use a port."""
        used = self._used.get(key)
        return len(used.shares) if used is not None else 0

    def _away(self, used: _Used, port: UdpPort, path: Path) -> Resource | None:
        keys = [key for place, key in itertools.pairwise(path) if place == "i"]
        if any(map(self._is_away, keys)):
            return _AWAY
        away = self._away_at(port, path)
        if away is None or (not away.place and used.takes_all):
            return None
        return _AWAY

    def _unserved(self, listener: str, peer: str, path: str) -> bool:
        """Somebody sent to a key that is nobody's, or to no key. Returns whether he gets no answer, as he guesses. A right
        key is answered all the same: an address of a datagram can be forged, and with it somebody else could be shut out."""
        keys = [key for place, key in itertools.pairwise(path.split("/")) if place == "i"]
        if not keys:
            return False
        is_limited = self._guesses.wrong(peer, keys[0])
        self._refused(listener, "key", peer, wrong_key(keys[0]) + (GUESSES if is_limited else ""))
        return is_limited

    def release(self, key: tuple[str, int, bool], share: CoapShare) -> Deferred[None]:
        """A share is given back; see `CoapShare.close`."""
        self._used[key].dismiss(share)
        return self._close_if_unused(key)

    def _close_if_unused(self, key: tuple[str, int, bool]) -> Deferred[None]:
        used = self._used[key]
        if used.shares:
            return succeed(None)
        del self._used[key]
        return used.port.close()


class _Away(Resource):
    """A datasource that isn't open now."""

    methods = frozenset((n.GET, n.POST, n.PUT, n.DELETE, n.FETCH, n.PATCH, n.IPATCH))
    policy = Policy(lenient=frozenset(QUIRKS))  # it may be one that forgives them

    def __init__(self) -> None:
        self.quirks = Counter()

    def render(self, request: Message, exchange: Exchange) -> None:
        """Say so, and when to come back."""
        exchange.reply(NOT_OPEN)


_AWAY = _Away()


class _Used:
    """An open port with its shares."""

    def __init__(self, port: CoapPort) -> None:
        self.port = port
        self.shares: list[CoapShare] = []

    @property
    def takes_all(self) -> bool:
        """Whether somebody serves every path that nobody else has."""
        roots = [share.resources.get(()) for share in self.shares]
        return any(root is not None and root.takes_rest for root in roots)

    def admit(self, share: CoapShare, tenant: str, files: Files) -> None:
        if isinstance(self.port, CoapsPort) and share.dtls is not None:
            self.port.check(share.dtls, tenant)
            self._trust(self.port, [*self.shares, share], files)
        self.shares.append(share)
        self._limit()

    def _limit(self) -> None:
        """What comes from where none of them allows is not looked at."""
        self.port.admits = self._admits if all(share.allow for share in self.shares) else None

    def _admits(self, host: str) -> bool:
        if any(share.allow.has(host) for share in self.shares):
            return True
        for share in self.shares:
            share.refuse(host.removeprefix("::ffff:"))
        return False

    def dismiss(self, share: CoapShare) -> None:
        self.shares.remove(share)
        if self.shares:
            self._limit()
        if isinstance(self.port, CoapsPort) and self.shares:
            self._trust(self.port, self.shares, {})

    def _trust(self, port: CoapsPort, shares: list[CoapShare], files: Files) -> None:
        port.trust([share.dtls for share in shares if share.dtls is not None], files)


class CoapShare:
    """A datasource's share of a port.

    ``port`` has the ``endpoint`` and the ``address``; ``resources`` are what the datasource serves there.
    """

    def __init__(
        self,
        ports: CoapPorts,
        key: tuple[str, int, bool],
        port: CoapPort,
        dtls: DtlsSettings | None,
        context: DatasourceContext,
    ) -> None:
        self.port = port
        self.allow = context.allow
        self._context = context
        self.dtls = dtls
        self.resources: dict[Path, Resource] = {}
        self._ports = ports
        self._key = key
        self._timing = DEFAULT
        self._discovery: Policy | None = None
        self._resets = True
        self._serves = False
        self._is_open = True

    def refuse(self, host: str) -> None:
        """Somebody at an address that the datasource doesn't allow was turned away."""
        self._context.intake.refuse("network", host, NOT_ALLOWED)

    def serve(
        self,
        resources: dict[Path, Resource],
        timing: Timing = DEFAULT,
        discovery: Policy | None = None,
        resets: bool = True,
    ) -> None:
        """Serve resources until `close`, once: at all of these paths, or at none.

        The port remembers messages for as long as the slowest ``timing`` of its users asks for; with ``discovery`` it
        answers ``/.well-known/core``. It resets Non-confirmable notifications that nobody observes, unless one of them doesn't want it
        (``resets``). Raises SettingsError with the path that another datasource has.
        """
        if self._serves:
            raise RuntimeError("this share serves its resources already")
        try:
            self.port.add(resources, timing, discovery, resets)
        except KeyError as error:
            raise SettingsError("routingKey", f"{error.args[0]} is taken by another datasource") from error
        self.resources, self._timing, self._serves = resources, timing, True
        self._discovery, self._resets = discovery, resets

    @property
    def is_alone(self) -> bool:
        """Whether nobody else uses the port."""
        return self._ports.users(self._key) == 1

    def sent(self) -> None:
        """Call this after a reply or a request made outside of a resource's `render`, so that the port
        schedules its retransmission."""
        self.port.sent()

    def close(self) -> Deferred[None]:
        """Stop serving, and notify observers; the last share closes the port. May be called again."""
        if not self._is_open:
            return succeed(None)
        self._is_open = False
        if self._serves:
            self.port.remove(self.resources, self._timing, self._discovery, self._resets)
        return self._ports.release(self._key, self)

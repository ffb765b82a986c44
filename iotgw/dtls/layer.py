"""The DTLS layer: a listener's datagrams in, plaintext of established sessions out, and back.

Knows no socket and no clock: the owner calls `DtlsLayer.datagram_in` for each datagram and
`DtlsLayer.tick` about once a second, both with the time in seconds, and gives it ``transmit``. All state is
bounded: nothing for an address that has not returned a cookie, then handshakes and sessions up to their
caps, of which the oldest and the least recently used go first.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from iotgw.core.errors import ProtocolError
from iotgw.dtls.engine import HandshakeFailed, IEngine, OpenSslEngine, WriteFailed
from iotgw.dtls.hellos import Hellos
from iotgw.dtls.identity import Identity
from iotgw.dtls.profile import Profile
from iotgw.dtls.session import Address, DtlsSession, Handshake, SessionTable
from iotgw.dtls.settings import DtlsSettings
from iotgw.dtls.telling import Telling
from iotgw.wire.dtls.hello import SMALLEST_LIMIT, ClientHello, behind_hellos, is_client_hello
from iotgw.wire.dtls.record import (
    ALERT,
    APPLICATION_DATA,
    CHANGE_CIPHER_SPEC,
    DTLS_1_2,
    HANDSHAKE,
    alert,
    epochs,
    first_record,
)

Received = list[tuple[DtlsSession, bytes]]

_HANDSHAKE_FAILURE, _ILLEGAL_PARAMETER, _PROTOCOL_VERSION = 40, 47, 70


class Profiles(Protocol):
    """Where the layer gets the profile for a handshake; see `iotgw.dtls.profiles`."""

    def choose(self, suites: frozenset[int]) -> Profile | None:
        """The profile for a ClientHello's cipher suites; None when there is none in common."""

    def failed(self, identity: Identity) -> None:
        """A handshake timed out after the peer claimed this PSK identity and did not prove it."""

    def __iter__(self) -> Iterator[Profile]:
        """Every profile."""


class DtlsLayer:
    """Sessions of one listener.

    ``transmit(datagram, address)`` sends; ``event(type, message, severity, **detail)`` hears of what a person
    may want to know: of one host each reason once a minute, and ten reasons at most; ``closed(session, reason)`` of each session's
    end. ``secret`` is 32 random bytes for cookies. ``counters`` counts what happened, by name.

    Many methods: handshakes and sessions share their addresses, and each step of a handshake is one.
    """

    def __init__(
        self,
        settings: DtlsSettings,
        profiles: Profiles,
        transmit: Callable[[bytes, Address], object],
        secret: bytes,
        event: Callable[..., object] = lambda *_, **__: None,
        closed: Callable[[DtlsSession, str], object] = lambda *_: None,
        engine: Callable[[Profile, int, int], IEngine] = OpenSslEngine,
    ) -> None:
        self._settings = settings
        self._timings = settings.timings
        self._profiles = profiles
        self._transmit = transmit
        self.told = Telling(event)
        self._tell = self.told.tell
        self._closed = closed
        self._engine = engine
        self._sessions = SessionTable(by_host=settings.address_change > 0)
        self._handshakes: OrderedDict[Address, Handshake] = OrderedDict()
        self._serial = 0
        self.counters: Counter[str] = Counter()
        self._hellos = Hellos(secret, settings.max_handshakes, self._timings.handshake_timeout, self.counters)
        self.route: Callable[[bytes], DtlsSession | None] | None = None
        """Finds a datagram's session before its address does; for an engine with Connection IDs."""

    # --- datagrams in -----------------------------------------------------------------------------

    def datagram_in(self, datagram: bytes, address: Address, now: float) -> Received:
        """Take a datagram: the plaintexts in it, each with its session. Never raises for what peers send."""
        if self.route is not None and (session := self.route(datagram)) is not None:
            return self._moved(session, datagram, address, now)
        try:
            kind, epoch = first_record(datagram)
        except ProtocolError:
            self.counters["junk"] += 1
            return []
        session = self._sessions.get(address)
        if epoch == 0:
            if kind == HANDSHAKE and is_client_hello(datagram):
                return self._hello(datagram, address, now)
            return self._in_clear(kind, session, datagram, address, now)
        if session is not None and (plaintexts := self._feed(session, datagram, now)):
            return [(session, plaintext) for plaintext in plaintexts]
        if address in self._handshakes:
            return self._advance(self._handshakes[address], datagram, now)
        if session is None:
            return self._from_unknown_port(kind, datagram, address, now)
        return []

    def _in_clear(
        self, kind: int, session: DtlsSession | None, datagram: bytes, address: Address, now: float
    ) -> Received:
        handshake = self._handshakes.get(address)
        if handshake is not None and kind in (HANDSHAKE, CHANGE_CIPHER_SPEC, ALERT):
            return self._advance(handshake, datagram, now)
        if session is not None and kind in (HANDSHAKE, CHANGE_CIPHER_SPEC):
            # A last flight that comes again: ours was lost, and OpenSSL repeats it (RFC 6347 §4.2.4).
            return [(session, plaintext) for plaintext in self._feed(session, datagram, now)]
        self.counters["strays"] += 1
        return []

    def _hello(self, datagram: bytes, address: Address, now: float) -> Received:
        taken = self._hellos.take(datagram, address, now)
        if taken is None:
            return []
        if isinstance(taken, bytes):
            self._transmit(taken, address)
            return []
        hello, record = taken
        handshake = self._handshakes.get(address)
        if handshake is not None and handshake.random == hello.random:
            self._again(handshake, now)
        else:
            session = self._sessions.get(address)
            if session is None or session.random != hello.random:  # else a duplicate that came late
                self._begin(hello, record, len(datagram), address, now)
                return []
        # A client that is late with its hello may send it again together with what comes next.
        rest = behind_hellos(datagram)
        return self.datagram_in(rest, address, now) if rest else []

    def _begin(self, hello: ClientHello, record: bytes, size: int, address: Address, now: float) -> None:
        if hello.version > DTLS_1_2:  # versions count down: 1.0 is feff, 1.2 fefd
            self._refuse(
                hello, address, _PROTOCOL_VERSION, f"expected DTLS 1.2, got {hello.version:#06x}", now
            )
            return
        if hello.limit < SMALLEST_LIMIT:
            reason = f"expected a record_size_limit of at least {SMALLEST_LIMIT}, got {hello.limit}"
            self._refuse(hello, address, _ILLEGAL_PARAMETER, reason, now)
            return
        profile = self._profiles.choose(hello.suites)
        if profile is None:
            offered = ", ".join(f"{suite:04x}" for suite in sorted(hello.suites))
            self._refuse(hello, address, _HANDSHAKE_FAILURE, f"no cipher suite in common with {offered}", now)
            return
        while len(self._handshakes) >= self._settings.max_handshakes:
            _, oldest = self._handshakes.popitem(last=False)
            self.counters["handshakesEvicted"] += 1
            oldest.engine.close()
        self.counters["handshakes"] += 1
        engine = self._engine(profile, self._settings.mtu, hello.limit)
        due = now + self._timings.flight_interval
        handshake = Handshake(address, engine, hello.random, now, due)
        self._handshakes.pop(address, None)
        self._handshakes[address] = handshake
        handshake.received += size
        try:
            engine.start(record)
        except HandshakeFailed as failure:
            self._fail(handshake, str(failure), now)
            return
        self._flush(handshake)

    def _again(self, handshake: Handshake, now: float) -> None:
        """The peer repeats its ClientHello, so our flight was lost. Repeat it too (RFC 6347 §4.2.4)."""
        handshake.due = now + self._timings.flight_interval
        try:
            handshake.engine.retransmit()
        except HandshakeFailed as failure:
            self._fail(handshake, str(failure), now)
            return
        self._flush(handshake)

    def _advance(self, handshake: Handshake, datagram: bytes, now: float) -> Received:
        engine = handshake.engine
        handshake.received += len(datagram)
        try:
            plaintexts = engine.feed(datagram)
        except HandshakeFailed as failure:
            self._fail(handshake, str(failure), now)
            return []
        self._flush(handshake)
        if not engine.done:
            if any(epochs(datagram)):
                handshake.encrypted += 1
            return []
        session = self._establish(handshake, now)
        if engine.closed:
            self._end(session, "closed by the peer")
        return [(session, plaintext) for plaintext in plaintexts]

    def _feed(self, session: DtlsSession, datagram: bytes, now: float) -> list[bytes]:
        engine = session.engine
        plaintexts = engine.feed(datagram)
        if engine.closed:
            self._end(session, "closed by the peer")
        elif plaintexts:  # only what the peer's key made counts as use
            session.received += len(datagram)
            self._sessions.touch(session, now)
        else:
            self.counters["undecryptable"] += 1
            self._flush(session)
        return plaintexts

    def _from_unknown_port(self, kind: int, datagram: bytes, address: Address, now: float) -> Received:
        if kind == APPLICATION_DATA:
            for session in self._sessions.at_host(address[0], self._settings.address_change):
                if received := self._moved(session, datagram, address, now):
                    return received
        self.counters["strays"] += 1
        return []

    def _moved(self, session: DtlsSession, datagram: bytes, address: Address, now: float) -> Received:
        """Take a datagram for a session that may have been elsewhere; only a good MAC moves it."""
        plaintexts = self._feed(session, datagram, now)
        if plaintexts and session.address != address and not session.engine.closed:
            self.counters["addressChanges"] += 1
            if (replaced := self._sessions.move(session, address)) is not None:
                self._end(replaced, "another session moved to its address")
        return [(session, plaintext) for plaintext in plaintexts]

    # --- out --------------------------------------------------------------------------------------

    def send(self, session: DtlsSession, plaintext: bytes, now: float) -> bool:
        """Encrypt and send; False when the session is over. ValueError for more than ``session.mtu``.

        A write that fails ends the session, is counted, and is an event.
        """
        engine = session.engine
        if engine.closed:
            return False
        try:
            engine.write(plaintext)
        except WriteFailed as failure:
            self.counters["writesFailed"] += 1
            self._tell(session.address, f"a write failed: {failure}", now, identity=session.identity.name)
            self._end(session, "a write failed")
            return False
        self._flush(session)
        self._sessions.touch(session, now)
        return True

    def _flush(self, peer: DtlsSession | Handshake) -> None:
        for datagram in peer.engine.outgoing():
            peer.sent += len(datagram)
            self._transmit(datagram, peer.address)

    # --- time -------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Repeat flights that are due, and end what has lasted too long. Call it about once a second."""
        for handshake in tuple(self._handshakes.values()):
            if now >= handshake.since + self._timings.handshake_timeout:
                self._timed_out(handshake, now)
            elif now >= handshake.due:
                self._again(handshake, now)
        for address, random in self._hellos.expire(now):
            session = self._sessions.get(address)
            if session is None or session.random != random:  # else fragments of a repeated hello
                self._tell(address, "a ClientHello in fragments did not become whole", now)
        oldest = self._sessions.oldest()
        while oldest is not None and now >= oldest.used + self._timings.idle_timeout:
            self._end(oldest, "idle")
            oldest = self._sessions.oldest()

    def _timed_out(self, handshake: Handshake, now: float) -> None:
        claimed = handshake.engine.claimed
        reason = f"the handshake did not finish within {self._timings.handshake_timeout:g} s"
        if claimed is not None and claimed.type == "psk" and handshake.encrypted:
            # A Finished under another key fails its MAC, which DTLS drops in silence.
            self.counters["wrongKeys"] += 1
            self._profiles.failed(claimed)
            reason = f"wrong key? {reason}"
        self._fail(handshake, reason, now)

    # --- beginnings and ends ----------------------------------------------------------------------

    def _establish(self, handshake: Handshake, now: float) -> DtlsSession:
        del self._handshakes[handshake.address]
        self._serial += 1
        session = DtlsSession(str(self._serial), handshake, now)
        if (replaced := self._sessions.add(session)) is not None:
            # Its port now speaks with other keys: a close_notify would only be noise.
            self._over(replaced, "replaced by a new handshake", silently=True)
        while len(self._sessions) > self._settings.max_sessions:
            self.counters["sessionsEvicted"] += 1
            oldest = self._sessions.oldest()
            assert oldest is not None
            self._end(oldest, "least recently used, to make room")
        self.counters["established"] += 1
        return session

    def _fail(self, handshake: Handshake, reason: str, now: float) -> None:
        self._flush(handshake)  # OpenSSL's alert
        if self._handshakes.get(handshake.address) is handshake:
            del self._handshakes[handshake.address]
        self.counters["handshakesFailed"] += 1
        claimed = handshake.engine.claimed
        self._tell(handshake.address, reason, now, identity=claimed.name if claimed else "")

    def _refuse(
        self, hello: ClientHello, address: Address, description: int, reason: str, now: float
    ) -> None:
        # Number 0 was the HelloVerifyRequest's.
        self._transmit(alert(description, hello.sequence), address)
        self.counters["handshakesFailed"] += 1
        self._tell(address, reason, now)

    def _end(self, session: DtlsSession, reason: str) -> None:
        self._sessions.remove(session)
        self._over(session, reason)

    def _over(self, session: DtlsSession, reason: str, silently: bool = False) -> None:
        session.engine.close()
        if not silently:
            self._flush(session)
        self.counters["ended"] += 1
        self._closed(session, reason)

    # --- for people -------------------------------------------------------------------------------

    def sessions(self) -> Iterable[DtlsSession]:
        """Every established session, least recently used first."""
        return iter(self._sessions)

    def session_at(self, address: Address) -> DtlsSession | None:
        """The established session of an address."""
        return self._sessions.get(address)

    @property
    def half_open(self) -> int:
        """How many handshakes are under way."""
        return len(self._handshakes)

    def end(self, id: str, reason: str = "ended by the operator") -> bool:
        """End a session by its id; False when there is none."""
        for session in self._sessions:
            if session.id == id:
                self._end(session, reason)
                return True
        return False

    def end_identities(self, matches: Callable[[Identity], bool], reason: str) -> int:
        """End every session whose identity matches, and let none of them be resumed; how many there were."""
        for profile in self._profiles:
            profile.forget(matches)
        for handshake in tuple(self._handshakes.values()):
            if (claimed := handshake.engine.claimed) is not None and matches(claimed):
                del self._handshakes[handshake.address]
                handshake.engine.close()
        ended = [session for session in self._sessions if matches(session.identity)]
        for session in ended:
            self._end(session, reason)
        return len(ended)

    def close(self, reason: str = "the gateway stops") -> None:
        """End everything."""
        for handshake in self._handshakes.values():
            handshake.engine.close()
        self._handshakes.clear()
        for session in self._sessions:
            self._end(session, reason)

"""One DTLS 1.2 association on OpenSSL, through memory BIOs: datagrams in, plaintext and datagrams out.

No socket, no timer, no address. Whoever owns an engine passes in each datagram on its own, sends what
`outgoing` gives after every call, and asks for retransmission when a flight is due.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

from OpenSSL import SSL

from iotgw.core.errors import IotgwError
from iotgw.dtls.identity import Identity
from iotgw.dtls.profile import Profile
from iotgw.dtls.trial import KeyTrial
from iotgw.wire.dtls.hello import LARGEST_RECORD
from iotgw.wire.dtls.record import HEADER_SIZE, fill, is_one_record, renumber, sequence_number, split

_STREAM = 65536
_LEAST_SIZE = 256  # of a datagram, for OpenSSL
_READ = 16384  # the most plaintext of one record (RFC 5246 §6.2.1)


class HandshakeFailed(IotgwError):
    """The handshake can't be completed; the reason in one line."""


class WriteFailed(IotgwError):
    """Nothing more can be sent in this association; the reason in one line."""


class IEngine(Protocol):
    """What the layer needs of a DTLS engine; another library, one with Connection IDs say, fits in here."""

    done: bool
    closed: bool
    identity: Identity | None
    cipher: str
    claimed: Identity | None
    mtu: int

    def start(self, hello: bytes) -> None:
        """Begin with a ClientHello whose cookie has been checked. Raises HandshakeFailed."""

    def feed(self, datagram: bytes) -> list[bytes]:
        """Take one datagram; the plaintexts in it. Raises HandshakeFailed; after that, only `closed` tells."""

    def write(self, plaintext: bytes) -> None:
        """Encrypt at most `mtu` bytes; ValueError for more. Raises WriteFailed, and is `closed` then."""

    def outgoing(self) -> list[bytes]:
        """The datagrams to send now."""

    def retransmit(self) -> None:
        """Send the last flight again, if it is old enough."""

    def close(self) -> None:
        """Say goodbye (close_notify)."""


class OpenSslEngine:
    """An engine on pyOpenSSL. ``size`` is the most bytes of a datagram, ``limit`` the most plaintext bytes of a record
    that the peer takes.

    ``claimed`` is who the peer says it is, proved only when `done`: then it is ``identity``. ``mtu`` is the
    most plaintext that one datagram takes. ``problem`` is why a callback refused the peer.

    The first flight is numbered from the ClientHello's record on (RFC 6347 §4.2.1). OpenSSL counts from 1, whose place
    in the peer's replay window the HelloVerifyRequest for a repeated ClientHello has taken.
    """

    __slots__ = (
        "_ahead",
        "_conn",
        "_hello",
        "_limit",
        "_most",
        "_profile",
        "_size",
        "_trial",
        "cipher",
        "claimed",
        "closed",
        "done",
        "identity",
        "mtu",
        "problem",
    )

    def __init__(self, profile: Profile, size: int, limit: int = LARGEST_RECORD) -> None:
        self._profile = profile
        self._most = size
        self._limit = limit
        # A peer with a limit has a buffer for one such record, so a flight's datagrams are no larger either.
        self._size = min(size, max(limit + HEADER_SIZE, _LEAST_SIZE))
        self._conn = SSL.Connection(profile.context, None)
        self._conn.set_accept_state()
        self._conn.set_ciphertext_mtu(self._size)
        self.done = self.closed = False
        self.identity: Identity | None = None
        self.claimed: Identity | None = None
        self.cipher = self.problem = ""
        self.mtu = 0
        self._trial: KeyTrial | None = None
        self._hello: int | None = None  # its number, until our first flight
        self._ahead = 0  # of OpenSSL's numbers

    def start(self, hello: bytes) -> None:
        """See `IEngine.start`."""
        self._trial = self._profile.trial(hello)
        self._hello = sequence_number(hello)
        self._conn.bio_write(hello)
        try:
            # Moves OpenSSL past the cookie exchange, which was ours: its cookie callback agrees to all.
            self._conn.DTLSv1_listen()
        except SSL.Error as error:
            raise HandshakeFailed(f"expected a ClientHello that OpenSSL accepts: {reason(error)}") from error
        self._conn.set_ciphertext_mtu(self._size)  # DTLSv1_listen clears the connection
        self._handshake()

    def feed(self, datagram: bytes) -> list[bytes]:
        """See `IEngine.feed`."""
        if self._trial is None:
            return self._take(datagram)
        plaintexts: list[bytes] = []
        for held in self._trial.take(datagram):
            plaintexts += self._take(held)
        return plaintexts

    @property
    def secret(self) -> bytes | None:
        """The secret that the peer was found to use, if there was a choice."""
        return self._trial.secret if self._trial is not None else None

    def write(self, plaintext: bytes) -> None:
        """See `IEngine.write`."""
        if len(plaintext) > self.mtu:  # OpenSSL would make one datagram of it, whatever its size
            raise ValueError(f"expected at most {self.mtu} bytes for one datagram, got {len(plaintext)}")
        try:
            self._conn.send(plaintext)
        except SSL.Error as error:
            self.closed = True
            raise WriteFailed(reason(error)) from error

    def outgoing(self) -> list[bytes]:
        """See `IEngine.outgoing`."""
        stream = b""
        with suppress(SSL.WantReadError):
            while len(stream) % _STREAM == 0:  # a shorter read has emptied the BIO
                stream += self._conn.bio_read(_STREAM)
        if not stream:
            return []
        if self._hello is not None:
            self._ahead, self._hello = max(0, self._hello - sequence_number(stream)), None
        if self._ahead:
            stream = renumber(stream, self._ahead)
        if self._trial is not None:
            self._trial.sent(stream)
        return [stream] if is_one_record(stream) else fill(split(stream), self._size)

    def retransmit(self) -> None:
        """See `IEngine.retransmit`. OpenSSL's own back-off (1, 2, 4, 8 … s) is the least interval."""
        if not self.closed:
            try:
                self._conn.DTLSv1_handle_timeout()
            except SSL.Error as error:  # too many retransmissions
                raise HandshakeFailed(reason(error)) from error

    def close(self) -> None:
        """See `IEngine.close`."""
        if self.done:
            with suppress(SSL.Error):  # it was broken already: there is nobody to say goodbye to
                self._conn.shutdown()
        self.closed = True

    def _take(self, datagram: bytes) -> list[bytes]:
        # A memory BIO knows no datagram borders: one goes in, and is used up, before the next.
        self._conn.bio_write(datagram)
        if not self.done:
            self._handshake()
            if not self.done:
                return []
        return self._read(once=is_one_record(datagram))

    def _handshake(self) -> None:
        profile = self._profile
        profile.current = self  # OpenSSL's callbacks come within do_handshake and name no engine
        try:
            self._conn.do_handshake()
        except SSL.WantReadError:
            return
        except SSL.Error as error:
            self.closed = True
            raise HandshakeFailed(self.problem or reason(error)) from error
        finally:
            profile.current = None
        self.identity = profile.identify(self, self._conn)
        if self.identity is None:
            self.closed = True
            raise HandshakeFailed("resumed a session whose peer is no longer known")
        self.done = True
        self._trial = None
        self.cipher = self._conn.get_cipher_name() or ""
        self._conn.set_ciphertext_mtu(self._most)
        self.mtu = min(self._conn.get_cleartext_mtu(), self._limit)

    def _read(self, once: bool) -> list[bytes]:
        plaintexts: list[bytes] = []
        while True:
            try:
                plaintexts.append(self._conn.recv(_READ))
            except SSL.WantReadError:
                return plaintexts
            except SSL.Error:  # close_notify, or a fatal alert that the peer authenticated
                self.closed = True
                return plaintexts
            if once:
                return plaintexts


def reason(error: SSL.Error) -> str:
    """What OpenSSL has to say about an error, in one line."""
    queue = error.args[0] if error.args else ()
    reasons = [entry[2] for entry in queue if len(entry) > 2 and entry[2]] if isinstance(queue, list) else []
    return "; ".join(reasons) or type(error).__name__

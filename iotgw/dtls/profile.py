"""Profiles: an OpenSSL context for one way to authenticate, with the cipher suites that choose it.

A listener has up to five: pre-shared keys and certificates, each once with strong suites and once with
those of an eight-byte tag, and pre-shared keys with an ephemeral exchange. OpenSSL offers the short tags at
security level 0 only, which must not weaken the others.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from cryptography import x509
from OpenSSL import SSL

from iotgw.core.credential import Grant
from iotgw.dtls import psk
from iotgw.dtls.certificate import ServerCertificate
from iotgw.dtls.identity import ANONYMOUS, Identity, Naming, device_name, fingerprint, weakness
from iotgw.dtls.trial import KeyTrial
from iotgw.wire.dtls.suites import SuiteKind, suites

_DTLS_1_2 = 0xFEFD
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME; pyOpenSSL has no name for it
_RESUMABLE = 20480  # OpenSSL's own limit for sessions in a context's cache
_RESUMABLE_FOR = 86400

Keys = Callable[[str], list[tuple[bytes, Grant]]]
"""The keys of a PSK identity, at once, the preferred first; empty for an unknown one."""


class Claim(Protocol):
    """A handshake under way, as a profile's callbacks see it: an engine."""

    claimed: Identity | None
    """Who the peer says it is."""
    problem: str
    """Why a callback refused it."""

    @property
    def secret(self) -> bytes | None:
        """The secret that the peer was found to use, if there was a choice."""


class Profile:
    """A context with its suites, and what its callbacks need. ``current`` is the handshake that is being done."""

    def __init__(self, kind: SuiteKind, short_tag: bool, resumption: bool) -> None:
        table = suites(kind, short_tag)
        self.kind = kind
        self.suites = frozenset(table)
        self.current: Claim | None = None
        self._resumable: OrderedDict[bytes, Identity] | None = OrderedDict() if resumption else None
        self.context = _context(":".join(table.values()), 0 if short_tag else 1, resumption)

    def identify(self, claim: Claim, conn: SSL.Connection) -> Identity | None:
        """Who completed the handshake; None for a resumed session whose identity is forgotten.

        On resumption no callback runs (RFC 5246 §7.3), so the identity is kept by the master secret.
        """
        identity = claim.claimed or self._unasked(conn)
        if self._resumable is None:
            return identity
        master = conn.master_key() or b""
        known = self._resumable.get(master)
        if known is None and identity is not None:
            self._resumable[master] = known = identity
            if len(self._resumable) > _RESUMABLE:
                self._resumable.popitem(last=False)
        return known

    def forget(self, matches: Callable[[Identity], bool]) -> None:
        """Let no session of these identities be resumed."""
        if self._resumable:
            for master in [m for m, identity in self._resumable.items() if matches(identity)]:
                del self._resumable[master]

    def trial(self, hello: bytes) -> KeyTrial | None:
        """What finds the peer's secret among several, where there can be several."""
        return None

    def _unasked(self, _conn: SSL.Connection) -> Identity | None:
        """The identity of a peer for which no callback ran."""
        return None

    def _claim(self, identity: Identity | None, problem: str = "") -> None:
        """Note on the engine in a handshake who its peer says it is, or why it can't be."""
        if self.current is not None:
            self.current.claimed = identity
            self.current.problem = problem


class PskProfile(Profile):
    """Peers that prove a pre-shared key (RFC 4279). ``several()`` says whether an identity may have more than
    one."""

    def __init__(
        self,
        kind: SuiteKind,
        short_tag: bool,
        keys: Keys,
        several: Callable[[], bool],
        resumption: bool = False,
    ) -> None:
        super().__init__(kind, short_tag, resumption)
        self._several = several
        self._keys = keys
        self._callback = psk.serve(self.context, self._secret)

    def trial(self, hello: bytes) -> KeyTrial | None:
        """See `Profile.trial`."""
        return KeyTrial(hello, self._candidates) if self._several() else None

    def _secret(self, raw: bytes) -> bytes | None:
        name = _text(raw)
        keys = self._keys(name) if name else []
        if not keys or self.current is None:
            self._claim(Identity("psk", name), f"unknown PSK identity {name!r}")
            return None
        found = self.current.secret
        secret, grant = next((key for key in keys if key[0] == found), keys[0])
        self._claim(Identity("psk", name, grant=grant))
        return secret

    def _candidates(self, raw: bytes) -> tuple[bytes, ...]:
        return tuple(secret for secret, _ in self._keys(_text(raw))) if raw else ()


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


class X509Profile(Profile):
    """Peers that may have, or must have, a certificate.

    ``admit(identity)`` is asked within the handshake, when the chain is good; it returns the identity, with
    what its credential gives it, or None to refuse it.
    """

    def __init__(
        self,
        short_tag: bool,
        server: ServerCertificate,
        client_certificates: str,
        anchors: Iterable[x509.Certificate],
        naming: tuple[Naming, ...],
        admit: Callable[[Identity], Identity | None],
        skip_validity: bool = False,
        resumption: bool = False,
    ) -> None:
        super().__init__(server.kind, short_tag, resumption)
        self._naming = naming
        self._admit = admit
        self._anchor = ""
        context = self.context
        context.use_certificate(server.certificate)
        for certificate in server.chain:
            context.add_extra_chain_cert(certificate)
        context.use_privatekey(server.key)
        if client_certificates == "none":
            return
        store = context.get_cert_store()
        assert store is not None
        for anchor in anchors:
            store.add_cert(_x509(anchor))
            context.add_client_ca(anchor)
        if skip_validity:
            store.set_flags(_NO_CHECK_TIME)
        required = SSL.VERIFY_FAIL_IF_NO_PEER_CERT if client_certificates == "required" else 0
        context.set_verify(SSL.VERIFY_PEER | required, self._verify)

    def _verify(self, _conn: object, wrapped: Any, problem: int, depth: int, good: int) -> bool:
        """Hear of each certificate of a chain, from the trust anchor down to the peer's own."""
        certificate = wrapped.to_cryptography()
        subject = certificate.subject.rfc4514_string()
        if not good:
            return self._refuse(f"certificate of {subject!r}: {_PROBLEMS.get(problem, f'error {problem}')}")
        if weak := weakness(certificate):
            return self._refuse(f"certificate of {subject!r} has {weak}")
        if depth:
            self._anchor = self._anchor or fingerprint(certificate)
            return True
        own = fingerprint(certificate)
        identity = Identity("x509", device_name(certificate, self._naming), own, self._anchor or own)
        self._anchor = ""
        if not identity.name:
            return self._refuse(
                f"certificate of {subject!r} names no device (looked for {', '.join(self._naming)})"
            )
        admitted = self._admit(identity)
        if admitted is None:
            return self._refuse(f"device {identity.name!r} is not admitted")
        self._claim(admitted)
        return True

    def _refuse(self, problem: str) -> bool:
        self._anchor = ""
        self._claim(None, problem)
        return False

    def _unasked(self, conn: SSL.Connection) -> Identity | None:
        return ANONYMOUS if conn.get_peer_certificate() is None else None


_PROBLEMS = {  # X509_V_ERR_*, those that a device's certificate runs into
    9: "not yet valid",
    10: "expired",
    18: "self-signed, and no trust anchor",
    19: "its chain ends in a root that is no trust anchor",
    20: "its issuer is no trust anchor",
    21: "its issuer is no trust anchor",
    23: "revoked",
    24: "issued by something that is no CA",
    26: "not meant for a TLS client",
}


def _x509(certificate: x509.Certificate) -> Any:
    from OpenSSL.crypto import X509  # noqa: PLC0415  the store takes nothing else

    return X509.from_cryptography(certificate)


def _context(ciphers: str, level: int, resumption: bool) -> SSL.Context:
    context = SSL.Context(SSL.DTLS_SERVER_METHOD)
    # DTLS 1.3 has other records and other cookies: pin what this package speaks.
    context.set_min_proto_version(_DTLS_1_2)
    context.set_max_proto_version(_DTLS_1_2)
    # A ticket would keep the key but lose the PSK identity.
    context.set_options(SSL.OP_NO_QUERY_MTU | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_TICKET)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_cipher_list(f"{ciphers}:@SECLEVEL={level}".encode())
    context.set_session_cache_mode(SSL.SESS_CACHE_SERVER if resumption else SSL.SESS_CACHE_OFF)
    if resumption:
        context.set_session_id(b"iotgw")
        context.set_timeout(_RESUMABLE_FOR)
    context.set_cookie_generate_callback(lambda _conn: b"unused")
    context.set_cookie_verify_callback(lambda _conn, _cookie: True)
    return context

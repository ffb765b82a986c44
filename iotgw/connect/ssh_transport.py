"""conch's client transport with the algorithms of today.

conch 26.10 has no AEAD ciphers, no encrypt-then-MAC, no strict key exchange, no post-quantum key exchange in its client, and
requests its service again after each new key exchange. What is here replaces its packets, its agreement and its change of
keys; its key exchanges, log-in and channels stay.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twisted.conch.ssh import _kex
from twisted.conch.ssh.common import NS, getNS
from twisted.conch.ssh.keys import Key
from twisted.conch.ssh.transport import SSHClientTransport

from iotgw.core.errors import ProtocolError
from iotgw.wire.ssh.agreement import CIPHERS, MACS, STRICT_CLIENT, Agreed, agree, read_offer
from iotgw.wire.ssh.ciphers import Plain, Sealing, sealing

DISCONNECT, IGNORE, UNIMPLEMENTED, DEBUG, KEXINIT, NEWKEYS = 1, 2, 3, 4, 20, 21
KEX_INIT, KEX_REPLY = 30, 31
PROTOCOL_ERROR, KEX_FAILED, HOST_KEY_NOT_VERIFIABLE = 2, 3, 9
HYBRID = b"mlkem768x25519-sha256"
CIPHERTEXT = 1088
"""Bytes of ML-KEM-768's ciphertext (FIPS 203)."""
KEX = [HYBRID, *(name for name in _kex.getSupportedKeyExchanges() if name != HYBRID)]
HOST_KEYS = [
    b"ssh-ed25519", b"ecdsa-sha2-nistp256", b"ecdsa-sha2-nistp384", b"ecdsa-sha2-nistp521", b"rsa-sha2-512",
    b"rsa-sha2-256", b"ssh-rsa",
]  # fmt: skip
STRICTLY = frozenset((DISCONNECT, KEXINIT, NEWKEYS, *range(30, 50)))
"""Messages of the first key exchange (OpenSSH's PROTOCOL file, §1.10)."""
UNSECURED = STRICTLY | {IGNORE, UNIMPLEMENTED, DEBUG}
"""Messages that may come before there are keys."""
REKEY_BYTES = 1 << 30
"""Bytes of one direction after which the keys are changed (RFC 4253 §9)."""
REKEY_PACKETS = 1 << 31
"""Packets of one direction after which the keys are changed: a number of one must not come again (RFC 4344 §3.1)."""
WRAP = 0xFFFFFFFF


class ModernTransport(SSHClientTransport):
    """A client's transport. A subclass says what `verifyHostKey` and `connectionSecure` do; the latter is called once.

    Many methods: most replace one of conch's each.
    """

    transport: Any
    supportedKeyExchanges = [*KEX, STRICT_CLIENT]
    supportedPublicKeys = HOST_KEYS
    supportedCiphers = CIPHERS
    supportedMACs = MACS
    supportedCompressions = [b"none"]
    rekey_bytes = REKEY_BYTES
    agreed: Agreed | None = None
    is_strict = False
    _secured = False
    _is_over = False
    _skips_guess = False
    _received = 0
    _sent_bytes = _sent_packets = _got_bytes = _got_packets = 0
    _next: tuple[Sealing, Sealing] | None = None
    _hybrid: Any = None

    def connectionMade(self) -> None:
        """Say our version, and what we offer."""
        self._out: Sealing = Plain()
        self._in: Sealing = Plain()
        super().connectionMade()

    # --- packets

    def sendPacket(self, messageType: int, payload: bytes) -> None:
        """Send a packet, once no key exchange is in its way."""
        is_changing = self._keyExchangeState != self._KEY_EXCHANGE_NONE
        if is_changing and not self._allowedKeyExchangeMessageType(messageType):
            self._blockedByKeyExchange.append((messageType, payload))
            return
        sealed = self._out.seal(self.outgoingPacketSequence, bytes((messageType,)) + payload)
        self.transport.write(sealed)
        self.outgoingPacketSequence = (self.outgoingPacketSequence + 1) & WRAP
        self._sent_bytes += len(sealed)
        self._sent_packets += 1
        if messageType == NEWKEYS:
            assert self._next is not None
            self._out = self._next[0]
            self._sent_bytes = self._sent_packets = 0
            if self.is_strict:
                self.outgoingPacketSequence = 0
        elif not is_changing and self._secured and messageType != KEXINIT:
            self._change_keys_if_due()

    def getPacket(self) -> bytes | None:
        """The payload of the next packet, if it has arrived."""
        if self._is_over:
            self.buf = b""
            return None
        try:
            found = self._in.open(self.incomingPacketSequence, self.buf)
        except ProtocolError as error:
            self.sendDisconnect(PROTOCOL_ERROR, str(error).encode())
            return None
        if found is None:
            return None
        payload, size = found
        self.buf = self.buf[size:]
        self.incomingPacketSequence = (self.incomingPacketSequence + 1) & WRAP
        self._received += 1
        self._got_bytes += size
        self._got_packets += 1
        return payload

    def dispatchMessage(self, messageNum: int, payload: bytes) -> None:
        """Hand a message on. Before there are keys, only what is part of the exchange of keys may come."""
        if not self._secured and messageNum not in (STRICTLY if self.is_strict else UNSECURED):
            self.sendDisconnect(PROTOCOL_ERROR, b"message %d in the middle of the key exchange" % messageNum)
            return
        if self._skips_guess and 30 <= messageNum < 50:
            self._skips_guess = False
            return
        super().dispatchMessage(messageNum, payload)
        if self._secured and self._keyExchangeState == self._KEY_EXCHANGE_NONE:
            self._change_keys_if_due()

    def _change_keys_if_due(self) -> None:
        if (
            max(self._sent_bytes, self._got_bytes) > self.rekey_bytes
            or max(self._sent_packets, self._got_packets) > REKEY_PACKETS
        ):
            self.sendKexInit()

    def sendDisconnect(self, reason: int, desc: bytes) -> None:
        """End the connection. Nothing more is read."""
        super().sendDisconnect(reason, desc)
        self._is_over = True

    def isEncrypted(self, direction: str = "out") -> bool:
        """Whether there are keys."""
        return self._secured

    def isVerified(self, direction: str = "out") -> bool:
        """Whether packets are authenticated."""
        return self._secured

    # --- agreement

    @property
    def algorithms(self) -> list[str]:
        """What was agreed on: key exchange, host key, cipher and MAC."""
        if self.agreed is None:
            return []
        return [name.decode() for name in (self.agreed.kex, self.agreed.host_key, *self.agreed.out) if name]

    def ssh_KEXINIT(self, packet: bytes) -> None:
        """What the server offers: agree, and begin the exchange."""
        self.otherKexInitPayload = bytes((KEXINIT,)) + packet
        theirs = read_offer(packet)
        if not self._secured:
            self.is_strict = theirs.is_strict
            if self.is_strict and self._received != 1:
                self.sendDisconnect(PROTOCOL_ERROR, b"something came before the key exchange")
                return
        kex = [name for name in self.supportedKeyExchanges if name != STRICT_CLIENT]
        ciphers, macs, none = self.supportedCiphers, self.supportedMACs, self.supportedCompressions
        ours = (kex, self.supportedPublicKeys, ciphers, ciphers, macs, macs, none, none)
        try:
            agreed = self.agreed = agree(ours, theirs)
        except ProtocolError as error:
            self.sendDisconnect(KEX_FAILED, str(error).encode())
            return
        self.kexAlg, self.keyAlg = agreed.kex, agreed.host_key
        self._skips_guess = theirs.guessed and (kex[:1], ours[1][:1]) != (
            list(theirs.lists[0][:1]),
            list(theirs.lists[1][:1]),
        )
        self._peerSupportsExtensions = theirs.has_extensions
        if self._keyExchangeState != self._KEY_EXCHANGE_REQUESTED:
            self.sendKexInit()
        self._keyExchangeState = self._KEY_EXCHANGE_PROGRESSING
        self._begin_exchange()

    def _begin_exchange(self) -> None:
        if self.kexAlg == HYBRID:
            self._hybrid = MLKEM768PrivateKey.generate(), x25519.X25519PrivateKey.generate()
            self._offered = b"".join(
                key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw) for key in self._hybrid
            )
            self.sendPacket(KEX_INIT, NS(self._offered))
        elif _kex.isEllipticCurve(self.kexAlg):
            self.ecPriv = self._generateECPrivateKey()
            self.ecPub = self.ecPriv.public_key()
            self.sendPacket(KEX_INIT, NS(self._encodeECPublicKey(self.ecPub)))
        elif _kex.isFixedGroup(self.kexAlg):
            self.g, self.p = _kex.getDHGeneratorAndPrime(self.kexAlg)
            self._startEphemeralDH()
            self.sendPacket(KEX_INIT, self.dhSecretKeyPublicMP)
        else:
            sizes = (self._dhMinimalGroupSize, self._dhPreferredGroupSize, self._dhMaximalGroupSize)
            self.sendPacket(34, b"".join(size.to_bytes(4, "big") for size in sizes))

    def ssh_KEX_DH_GEX_GROUP(self, packet: bytes) -> Any:
        """Message 31, which is the server's answer in most exchanges."""
        if self.kexAlg != HYBRID:
            return super().ssh_KEX_DH_GEX_GROUP(packet)
        if self._hybrid is None:
            raise ProtocolError("expected one answer to the key exchange")
        host_key, reply, signature, _ = getNS(packet, 3)
        checked = self.verifyHostKey(host_key, "")
        checked.addCallback(lambda _: self._finish_hybrid(host_key, reply, signature))
        checked.addErrback(
            lambda failure: self.sendDisconnect(
                HOST_KEY_NOT_VERIFIABLE, f"bad host key: {failure.getErrorMessage()}".encode()
            )
        )
        return checked

    def _finish_hybrid(self, host_key: bytes, reply: bytes, signature: bytes) -> None:
        """ML-KEM-768 and X25519 (draft-ietf-sshm-mlkem-hybrid-kex §2.4)."""
        (kem, curve), self._hybrid = self._hybrid, None
        if len(reply) != CIPHERTEXT + 32:
            raise ProtocolError(f"expected a reply of {CIPHERTEXT + 32} bytes, got {len(reply)}")
        theirs = x25519.X25519PublicKey.from_public_bytes(reply[CIPHERTEXT:])
        secret = NS(sha256(kem.decapsulate(reply[:CIPHERTEXT]) + curve.exchange(theirs)).digest())
        parts = (
            self.ourVersionString, self.otherVersionString, self.ourKexInitPayload, self.otherKexInitPayload,
            host_key, self._offered, reply,
        )  # fmt: skip
        exchanged = sha256(b"".join(map(NS, parts)) + secret).digest()
        if not Key.fromString(host_key).verify(signature, exchanged):
            self.sendDisconnect(KEX_FAILED, b"bad signature")
            return
        self._keySetup(secret, exchanged)

    # --- change of keys

    def _keySetup(self, sharedSecret: bytes, exchangeHash: bytes) -> None:
        """The exchange is done: derive the keys (RFC 4253 §7.2), and use ours from here on."""
        assert self.agreed is not None
        if not self.sessionID:
            self.sessionID = exchangeHash
        digest: Callable[[bytes], Any] = (
            sha256 if self.kexAlg == HYBRID else _kex.getHashProcessor(self.kexAlg)
        )
        session, seed = self.sessionID, sharedSecret + exchangeHash

        def key(letter: bytes) -> bytes:
            made = digest(seed + letter + session).digest()
            while len(made) < 64:
                made += digest(seed + made).digest()
            return bytes(made)

        self._next = (
            sealing(self.agreed.out, key(b"C"), key(b"A"), key(b"E"), is_out=True),
            sealing(self.agreed.in_, key(b"D"), key(b"B"), key(b"F"), is_out=False),
        )
        self.sendPacket(NEWKEYS, b"")

    def ssh_NEWKEYS(self, packet: bytes) -> None:
        """The server uses its new keys from here on."""
        if packet or self._next is None:
            self.sendDisconnect(PROTOCOL_ERROR, b"NEWKEYS that wasn't expected")
            return
        self._in, self._next = self._next[1], None
        self._got_bytes = self._got_packets = 0
        if self.is_strict:
            self.incomingPacketSequence = 0
        self._keyExchangeState = self._KEY_EXCHANGE_NONE
        blocked, self._blockedByKeyExchange = self._blockedByKeyExchange, []
        if not self._secured:
            self._secured = True
            self.connectionSecure()
        for kind, payload in blocked:
            self.sendPacket(kind, payload)

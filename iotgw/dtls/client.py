"""The device's side of a DTLS 1.2 association with a pre-shared key, for simulated devices.

As the engine: no socket, no timer. Each flight of such a client fits one datagram.
"""

from __future__ import annotations

from contextlib import suppress

from OpenSSL import SSL

from iotgw.dtls import psk
from iotgw.dtls.engine import reason
from iotgw.wire.dtls.suites import SuiteKind, suites

_DTLS_1_2 = 0xFEFD
_STREAM = 65536
_MTU = 1200


class PskClient:
    """One association. ``done`` is that the handshake is over, ``closed`` that the peer ended it, and ``problem``
    why it did before that. Raises Unavailable when this pyOpenSSL can't do pre-shared keys.
    """

    def __init__(self, identity: bytes, secret: bytes) -> None:
        context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
        context.set_min_proto_version(_DTLS_1_2)
        context.set_max_proto_version(_DTLS_1_2)
        context.set_options(SSL.OP_NO_QUERY_MTU)
        names = [name for short in (False, True) for name in suites(SuiteKind.PSK, short).values()]
        # OpenSSL has the suites with a short tag, which constrained devices use, at level 0 only
        context.set_cipher_list(":".join(names).encode() + b":@SECLEVEL=0")
        self._callback = psk.present(context, identity, secret)
        self._conn = SSL.Connection(context, None)
        self._conn.set_connect_state()
        self._conn.set_ciphertext_mtu(_MTU)
        self.done = self.closed = False
        self.problem = ""
        self._go_on()

    def feed(self, datagram: bytes) -> list[bytes]:
        """Take one datagram; the plaintexts in it."""
        if datagram:  # the BIO takes no empty one
            self._conn.bio_write(datagram)
        return self._go_on()

    def write(self, plaintext: bytes) -> None:
        """Encrypt what fits one datagram."""
        with suppress(SSL.Error):  # the peer's goodbye was in front of this
            self._conn.send(plaintext)

    def outgoing(self) -> bytes:
        """The datagram to send now; empty if there is none."""
        with suppress(SSL.WantReadError):
            return bytes(self._conn.bio_read(_STREAM))
        return b""

    def close(self) -> None:
        """Say goodbye (close_notify)."""
        with suppress(SSL.Error):
            self._conn.shutdown()

    def _go_on(self) -> list[bytes]:
        plaintexts: list[bytes] = []
        try:
            if not self.done:
                self._conn.do_handshake()
                self.done = True
            while True:
                plaintexts.append(self._conn.recv(_STREAM))
        except SSL.WantReadError:
            pass
        except SSL.Error as error:
            self.closed = True
            if not self.done:
                self.problem = f"the DTLS handshake failed: {reason(error)}"
        return plaintexts

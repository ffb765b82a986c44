"""A DTLS client in process, on pyOpenSSL's memory BIOs, and a link that joins it to a `DtlsLayer`."""

from __future__ import annotations

import copy
import random
from collections import deque
from pathlib import Path

from OpenSSL import SSL
from OpenSSL.crypto import X509

from iotgw.core.credential import Grant
from iotgw.dtls.layer import DtlsLayer
from iotgw.dtls.profiles import ListenerProfiles
from iotgw.dtls.settings import DtlsSettings
from iotgw.wire.dtls.hello import is_client_hello
from iotgw.wire.dtls.record import HANDSHAKE, fill, split

CCM8 = "PSK-AES128-CCM8"
GCM = "PSK-AES128-GCM-SHA256"
ECDSA_CCM8 = "ECDHE-ECDSA-AES128-CCM8"
SERVER = ("192.0.2.1", 5684)

_PSK_CLIENT = "unsigned int(SSL *, const char *, char *, unsigned int, unsigned char *, unsigned int)"


class Client:
    """A client: ``psk`` is (identity, secret), ``certificate`` a `tests.certificates.Issued`."""

    def __init__(
        self,
        psk=None,
        certificate=None,
        ciphers=CCM8,
        mtu=1200,
        trust=None,
        version=0xFEFD,
        options=0,
        one_record_per_datagram=False,
    ):
        context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
        context.set_options(SSL.OP_NO_QUERY_MTU | options)
        context.set_cipher_list(f"{ciphers}:@SECLEVEL=0".encode())
        self.hint = None
        if psk:
            identity, secret = psk

            def answer(_ssl, hint, identity_at, _room, secret_at, _secret_room):
                self.hint = hint != SSL._ffi.NULL
                SSL._ffi.memmove(identity_at, identity + b"\0", len(identity) + 1)
                SSL._ffi.memmove(secret_at, secret, len(secret))
                return len(secret)

            self._callback = SSL._ffi.callback(_PSK_CLIENT, answer, error=0)
            SSL._lib.SSL_CTX_set_psk_client_callback(context._context, self._callback)
        if certificate:
            context.use_certificate(certificate.certificate)
            above = certificate.issuer
            while above is not None and above.issuer is not None:
                context.add_extra_chain_cert(above.certificate)
                above = above.issuer
            context.use_privatekey(certificate.key)
        if trust:
            context.get_cert_store().add_cert(X509.from_cryptography(trust.certificate))
            context.set_verify(SSL.VERIFY_PEER, lambda _c, _x, _e, _d, good: bool(good))
        self.context, self.mtu = context, 0 if one_record_per_datagram else mtu
        self.connect()

    def connect(self, session=None):
        """Be new, on the same context; with the session of before, if one is given."""
        if session is not None:
            self.conn.shutdown()  # OpenSSL doesn't resume what was dropped without
        self.conn = SSL.Connection(self.context, None)
        self.conn.set_connect_state()
        self.conn.set_ciphertext_mtu(self.mtu or 1200)
        if session is not None:
            self.conn.set_session(session)
        self.done = False
        self.error = ""
        self.received = []
        return self

    def another(self):
        """A client on the same context, which costs less than one of its own."""
        return copy.copy(self).connect()

    def begin(self):
        self._step()
        return self.outgoing()

    def feed(self, datagram):
        self.conn.bio_write(datagram)
        self._step()
        return self.outgoing()

    def send(self, plaintext):
        self.conn.send(plaintext)
        return self.outgoing()

    def repeat(self):
        """Retransmit, when OpenSSL's timer allows it."""
        self.conn.DTLSv1_handle_timeout()
        return self.outgoing()

    def outgoing(self):
        stream = b""
        while True:
            try:
                stream += self.conn.bio_read(65536)
            except SSL.WantReadError:
                return self._datagrams(split(stream))

    def _datagrams(self, records):
        """As from a socket: a ClientHello that is late goes again, in a datagram of its own, before the next flight."""
        datagrams, flight = [], []
        for record in records:
            (datagrams if record[0] == HANDSHAKE and is_client_hello(record) else flight).append(record)
        return datagrams + fill(flight, self.mtu)

    def _step(self):
        try:
            if not self.done:
                self.conn.do_handshake()
                self.done = True
            while True:
                self.received.append(self.conn.recv(65536))
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.error = "close_notify"
        except SSL.Error as error:
            self.error = "; ".join(entry[2] for entry in error.args[0])


class Secrets:
    """Credentials as a test wants them."""

    def __init__(self, psk=None, known=None):
        self.keys = {name: s if isinstance(s, tuple) else (s,) for name, s in (psk or {}).items()}
        self.known = known or {}

    def psk(self, identity):
        return [(secret, Grant("c1", "default", identity)) for secret in self.keys.get(identity, ())]

    @property
    def several(self):
        return any(len(secrets) > 1 for secrets in self.keys.values())

    def x509(self, *names):
        enabled = self.known.get(names[0])
        return None if enabled is None else Grant("c2", "default", names[0], enabled=enabled)


class Link:
    """A layer with clients at addresses: delivers what each sends, in order, until nothing moves.

    ``loss``, ``duplicates`` and ``reorder`` are probabilities of ``chance``, in both directions.
    """

    def __init__(self, settings=None, credentials=None, loss=0.0, duplicates=0.0, reorder=0.0, seed=1):
        self.settings = settings or DtlsSettings()
        self.credentials = credentials or Secrets({"dev": b"secret"})
        self.events, self.ended, self.plaintexts, self.sent = [], [], [], []
        self.clients = {}
        self.now = 1000.0
        self.loss, self.duplicates, self.reorder = loss, duplicates, reorder
        self.chance = random.Random(seed)
        self.queue = deque()
        self.profiles = ListenerProfiles(self.settings, self.credentials, self.files())
        self.layer = DtlsLayer(
            self.settings,
            self.profiles,
            self._transmit,
            b"k" * 32,
            event=lambda type, message, severity="info", **detail: self.events.append(
                (type, message, detail)
            ),
            closed=lambda session, reason: self.ended.append((session, reason)),
        )

    def files(self):
        """What the files hold that the settings name by their whole paths."""
        return {name: Path(name).read_bytes() for name in self.settings.files if Path(name).exists()}

    def _transmit(self, datagram, address):
        self.sent.append((datagram, address))
        self._put(address, datagram, inward=False)

    def _put(self, address, datagram, inward):
        if self.chance.random() < self.loss:
            return
        copies = 2 if self.chance.random() < self.duplicates else 1
        for _ in range(copies):
            at = len(self.queue)
            if self.queue and self.chance.random() < self.reorder:
                at = self.chance.randrange(len(self.queue) + 1)
            self.queue.insert(at, (inward, address, datagram))

    def put(self, address, datagrams):
        """Let a client's datagrams go out from an address."""
        for datagram in datagrams:
            self._put(address, datagram, inward=True)

    def run(self):
        """Deliver until nothing moves."""
        while self.queue:
            inward, address, datagram = self.queue.popleft()
            if inward:
                self.plaintexts += self.layer.datagram_in(datagram, address, self.now)
            elif address in self.clients:
                self.put(address, self.clients[address].feed(datagram))

    def connect(self, address=("10.0.0.1", 40000), client=None, **options):
        """A client that has done what it can do of its handshake."""
        if client is None:
            client = Client(psk=(b"dev", b"secret"), **options)
        self.clients[address] = client
        self.put(address, client.begin())
        self.run()
        return client

    def say(self, address, plaintext):
        """Let a client send application data; what the layer received."""
        self.plaintexts.clear()
        self.put(address, self.clients[address].send(plaintext))
        self.run()
        return [text for _, text in self.plaintexts]

    def session(self, index=0):
        return list(self.layer.sessions())[index]

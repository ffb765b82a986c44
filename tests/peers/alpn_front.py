"""TLS by OpenSSL as AWS IoT has it on port 443: a client certificate, the name of the server, and a protocol by ALPN are asked for,
and a broker without TLS is behind it."""

from twisted.internet import reactor, ssl
from twisted.internet.endpoints import HostnameEndpoint, SSL4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions


class AlpnFront:
    """An async context manager. ``seen`` are the protocol, the server's name and the client's common name of each connection."""

    def __init__(self, broker_port, ca, host, protocol=b"x-amzn-mqtt-ca"):
        issued = ca.issue(host, hosts=[host])
        own = ssl.PrivateCertificate.loadPEM(issued.pem() + issued.key_pem())
        self.seen = []
        self.protocol = protocol
        options = CertificateOptions(
            privateKey=own.privateKey.original,
            certificate=own.original,
            trustRoot=ssl.trustRootFromCertificates([ssl.Certificate.loadPEM(ca.pem())]),
            acceptableProtocols=[protocol],
        )
        self._endpoint = SSL4ServerEndpoint(reactor, 0, options, interface="127.0.0.1")
        self._broker_port = broker_port

    async def __aenter__(self):
        factory = Factory.forProtocol(lambda: _Front(self, self._broker_port))
        factory.noisy = False
        self._port = await self._endpoint.listen(factory)
        self.port = self._port.getHost().port
        return self

    async def __aexit__(self, *exc):
        await self._port.stopListening()


class _Front(Protocol):
    def __init__(self, front, port):
        self._front = front
        self._port = port
        self._waiting = []
        self._inside = None

    def dataReceived(self, data):
        if self._inside is None and not self._waiting:
            connection = self.transport.getHandle()
            (subject,) = connection.get_peer_certificate(as_cryptography=True).subject
            self._front.seen.append(
                (self.transport.negotiatedProtocol, connection.get_servername(), subject.value)
            )
            if self.transport.negotiatedProtocol != self._front.protocol:
                self.transport.abortConnection()
                return
            factory = Factory.forProtocol(lambda: _Inside(self))
            factory.noisy = False
            HostnameEndpoint(reactor, "127.0.0.1", self._port).connect(factory)
        if self._inside is None:
            self._waiting.append(data)
        else:
            self._inside.transport.write(data)

    def connectionLost(self, reason=None):
        if self._inside is not None:
            self._inside.transport.loseConnection()


class _Inside(Protocol):
    def __init__(self, front):
        self._front = front

    def connectionMade(self):
        self._front._inside = self
        self.transport.writeSequence(self._front._waiting)

    def dataReceived(self, data):
        self._front.transport.write(data)

    def connectionLost(self, reason=None):
        self._front.transport.loseConnection()

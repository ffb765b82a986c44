"""What an Azure IoT hub asks of a device that connects by MQTT, in front of a broker: a client id that is a registered device's, its user name, and a token that the
policy's key has signed and that hasn't ended. It closes the connection when the token ends. With a certificate, it asks for TLS.

Sources: "Communicate with an IoT hub using the MQTT protocol", "Control access to IoT Hub by using shared access signatures".
"""

import base64
import hmac
from urllib.parse import parse_qs, quote

from twisted.internet import reactor, ssl
from twisted.internet.endpoints import HostnameEndpoint, SSL4ServerEndpoint, TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol

NOT_AUTHORIZED = b"\x20\x02\x00\x05"


class IotHubFront:
    """An async context manager. ``host`` is the hub's name, ``devices`` are registered. ``let_in`` are the devices that came in and the ends of their
    tokens, ``refused`` the others and why, ``ended`` the devices whose connection was closed because their token had ended."""

    def __init__(self, broker_port, policy, key, devices, host="127.0.0.1", issued=None):
        self.let_in, self.refused, self.ended = [], [], []
        self.host, self.devices = host, set(devices)
        self.broker_port = broker_port
        self._policy, self._key = policy, key
        if issued is None:
            self._endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        else:
            own = ssl.PrivateCertificate.loadPEM(issued.pem() + issued.key_pem())
            self._endpoint = SSL4ServerEndpoint(reactor, 0, own.options(), interface="127.0.0.1")

    async def __aenter__(self):
        factory = Factory.forProtocol(lambda: _Front(self))
        factory.noisy = False
        self._port = await self._endpoint.listen(factory)
        self.port = self._port.getHost().port
        return self

    async def __aexit__(self, *exc):
        await self._port.stopListening()

    def objection(self, device, user, token, now):
        """Why a device isn't let in; empty if it is."""
        if device not in self.devices:
            return "no such device"
        if user != f"{self.host}/{device}/?api-version=2021-04-12":
            return f"the user name {user}"
        said = {
            name: value for name, (value,) in parse_qs(token.removeprefix("SharedAccessSignature ")).items()
        }
        place, end = f"{self.host}/devices/{device}", said.get("se", "")
        mac = hmac.digest(self._key, f"{quote(place, safe='')}\n{end}".encode(), "sha256")
        if (said.get("sr"), said.get("skn"), said.get("sig")) != (
            place,
            self._policy,
            base64.b64encode(mac).decode(),
        ):
            return "the token isn't this key's"
        return "" if int(end) > now else "the token has ended"


class _Front(Protocol):
    def __init__(self, hub):
        self._hub = hub
        self._said = b""
        self._inside = self._end = None

    def dataReceived(self, data):
        if self._inside is not None:
            self._inside.transport.write(data)
            return
        self._said += data
        if self._end is None and (texts := connect(self._said)) is not None:
            self._knocks(*texts)

    def _knocks(self, device, user, token):
        hub, now = self._hub, reactor.seconds()
        if problem := hub.objection(device, user, token, now):
            hub.refused.append((device, problem))
            self.transport.write(NOT_AUTHORIZED)
            self.transport.loseConnection()
            return
        end = int(parse_qs(token)["se"][0])
        hub.let_in.append((device, end))
        self._end = reactor.callLater(end - now, self._token_ends, device)
        factory = Factory.forProtocol(lambda: _Inside(self))
        factory.noisy = False
        HostnameEndpoint(reactor, "127.0.0.1", hub.broker_port).connect(factory)

    def _token_ends(self, device):
        self._hub.ended.append(device)
        self.transport.abortConnection()

    def broker_is_there(self, inside):
        self._inside = inside
        inside.transport.write(self._said)

    def connectionLost(self, reason=None):
        if self._end is not None and self._end.active():
            self._end.cancel()
        if self._inside is not None:
            self._inside.transport.loseConnection()


class _Inside(Protocol):
    def __init__(self, front):
        self._front = front

    def connectionMade(self):
        self._front.broker_is_there(self)

    def dataReceived(self, data):
        self._front.transport.write(data)

    def connectionLost(self, reason=None):
        self._front.transport.loseConnection()


def connect(data):
    """Client id, user name and password of a CONNECT of MQTT 3.1.1 without a will; None until it is there."""
    size = shift = 0
    for place in range(1, min(5, len(data))):
        size |= (data[place] & 127) << shift
        shift += 7
        if data[place] < 128:
            break
    else:
        return None
    if len(data) < place + 1 + size:
        return None
    rest, texts = data[place + 11 :], []
    for _ in range(3):
        long = int.from_bytes(rest[:2])
        texts.append(rest[2 : 2 + long].decode())
        rest = rest[2 + long :]
    return texts

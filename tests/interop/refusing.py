"""Servers of each kind in the test's own hands. They refuse what the test wants them to, with any code of their protocol.

Each is an async context manager with ``port``, ``type``, and ``configuration()``. ``answer(device)`` says what becomes of a
message: `TAKEN`, a code, or `SILENT`. ``arrived`` are the ``(device, n)`` pairs that were taken, in order.
"""

import json
import re
import stat

from cryptography.hazmat.primitives.asymmetric import ed25519
from twisted.conch.avatar import ConchUser
from twisted.conch.interfaces import ISFTPFile, ISFTPServer
from twisted.conch.ssh.factory import SSHFactory
from twisted.conch.ssh.filetransfer import FileTransferServer, SFTPError
from twisted.conch.ssh.keys import Key
from twisted.conch.ssh.session import SSHSession
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import IRealm, Portal
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from zope.interface import implementer

from .brokers import StrictBroker
from .delivering import numbers

TAKEN, SILENT = 0, -1
USER, PASSWORD = "me", "secret"


class Refusing:
    def __init__(self):
        self.answer = lambda device: TAKEN
        self.arrived = []
        self.asked = 0
        """How often it was given a message."""

    def given(self, device, document):
        """Note a message and say what becomes of it."""
        self.asked += 1
        said = self.answer(device)
        if said == TAKEN:
            self.arrived += numbers([document])
        return said

    async def __aexit__(self, *exc):
        await self._listening.stopListening()


class _Requests(Protocol):
    def connectionMade(self):
        self._buffer = b""

    def dataReceived(self, data):
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, rest = self._buffer.partition(b"\r\n\r\n")
            size = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
            if len(rest) < size:
                return
            self._buffer = rest[size:]
            document = json.loads(rest[:size])
            status = self.factory.server.given(document["deviceName"], document) or 204
            if status != SILENT:
                more = b"Location: http://127.0.0.1:1/\r\n" if 300 <= status < 400 else b""
                self.transport.write(b"HTTP/1.1 %d No\r\n%bContent-Length: 0\r\n\r\n" % (status, more))


class RefusingHttp(Refusing):
    type = "http"

    async def __aenter__(self):
        factory = Factory.forProtocol(_Requests)
        factory.noisy = False
        factory.server = self
        self._listening = reactor.listenTCP(0, factory, interface="127.0.0.1")
        return self

    def configuration(self):
        # a URL of the message: 404 and 405 are about it, then
        url = f"http://127.0.0.1:{self._listening.getHost().port}/{{{{ deviceName }}}}"
        return {"url": url, "concurrency": 4, "timeout": 3.0}


class RefusingMqtt(Refusing):
    type = "mqtt"

    async def __aenter__(self):
        self._broker = broker = StrictBroker()
        broker.judge = lambda topic, payload: self.given(topic.split("/")[1], json.loads(payload))
        await broker.__aenter__()
        return self

    async def __aexit__(self, *exc):
        await self._broker.__aexit__(*exc)

    def configuration(self):
        return {"host": "127.0.0.1", "port": self._broker.port, "version": "5"}


class RefusingSftp(Refusing):
    """Files are asked for when they are opened."""

    type = "sftp"

    async def __aenter__(self):
        self._key = Key(ed25519.Ed25519PrivateKey.generate())
        factory = _Ssh()
        factory.noisy = False
        factory.publicKeys = {b"ssh-ed25519": self._key.public()}
        factory.privateKeys = {b"ssh-ed25519": self._key}
        users = InMemoryUsernamePasswordDatabaseDontUse()
        users.addUser(USER.encode(), PASSWORD.encode())
        factory.portal = Portal(_Realm(self), [users])
        self._listening = reactor.listenTCP(0, factory, interface="127.0.0.1")
        return self

    def configuration(self):
        return {
            "host": "127.0.0.1", "port": self._listening.getHost().port, "username": USER, "password": PASSWORD,
            "hostKeys": [self._key.public().toString("OPENSSH").decode()], "timeout": 3.0, "concurrency": 4,
            "path": "{{ deviceName }}/{{ id }}.json",
        }  # fmt: skip


class _Ssh(SSHFactory):
    pass


@implementer(IRealm)
class _Realm:
    def __init__(self, server):
        self._server = server

    def requestAvatar(self, name, mind, *interfaces):
        user = ConchUser()
        user.server = self._server
        user.channelLookup = {b"session": SSHSession}
        user.subsystemLookup = {b"sftp": lambda data, avatar: FileTransferServer(data, _Account(avatar))}
        return interfaces[0], user, lambda: None


@implementer(ISFTPServer)
class _Account:
    """Files in memory: no more than a target needs."""

    def __init__(self, avatar):
        self._server = avatar.server

    def gotVersion(self, version, extensions):
        return {}

    def openFile(self, name, flags, attributes):
        device, _, last = name.decode().rpartition("/")
        number = re.search(r"-(\d+)\.json", last)
        if number is None:  # no message: it looks whether the folder can be written
            said = self._server.answer(device)
        else:
            values = {"n": int(number[1])}
            said = self._server.given(device, {"deviceName": device, "telemetry": [{"values": values}]})
        if said == SILENT:
            return Deferred()
        if said != TAKEN:
            raise SFTPError(said, "no")
        return _File()

    def renameFile(self, old, new):
        pass

    def removeFile(self, name):
        pass

    def makeDirectory(self, path, attributes):
        pass

    def extendedRequest(self, name, data):
        raise NotImplementedError


@implementer(ISFTPFile)
class _File:
    def writeChunk(self, offset, data):
        pass

    def getAttrs(self):
        return {"permissions": stat.S_IFREG}

    def close(self):
        pass

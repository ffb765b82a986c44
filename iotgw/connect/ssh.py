"""An SSH connection that opens one SFTP channel, on conch."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from twisted.conch.error import ConchError
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure

from iotgw.connect.endpoint import in_words
from iotgw.connect.sftp_client import Channels, Files
from iotgw.connect.ssh_keys import HostKeys
from iotgw.connect.ssh_login import Login, SshCredentials
from iotgw.connect.ssh_transport import ModernTransport
from iotgw.core.errors import Unavailable

LONGEST_REASON = 1000


class SshSession(ModernTransport):
    """One SSH connection. ``ready`` fires with the `Files` of its SFTP channel, or fails; ``ended`` fires
    when the connection is gone. ``files`` are those of a session that `connect` returned."""

    transport: Any
    files: Files

    def __init__(self, credentials: SshCredentials, host_keys: HostKeys) -> None:
        self._credentials = credentials
        self._host_keys = host_keys
        self.ready: Deferred[Files] = Deferred(lambda _: self.transport and self.transport.abortConnection())
        self.ended: Deferred[None] = Deferred()
        self.reason = ""
        if host_keys.types:  # ask for a type of key that we know
            first = [name for name in self.supportedPublicKeys if _base_type(name) in host_keys.types]
            self.supportedPublicKeys = first + [n for n in self.supportedPublicKeys if n not in first]

    def verifyHostKey(self, hostKey: bytes, fingerprint: str) -> Deferred[bool]:
        """Accept only a key that is in the settings."""
        if self._host_keys.has(hostKey):
            return succeed(True)
        digest = base64.b64encode(hashlib.sha256(hostKey).digest()).decode().rstrip("=")
        self.reason = f"the host key is not the one expected, it is SHA256:{digest}"
        return fail(ConchError(self.reason))

    def connectionSecure(self) -> None:
        """The host is verified; now log in."""
        self.requestService(Login(self._credentials, Channels(self)))

    def sendDisconnect(self, reason: int, desc: bytes) -> None:
        """We disconnect; keep the reason."""
        self.reason = self.reason or desc.decode("utf-8", "replace")
        super().sendDisconnect(reason, desc)

    def receiveError(self, reasonCode: int, description: bytes) -> None:
        """The server disconnects; keep the reason."""
        self.reason = self.reason or description.decode("utf-8", "replace")

    def dataReceived(self, data: bytes) -> None:
        """Read bytes from the server. What can't be read ends the session, and with it what waits for an answer."""
        try:
            super().dataReceived(data)
        except Exception as error:  # conch lets whatever a hostile packet causes through
            said = f"the server's answer could not be read: {type(error).__name__}: {error}"
            self.reason = self.reason or said[:LONGEST_REASON]
            self.transport.abortConnection()

    def opened(self, files: Files) -> None:
        """The SFTP channel is open."""
        if not self.ready.called:
            self.ready.callback(files)

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Fire ``ready``."""
        super().connectionLost(reason)
        self.reason = self.reason or in_words(reason or connectionDone)
        if not self.ready.called:
            self.ready.errback(Unavailable(self.reason))
        self.ended.callback(None)


def _base_type(algorithm: bytes) -> bytes:
    return b"ssh-rsa" if algorithm.startswith(b"rsa-sha2-") else algorithm


async def connect(
    endpoint: IStreamClientEndpoint, credentials: SshCredentials, host_keys: HostKeys
) -> SshSession:
    """Connect and log in; ``ready`` of the session has fired. Raises Unavailable, and what endpoints raise."""
    session = SshSession(credentials, host_keys)
    factory = Factory.forProtocol(lambda: session)
    factory.noisy = False
    await endpoint.connect(factory)
    session.files = await session.ready
    return session

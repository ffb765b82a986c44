"""An SFTP session on conch, with two fixes, and host keys that are never trusted blindly.

conch signs only with ssh-rsa (SHA-1), which OpenSSH has refused since 8.8; SHA-2 came with RFC 8332. And conch
answers keyboard-interactive again and again until the account is locked.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from msgspec import Struct
from twisted.conch.client.knownhosts import HashedEntry, PlainEntry
from twisted.conch.error import ConchError, InvalidEntry
from twisted.conch.ssh.channel import SSHChannel
from twisted.conch.ssh.common import NS
from twisted.conch.ssh.connection import SSHConnection
from twisted.conch.ssh.filetransfer import FileTransferClient
from twisted.conch.ssh.keys import BadKeyError, EncryptedKeyError, Key
from twisted.conch.ssh.transport import SSHClientTransport
from twisted.conch.ssh.userauth import SSHUserAuthClient
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure

from iotgw.connect.endpoint import in_words
from iotgw.core.errors import ProtocolError, SettingsError, Unavailable

HEADER = 9
"""Bytes of an SFTP packet's length, type, and request id or version (draft-ietf-secsh-filexfer-02 §3)."""
LONGEST_REASON = 300
LARGEST = 256 << 10
"""Bytes of an SFTP packet; OpenSSH sends none that is larger."""


class SshCredentials(Struct, frozen=True):
    """How we log in: a key, a password, or both."""

    user: str
    password: str = ""
    key: Key | None = None


def load_key(text: str, passphrase: str) -> Key | None:
    """Parse a private key; raises SettingsError."""
    if not text.strip():
        return None
    try:
        key: Key = Key.fromString(text.strip().encode() + b"\n", passphrase=passphrase.encode() or None)
        return key
    except EncryptedKeyError:
        raise SettingsError("configuration.passphrase", "the key is encrypted; expected its passphrase")
    except (BadKeyError, ValueError, TypeError, KeyError, IndexError) as error:
        raise SettingsError(
            "configuration.privateKey", f"expected an OpenSSH or PEM private key that opens ({error})"
        )


class HostKeys:
    """The host keys that are accepted. ``pins`` are ``type base64`` or ``SHA256:…`` texts, ``known_hosts`` is
    the contents of a known_hosts file."""

    def __init__(self, pins: list[str], known_hosts: str, host: str, port: int) -> None:
        self._fingerprints: set[str] = set()
        self._blobs: set[bytes] = set()
        self.types: list[bytes] = []
        for pin in pins:
            words = pin.split()
            if len(words) == 1 and pin.startswith("SHA256:"):
                self._fingerprints.add(pin.removeprefix("SHA256:").rstrip("="))
                continue
            try:
                key = Key.fromString(" ".join(words[:2]).encode())
            except (BadKeyError, ValueError, IndexError, TypeError):
                raise SettingsError(
                    "configuration.hostKeys", f"expected 'ssh-ed25519 AAAA…' or 'SHA256:…', got {pin!r}"
                )
            self._add(key)
        name = host if port == 22 else f"[{host}]:{port}"
        for line in known_hosts.splitlines():
            stripped = line.strip()
            if not stripped or stripped[0] in "#@":
                continue
            kind = HashedEntry if stripped.startswith("|1|") else PlainEntry
            try:
                entry = kind.fromString(stripped.encode())
            except (InvalidEntry, BadKeyError, ValueError, TypeError):
                continue  # a key type that conch doesn't know
            if entry.matchesHost(name.encode()):
                self._add(entry.publicKey)
        if not self._fingerprints and not self._blobs:
            raise SettingsError(
                "configuration.hostKeys", f"expected a host key of {name}, here or in knownHosts"
            )

    def _add(self, key: Key) -> None:
        self._blobs.add(key.blob())
        self.types.append(key.sshType())

    def has(self, blob: bytes) -> bool:
        """Whether this key is accepted for a host."""
        digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
        return blob in self._blobs or digest in self._fingerprints


class SshSession(SSHClientTransport):
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


class Login(SSHUserAuthClient):
    """Offers the key first, then the password, each once."""

    transport: Any
    lastPublicKey: Any

    def __init__(self, credentials: SshCredentials, connection: Any) -> None:
        super().__init__(credentials.user.encode(), connection)
        self._credentials = credentials
        self._key = credentials.key
        self._password_used = False

    def getPublicKey(self) -> Key | None:
        """Our public key, once."""
        key, self._key = self._key, None
        return key.public() if key is not None else None

    def getPrivateKey(self) -> Deferred[Any]:
        """Our key."""
        return succeed(self._credentials.key)

    def getPassword(self, prompt: bytes | None = None) -> Deferred[bytes] | None:
        """Our password, once."""
        if self._password_used or not self._credentials.password:
            return None
        self._password_used = True
        return succeed(self._credentials.password.encode())

    def auth_keyboard_interactive(self) -> bool:
        """Answer keyboard-interactive with the password, but only once."""
        if self._password_used or not self._credentials.password:
            return False
        return bool(super().auth_keyboard_interactive())

    def getGenericAnswers(self, name: bytes, instruction: bytes, prompts: list[Any]) -> Deferred[list[str]]:
        """The password for each hidden prompt."""
        self._password_used = True
        return succeed(["" if echo else self._credentials.password for _, echo in prompts])

    # RSA with SHA-2 (RFC 8332 §3.2): the algorithm's name differs from the key's

    def _algorithm(self) -> bytes:
        key = self.lastPublicKey
        type_: bytes = key.sshType()
        if type_ != b"ssh-rsa":
            return type_
        offered = getattr(self.transport, "peerExtensions", {}).get(b"server-sig-algs", b"").split(b",")
        old = offered != [b""] and not {b"rsa-sha2-512", b"rsa-sha2-256"} & set(offered)
        if old:
            return b"ssh-rsa"
        return (
            b"rsa-sha2-256"
            if b"rsa-sha2-256" in offered and b"rsa-sha2-512" not in offered
            else b"rsa-sha2-512"
        )

    def _cbGetPublicKey(self, publicKey: Any) -> bool:
        if not isinstance(publicKey, Key):
            return False
        self.lastPublicKey = publicKey
        self.triedPublicKeys.append(publicKey)
        self.askForAuth(b"publickey", b"\x00" + NS(self._algorithm()) + NS(publicKey.blob()))
        return True

    def ssh_USERAUTH_PK_OK_publickey(self, packet: bytes) -> None:
        """The server accepts our key: sign."""
        algorithm, blob = self._algorithm(), self.lastPublicKey.blob()
        signed = (
            NS(self.transport.sessionID) + b"\x32" + NS(self.user) + NS(self.instance.name)
            + NS(b"publickey") + b"\x01" + NS(algorithm) + NS(blob)
        )  # fmt: skip
        key = self._credentials.key
        assert key is not None
        signature = key.sign(signed, algorithm)
        self.askForAuth(b"publickey", b"\x01" + NS(algorithm) + NS(blob) + NS(signature))


class Channels(SSHConnection):
    """Opens the one channel that is needed."""

    def __init__(self, session: SshSession) -> None:
        super().__init__()
        self._session = session

    def serviceStarted(self) -> None:
        """Login succeeded."""
        super().serviceStarted()
        self.openChannel(SftpChannel(self._session, conn=self))


class SftpChannel(SSHChannel):
    """The subsystem ``sftp`` (draft-ietf-secsh-filexfer-02)."""

    name = b"session"
    conn: Any

    def __init__(self, session: SshSession, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._session = session
        self._files: Files | None = None

    def openFailed(self, reason: Any) -> None:
        """The channel could not be opened, so the session ends."""
        self._session.sendDisconnect(11, f"no channel: {reason}".encode())

    def channelOpen(self, specificData: bytes) -> None:
        """Ask for SFTP."""
        asked = self.conn.sendRequest(self, b"subsystem", NS(b"sftp"), wantReply=1)
        asked.addCallbacks(
            self._granted, lambda _: self._session.sendDisconnect(11, b"the server has no SFTP")
        )

    def _granted(self, _: object) -> None:
        self._files = Files(self._session)
        self._files.makeConnection(self)

    def dataReceived(self, data: bytes) -> None:
        """SFTP's."""
        if self._files is not None:
            self._files.dataReceived(data)

    def closed(self) -> None:
        """The channel ended; so does the session."""
        if self._files is not None:
            self._files.connectionLost(connectionDone)
        self._session.loseConnection()


class Files(FileTransferClient):
    """The files of a server, with OpenSSH's extensions where they are offered (its PROTOCOL file, §4)."""

    def __init__(self, session: SshSession) -> None:
        super().__init__()
        self._session = session
        self.extensions: dict[bytes, bytes] = {}

    def dataReceived(self, data: bytes) -> None:
        """Read packets. Raises ProtocolError, and whatever conch raises, if one can't be read.

        conch's own loop waits for a packet of any size, and logs one that it can't read and goes on, so that whoever
        asked never gets an answer.
        """
        self.buf += data
        while len(self.buf) >= HEADER:
            size, kind = int.from_bytes(self.buf[:4], "big"), self.buf[4]
            if not HEADER - 4 <= size <= LARGEST:
                raise ProtocolError(f"expected an SFTP packet of at most {LARGEST} bytes, got one of {size}")
            if len(self.buf) < 4 + size:
                return
            packet, self.buf = self.buf[5 : 4 + size], self.buf[4 + size :]
            handle = getattr(self, f"packet_{self.packetTypes.get(kind)}", None)
            if handle is None:
                raise ProtocolError(f"expected an answer of SFTP, got a packet of type {kind}")
            handle(packet)

    def gotServerVersion(self, serverVersion: int, extData: dict[bytes, bytes]) -> None:
        """The server answered: the session is ready."""
        self.extensions = extData
        self._session.opened(self)

    async def sync(self, file: Any) -> None:
        """Have the server sync a file to disk."""
        if b"fsync@openssh.com" in self.extensions:
            await self.extendedRequest(b"fsync@openssh.com", file.handle)  # conch keeps it packed

    async def replace(self, old: bytes, new: bytes) -> None:
        """Rename a file, replacing any existing one."""
        if b"posix-rename@openssh.com" in self.extensions:
            await self.extendedRequest(b"posix-rename@openssh.com", NS(old) + NS(new))
            return
        try:
            await self.renameFile(old, new)
        except Exception:  # plain SFTP 3 doesn't overwrite; otherwise the second rename fails too
            await self.removeFile(new)
            await self.renameFile(old, new)


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

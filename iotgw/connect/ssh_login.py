"""Logging in over SSH, with two fixes to conch.

conch signs only with ssh-rsa (SHA-1), which OpenSSH has refused since 8.8; SHA-2 came with RFC 8332. And conch
answers keyboard-interactive again and again until the account is locked.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from twisted.conch.ssh.common import NS, getNS
from twisted.conch.ssh.keys import Key
from twisted.conch.ssh.userauth import SSHUserAuthClient
from twisted.internet.defer import Deferred, succeed

from iotgw.connect.ssh_keys import Certificate

LONGEST_SAID = 200
"""Characters of a server's own words that are kept."""
CERTIFIED = b"-cert-v01@openssh.com"
"""What a certificate adds to the name of its key's algorithm."""


class SshCredentials(Struct, frozen=True):
    """How we log in: a key, maybe with a certificate, a password, or both."""

    user: str
    password: str = ""
    key: Key | None = None
    certificate: Certificate | None = None


class Login(SSHUserAuthClient):
    """Offers the certificate first, then the key, then the password, each once."""

    transport: Any
    lastPublicKey: Any

    def __init__(self, credentials: SshCredentials, connection: Any) -> None:
        super().__init__(credentials.user.encode(), connection)
        self._credentials = credentials
        self._offered = 0 if credentials.certificate is not None else 1
        """How often the key was offered: with its certificate, then without."""
        self._password_used = False

    def getPublicKey(self) -> Key | None:
        """Our public key: once with its certificate, if there is one, and once alone."""
        if self._credentials.key is None or self._offered > 1:
            return None
        self._offered += 1
        public: Key = self._credentials.key.public()
        return public

    def getPrivateKey(self) -> Deferred[Any]:
        """Our key."""
        return succeed(self._credentials.key)

    def getPassword(self, prompt: bytes | None = None) -> Deferred[bytes] | None:
        """Our password, once."""
        if self._password_used or not self._credentials.password:
            return None
        self._password_used = True
        return succeed(self._credentials.password.encode())

    def ssh_USERAUTH_PK_OK_password(self, packet: bytes) -> None:
        """The server wants a new password in place of ours (RFC 4252 §8). That is a person's business."""
        said = getNS(packet)[0].decode("utf-8", "replace")[:LONGEST_SAID]
        self.transport.sendDisconnect(
            14, f"the password has expired; the server asks for a new one: {said}".encode()
        )

    def auth_keyboard_interactive(self) -> bool:
        """Answer keyboard-interactive with the password, but only once."""
        if self._password_used or not self._credentials.password:
            return False
        return bool(super().auth_keyboard_interactive())

    def getGenericAnswers(self, name: bytes, instruction: bytes, prompts: list[Any]) -> Deferred[list[str]]:
        """The password for each hidden prompt."""
        self._password_used = True
        return succeed(["" if echo else self._credentials.password for _, echo in prompts])

    # RSA with SHA-2 (RFC 8332 §3.2), and certificates: the algorithm's name differs from the key's

    @property
    def _certificate(self) -> Certificate | None:
        return self._credentials.certificate if self._offered == 1 else None

    def _algorithm(self) -> bytes:
        """How the key signs."""
        type_: bytes = self.lastPublicKey.sshType()
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

    def _named(self) -> bytes:
        """The algorithm, and the key or its certificate."""
        algorithm = self._algorithm()
        if self._certificate is None:
            return NS(algorithm) + NS(self.lastPublicKey.blob())
        return NS(algorithm + CERTIFIED) + NS(self._certificate.blob)

    def _cbGetPublicKey(self, publicKey: Any) -> bool:
        if not isinstance(publicKey, Key):
            return False
        self.lastPublicKey = publicKey
        self.triedPublicKeys.append(publicKey)
        self.askForAuth(b"publickey", b"\x00" + self._named())
        return True

    def ssh_USERAUTH_PK_OK_publickey(self, packet: bytes) -> None:
        """The server accepts our key: sign."""
        named = self._named()
        signed = (
            NS(self.transport.sessionID) + b"\x32" + NS(self.user) + NS(self.instance.name)
            + NS(b"publickey") + b"\x01" + named
        )  # fmt: skip
        key = self._credentials.key
        assert key is not None
        signature = key.sign(signed, self._algorithm())
        self.askForAuth(b"publickey", b"\x01" + named + NS(signature))

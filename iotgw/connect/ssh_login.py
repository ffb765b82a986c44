"""Logging in over SSH, with two fixes to conch.

conch signs only with ssh-rsa (SHA-1), which OpenSSH has refused since 8.8; SHA-2 came with RFC 8332. And conch
answers keyboard-interactive again and again until the account is locked.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from twisted.conch.ssh.common import NS
from twisted.conch.ssh.keys import Key
from twisted.conch.ssh.userauth import SSHUserAuthClient
from twisted.internet.defer import Deferred, succeed


class SshCredentials(Struct, frozen=True):
    """How we log in: a key, a password, or both."""

    user: str
    password: str = ""
    key: Key | None = None


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

"""How a client asks a proxy for a connection to somewhere else, without I/O: HTTP's CONNECT (RFC 9110 §9.3.6) and SOCKS 5
(RFC 1928, RFC 1929).

Write what `start` returns, hand each answer to `receive` and write what that returns, until ``is_open``; ``rest`` is what
the other side has sent already. A proxy that refuses raises ProtocolError, in words for people.
"""

from __future__ import annotations

import base64
import ipaddress
from typing import Protocol

from iotgw.core.errors import ProtocolError
from iotgw.core.numbers import shown, whole

LARGEST_HEAD = 16384
"""Bytes of an answer to CONNECT."""
LONGEST_NAME = 255
"""Bytes of a name in SOCKS (RFC 1928 §5), and of a user and a password (RFC 1929 §2)."""

_REPLIES = {
    1: "it failed there", 2: "its rules forbid it", 3: "the network can't be reached from there",
    4: "the host can't be reached from there", 5: "the connection was refused there", 6: "it took too long there",
    7: "it has no CONNECT", 8: "it doesn't take this kind of address",
}  # fmt: skip
"""What a reply's code means (RFC 1928 §6)."""


class Tunnel(Protocol):
    """One request for a connection."""

    is_open: bool
    rest: bytes

    def start(self) -> bytes:
        """The first bytes."""

    def receive(self, data: bytes) -> bytes:
        """What to write next; raises ProtocolError."""


def place(host: str, port: int) -> str:
    """``host:port`` as an authority (RFC 3986 §3.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class HttpConnect:
    """CONNECT to a host and port; user and password go as basic authentication (RFC 7617)."""

    def __init__(self, host: str, port: int, username: str = "", password: str = "") -> None:
        self._place = place(host, port)
        self._credentials = f"{username}:{password}" if username or password else ""
        self._buffer = bytearray()
        self.is_open = False
        self.rest = b""

    def start(self) -> bytes:
        """The request."""
        lines = [f"CONNECT {self._place} HTTP/1.1", f"Host: {self._place}"]
        if self._credentials:
            lines.append(
                f"Proxy-Authorization: Basic {base64.b64encode(self._credentials.encode()).decode()}"
            )
        return "\r\n".join([*lines, "", ""]).encode("ascii")

    def receive(self, data: bytes) -> bytes:
        """Read the answer; nothing is to be written."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            first = bytes(self._buffer[:end]).partition(b"\r\n")[0]
            status = whole(first[9:12], 100, 999) if first.startswith(b"HTTP/1.") else None
            if status is None:
                raise ProtocolError(f"expected an answer to CONNECT, got {first[:60]!r}")
            if status >= 200:
                self._answered(status, first[13:])
                self.is_open, self.rest = True, bytes(self._buffer[end + 4 :])
                return b""
            del self._buffer[: end + 4]  # an interim response: the real one follows
        if len(self._buffer) > LARGEST_HEAD:
            raise ProtocolError(f"expected an answer to CONNECT of at most {LARGEST_HEAD} bytes")
        return b""

    def _answered(self, status: int, reason: bytes) -> None:
        if status in (401, 407):  # tinyproxy says 401
            wrong = "refuses the user or the password" if self._credentials else "asks for user and password"
            raise ProtocolError(f"it {wrong} (HTTP {status})")
        if status >= 300:
            said = shown(reason.decode("latin-1").strip()) if reason.strip() else ""
            raise ProtocolError(f"HTTP {status} to CONNECT {self._place}" + (f": {said}" if said else ""))


class Socks5:
    """CONNECT by SOCKS 5 to a name, which the proxy resolves, or an address. Raises ValueError for what it has no room for."""

    def __init__(self, host: str, port: int, username: str = "", password: str = "") -> None:
        self._address = _address(host) + port.to_bytes(2)
        user, secret = username.encode(), password.encode()
        if max(len(user), len(secret)) > LONGEST_NAME:
            raise ValueError(f"expected at most {LONGEST_NAME} bytes of user and of password")
        self._login = b"\x01%c%b%c%b" % (len(user), user, len(secret), secret) if user or secret else b""
        self._buffer = bytearray()
        self._step = self._method
        self.is_open = False
        self.rest = b""

    def start(self) -> bytes:
        """The ways to log in that we know."""
        return b"\x05\x02\x00\x02" if self._login else b"\x05\x01\x00"

    def receive(self, data: bytes) -> bytes:
        """Read what came, as far as it is whole."""
        self._buffer += data
        out = b""
        while not self.is_open:
            answer = self._step()
            if answer is None:
                break
            out += answer
        return out

    def _method(self) -> bytes | None:
        if len(self._buffer) < 2:
            return None
        version, method = self._take(2)
        if version != 5:
            raise ProtocolError(f"expected SOCKS 5, got version {version}")
        if method == 2 and self._login:
            self._step = self._logged_in
            return self._login
        if method != 0:
            raise ProtocolError(
                "it asks for another login than we have" if self._login else "it asks for user and password"
            )
        return self._connect()

    def _logged_in(self) -> bytes | None:
        if len(self._buffer) < 2:
            return None
        if self._take(2)[1] != 0:
            raise ProtocolError("it refuses the user or the password")
        return self._connect()

    def _connect(self) -> bytes:
        self._step = self._reply
        return b"\x05\x01\x00" + self._address

    def _reply(self) -> bytes | None:
        if len(self._buffer) < 5:
            # a proxy that refuses may send less than a whole reply
            if len(self._buffer) >= 2 and self._buffer[1]:
                raise ProtocolError(_REPLIES.get(self._buffer[1], f"it refuses (code {self._buffer[1]})"))
            return None
        version, code, _, kind, first = self._buffer[:5]
        if version != 5:
            raise ProtocolError(f"expected SOCKS 5, got version {version}")
        if code:
            raise ProtocolError(_REPLIES.get(code, f"it refuses (code {code})"))
        size = {1: 4, 3: 1 + first, 4: 16}.get(kind)
        if size is None:
            raise ProtocolError(f"expected an address, got type {kind}")
        if len(self._buffer) < 4 + size + 2:
            return None
        self._take(4 + size + 2)
        self.is_open, self.rest = True, bytes(self._buffer)
        return b""

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken


def _address(host: str) -> bytes:
    """A host with its type (RFC 1928 §5); raises ValueError."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.encode("ascii")
        if not 0 < len(name) <= LONGEST_NAME:
            raise ValueError(f"expected a name of at most {LONGEST_NAME} bytes") from None
        return b"\x03%c%b" % (len(name), name)
    return (b"\x01" if address.version == 4 else b"\x04") + address.packed

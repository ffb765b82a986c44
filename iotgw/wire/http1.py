"""The client's side of HTTP/1.1 without I/O: a request as bytes, and a reader of responses (RFC 9112).

Requests follow one another on a persistent connection. Bodies are kept up to a limit.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from iotgw.core.errors import ProtocolError
from iotgw.core.numbers import hexadecimal, whole

MAX_HEAD = 32768
"""Bytes of a response's status line and headers."""
MAX_BODY = 1 << 20
"""Bytes of a response body that are read at most. Beyond that the response still counts, but the connection is
closed."""
MAX_FRAMING = 64 << 10
"""Bytes of a response that are neither its head nor its body, such as sizes of chunks, beyond as many as the body has."""
LONGEST_BODY = 10**11
"""Largest Content-Length that is accepted, in bytes."""
KEPT = 65536
"""Bytes of a body that are kept, unless a reader is asked for more."""
REPEATED = 1024
"""Bytes of a response that a reader knows again."""
_STATUS = {b"%d" % status: status for status in range(100, 1000)}


class Response(Struct, frozen=True):
    """A response. Header names are lower case; of several headers of one name the last is kept.

    ``reusable``: the connection may take the next request.
    """

    status: int
    headers: dict[bytes, bytes]
    body: bytes
    reusable: bool


def request_head(method: str, target: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """The request line and headers, without the line that ends them. Raises ValueError for what isn't printable, or not in Latin-1, which would
    arrive as another text; it says where, and doesn't repeat a value, which may be secret.

    ``target`` is the path with its query; the caller escapes characters that aren't allowed in it.
    """
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    for line in lines:
        if not line.isprintable():
            raise _unfit(line)
    try:
        return ("\r\n".join(lines) + "\r\n").encode("latin-1")
    except UnicodeEncodeError:
        raise next(_unfit(line) for line in lines if max(line) > "\xff") from None


def _unfit(line: str) -> ValueError:
    bad = next(character for character in line if not character.isprintable() or character > "\xff")
    name, is_header, _ = line.partition(": ")
    where = f"the header {name}" if is_header and name.isprintable() else "the request's target"
    return ValueError(f"expected printable characters of Latin-1 in {where}, got U+{ord(bad):04X}")


class Reader:
    """Reads the responses of one connection. Call `receive` with bytes, and `ended` when the peer closed. ``kept`` are the bytes of
    a body that it keeps; a body is read up to there, or up to `MAX_BODY` if that is more.

    A server mostly answers the same as before, in one piece. What is the same, byte by byte, isn't read again.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._last = b""
        """The last response's bytes, if it was short and came in one piece."""
        self._last_response: Response | None = None
        self._buffer = bytearray()
        self._head: tuple[int, dict[bytes, bytes], bool] | None = None
        self._body = bytearray()
        self._left = 0
        """Bytes of the body or of its current chunk that are still to come; -1 means until the connection
        ends."""
        self._chunked = False
        self._seen = self._framing = 0

    @property
    def idle(self) -> bool:
        """Whether no part of a response has been read."""
        return self._head is None and not self._buffer

    def receive(self, data: bytes) -> Response | None:
        """Read bytes from the server; returns a response once it is complete. Raises ProtocolError."""
        if self._head is not None or self._buffer:
            return self._read(data)
        if data == self._last:
            return self._last_response
        response = self._read(data)
        if response is not None and len(data) <= REPEATED and not self._buffer:
            self._last, self._last_response = data, response
        return response

    def _read(self, data: bytes) -> Response | None:
        self._buffer += data
        while True:
            if self._head is None:
                if not self._read_head():
                    return None
            elif self._chunked:
                if not self._read_chunks():
                    return self._enough()
                return self._finish()
            else:
                if self._left:
                    self._keep(self._left)
                return self._enough() if self._left else self._finish()

    def ended(self) -> Response | None:
        """The connection was closed; returns the response that this completes, if any."""
        if self._head is not None and self._left == -1 and not self._chunked:
            return self._finish()
        return None

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD:
                raise ProtocolError(f"HTTP: expected headers of at most {MAX_HEAD} bytes")
            return False
        lines = bytes(self._buffer[:end]).split(b"\r\n")
        del self._buffer[: end + 4]
        first = lines[0]
        status = _STATUS.get(first[9:12]) if first.startswith(b"HTTP/1.") else None
        if status is None:
            raise ProtocolError(f"HTTP: expected a status line, got {first[:60]!r}")
        headers = {}
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            if not colon:
                raise ProtocolError(f"HTTP: expected a header, got {line[:60]!r}")
            headers[name.lower()] = value.strip()
        if status < 200:
            if status == 101:
                raise ProtocolError("HTTP: the server switched protocols")
            self._frame(end)
            return True  # an interim response (RFC 9110 §15.2): the real one follows
        reusable = first.startswith(b"HTTP/1.1") and headers.get(b"connection", b"").lower() != b"close"
        self._measure(status, headers)
        self._head = status, headers, reusable and self._left >= 0
        return True

    def _measure(self, status: int, headers: dict[bytes, bytes]) -> None:
        """How long the body is (RFC 9112 §6.3)."""
        self._chunked = False
        self._seen = self._framing = 0
        length = headers.get(b"content-length")
        if status in (204, 304):
            self._left = 0
        elif headers.get(b"transfer-encoding", b"").lower().endswith(b"chunked"):
            self._chunked, self._left = True, 0
        elif length is None:
            self._left = -1
        else:
            size = whole(length, 0, LONGEST_BODY)
            if size is None:
                raise ProtocolError(f"HTTP: malformed Content-Length {length[:40]!r}")
            self._left = size

    def _keep(self, limit: int) -> None:
        """Move up to ``limit`` bytes (-1: all) of the buffer to the body."""
        size = len(self._buffer) if limit < 0 else min(limit, len(self._buffer))
        self._seen += size
        self._body += self._buffer[: min(size, self._kept - len(self._body))]
        del self._buffer[:size]
        if limit >= 0:
            self._left -= size

    def _read_chunks(self) -> bool:
        """Chunks (RFC 9112 §7.1); True at the end of the last."""
        while True:
            if self._left > 0:
                self._keep(self._left)
                if self._left:
                    return False
                self._left = -2  # the line end after a chunk
            end = self._buffer.find(b"\r\n")
            if end < 0:
                if len(self._buffer) > MAX_HEAD:
                    raise ProtocolError("HTTP: malformed chunk")
                return False
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 2]
            self._frame(end + 2)
            if self._left == -2:
                self._left = 0
                if line:
                    raise ProtocolError("HTTP: a chunk is longer than it says")
            elif self._left == -3:  # the trailer section
                if not line:
                    self._left = 0
                    return True
            else:
                text = line.partition(b";")[0].strip()
                size = hexadecimal(text, 0xFFFFFFFF)
                if size is None:
                    raise ProtocolError(f"HTTP: malformed chunk size {text[:20]!r}")
                self._left = size or -3

    def _frame(self, size: int) -> None:
        """So many bytes came that say nothing. Raises ProtocolError where they are too many."""
        self._framing += size
        if self._framing > MAX_FRAMING + self._seen:
            raise ProtocolError(
                f"HTTP: expected larger chunks, and less around them than {MAX_FRAMING} bytes"
            )

    def _enough(self) -> Response | None:
        """The response without the rest of its body, which is too long."""
        return self._finish(whole=False) if self._seen > max(MAX_BODY, self._kept) else None

    def _finish(self, whole: bool = True) -> Response:
        assert self._head is not None
        status, headers, reusable = self._head
        response = Response(status, headers, bytes(self._body), reusable and whole and not self._buffer)
        self._head = None
        self._body = bytearray()
        self._seen = self._framing = 0
        return response

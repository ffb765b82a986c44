"""The prober: raw datagrams against the test site, with a codec of its own so that ours is judged by another.

The same rows run against our engine with a clock that jumps (`Virtual`) and against any server on a socket
(`Sockets`).
"""

from __future__ import annotations

import itertools
import select
import socket
import struct
import time
from collections import deque
from dataclasses import dataclass, field

CON, NON, ACK, RST = range(4)
EMPTY, GET, POST, PUT, DELETE, FETCH = range(6)
ETAG, OBSERVE, URI_HOST, URI_PORT, URI_PATH, CONTENT_FORMAT, URI_QUERY = 4, 6, 3, 7, 11, 12, 15
HOP_LIMIT, ACCEPT, BLOCK2, BLOCK1, SIZE2, PROXY_URI, PROXY_SCHEME, SIZE1 = 16, 17, 23, 27, 28, 35, 39, 60
NO_RESPONSE, REQUEST_TAG = 258, 292

_tokens = itertools.count(1)


def extended(value):
    if value < 13:
        return value, b""
    if value < 269:
        return 13, bytes([value - 13])
    return 14, struct.pack("!H", value - 269)


def read_extended(data, at, nibble):
    if nibble == 13:
        return 13 + data[at], at + 1
    if nibble == 14:
        return 269 + struct.unpack("!H", data[at : at + 2])[0], at + 2
    return nibble, at


def uint(value):
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def message(type_, code, mid, token=b"", options=(), payload=b"", version=1, token_length=None):
    """A datagram, well-formed or not."""
    length = len(token) if token_length is None else token_length
    out = bytearray([version << 6 | type_ << 4 | length, code]) + struct.pack("!H", mid) + token
    last = 0
    for number, given in sorted(options, key=lambda pair: pair[0]):
        value = uint(given) if isinstance(given, int) else given
        delta, delta_more = extended(number - last)
        size, size_more = extended(len(value))
        out += bytes([delta << 4 | size]) + delta_more + size_more + value
        last = number
    return bytes(out + b"\xff" + payload if payload else out)


def block(number, more, szx):
    return number << 4 | (8 if more else 0) | szx


def uri(path):
    path, _, query = path.partition("?")
    return [(URI_PATH, part.encode()) for part in path.split("/") if part] + [
        (URI_QUERY, part.encode()) for part in query.split("&") if part
    ]


@dataclass
class Answer:
    """A datagram that came back."""

    raw: bytes
    type: int = 0
    code: str = ""
    mid: int = 0
    token: bytes = b""
    options: list = field(default_factory=list)
    payload: bytes = b""

    @classmethod
    def of(cls, data):
        length = data[0] & 15
        assert data[0] >> 6 == 1 and length <= 8, f"no CoAP: {data[:16].hex()}"
        answer = cls(
            data, data[0] >> 4 & 3, f"{data[1] >> 5}.{data[1] & 31:02d}", struct.unpack("!H", data[2:4])[0]
        )
        at, number = 4 + length, 0
        answer.token = data[4:at]
        while at < len(data):
            if data[at] == 0xFF:
                answer.payload = data[at + 1 :]
                assert answer.payload, "payload marker without a payload"
                break
            head = data[at]
            delta, at = read_extended(data, at + 1, head >> 4)
            length, at = read_extended(data, at, head & 15)
            number += delta
            answer.options.append((number, data[at : at + length]))
            at += length
            assert at <= len(data), "option beyond the end"
        return answer

    def option(self, number):
        return next((value for key, value in self.options if key == number), None)

    def uint(self, number):
        value = self.option(number)
        return None if value is None else int.from_bytes(value, "big")

    @property
    def is_empty(self):
        return len(self.raw) == 4 and self.code == "0.00"


class Device:
    """One endpoint of ours."""

    _mids = itertools.count(0x4000)

    def __init__(self, probe, line):
        self._probe = probe
        self._line = line

    def mid(self):
        return next(self._mids) & 0xFFFF

    def send(self, *args, **more):
        """Send a message; returns its Message ID."""
        self.send_raw(message(*args, **more))

    def send_raw(self, data):
        self._line.send(data)

    def receive(self, within=1.0):
        """The next answer, None if there is none within this many seconds."""
        data = self._line.receive(within)
        return None if data is None else Answer.of(data)

    def expect(self, within=3.0):
        answer = self.receive(within)
        assert answer is not None, f"no answer within {within} s"
        return answer

    def silence(self, seconds=0.5):
        answer = self.receive(seconds)
        assert answer is None, f"expected silence, got {answer}"

    def receive_all(self, seconds):
        found, end = [], self._probe.now() + seconds
        while (left := end - self._probe.now()) > 0:
            answer = self.receive(left)
            if answer is not None:
                found.append(answer)
        return found

    def ask(self, code, path, payload=b"", *options, type=CON, token=b"\x01", mid=None, within=3.0):
        """A request and its answer."""
        self.send(type, code, self.mid() if mid is None else mid, token, uri(path) + list(options), payload)
        return self.expect(within)

    def acknowledge(self, answer):
        self.send(ACK, EMPTY, answer.mid)

    def reset(self, answer):
        self.send(RST, EMPTY, answer.mid)

    def upload(self, body, szx, path="i", *options):
        """A body in blocks; the answers."""
        answers, size = [], 16 << szx
        for offset in range(0, len(body), size):
            more = offset + size < len(body)
            answers.append(
                self.ask(
                    POST,
                    path,
                    body[offset : offset + size],
                    *options,
                    (BLOCK1, block(offset // size, more, szx)),
                )
            )
            assert answers[-1].code == ("2.31" if more else "2.04"), answers[-1]
        return answers


class Probe:
    """What a row gets: devices, and the server's side as far as it can be asked."""

    def device(self):
        raise NotImplementedError

    def now(self):
        raise NotImplementedError

    def wait(self, seconds):
        raise NotImplementedError

    def get(self, path, *options, **more):
        return self.device().ask(GET, path, b"", *options, **more)

    def runs(self):
        """How often the handler of ``POST /i`` has run."""
        answer = self.get("count")
        assert answer.code == "2.05"
        return int(answer.payload)

    def is_alive(self):
        return self.get("i").code == "2.05"


class Virtual(Probe):
    """Our engine without a socket, in its own time."""

    def __init__(self, endpoint_of):
        self._now = 1000.0
        self._lines = {}
        self.endpoint = endpoint_of(self._deliver, lambda: self._now)
        self._ports = itertools.count(40000)

    def now(self):
        return self._now

    def device(self):
        remote = ("192.0.2.1", next(self._ports))
        self._lines[remote] = line = _VirtualLine(self, remote)
        return Device(self, line)

    def wait(self, seconds):
        self.run_until(self._now + seconds, lambda: False)

    def run_until(self, end, condition):
        while not condition():
            due = self.endpoint.poll(self._now)
            if condition():
                return
            if due is None or due > end:
                self._now = end
                self.endpoint.poll(end)
                return
            self._now = max(self._now, due)

    def _deliver(self, data, remote):
        self._lines[remote].inbox.append(data)


class _VirtualLine:
    def __init__(self, probe, remote):
        self._probe = probe
        self._remote = remote
        self.inbox = deque()

    def send(self, data):
        self._probe.endpoint.datagram(data, self._remote, self._probe.now())

    def receive(self, within):
        self._probe.run_until(self._probe.now() + within, lambda: bool(self.inbox))
        return self.inbox.popleft() if self.inbox else None


class Sockets(Probe):
    """Any server on a UDP port."""

    def __init__(self, host, port):
        self._address = host, port

    def now(self):
        return time.monotonic()

    def device(self):
        return Device(self, _SocketLine(self._address))

    def wait(self, seconds):
        select.select([], [], [], seconds)


class _SocketLine:
    def __init__(self, address):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.connect(address)

    def send(self, data):
        self._socket.send(data)

    def receive(self, within):
        if not select.select([self._socket], [], [], max(0, within))[0]:
            return None
        return self._socket.recv(65536)

"""libcoap's command-line client, and a device of our own that can keep many requests in flight."""

import itertools
import select
import socket
import struct
import subprocess
import threading

from .patience import HANGS
from .process import find, wait_until

TOKEN = struct.Struct("!I")


def coap_client(url, payload=None, method="post", options=(), seconds=60, variant="openssl"):
    """Run libcoap's client; returns what it printed. It waits for a response for so many ``seconds``."""
    data = [] if payload is None else ["-f", "-"]
    ran = subprocess.run(
        [find(f"coap-client-{variant}"), "-m", method, "-B", str(seconds), *options, *data, url],
        input=payload, capture_output=True, timeout=seconds + HANGS, check=False,
    )  # fmt: skip
    return (ran.stdout + ran.stderr).decode(errors="replace")


def con_post(mid, token, path, payload, query=""):
    """A confirmable POST (RFC 7252 §3) to a path whose segments are shorter than 13 bytes, as is the query."""
    options, previous = b"", 0
    for segment in filter(None, path.split("/")):
        options += bytes([(11 - previous) << 4 | len(segment)]) + segment.encode()
        previous = 11
    if query:
        options += bytes([(15 - previous) << 4 | len(query)]) + query.encode()
    return struct.pack("!BBH", 0x40 | len(token), 0x02, mid) + token + options + b"\xff" + payload


class Device:
    """A device that posts numbered messages, many in flight, and knows which were answered 2.04.

    ``payload(n)`` makes the bytes of message n. It stops when told, or after ``count`` messages.
    """

    def __init__(self, port, path, payload, count=None, window=32, first=0):
        self._address = ("127.0.0.1", port)
        self._path = path
        self._payload = payload
        self._numbers = iter(range(first, first + count)) if count is not None else itertools.count(first)
        self._window = window
        self.sent = set()
        self.answered = set()
        self.refused = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self._thread.start()
        return self

    def stop(self):
        self._stop.set()
        wait_until(lambda: not self._thread.is_alive(), what="the device to stop")
        return self

    def finish(self):
        try:
            wait_until(lambda: not self._thread.is_alive(), what="the device to be answered")
        except AssertionError as error:
            raise AssertionError(f"{error}: {len(self.answered)} of {len(self.sent)} were") from None
        return self

    def _run(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.connect(self._address)
            open_ = {}
            more = True
            while not self._stop.is_set() and (more or open_):
                while more and len(open_) < self._window:
                    number = next(self._numbers, None)
                    if number is None:
                        more = False
                        break
                    open_[number] = con_post(
                        number & 0xFFFF, TOKEN.pack(number), self._path, self._payload(number)
                    )
                    self._send(line, open_[number])
                    self.sent.add(number)
                if not select.select([line], [], [], 0.5)[0]:
                    for datagram in open_.values():
                        self._send(line, datagram)
                    continue
                self._take(line, open_)

    @staticmethod
    def _send(line, datagram):
        try:
            line.send(datagram)
        except ConnectionRefusedError:
            threading.Event().wait(0.01)

    def _take(self, line, open_):
        try:
            answer = line.recv(2048)
        except ConnectionRefusedError:
            return
        if len(answer) < 8 or answer[0] & 0x0F != 4:
            return
        number = TOKEN.unpack(answer[4:8])[0]
        if answer[1] == 0x44:
            if open_.pop(number, None) is not None:
                self.answered.add(number)
        else:
            self.refused += 1

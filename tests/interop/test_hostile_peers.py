"""Whatever a peer answers, with every type that connects: the gateway goes on, keeps its memory, and drops no failure, also when it is stopped while it connects."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.interop.test_forbid import INTEGRATIONS, SOURCES, type_of
from tests.peers.gateway import Gateway
from tests.peers.process import wait_until

pytestmark = pytest.mark.interop
ENOUGH = 150
"""Connections after which each way was met by most types."""
LARGEST = 400 << 10
"""kB that the gateway may have had in memory: with all these types at rest it has 130,000."""
MOST = 16 << 20
"""Bytes of an answer without an end."""

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def endless(first: bytes, again: bytes) -> Iterator[bytes]:
    yield first
    block = again * (65_536 // len(again) + 1)
    yield from itertools.repeat(block, MOST // len(block))


WAYS: list[Callable[[], Iterator[bytes]]] = [
    lambda: iter(()),
    lambda: iter((os.urandom(3000),)),
    lambda: endless(b"", b"\0"),
    lambda: endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    lambda: endless(b"HTTP/1.1 200 OK\r\nX: ", b"y"),
    lambda: endless(CHUNKED, b"8000\r\n" + b"[" * 32_768 + b"\r\n"),
    lambda: endless(OK + b"Content-Length: 99999999999\r\n\r\n", b"["),
    lambda: iter((OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",)),
    lambda: iter((b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n",)),
    lambda: iter((b"HTTP/1.1 200 Connection established\r\n\r\n", os.urandom(3000))),
    lambda: iter((b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",)),
    lambda: endless(b"", b"not yet\r\n"),  # what may stand before the version of SSH
    lambda: iter((b"SSH-2.0-x\r\n\xff\xff\xff\xff" + bytes(4000),)),
    lambda: iter((b"\x20\x02\0\0",)),  # MQTT: welcome, and gone
    lambda: endless(b"\x20\x02\0\0\x30\xff\xff\xff\x7f", b"x"),  # and a message of 256 MB
    lambda: endless(b"\x01\0\0\xff\xff\xff\xff", b"\0"),  # AMQP: a frame of 4 GB
    lambda: endless(b"\x7f\xff\xff\xff", b"\0"),  # Kafka: an answer of 2 GB
    lambda: endless(b"ACKF\xff\xff\xff\x7f", b"\0"),  # OPC UA: the same
]


class Hostile:
    """Answers each connection in the next of the ways. ``met`` is how many there were."""

    def __init__(self) -> None:
        self.met = 0
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self._listening.getsockname()[1]
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._listen)]
        self._threads[0].start()

    def _listen(self) -> None:
        for way in itertools.cycle(WAYS):
            try:
                met, _ = self._listening.accept()
            except OSError:
                return
            if self._is_over.is_set():
                met.close()
                return
            self.met += 1
            thread = threading.Thread(target=self._answer, args=(met, way()))
            self._threads.append(thread)
            thread.start()

    def _answer(self, met: socket.socket, said: Iterator[bytes]) -> None:
        met.settimeout(2)
        with contextlib.suppress(OSError):
            met.recv(65_536)
        try:
            for block in said:
                if self._is_over.is_set():
                    break
                met.sendall(block)
            if self.met % 3 == 0:  # and some break off
                met.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
        finally:
            met.close()

    def close(self) -> None:
        self._is_over.set()
        with socket.create_connection(("127.0.0.1", self.port)):
            pass
        for thread in self._threads:
            thread.join()
        self._listening.close()


@pytest.fixture
def hostile():
    made = Hostile()
    yield made
    made.close()


def test_whatever_peers_answer_the_gateway_goes_on_and_drops_no_failure(tmp_path, hostile):
    with Gateway(tmp_path) as gateway:
        script = "function Decoder(p, m) { return {deviceName: 'a', telemetry: {n: 1}}; }"
        gateway.create("converters", name="c", script=script)
        gateway.create("datasources", name="h", type="http", routingKey="k", converter="c", configuration={})
        for kind, configure in INTEGRATIONS.items():
            configuration = configure("127.0.0.1", hostile.port)
            gateway.create("integrations", name=kind, type=type_of(kind), configuration=configuration)
        for kind, configure in SOURCES.items():
            configuration = configure("127.0.0.1", hostile.port)
            gateway.create(
                "datasources",
                name=kind,
                type=type_of(kind),
                routingKey=f"key-{kind}",
                configuration=configuration,
            )
        for number in range(5):
            assert gateway.post("k", {"n": number}).status < 300
        wait_until(lambda: hostile.met >= ENOUGH, 60, "many connections")
        assert gateway.post("k", {"n": 5}).status < 300
        most = Path(f"/proc/{gateway.pid}/status").read_text()
        (high_water,) = [int(line.split()[1]) for line in most.splitlines() if line.startswith("VmHWM:")]
        assert high_water < LARGEST
        gateway.stop(60)
        assert "Traceback" not in gateway.output

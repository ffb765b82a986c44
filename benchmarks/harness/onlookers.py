"""People who look on: readers of a gateway's live stream, one of whom never reads."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from harness.contestants import MQTT, Started
from harness.gateway import Gateway
from harness.tools import Sink

TOPICS = "messages,events,stats"


def look(gateway: Gateway, rate: int, reads: bool) -> None:
    """Open a stream of a gateway, and read it to its end unless nobody ``reads``."""
    token = (gateway.data / "admin-token").read_text().strip()
    reader = socket.create_connection(("127.0.0.1", gateway.port), 10)
    reader.sendall(
        f"GET /api/v1/stream?topics={TOPICS}&rate={rate} HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\n"
        f"Authorization: Bearer {token}\r\n\r\n".encode()
    )
    if not (answer := reader.recv(4096)).startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"expected a stream, got {answer[:200]!r}")
    reader.settimeout(None)
    threading.Thread(target=_drain if reads else _hold, args=(reader,), daemon=True).start()


def _drain(reader: socket.socket) -> None:
    with reader, suppress(OSError):
        while reader.recv(65536):
            pass


def _hold(reader: socket.socket) -> None:
    """Keep a connection that is never read until its peer has ended it."""
    hung_up = select.poll()
    hung_up.register(reader, select.POLLRDHUP)
    with reader:
        hung_up.poll()


def watched(readers: int, rate: int) -> Callable[[Path, Sink | None], Started]:
    """The gateway of workload B with so many readers, the last of whom never reads."""

    def start(folder: Path, sink: Sink | None) -> Started:
        started = MQTT(folder, sink)
        assert isinstance(started.program, Gateway)
        for number in range(readers):
            look(started.program, rate, reads=number + 1 < readers)
        return started

    return start

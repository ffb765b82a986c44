"""The attacks. Each runs in a process of its own until it is ended: ``python -m tests.attacks.ways NAME JSON``."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import sys
import time
from collections.abc import Callable
from random import Random
from threading import Thread
from types import SimpleNamespace
from typing import Any

from tests.peers.gateway import request
from tests.unit.wire import bombs

RANDOM = Random(1)
HERE = "127.0.0.1"


def _datagrams(port: int, make: Callable[[int], bytes]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        number = 0
        while True:
            for _ in range(100):
                number += 1
                with contextlib.suppress(OSError):
                    sender.sendto(make(number), (HERE, port))
            time.sleep(0.001)


def _requests(port: int, make: Callable[[int], bytes], threads: int = 4) -> None:
    """Requests as fast as they are answered, each over a connection of its own."""

    def run() -> None:
        number = 0
        while True:
            number += 1
            with contextlib.suppress(OSError), socket.create_connection((HERE, port), 5) as connection:
                connection.sendall(make(number))
                connection.recv(65536)

    workers = [Thread(target=run, daemon=True) for _ in range(threads)]
    for worker in workers:
        worker.start()
    workers[0].join()


def _calls(at: Any, method: str, path: str, body: Any, threads: int = 4) -> None:
    def run() -> None:
        while True:
            with contextlib.suppress(OSError):
                request(method, f"{at.url}/api/v1{path}", body, {"Authorization": f"Bearer {at.token}"})

    workers = [Thread(target=run, daemon=True) for _ in range(threads)]
    for worker in workers:
        worker.start()
    workers[0].join()


def _streams(port: int, data: bytes) -> None:
    """Connections that send as fast as they can."""
    while True:
        with contextlib.suppress(OSError), socket.create_connection((HERE, port), 5) as connection:
            connection.settimeout(1)
            for _ in range(100):
                connection.sendall(data)


def _post(path: str, body: bytes = b"x", headers: str = "") -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: {HERE}\r\n{headers}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode(
            "latin-1"
        )
        + body
    )


def shared_values(at: Any) -> None:
    """CBOR that names what stands before it, to grow."""
    _datagrams(at.lobaro, lambda number: (bombs.SHARED, bombs.REFERENCES)[number % 2])


def nested_json(at: Any) -> None:
    """Arrays in arrays, and half an array."""
    _requests(at.port, lambda number: _post("/i/web", (b"[" * 100_000, b"[1," * 20_000)[number % 2]))


def costly_templates(at: Any) -> None:
    """Templates that would compute for long when they are saved."""
    texts = ["{{ 1|round(3000000,'floor') }}", "{{ " + "+".join(["1"] * 20_000) + " }}", "{% for a in [1,2,3] %}" * 40 + "{% endfor %}" * 40,
             "{% if 1 %}" * 400 + "{% endif %}" * 400, "{{ " + "9" * 5000 + " }}"]  # fmt: skip
    body = {
        "name": "t",
        "type": "http",
        "format": "template",
        "configuration": {"url": "http://127.0.0.1:9/"},
    }
    number = 0
    while True:
        number += 1
        value = {**body, "template": texts[number % len(texts)]}
        request("POST", f"{at.url}/api/v1/integrations", value, {"Authorization": f"Bearer {at.token}"})


def trickling(at: Any) -> None:
    """A thousand connections to the API's listener that send a byte now and then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    while True:
        crowd = []
        for _ in range(1000):
            with contextlib.suppress(OSError):
                crowd.append(socket.create_connection((HERE, at.port), 5))
        for _ in range(20):
            for each in crowd:
                with contextlib.suppress(OSError):
                    each.send(b"P")
            time.sleep(0.1)
        for each in crowd:
            each.close()


def log_flood(at: Any) -> None:
    """Heads that are no text."""
    heads = ("Authorization: Bearer \xff\r\n", "Content-Type: \xff\r\n")
    _requests(at.port, lambda number: _post("/api/v1/converters", b"x", heads[number % 2]))


def looping_trials(at: Any) -> None:
    """25 trials of scripts that never end."""
    _calls(at, "POST", "/converters/test", {"script": "while (true) {}", "text": "x"}, 25)


def impersonation(at: Any) -> None:
    """Messages in the name of a device with a credential."""
    body = json.dumps({"deviceName": "meter-7", "telemetry": {"t": 1}}).encode()
    _requests(at.port, lambda number: _post("/i/web", body))


def made_up_names(at: Any) -> None:
    """Each message in the name of another device."""
    _requests(
        at.port,
        lambda number: _post(
            "/i/web", json.dumps({"deviceName": os.urandom(6).hex(), "telemetry": {"t": 1}}).encode()
        ),
    )


def key_guessing(at: Any) -> None:
    """Routing keys that nobody has."""
    _requests(at.port, lambda number: _post(f"/i/guess-{RANDOM.random()}"))


def coap_flood(at: Any) -> None:
    """Datagrams of requests to no resource, and rubbish."""
    heads = (b"\x40\x02", b"\x50\x01", b"\x45\x02abcde", b"")
    _datagrams(at.coap, lambda number: heads[number % 4] + RANDOM.randbytes(24))


def hello_flood(at: Any) -> None:
    """ClientHellos from nowhere."""
    hello = (
        bytes.fromhex("16fefd0000000000000000003a0100002e000000000000002efefd")
        + bytes(32)
        + bytes.fromhex("00000004c0a8c0ae01000000")
    )
    _datagrams(at.coaps, lambda number: hello[:13] + hello[13:27] + RANDOM.randbytes(32) + hello[59:])


def empty_lines(at: Any) -> None:
    """A stream of line ends."""
    _streams(at.tcp, b"\n" * 65536)


def short_lines(at: Any) -> None:
    """A stream of messages of one byte."""
    _streams(at.tcp, b"x\n" * 32768)


def dragino_frames(at: Any) -> None:
    """A stream of what looks like frames of many devices."""
    _streams(at.dragino, bytes.fromhex("f8677870504015008e0e10ed") * 5000)


def large_bodies(at: Any) -> None:
    """Bodies at the limit."""
    _requests(at.port, lambda number: _post("/i/web", b"x" * (1 << 20)), 8)


def tiny_chunks(at: Any) -> None:
    """Bodies without an end, in chunks of one byte, over thirty connections."""
    head = f"POST /i/nobody HTTP/1.1\r\nHost: {HERE}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    _at_once(lambda: _streams(at.port, head + b"1\r\nx\r\n" * 10_000), 30)


def unanswered_requests(at: Any) -> None:
    """Requests that don't wait for the answers of those before them, over twenty connections."""
    asked = f"GET /api/v1/status HTTP/1.1\r\nHost: {HERE}\r\n\r\n".encode() * 500
    _at_once(lambda: _streams(at.port, asked), 20)


def _at_once(run: Callable[[], None], threads: int) -> None:
    workers = [Thread(target=run, daemon=True) for _ in range(threads)]
    for worker in workers:
        worker.start()
    workers[0].join()


def values_without_end(at: Any) -> None:
    """JSON of four megabytes that becomes many values, as far as the API takes it; and of one to a datasource that splits it."""
    size = 4 << 20
    bodies = [
        b'{"a":[' + part * (size // len(part) - 10) + b"1]}"
        for part in (
            b"[]," * 20,
            b"[" * 60 + b"]" * 60 + b",",
            b'{"a":1},',
            b"9" * 4300 + b",",
            b'"[",',
            b"1e300,",
        )
    ]
    bodies += [body[: 1 << 20].rpartition(b",")[0] + b"]}" for body in bodies]
    head = f"Authorization: Bearer {at.token}\r\nContent-Type: application/json\r\n"
    _requests(
        at.port, lambda number: _post("/api/v1/converters", bodies[number % len(bodies)], head), threads=2
    )


WAYS = [
    shared_values, nested_json, costly_templates, trickling, log_flood, looping_trials, impersonation, made_up_names, key_guessing, coap_flood,
    hello_flood, empty_lines, short_lines, dragino_frames, large_bodies, values_without_end, tiny_chunks, unanswered_requests,
]  # fmt: skip

if __name__ == "__main__":
    name, where = sys.argv[1:]
    next(way for way in WAYS if way.__name__ == name)(SimpleNamespace(**json.loads(where)))

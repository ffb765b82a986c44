"""What the gateway's work costs more while people look on: ``python benchmarks/onlookers.py [--rounds 10] [--readers 3] [--rate 50] [--seconds 5]``.

Workload B with so many readers of `GET /stream`, each of whom asks for messages, events and figures, at most ``--rate`` events a second, as the console
does. The last of them never reads. Pairs with and without them follow each other, every other pair in reverse order. Printed are the CPU per message of both
and the median of the pairs' ratios with its 95 % interval (see `paired`). Exit status 1 says that the interval lies wholly above ``--limit``.
"""

from __future__ import annotations

import argparse
import select
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from harness.contestants import MQTT, Contestant, Started
from harness.gateway import Gateway
from harness.measure import closed_loop
from harness.plan import FULL, Plan
from harness.processes import end_on_sigterm
from harness.tools import Sink, build
from paired import Pair, judged

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


def measured(readers: int, rate: int, plan: Plan) -> float:
    """CPU per message in µs; raises RuntimeError when a message was lost."""
    contestant = Contestant("iotgw", watched(readers, rate), str, durable=True)
    sample = closed_loop(contestant, plan, delivers=True)
    if not sample["messages"] or sample.get("missing"):
        raise RuntimeError(f"{sample['messages']} messages, {sample.get('missing')} missing")
    return float(sample["cpu_us"])


def main(argv: list[str]) -> int:
    """Run; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--readers", type=int, default=3)
    parser.add_argument("--rate", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=FULL.seconds)
    parser.add_argument("--limit", type=float, default=1.05)
    options = parser.parse_args(argv)
    plan = FULL._replace(rounds=options.rounds, seconds=options.seconds)
    build()
    found: list[Pair] = []
    for number in range(options.rounds):
        cost = {0: 0.0, options.readers: 0.0}
        for readers in sorted(cost, reverse=bool(number % 2)):
            cost[readers] = measured(readers, options.rate, plan)
        found.append(Pair(cost[0], cost[options.readers]))
        print(
            f"pair {number + 1}: {found[-1].revision:.1f} µs with nobody, {found[-1].tree:.1f} µs with {options.readers} readers, "
            f"ratio {found[-1].ratio:.3f}",
            file=sys.stderr,
        )
    return judged(found, options.rounds, options.limit, ("nobody looks", "with readers"))


if __name__ == "__main__":
    end_on_sigterm()
    sys.exit(main(sys.argv[1:]))

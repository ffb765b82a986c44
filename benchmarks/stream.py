"""What three readers of the live stream cost, of whom one reads nothing: ``python benchmarks/stream.py [--rate 2000] [--seconds 20] [--readers 3]``.

A process of its own serves the stream over loopback, and has ``--rate`` messages a second come in batches, as they do from the journal. All readers but the
last one read everything; that one never reads. Printed are its memory at the start and at the end, the share of a core that it took, how late timers of 5 ms
were (99th percentile and worst; a busy machine makes them late too, so the CPU time of the longest turn of all streams stands beside them), and what each reader got. Then, in this process: what a batch of 64 messages costs the pipeline while nobody looks, and while
somebody does.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import LoopingCall
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

sys.path.insert(0, str(Path(__file__).parents[1]))

from iotgw import testing
from iotgw.api.live_streams import LiveStreams, StreamFilter
from iotgw.api.site import ApiSite
from iotgw.api.stream import Rendering
from iotgw.core.clock import PlainCalendar
from iotgw.core.model import Outcome, Output, State, StoredUplink, Uplink
from iotgw.core.times import DateMs
from iotgw.observe.live import LiveFeed

BATCH = 64
EVERY = 0.005
"""Seconds of the timers that tell how late the reactor is."""
BODY = b'{"deviceName":"device","deviceType":"default","telemetry":[]}'


def batch(first: int, count: int) -> tuple[list[StoredUplink], list[Outcome]]:
    """Messages of as many devices."""
    numbers = range(first, first + count)
    uplinks = [
        StoredUplink(n, Uplink("default", "web", DateMs(1_700_000_000_000 + n), b"x" * 40, b"{}"))
        for n in numbers
    ]
    outcomes = [
        Outcome(n, State.CONVERTED, "c/1", (Output(f"device-{n % 500}", "default", BODY),)) for n in numbers
    ]
    return uplinks, outcomes


def resident() -> int:
    """This process's memory in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def serve(pipe: Any, rate: int, seconds: float) -> None:
    """The process that is measured."""
    loop: Any = reactor
    live, calendar = LiveFeed(), PlainCalendar(loop)
    journal, pipeline = testing.MemoryJournal(loop), testing.FakePipeline()
    streams = LiveStreams(live, loop, Rendering(journal, pipeline, calendar), "b")
    said = StreamFilter("default", frozenset({"messages"}), rate=5000)

    class Stream(Resource):
        isLeaf = True

        def render_GET(self, request: Any) -> int:
            request.setHeader("Content-Type", "text/event-stream")
            streams.open(request, said, "", "t", lambda: True, 0)
            return NOT_DONE_YET

    made, late, began, turns = 0, [], [0.0], [0.0]
    tick = streams._loop.f

    def timed() -> None:
        at = time.thread_time()
        tick()
        turns.append(time.thread_time() - at)

    streams._loop.f = timed

    def come() -> None:
        nonlocal made
        due = int((loop.seconds() - began[0]) * rate) - made
        while due > 0:
            count = min(due, BATCH)
            uplinks, outcomes = batch(made + 1, count)
            live.has_ended("default", "web", uplinks, outcomes)
            live.settled(outcomes, [])
            made, due = made + count, due - count

    def look(at: float) -> None:
        late.append(loop.seconds() - at)
        loop.callLater(EVERY, look, loop.seconds() + EVERY)

    port = loop.listenTCP(0, ApiSite(Stream()), interface="127.0.0.1")
    pipe.send(port.getHost().port)

    def begin() -> None:
        began[0] = loop.seconds()
        cpu, memory = time.process_time(), [resident()]
        LoopingCall(come).start(0.01)
        LoopingCall(lambda: memory.append(resident())).start(1.0)
        look(loop.seconds())

        def over() -> None:
            delays = sorted(late)
            pipe.send(
                {
                    "events": made,
                    "core": (time.process_time() - cpu) / seconds,
                    "memory": [round(each / 1e6, 1) for each in memory],
                    "p99": delays[int(len(delays) * 0.99)] * 1000,
                    "worst": delays[-1] * 1000,
                    "turn": max(turns) * 1000,
                }
            )
            loop.stop()

        loop.callLater(seconds, over)

    loop.callLater(0, lambda: loop.callInThread(lambda: (pipe.recv(), loop.callFromThread(begin))))
    loop.run()


def read(port: int, counts: list[int], number: int, stalls: bool) -> None:
    """A reader; one that stalls asks and never reads."""
    with socket.create_connection(("127.0.0.1", port)) as link:
        link.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        if stalls:
            time.sleep(3600)
        while data := link.recv(1 << 16):
            counts[number] += data.count(b"event: message")


def pipeline_cost(live: LiveFeed, batches: list[Any]) -> float:
    """Nanoseconds of CPU for each batch."""
    began = time.process_time_ns()
    for uplinks, outcomes in batches:
        if live.is_watched:
            live.has_ended("default", "web", uplinks, outcomes)
        live.settled(outcomes, [])
    return (time.process_time_ns() - began) / len(batches)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--readers", type=int, default=3)
    options = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(
        target=serve, args=(theirs, options.rate, options.seconds), daemon=True
    )
    server.start()
    port = ours.recv()
    counts = [0] * options.readers
    for number in range(options.readers):
        stalls = number == options.readers - 1
        threading.Thread(target=read, args=(port, counts, number, stalls), daemon=True).start()
    time.sleep(0.5)
    ours.send("go")
    found = ours.recv()
    found["readers"] = counts
    batches = [batch(first, BATCH) for first in range(1, 2000 * BATCH, BATCH)]
    live = LiveFeed()
    found["nobody"] = min(pipeline_cost(live, batches) for _ in range(5))
    live.join(frozenset({"messages"}))
    found["somebody"] = min(pipeline_cost(live, batches) for _ in range(5))
    print(json.dumps(found))
    memory = found["memory"]
    print(
        f"{found['events']} messages, {options.readers} readers, one of whom never reads: {memory[0]} MB at the start, {memory[-1]} MB at the end, "
        f"{found['core']:.1%} of a core; timers late by {found['p99']:.1f} ms (99 %), {found['worst']:.1f} ms (worst), of which a turn of all streams takes {found['turn']:.1f} ms of CPU at most; read: {counts}\n"
        f"a batch of {BATCH}: {found['nobody']:.0f} ns with nobody looking, {found['somebody'] / BATCH:.0f} ns a message with somebody"
    )


if __name__ == "__main__":
    main()

"""What the delivery stage costs by itself: from durable records to the target's acknowledgement.

    python benchmarks/delivery.py [--messages 40000] [--rounds 3] [shape …]

Shapes: ``mqtt`` (QoS 1), ``post`` (one POST per message), ``batch`` (POST of 100), ``thingsboard``;
``mqtt-paho`` and ``thingsboard-paho`` with paho as the engine; ``mqtt@mosquitto`` and ``mqtt-paho@mosquitto``
with a mosquitto as the target, where ``mqtt5`` (MQTT 5) goes too, which ``iotsink`` doesn't speak;
``post+dead`` and the like: without and with another integration that is dead, in turn, and what that costs; so
with ``+slow``, ``+slowmqtt``, ``+sip`` and ``+hang`` (see ``harness/neighbours.py``); ``neighbours``: what each of
these takes by itself, with no other integration, the least of several parts;
beside them, to compare, bare libraries without any delivery service: ``treq`` (pooled POSTs), ``paho`` (its
own thread). ``backlog`` puts messages into a real journal while the target is away, and lets them go.
The target is ``iotsink``. Records are fed 64 at a time, 500 devices.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import paho.mqtt.client as paho
import treq
from harness import tools
from harness.delivering import (
    DEVICES,
    FEED,
    WARM,
    Mosquitto,
    Neighbour,
    Quiet,
    Stream,
    body,
    cpu,
    line,
    resident,
    service_of,
    spec_of,
    until,
)
from twisted.internet import defer, reactor, task
from twisted.web.client import Agent, HTTPConnectionPool

from iotgw.core.model import Outcome, Output, State, Uplink
from iotgw.core.types import Types
from iotgw.delivery.service import DeliveryService
from iotgw.integrations.http import HttpType
from iotgw.integrations.mqtt import MqttType
from iotgw.store.sqlite.journal import Journal


async def feed(service, stream, first, last):
    """Tell the service that these are durable."""
    for start in range(first, last, FEED):
        stream.head = min(start + FEED, last)
        service.feed(stream.records[start : stream.head])
        await task.deferLater(reactor, 0)


async def stage(shape, count, sink):
    name, _, beside = shape.removesuffix("@mosquitto").partition("+")
    stream = Stream(WARM + count)
    service = await service_of(stream, spec_of(name, sink))
    neighbour = Neighbour(beside) if beside else None
    if neighbour is not None:
        await service.apply("neighbour", beside, "default", neighbour.spec)
    await task.deferLater(reactor, 0.3)
    outbox = service.entry("bench").outbox
    await feed(service, stream, 0, WARM)
    await until(lambda: outbox.accounts.delivered >= WARM)
    await task.deferLater(reactor, 1.0)  # a neighbour's target has shown what it is
    began, cpu_began = time.perf_counter(), cpu()
    await feed(service, stream, WARM, WARM + count)
    await until(lambda: outbox.accounts.delivered >= WARM + count)
    took, used = time.perf_counter() - began, cpu() - cpu_began
    found = ""
    if isinstance(sink, tools.Sink):
        stats = sink.stats()
        found = f"missing {WARM + count - stats['unique']}, duplicates {stats['duplicates']}"
    if neighbour is not None:
        found += f", beside: {service.entry('neighbour').outbox.accounts.delivered} delivered"
        neighbour.close()
    line(shape, count, took, used, found)
    await service.stop()
    return count / took, used / count


async def on(sink, work):
    """Do a piece of work with a fresh sink."""
    try:
        return await work(sink)
    finally:
        sink.__exit__()


def sink_for(shape):
    return Mosquitto() if shape.endswith("@mosquitto") else tools.Sink(DEVICES, 1 << 16)


async def pairs(shape, count, rounds):
    """Without and with a neighbour, in turn (ABBA); what it costs by the medians, and by the best of the
    rounds, which what else is on the machine disturbs least."""
    alone = shape.partition("+")[0] + ("@mosquitto" if shape.endswith("@mosquitto") else "")
    got = {alone: [], shape: []}
    for number in range(rounds):
        for each in (alone, shape) if number % 2 else (shape, alone):
            got[each].append(await on(sink_for(each), lambda sink, each=each: stage(each, count, sink)))
    for said, chosen in (("median", statistics.median), ("best", None)):
        rates = [(chosen or max)(rate for rate, _ in got[each]) for each in (shape, alone)]
        costs = [(chosen or min)(cost for _, cost in got[each]) for each in (shape, alone)]
        rate, cost = rates[0] / rates[1], costs[0] / costs[1]
        print(f"{shape:20} {said} of {rounds}: rate × {rate:.3f}, CPU × {cost:.3f}", flush=True)


async def neighbours(count):
    """CPU per message that a service takes for nothing but a neighbour, beside that of none at all."""
    base = None
    for kind in ("", "dead", "slow", "slowmqtt", "sip", "hang"):
        stream = Stream(WARM + count)
        types = Types("iotgw.none", reactor, (MqttType, HttpType))
        service = DeliveryService(stream, types, reactor, Quiet(), lambda id_: "source")
        service.start()
        neighbour = Neighbour(kind) if kind else None
        if neighbour is not None:
            await service.apply("neighbour", kind, "default", neighbour.spec)
        await feed(service, stream, 0, WARM)
        await task.deferLater(reactor, 1.0)
        part, least = count // 10, float("inf")
        for start in range(WARM, WARM + 10 * part, part):
            began = cpu()
            await feed(service, stream, start, start + part)
            least = min(least, (cpu() - began) / part * 1e6)
        base = least if base is None else base
        print(f"{kind or 'none':20} {least:.2f} µs, {least - base:.2f} its own", flush=True)
        await service.stop()
        if neighbour is not None:
            neighbour.close()


async def treq_alone(count, sink):
    pool = HTTPConnectionPool(reactor)
    pool.maxPersistentPerHost = 16
    agent = Agent(reactor, pool=pool)
    url = f"http://127.0.0.1:{sink.http}/in"
    headers = {"Content-Type": "application/json"}
    limit = defer.DeferredSemaphore(16)

    async def post(n):
        response = await treq.post(url, body(n), headers=headers, agent=agent)
        await treq.content(response)

    began, cpu_began = time.perf_counter(), cpu()
    await defer.gatherResults(
        [limit.run(lambda n=n: defer.ensureDeferred(post(n))) for n in range(count)], consumeErrors=True
    )
    line("treq", count, time.perf_counter() - began, cpu() - cpu_began)
    await pool.closeCachedConnections()


async def paho_alone(count, sink):
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, "bench")
    client.max_inflight_messages_set(1000)
    done = []
    client.on_publish = lambda *args: done.append(1)
    client.connect("127.0.0.1", sink.mqtt)
    client.loop_start()
    began, cpu_began = time.perf_counter(), cpu()
    for n in range(count):
        client.publish(f"iotgw/dev-{n % DEVICES}/telemetry", body(n), 1)
    await until(lambda: len(done) >= count)
    line("paho", count, time.perf_counter() - began, cpu() - cpu_began)
    client.loop_stop()


class Intake:
    """The journal's listener: a converter that takes no time, and deliveries."""

    def __init__(self, journal):
        self.journal = journal
        self.service = None
        self.durable = 0

    def storing(self, entries):
        pass

    def stored(self, entries):
        outcomes = []
        for stored, n in entries:
            output = Output(f"dev-{n % DEVICES}", "default", body(n))
            at = stored.uplink.received_ms
            outcomes.append(Outcome(stored.seq, State.CONVERTED, "c/1", (output,), received_ms=at))
        self.journal.settle("ds", outcomes[-1].seq, outcomes)

    def settled(self, outcomes, records):
        self.durable += len(records)
        self.service.feed(records)

    def refused(self, entries, reason):
        raise SystemExit(f"refused: {reason}")

    def room_again(self):
        pass


async def intake(listener, first, count):
    """Put messages through the journal; messages per second."""
    began = time.perf_counter()
    now = int(time.time() * 1000)
    for start in range(first, first + count, 256):
        for n in range(start, min(start + 256, first + count)):
            listener.journal.append(Uplink("default", "ds", now, b"x" * 24, b"{}"), n)
        await until(lambda start=start: listener.durable >= start - 2048)
    await until(lambda: listener.durable >= first + count)
    return count / (time.perf_counter() - began)


async def backlog(count, sink, directory):
    journal = Journal(reactor, directory / "journal.db")
    listener = Intake(journal)
    await journal.start(listener)
    service = await service_of(journal, spec_of("backlog", sink))
    listener.service = service
    outbox = service.entry("bench").outbox
    part = max(5000, count // 20)
    usual = await intake(listener, 0, part)
    await until(lambda: outbox.accounts.delivered >= part)
    began, used = time.perf_counter(), cpu()
    usual_stage = None
    await intake(listener, part, part)
    await until(lambda: outbox.accounts.delivered >= 2 * part)
    usual_stage = part / (time.perf_counter() - began)
    sink.away()
    before = resident()
    away = await intake(listener, 2 * part, count)
    after = resident()
    waiting = service.stats("bench")["waiting"]
    sink.back()
    await until(lambda: outbox.accounts.delivered > 2 * part)  # the wait for the next try is over
    began, used = time.perf_counter(), cpu()
    await until(lambda: outbox.accounts.delivered >= 2 * part + count)
    took, used = time.perf_counter() - began, cpu() - used
    line(
        "backlog", count, took, used,
        f"waiting {waiting:,}; intake {usual:,.0f}/s, with the target away {away:,.0f}/s; "
        f"both together {usual_stage:,.0f}/s; RSS {before:.0f} MB → {after:.0f} MB → {resident():.0f} MB",
    )  # fmt: skip
    print(f"backlog: intake × {away / usual:.2f} while the target is away", flush=True)
    await service.stop()
    await journal.stop()
    return count / took


async def main(arguments):
    tools.build()
    shapes = arguments.shapes or ["mqtt", "mqtt-paho", "post", "batch", "thingsboard", "treq", "paho"]
    print(f"load {os.getloadavg()[0]:.1f}")
    print("shape                messages     msg/s    µs CPU")
    alone = [shape for shape in shapes if "+" not in shape]
    for _ in range(arguments.rounds):
        for shape in alone:
            await on(sink_for(shape), lambda sink, shape=shape: one(shape, arguments, sink))
    for shape in shapes:
        if "+" in shape:
            await pairs(shape, arguments.messages, arguments.rounds)


async def one(shape, arguments, sink):
    count = arguments.messages
    if shape == "backlog":
        with tempfile.TemporaryDirectory(dir=arguments.dir) as directory:
            drained = await backlog(count, sink, Path(directory))
        rate, _ = await on(sink_for("batch"), lambda sink: stage("batch", min(count, 200_000), sink))
        print(f"backlog: drained at × {drained / rate:.2f} of the stage's rate without a journal", flush=True)
    elif shape == "neighbours":
        await neighbours(count)
    elif shape in ("treq", "paho"):
        await (treq_alone if shape == "treq" else paho_alone)(count // 4, sink)
    else:
        await stage(shape, count, sink)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shapes", nargs="*")
    parser.add_argument("--messages", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--dir")
    parsed = parser.parse_args()
    task.react(lambda _: defer.ensureDeferred(main(parsed)))

"""What the delivery stage costs by itself: from durable records to the target's acknowledgement.

    python benchmarks/delivery.py [--messages 40000] [--rounds 3] [shape …]

Shapes: ``mqtt`` (QoS 1), ``post`` (one POST per message), ``batch`` (POST of 100), ``thingsboard``;
``mqtt-paho`` and ``thingsboard-paho`` with paho as the engine; ``mqtt@mosquitto`` and ``mqtt-paho@mosquitto``
with a mosquitto as the target, where ``mqtt5`` (MQTT 5) goes too, which ``iotsink`` doesn't speak;
``post+dead`` and the like: with another integration that is dead;
beside them, to compare, bare libraries without any delivery service: ``treq`` (pooled POSTs), ``paho`` (its
own thread). ``backlog`` puts messages into a real journal while the target is away, and lets them go.
The target is ``iotsink``. Records are fed 64 at a time, 500 devices.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import paho.mqtt.client as paho
import treq
from harness import tools
from twisted.internet import defer, reactor, task
from twisted.web.client import Agent, HTTPConnectionPool

from iotgw.extension import Types
from iotgw.integrations.delivery import DeliveryService
from iotgw.integrations.http import HttpType
from iotgw.integrations.mqtt import MqttType
from iotgw.integrations.thingsboard import ThingsBoardType
from iotgw.model import IntegrationSpec, Outcome, Output, RetrySpec, State, TelemetryRecord, Uplink
from iotgw.store.journal import Journal
from tests.peers import mosquitto

DEVICES = 500
FEED = 64


def body(n):
    return (
        b'{"deviceName":"dev-%d","deviceType":"default","attributes":{},"telemetry":[{"ts":1700000000000,'
        b'"values":{"seq": %d,"temperature":25.7,"humidity":69,"battery":3.61,"rssi":-97}}]}'
        % (n % DEVICES, n // DEVICES)
    )


class Stream:
    """A journal that holds its stream in memory and forgets progress."""

    epoch = "bench"

    def __init__(self, count):
        now = int(time.time() * 1000)
        self.records = [
            TelemetryRecord(n + 1, n + 1, "default", "ds", now, f"dev-{n % DEVICES}", "default", body(n))
            for n in range(count)
        ]
        self.head = 0

    def integrations(self):
        return {}

    def hold(self, integration, max_age):
        pass

    def progress(self, progress):
        pass

    def read_telemetry(self, after, limit):
        return defer.succeed(self.records[after : min(after + limit, self.head)])

    def read_parked(self, *args):
        return defer.succeed([])


class Quiet:
    def emit(self, event):
        pass


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


class Mosquitto:
    """A mosquitto in place of `tools.Sink`; it knows how many messages it got, not which."""

    def __init__(self):
        self._folder = Path(tempfile.mkdtemp())
        self._broker = mosquitto.Mosquitto(
            self._folder, config="max_inflight_messages 0\nsys_interval 0\n"
        ).start()
        self.mqtt, self.http = self._broker.port, 0

    def __exit__(self, *_):
        self._broker.stop()
        shutil.rmtree(self._folder)


def spec_of(shape, sink):
    shape, _, engine = shape.partition("-")
    http = f"http://127.0.0.1:{sink.http}/in"
    mqtt = {"host": "127.0.0.1", "port": sink.mqtt}
    type_, configuration = {
        "mqtt": ("mqtt", mqtt),
        "mqtt5": ("mqtt", {**mqtt, "version": "5"}),
        "thingsboard": ("thingsboard", mqtt),
        "post": ("http", {"url": http}),
        "batch": ("http", {"url": http, "batch": "array", "batchSize": 100, "concurrency": 4}),
        "backlog": ("http", {"url": http, "batch": "array", "batchSize": 100, "concurrency": 4}),
    }[shape]
    if engine:
        configuration = {**configuration, "engine": engine}
    retry = RetrySpec(initial=0.2, cap=1.0)
    return IntegrationSpec(name=shape, type=type_, configuration=configuration, retry=retry)


def dead():
    """An integration whose target refuses every connection."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    return IntegrationSpec(name="dead", type="http", configuration={"url": f"http://127.0.0.1:{port}/"})


async def service_of(journal, spec):
    types = Types("iotgw.none", reactor, (MqttType, HttpType, ThingsBoardType))
    service = DeliveryService(journal, types, reactor, Quiet(), lambda id_: "source")
    service.start()
    await service.apply("bench", "bench", "default", spec)
    return service


async def until(condition):
    while not condition():
        await task.deferLater(reactor, 0.005)


def line(shape, count, took, used, extra=""):
    print(f"{shape:20} {count:8} {count / took:10,.0f} {used / count * 1e6:9.1f} {extra}", flush=True)


async def stage(shape, count, sink):
    name, _, beside = shape.removesuffix("@mosquitto").partition("+")
    stream = Stream(count)
    service = await service_of(stream, spec_of(name, sink))
    if beside:
        await service.apply("dead", "dead", "default", dead())
    await task.deferLater(reactor, 0.3)
    outbox = service.entry("bench").outbox
    began, cpu_began = time.perf_counter(), cpu()
    for start in range(0, count, FEED):
        stream.head = min(start + FEED, count)
        service.feed(stream.records[start : start + FEED])
        await task.deferLater(reactor, 0)
    await until(lambda: outbox.accounts.delivered >= count)
    took, used = time.perf_counter() - began, cpu() - cpu_began
    found = ""
    if isinstance(sink, tools.Sink):
        stats = sink.stats()
        found = f"missing {count - stats['unique']}, duplicates {stats['duplicates']}"
    line(shape, count, took, used, found)
    await service.stop()


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
    waiting = outbox.waiting
    sink.back()
    began, used = time.perf_counter(), cpu()
    await until(lambda: outbox.accounts.delivered >= 2 * part + count)
    took, used = time.perf_counter() - began, cpu() - used
    line(
        "backlog", count, took, used,
        f"waiting {waiting:,}; intake {usual:,.0f}/s, with the target away {away:,.0f}/s; "
        f"both together {usual_stage:,.0f}/s; RSS {before:.0f} MB → {after:.0f} MB → {resident():.0f} MB",
    )  # fmt: skip
    await service.stop()
    await journal.stop()


async def main(arguments):
    tools.build()
    shapes = arguments.shapes or ["mqtt", "mqtt-paho", "post", "batch", "thingsboard", "treq", "paho"]
    print(f"load {os.getloadavg()[0]:.1f}")
    print("shape                messages     msg/s    µs CPU")
    for _ in range(arguments.rounds):
        for shape in shapes:
            sink = Mosquitto() if shape.endswith("@mosquitto") else tools.Sink(DEVICES, 1 << 16)
            directory = Path(tempfile.mkdtemp(dir=arguments.dir))
            try:
                if shape == "backlog":
                    await backlog(arguments.messages, sink, directory)
                elif shape in ("treq", "paho"):
                    await (treq_alone if shape == "treq" else paho_alone)(arguments.messages // 4, sink)
                else:
                    await stage(shape, arguments.messages, sink)
            finally:
                sink.__exit__()
                shutil.rmtree(directory)


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

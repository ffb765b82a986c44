"""What the journal costs by itself: acknowledged messages per second, CPU per message, latency.

    python benchmarks/journal.py [--seconds 3] [--dir DIR] [--work 20] [shape …]

Shapes: ``intake`` (append until durable), ``cycle`` (append, settle with one output each, progress of one
integration), ``backlog`` (cycle, beside a reader that goes through the whole stream), ``devices`` (the device
table with 100 and with 100,000 devices). A window of W keeps W messages unacknowledged: groups form by
themselves. ``--work`` is µs of Python that the reactor's thread spends per message, in place of a protocol.
Payload 120 bytes, metadata 75, output 190.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from twisted.internet import defer, reactor, task

from iotgw.core.model import Counters, Outcome, Output, Progress, State, TelemetryRecord, Uplink
from iotgw.store.sqlite.devices import DeviceStore
from iotgw.store.sqlite.journal import Journal

PAYLOAD = os.urandom(120)
METADATA = b'{"coapPath":"/i/demo-coap","peer":"10.1.2.3:56234","identity":"86542106"}  '[:75]
BODY = (
    b'{"deviceName":"SN-001","deviceType":"default","attributes":{"fw":"1.2.3","model":"T822"},'
    b'"telemetry":[{"ts":1700000000000,"values":{"temperature":25.7,"humidity":69,"battery":3.61,"rssi":-97}}]}'
)
DATASOURCE = "ds-0123456789ab"
BATCH = 128


def spin(microseconds):
    until = time.perf_counter() + microseconds / 1e6
    while time.perf_counter() < until:
        pass


class Load:
    """Keeps ``window`` uplinks unacknowledged for some seconds; the journal's listener."""

    def __init__(self, journal, window, *, settle, work):
        self.journal, self.window, self.settle, self.work = journal, window, settle, work
        self.until = 0.0
        self.acked = self.groups = self.open = self.records = 0
        self.latencies, self.batch = [], []
        self.done = defer.Deferred()

    def more(self, count):
        if time.perf_counter() > self.until:
            return
        received_ms = int(time.time() * 1000)
        append = self.journal.append
        for _ in range(count):
            if self.work:
                spin(self.work)
            append(Uplink("default", DATASOURCE, received_ms, PAYLOAD, METADATA), time.perf_counter())
        self.open += count

    def storing(self, entries):
        pass

    def stored(self, entries):
        now = time.perf_counter()
        self.groups += 1
        self.acked += len(entries)
        self.open -= len(entries)
        self.latencies += [now - began for _, began in entries]
        if self.settle:
            self.batch += [stored for stored, _ in entries]
            while len(self.batch) >= BATCH or (self.batch and self.window < BATCH):
                batch, self.batch = self.batch[:BATCH], self.batch[BATCH:]
                self.journal.settle(DATASOURCE, batch[-1].seq, [outcome(stored) for stored in batch])
        self.more(len(entries))
        if not self.open and not self.done.called:
            self.done.callback(None)

    def settled(self, outcomes, records):
        self.records += len(records)
        if records:
            self.journal.progress(
                Progress("int-0123456789ab", records[-1].seq, Counters(queued=self.records))
            )

    def refused(self, entries, reason):
        raise SystemExit(f"refused: {reason}")

    def room_again(self):
        pass


def outcome(stored):
    output = Output("SN-001", "default", BODY)
    received_ms = stored.uplink.received_ms
    return Outcome(stored.seq, State.CONVERTED, "0123456789ab/1", (output,), received_ms=received_ms)


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def measure(directory, shape, window, seconds, work):
    path = directory / f"{shape}-{window}.db"
    journal = Journal(reactor, path, max_pending=1 << 20, max_pending_bytes=1 << 30)
    load = Load(journal, window, settle=shape != "intake", work=work)
    await journal.start(load)
    load.until = time.perf_counter() + seconds
    began, cpu_began = time.perf_counter(), cpu()
    load.more(window)
    read = after = 0
    while shape == "backlog" and not load.done.called:
        records = await journal.read_telemetry(after, 512)
        read += len(records)
        after = records[-1].seq if len(records) == 512 else 0  # at the end: again from the start
        await task.deferLater(reactor, 0)
    await load.done
    took, used = time.perf_counter() - began, cpu() - cpu_began
    await journal.stop()
    latencies = sorted(load.latencies)
    half, most = latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100]
    print(
        f"{shape:8} {window:6} {load.acked / took:10,.0f} {used / load.acked * 1e6:9.1f} "
        f"{load.acked / load.groups:8.1f} {half * 1e3:8.2f} {most * 1e3:8.2f} "
        f"{path.stat().st_size / load.acked:8.0f} {read / took:10,.0f}",
        flush=True,
    )


async def devices(directory, count, seconds):
    table = DeviceStore(reactor, directory / f"devices-{count}")
    await table.start()
    records = [
        TelemetryRecord(n, n, "default", "ds", 1 << 40, f"SN-{n * 7919 % count:06}", "default", BODY)
        for n in range(max(count, 1000))
    ]
    for _ in range(2):  # known from the start
        for start in range(0, len(records), 10_000):
            table.saw(records[start : start + 10_000])
            await table.count()
    began, cpu_began, n = time.perf_counter(), cpu(), 0
    rate = 8000  # messages a second, in turns of 10 ms as a reactor has
    while (now := time.perf_counter() - began) < seconds:
        due = int(now * rate)
        while n < due:
            start = n % len(records)
            chunk = records[start : start + min(64, due - n)]
            table.saw(chunk)
            n += len(chunk)
        await task.deferLater(reactor, 0.01)
    await table.stop()
    print(f"devices  {count:6} {n / seconds:10,.0f} {(cpu() - cpu_began) / n * 1e6:9.1f}", flush=True)


async def main(arguments):
    directory = Path(tempfile.mkdtemp(dir=arguments.dir))
    print(f"load {os.getloadavg()[0]:.1f}; reactor's work per message {arguments.work} µs")
    print("shape    window    acked/s    µs CPU    group   p50 ms   p99 ms    bytes     read/s")
    try:
        for shape in arguments.shapes or ["intake", "cycle", "backlog", "devices"]:
            if shape == "devices":
                for count in (100, 100_000):
                    await devices(directory, count, max(15, arguments.seconds))
            else:
                for window in (1, 16, 64, 256, 1024, 4096) if shape != "backlog" else (256,):
                    await measure(directory, shape, window, arguments.seconds, arguments.work)
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shapes", nargs="*")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--dir")
    parser.add_argument("--work", type=float, default=0.0)
    parsed = parser.parse_args()
    task.react(lambda _: defer.ensureDeferred(main(parsed)))

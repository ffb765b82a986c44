"""What converters cost: rate and latency of one worker, against the same engine in process; memory.

``python benchmarks/converters.py [rate|latency|flat|many|kill|fresh]…`` prints one JSON object per line. Rates are of
one worker, in frames of 64 calls; "bare engine" is the same script without sandbox, check or process, JSON text
in and out; "in process" is the whole conversion without another process. Costs are CPU time.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from twisted.internet import task
from twisted.internet.defer import Deferred

from iotgw.converters.engines import available
from iotgw.converters.script import load
from iotgw.converters.service import ConverterService
from iotgw.core.model import Conversion, ConverterVersion, Job

SMALL = """
function Decoder(payload, metadata) {
  var temperature = (payload[0] << 8 | payload[1]) / 10;
  return {deviceName: metadata.imei, deviceType: "probe",
          attributes: {firmware: metadata.firmware},
          telemetry: {temperature: temperature, humidity: payload[2], battery: payload[3] / 50}};
}
"""
METADATA = (
    b'{"imei":"861059067551436","firmware":"1.4","rssi":-71,"remote":"10.0.0.1:5683","deviceModel":"P1"}'
)
PAYLOAD = bytes([0, 231, 44, 180, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
# as long as many a vendor's decoder: 20 channels behind a bit mask
TYPICAL = """
var CHANNELS = [];
for (var i = 0; i < 20; i++) CHANNELS.push({name: "channel" + i, scale: i % 3 ? 10 : 100, unit: "u" + i});
function Decoder(payload, metadata) {
  var values = {}, at = 2, mask = payload[0] << 8 | payload[1];
  for (var i = 0; i < CHANNELS.length; i++) {
    var raw = payload[at++ % payload.length] << 8 | payload[at++ % payload.length];
    if (raw & 0x8000) raw -= 0x10000;
    values[CHANNELS[i].name] = raw / CHANNELS[i].scale;
  }
  return {deviceName: metadata.imei, deviceType: "logger", attributes: {mask: mask}, telemetry: values};
}
"""


def long_decoder(size: int = 20_000) -> str:
    """A decoder of so many characters as vendors write them: a dozen helpers, one long switch, and a variable at its top."""
    text = "var data = {};\nvar NAMES = ['off', 'on', 'unknown'];\n" + "".join(
        f"function read{i}(bytes, at) {{\n  var raw = bytes[at] << 8 | bytes[at + 1];\n"
        f"  return Math.round((raw > 0x7fff ? raw - 0x10000 : raw) * 100 / {i + 3}) / 100;\n}}\n"
        for i in range(12)
    )
    text += "function Decoder(payload, metadata) {\n  for (var at = 0; at + 1 < payload.length; at += 2) {\n    switch (payload[at]) {\n"
    number = 0
    while len(text) < size - 300:
        text += (
            f"    case {number}:\n      data.value{number} = read{number % 12}(payload, at);\n"
            f"      if (payload[at + 1] > 250) data.state{number} = NAMES[payload[at + 1] & 1];\n      break;\n"
        )
        number += 1
    return text + (
        "    default:\n      data['unknown' + at] = payload[at];\n    }\n  }\n"
        "  return {deviceName: metadata.imei, deviceType: 'long', telemetry: data};\n}\n"
    )


SCRIPTS = {"small": SMALL, "typical": TYPICAL}
ENGINES = ("duktape", "quickjs")
BATCH = 256
TURNS = 200


def converter(engine: str, number: int = 0, script: str = SMALL, **more: Any) -> ConverterVersion:
    dialect = more.pop("dialect", "thingsboard")
    return ConverterVersion(f"c{number}-{engine}", 1, "bench", "UPLINK", script, dialect, engine, **more)


def convert(service: ConverterService, jobs: list[Job]) -> Deferred[list[Conversion]]:
    done: Deferred[list[Conversion]] = Deferred()
    service.convert(jobs, done.callback)
    return done


async def stream(service: ConverterService, jobs: list[Job], count: int) -> float:
    """Seconds for ``count`` conversions with two batches in flight."""
    started = time.perf_counter()
    flying = [convert(service, jobs), convert(service, jobs)]
    sent = 2 * len(jobs)
    while flying:
        results = await flying.pop(0)
        assert results[-1].error is None, results[-1].error
        if sent < count:
            flying.append(convert(service, jobs))
            sent += len(jobs)
    return time.perf_counter() - started


def resident(pid: int, field: str = "Pss") -> float:
    """MB of a process, shared pages divided among those who share them."""
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        return sum(int(line.split()[1]) for line in rollup if line.startswith(field + ":")) / 1024


def worker_pids(service: ConverterService) -> list[int]:
    return [slot.pid for slot in service.pool.slots.values() if slot.pid]


def cpu(pid: int) -> float:
    """CPU seconds of a process."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bare(engine: str, script: str, count: int) -> float:
    """CPU seconds of ``count`` calls of the bare engine in this process, JSON text in and out."""
    call = (
        f"{script}; function call(t) {{ var a = JSON.parse(t); return JSON.stringify(Decoder(a[0], a[1])); }}"
    )
    run: Callable[[str], str]
    if engine == "duktape":
        from pyduktape2 import DuktapeContext  # noqa: PLC0415

        context = DuktapeContext()
        context.eval_js(call)
        run = context.get_global("call")
    else:
        from quickjs import Context  # noqa: PLC0415

        context = Context()
        context.eval(call)
        run = context.get("call")
    started = time.process_time()
    for _ in range(count):
        json.loads(run(f"[{list(PAYLOAD)},{METADATA.decode()}]"))
    return time.process_time() - started


def whole(engine: str, script: str, count: int) -> float:
    """CPU seconds of ``count`` conversions in this process, as a worker does them, output check and all."""
    made = load(converter(engine, script=script), available())
    started = time.process_time()
    for _ in range(count):
        made.convert(PAYLOAD, METADATA, 1)
    return time.process_time() - started


async def rate(reactor: Any) -> None:
    for name, script in SCRIPTS.items():
        for engine in ENGINES:
            service = ConverterService(reactor, workers=1)
            await service.start()
            version = converter(engine, script=script)
            jobs = [Job(version, PAYLOAD, METADATA, 1_700_000_000_000 + i) for i in range(BATCH)]
            await stream(service, jobs, 4_000)
            (pid,) = worker_pids(service)
            count = 60_000
            before, mine = cpu(pid), time.process_time()
            seconds = await stream(service, jobs, count)
            in_worker, in_gateway = cpu(pid) - before, time.process_time() - mine
            plain, checked = bare(engine, script, count), whole(engine, script, count)
            say("rate", script=name, engine=engine, per_second=round(count / seconds),
                worker_us=round(in_worker / count * 1e6, 1), gateway_us=round(in_gateway / count * 1e6, 1),
                bare_engine_us=round(plain / count * 1e6, 1), in_process_us=round(checked / count * 1e6, 1),
                ratio=round(in_worker / checked, 2), ratio_to_bare=round(in_worker / plain, 2))  # fmt: skip
            await service.stop()


async def latency(reactor: Any) -> None:
    service = ConverterService(reactor, workers=1)
    await service.start()
    for engine in ENGINES:
        job = Job(converter(engine), PAYLOAD, METADATA, 1)
        await convert(service, [job])
        times = []
        for _ in range(1000):
            started = time.perf_counter()
            await convert(service, [job])
            times.append((time.perf_counter() - started) * 1000)
        times.sort()
        say("latency", engine=engine, median_ms=round(times[500], 3), p99_ms=round(times[990], 3))
    await service.stop()


async def kill(reactor: Any) -> None:
    """How soon an endless script is dead, and its neighbour converted."""
    service = ConverterService(reactor, workers=1)
    await service.start()
    deaths, neighbours = [], []
    for number in range(10):
        good = Job(converter("duktape"), PAYLOAD, METADATA, 1)
        await convert(service, [good])
        endless = converter("duktape", number, "while (true) {}", dialect="thingsboard-body")
        slot = next(iter(service.pool.slots.values()))
        before, started = slot.deaths, time.perf_counter()
        died = convert(service, [Job(endless, b"", b"{}", 1)])
        neighbour = convert(service, [good])
        await neighbour
        assert slot.deaths == before + 1
        neighbours.append((time.perf_counter() - started) * 1000)
        await died
        deaths.append((time.perf_counter() - started) * 1000)
    say("kill", limit_ms=250, neighbour_after_ms=round(max(neighbours)), verdict_after_ms=round(max(deaths)))
    await service.stop()


async def fresh(reactor: Any) -> None:
    """What it costs that every message finds a script's initial state: CPU time beside that of the option `state`, which
    keeps it. Both are measured in turns, so the ratios hold on a busy machine too."""
    del reactor
    for name, script in {"small": SMALL, "long, with a variable": long_decoder()}.items():
        for engine in ENGINES:
            begun, kept = (
                load(converter(engine, script=script, options=options), available())
                for options in ({}, {"state": True})
            )
            costs: dict[Any, list[float]] = {begun: [], kept: []}
            for _ in range(TURNS):
                for made in (kept, begun, begun, kept):
                    started = time.process_time()
                    for _ in range(100):
                        made.convert(PAYLOAD, METADATA, 1)
                    costs[made].append((time.process_time() - started) / 100 * 1e6)
            # what others do on the machine only adds, so the twentieth part that went fastest says what it costs
            anew, warm = (sorted(costs[made])[TURNS // 10] for made in (begun, kept))
            say("fresh", script=name, characters=len(script), engine=engine, us_each=round(anew, 1),
                us_kept=round(warm, 1), ratio=round(anew / warm, 3))  # fmt: skip


async def flat(reactor: Any) -> None:
    """A million conversions in one worker of each engine, by a script with a variable at its top."""
    for engine in ENGINES:
        service = ConverterService(reactor, workers=1)
        await service.start()
        version = converter(engine, script=TYPICAL)
        jobs = [Job(version, PAYLOAD, METADATA, i) for i in range(BATCH)]
        await stream(service, jobs, 10_000)
        (pid,) = worker_pids(service)
        before = resident(pid, "Rss")
        await stream(service, jobs, 1_000_000)
        assert worker_pids(service) == [pid]
        say("flat", engine=engine, after_10k_mb=round(before, 2), after_1m_mb=round(resident(pid, "Rss"), 2))
        await service.stop()


async def many(reactor: Any) -> None:
    """A thousand converters, each used three times: the worst order for contexts that are kept."""
    for engine in ENGINES:
        service = ConverterService(reactor, workers=2)
        await service.start()
        scripts = [converter(engine, i, SMALL + f"// {i}\n" + "//" + "x" * 5000) for i in range(1000)]
        started = time.perf_counter()
        for _ in range(3):
            await convert(service, [Job(script, PAYLOAD, METADATA, 1) for script in scripts])
        seconds = time.perf_counter() - started
        total = sum(map(resident, worker_pids(service))) + resident(service.pool.template_pid)
        say("many", engine=engine, converters=1000, megabytes=round(total, 1),
            us_each=round(seconds / 3000 * 1e6))  # fmt: skip
        await service.stop()


def say(what: str, **figures: Any) -> None:
    print(json.dumps({"what": what, **figures}), flush=True)


async def main(reactor: Any) -> None:
    parts = {"rate": rate, "latency": latency, "kill": kill, "flat": flat, "many": many, "fresh": fresh}
    for name in sys.argv[1:] or parts:
        await parts[name](reactor)


if __name__ == "__main__":
    task.react(lambda reactor: Deferred.fromCoroutine(main(reactor)))

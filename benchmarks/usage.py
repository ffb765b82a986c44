"""What counting usage and asking limits costs a message: ``python benchmarks/usage.py [--rounds 9]``.

The calls that the way of an uplink makes for it, alone: in batches of 128 of 500 devices, as in workload B. Printed are nanoseconds of CPU per message,
the least of all rounds, and how many calls of Python functions a batch makes. Against the 50 µs that a durable message may take from CoAP to its target,
2 % are 1,000 ns. `make bench-paired` measures the whole way, before and after.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock

sys.path.insert(0, str(Path(__file__).parents[1]))

from iotgw.converters.call_meter import CallMeter
from iotgw.core.clock import PlainCalendar
from iotgw.core.epochs import Epochs
from iotgw.core.model import (
    Conversion,
    ConverterVersion,
    Job,
    Outcome,
    Output,
    State,
    StoredUplink,
    Uplink,
)
from iotgw.core.rate_limit import RateLimit, read_rules
from iotgw.core.recorder import Recorder
from iotgw.core.specs import DatasourceSpec
from iotgw.core.times import DateMs
from iotgw.observe.debug import DebugLog
from iotgw.observe.usage import DeviceMeter
from iotgw.pipeline.limits import RateLimited, SourceLimits
from iotgw.pipeline.sources import Source

BATCH = 128
DEVICES = 500
BATCHES = 2000


class Nowhere:
    """Takes whatever it is told."""

    def __getattr__(self, name: str) -> Any:
        """A method that does nothing."""
        return lambda *told, **more: None


def batches() -> list[tuple[list[StoredUplink], list[Outcome]]]:
    """Uplinks with their outcomes."""
    found = []
    for first in range(0, DEVICES * BATCH, BATCH):
        numbers = range(first, first + BATCH)
        uplinks = [
            StoredUplink(n, Uplink("default", "ds", DateMs(0), b"x" * 40, b'{"identity":"dev"}'))
            for n in numbers
        ]
        outcomes = [
            Outcome(n, State.CONVERTED, "c/1", (Output(f"device-{n % DEVICES:06}", "meter", b"{}"),))
            for n in numbers
        ]
        found.append((uplinks, outcomes))
    return found


def measured(rounds: int, work: Callable[[int], object]) -> float:
    """Nanoseconds of CPU per message: ``work(n)`` does the n-th batch."""
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time_ns()
        for number in range(BATCHES):
            work(number)
        best = min(best, (time.process_time_ns() - began) / (BATCHES * BATCH))
    return best


def calls(work: Callable[[int], object]) -> int:
    """Calls of Python functions that one batch makes, the outermost not counted."""
    count = 0

    def seen(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    work(0)
    sys.setprofile(seen)
    work(1)
    sys.setprofile(None)
    return count - 1


def main() -> None:
    """Measure each part."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--rounds", type=int, default=9)
    rounds = arguments.parse_args().rounds
    made, meter = batches(), DeviceMeter()
    results = [Conversion()] * BATCH
    source = Source("ds", "default", DatasourceSpec(name="ds", type="coap"))

    def received(number: int) -> None:
        source.bytes += sum([len(stored.uplink.payload) for stored in made[number % DEVICES][0]])

    def converted(number: int) -> None:
        meter.converted("default", *made[number % DEVICES])

    def called(number: int) -> None:
        calls_of_frame = CallMeter()
        calls_of_frame.turn(1, [])
        calls_of_frame.turn(-1, results)

    clock = Clock()
    nowhere: Any = Nowhere()
    debug = DebugLog(nowhere, Epochs, Recorder(nowhere, clock), clock, PlainCalendar(clock))
    version = ConverterVersion("c", 1, "c", "UPLINK", "", "thingsboard", "duktape")
    jobs = [Job(version, b"x", b"{}", DateMs(0), n) for n in range(BATCH)]

    def not_debugged(number: int) -> None:
        debug.picked("default", "ds", jobs, results)

    def unlimited(number: int) -> None:
        for _ in range(BATCH):
            if source.limits is not None:
                raise AssertionError

    limits = [
        RateLimited("device", "100:1,2000:60", "refuse", RateLimit(read_rules("100:1,2000:60"), 20_000)),
        RateLimited("datasource", "1000000:1", "refuse", RateLimit(read_rules("1000000:1"))),
    ]
    limited_source = SourceLimits(source, limits, Clock(), lambda *told: None)
    names = [f"device-{n:06}" for n in range(DEVICES)]

    def limited(number: int) -> None:
        for n in range(BATCH):
            limited_source.take(names[n])

    for about, work in (
        ("bytes of a datasource", received),
        ("messages and bytes of devices", converted),
        ("CPU of a converter (in the worker)", called),
        ("nothing is debugged, and nothing fails", not_debugged),
        ("a datasource without limits", unlimited),
        ("a limit for each device and one for the datasource", limited),
    ):
        print(
            f"{about:52} {measured(rounds, work):8.0f} ns a message  {calls(work):6} calls a batch of {BATCH}"
        )


if __name__ == "__main__":
    main()

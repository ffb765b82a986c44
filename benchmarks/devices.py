"""What a fleet costs: ``python benchmarks/devices.py [--devices 100000]``.

Each device has an entry with every field set, and is watched for silence. Measured are the start, the memory, the first page of lists and
filters with the states of its devices, and what a record costs that comes from such a device.
"""

from __future__ import annotations

import argparse
import gc
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred

sys.path.insert(0, str(Path(__file__).parents[1]))

from iotgw import testing
from iotgw.core.clock import PlainCalendar
from iotgw.core.device_entry import DeviceSpec
from iotgw.core.ports.devices import DeviceFilter
from iotgw.devices.fleet import Fleet
from iotgw.store.sqlite.devices import DeviceStore
from iotgw.store.sqlite.entries import DeviceEntries
from iotgw.store.sqlite.registry import Registry

PIECE = 1000
"""Devices that are saved at once."""
LOOKS = 20
PAGE = 100
BAR_MS = 100
QUERIES = {
    "all": DeviceFilter(),
    "a text that one has": DeviceFilter(text="sn-00099998"),
    "a text that none has": DeviceFilter(text="zzz"),
    "a type of twenty": DeviceFilter(type="type-7"),
    "a group of a hundred": DeviceFilter(group="group-99"),
    "a tag that none has": DeviceFilter(tag="owner=zz"),
    "silent": DeviceFilter(trouble="silent"),
    "a datasource": DeviceFilter(datasource="x"),
}


def spec(number: int) -> DeviceSpec:
    """A device with every field set."""
    return DeviceSpec(
        name=named(number), label=f"Meter {number}", type=f"type-{number % 20}", groups=(f"group-{number % 100}", "all"),
        latitude=47.0 + number / 1e6, longitude=8.0, place=f"Street {number % 777}, cellar", serial=f"SN-{number:08}",
        tags={"owner": f"o{number % 50}"}, report_every=3600.0,
    )  # fmt: skip


def named(number: int) -> str:
    """A DevEUI."""
    return f"70B3D57ED{number:07X}"


def memory_mb() -> float:
    """Of this process, resident."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


class Rooms:
    """The stores and the fleet over a folder."""

    def __init__(self, folder: Path) -> None:
        self.registry = Registry(reactor, folder)
        self.devices = DeviceStore(reactor, folder)
        self.fleet = Fleet(
            DeviceEntries(self.registry), self.devices, testing.FakeSpeakers(), self.registry, reactor,
            PlainCalendar(reactor), lambda *_: None,
        )  # fmt: skip

    async def start(self) -> None:
        """Open all of it."""
        for each in (self.registry, self.devices, self.fleet):
            await each.start()

    async def stop(self) -> None:
        """Close all of it."""
        self.fleet.rest()
        for each in (self.fleet, self.devices, self.registry):
            await each.stop()


async def fill(folder: Path, count: int) -> None:
    """Save devices, each of which has sent something."""
    rooms = Rooms(folder)
    await rooms.start()
    for start in range(0, count, PIECE):
        numbers = range(start, min(start + PIECE, count))
        await rooms.fleet.save_all("default", [spec(number) for number in numbers])
        now_ms = int(time.time() * 1000)
        rooms.devices.saw([testing.telemetry(n + 1, named(n), received_ms=now_ms) for n in numbers])
    await rooms.devices.count()
    await rooms.stop()


async def measure(folder: Path, count: int) -> None:
    """Print what they cost."""
    await fill(folder, count)
    gc.collect()
    before, wall, cpu = memory_mb(), time.perf_counter(), time.process_time()
    rooms = Rooms(folder)
    await rooms.start()
    print(f"{count} devices: start {time.perf_counter() - wall:.2f} s, {time.process_time() - cpu:.2f} s of CPU; "
          f"memory +{memory_mb() - before:.0f} MB\n")  # fmt: skip
    print(
        f"| first page of {PAGE} | worst of {LOOKS}, ms | of that in the reactor's thread, ms of CPU |\n|---|---|---|"
    )
    for name, wanted in QUERIES.items():
        walls, cpus = [], []
        for _ in range(LOOKS):
            wall, cpu = time.perf_counter(), time.thread_time()
            names = rooms.fleet.names("default", wanted, "", PAGE + 1)
            cpus.append(time.thread_time() - cpu)
            await rooms.devices.states("default", names[:PAGE])
            walls.append(time.perf_counter() - wall)
        missed = " **over the bar**" if max(walls) * 1000 > BAR_MS else ""
        print(f"| {name} | {max(walls) * 1000:.1f}{missed} | {max(cpus) * 1000:.1f} |")
    now_ms = int(time.time() * 1000)
    records = [testing.telemetry(n + 1, named(n * 7919 % count), received_ms=now_ms) for n in range(count)]
    cpu = time.thread_time()
    for start in range(0, count, 100):
        rooms.fleet.settled([], records[start : start + 100])
    print(f"\na record of a watched device: {(time.thread_time() - cpu) / count * 1e6:.2f} µs of CPU")
    await rooms.stop()


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--devices", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="iotgw-devices-") as folder:
        problems: list[Any] = []
        done: Deferred[None] = Deferred.fromCoroutine(measure(Path(folder), options.devices))
        done.addErrback(problems.append).addBoth(lambda _: reactor.stop())
        reactor.run()
    for problem in problems:
        sys.exit(problem.getTraceback())


if __name__ == "__main__":
    main()

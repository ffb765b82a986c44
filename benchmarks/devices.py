"""What a fleet costs.

    python benchmarks/devices.py [--devices 100000] [--rate 2000] [--rounds 100] [--definitions 1000] [--alone]

Each device has an entry with every field set, and is watched for silence. A gateway runs on so many, and with so many definitions. `coapload`
sends so many uplinks a second meanwhile, and they are converted into readings of 50,000 of these devices. For each list and filter, the table has the
time that its first page takes over HTTP, and the longest that `/health/live` took meanwhile. The last line has the time from the start until
it was ready, and the memory. ``--alone`` measures the fleet in this process instead: its start, the CPU of filters, and of a record that comes from
a watched device.
"""

from __future__ import annotations

import argparse
import gc
import resource
import sys
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from subprocess import run
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from harness.looking import define, look, sending, span, started, weigh
from harness.processes import free_port

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


SCRIPT = """function Decoder(payload, metadata) {
    var id = ((payload[0] * 256 + payload[1]) * 256 + payload[2]) * 256 + payload[3];
    var name = ('0000000' + (id % COUNT).toString(16).toUpperCase()).slice(-7);
    return {deviceName: '70B3D57ED' + name, deviceType: 'bench', telemetry: {temperature: payload[9], humidity: payload[10]}};
}"""
"""Makes a reading of one of ``COUNT`` devices of what the loader sends."""
SENDERS = 50_000


def paths(count: int) -> dict[str, str]:
    """The lists and filters over HTTP, by name."""
    one = named(count // 2)
    return {
        "devices": "/devices",
        "a text that one has": f"/devices?text=sn-{count - 2:08}",
        "a text that none has": "/devices?text=zzz",
        "a type of twenty": "/devices?type=type-7",
        "a group of a hundred": "/devices?group=group-99",
        "a tag of fifty": "/devices?tag=owner%3Do7",
        "a tag that none has": "/devices?tag=owner%3Dzz",
        "silent": "/devices?trouble=silent",
        "a datasource": "/devices?datasource=coap%20key",
        "from the middle on": f"/devices?after={one}",
        "one": f"/devices/{one}",
        "its readings": f"/devices/{one}/telemetry",
        "groups": "/device-groups",
        "groups with devices": "/fleet/groups",
        "types": "/device-types",
        "unknown devices": "/quarantine",
        "datasources": "/datasources",
        "converters": "/converters",
        "integrations": "/integrations",
        "messages": "/messages",
        "failures": "/failures",
        "events": "/events",
        "usage": "/usage",
        "usage of devices": "/usage?per=device&every=day",
        "tenants": "/tenants",
        "status": "/status",
        "metrics": "/metrics",
        "export of 1,000": "/fleet/export?limit=1000",
    }


def live(folder: Path, options: argparse.Namespace) -> None:
    """Print what a running gateway does with them."""
    gateway, _ = started(folder)
    gateway.converter("bench", SCRIPT.replace("COUNT", str(min(options.devices, SENDERS))))
    port = free_port()
    gateway.coap(port)
    define(gateway, options.definitions)
    gateway.stop()
    run(
        [sys.executable, __file__, "--fill", str(gateway.data), "--devices", str(options.devices)], check=True
    )
    gateway, ready = started(folder)
    try:
        print(
            f"{options.devices:,} devices, {options.definitions:,} definitions; {options.rate} uplinks a second; {options.rounds} requests each"
        )
        chosen = paths(options.devices)
        with sending(port, options.rate, span(chosen, options.rounds), SENDERS):
            look(gateway, chosen, options.rounds, lambda answer: "")
        weigh(gateway, ready)
    finally:
        gateway.stop()


def until(work: Coroutine[Any, Any, None]) -> None:
    """Run the reactor until something is done."""
    problems: list[Any] = []
    done: Deferred[None] = Deferred.fromCoroutine(work)
    done.addErrback(problems.append).addBoth(lambda _: reactor.stop())
    reactor.run()
    for problem in problems:
        sys.exit(problem.getTraceback())


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--devices", type=int, default=100_000)
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--definitions", type=int, default=1000)
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--fill", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fill is not None:
        until(fill(options.fill, options.devices))
        return
    with tempfile.TemporaryDirectory(prefix="iotgw-devices-") as folder:
        if options.alone:
            until(measure(Path(folder), options.devices))
        else:
            live(Path(folder), options)


if __name__ == "__main__":
    main()

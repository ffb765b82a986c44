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
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from harness.fleet import SENDERS, Rooms, fill, filled, named, paths, script, until
from harness.looking import define, look, sending, span, started, weigh
from harness.processes import free_port

from iotgw import testing
from iotgw.core.ports.devices import DeviceFilter

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


def memory_mb() -> float:
    """Of this process, resident."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


async def measure(folder: Path, count: int) -> None:
    """Print what they cost."""
    await fill(folder, count, count)
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


def live(folder: Path, options: argparse.Namespace) -> None:
    """Print what a running gateway does with them."""
    gateway, _ = started(folder)
    gateway.converter("bench", script(options.devices))
    port = free_port()
    gateway.coap(port)
    define(gateway, options.definitions)
    gateway.stop()
    filled(gateway.data, options.devices, 0)
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
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="iotgw-devices-") as folder:
        if options.alone:
            until(measure(Path(folder), options.devices))
        else:
            live(Path(folder), options)


if __name__ == "__main__":
    main()

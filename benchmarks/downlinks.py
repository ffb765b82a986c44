"""What queued downlinks cost the uplinks of devices that have none: a ratio, within one run.

``python benchmarks/downlinks.py [--rounds N] [--seconds S] [--rate R | --window W] [--items N] [--case TEXT]`` starts two gateways, one of them with 100,000 items
for 50,000 sleeping devices, and loads them in turns over CoAP with other devices' uplinks: once where only the
converter names a device (its answer waits for the conversion), once where the datasource knows it. Prints one
JSON object per case: CPU per uplink in µs with and without items (medians), and their ratio (median of the
rounds').

``--instructions N`` counts instead of timing: callgrind runs the gateways, and N uplinks tell how many instructions the
gateway's process needs for one (the workers' are the same with and without). On a shared machine CPU time scatters by
a tenth; this does not. What a gateway does by the clock while nothing comes is taken off, as it is slowed down a
hundred times and the clock is not.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
import timeit
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from harness import tools
from harness.gateway import Gateway
from harness.processes import end_on_sigterm, free_port, wait_until
from harness.tools import load
from twisted.internet.task import Clock

from iotgw.core.downlink_item import Item, ItemState
from iotgw.core.epochs import Epochs
from iotgw.core.model import Outcome, Output, State, StoredUplink, Uplink
from iotgw.core.specs import DatasourceSpec, DownlinkSpec
from iotgw.downlinks.waiting import Waiting
from iotgw.pipeline.replies import Replies
from iotgw.pipeline.sources import Source
from iotgw.store.sqlite.database import connect, upgrade

ITEMS = 100_000
DEVICES = 50_000
AWAKE = 2000
"""Devices that send, and have no item."""
GROUP = 32
"""Uplinks that are decided on together."""
IDLE = 10.0
"""Seconds without uplinks, to see what a gateway does by the clock."""
CASES = {"the converter names the device": "i/key", "the datasource knows the device": "up?i={id}"}


def items(count: int) -> Iterator[Item]:
    """What is queued."""
    now = int(time.time() * 1000)
    spec = DownlinkSpec(msg={"interval": 900}, msg_type="config")
    for number in range(count):
        device = f"sleeper-{number % DEVICES}"
        yield Item(
            f"dl{number:016x}", number + 1, "default", device, spec, ItemState.QUEUED, now, now, now + 10**9
        )


def fill(folder: Path, count: int) -> None:
    """Write the items as a gateway would have left them."""
    (folder / "data").mkdir()
    encode = msgspec.json.Encoder().encode
    rows = [
        (item.id, item.seq, item.tenant, item.device, item.state.value, item.updated_ms, encode(item))
        for item in items(count)
    ]
    connection: sqlite3.Connection = connect(folder / "data" / "downlinks.db")
    upgrade(connection, "downlinks")
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO item (id, seq, tenant, device, state, updated_ms, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
        rows,
    )
    connection.execute("COMMIT")
    connection.close()


@contextmanager
def running(folder: Path, under: Sequence[str] = ()) -> Iterator[dict[str, tuple[Gateway, int]]]:
    """A gateway with a datasource per case: the gateway and the port of each."""
    with Gateway(folder, under) as gateway:
        gateway.converter()
        ports = [free_port(socket.SOCK_DGRAM) for _ in CASES]
        gateway.coap(ports[0])
        configuration = {"port": ports[1], "interface": "127.0.0.1"}
        gateway.datasource("lobaro-coap", "lobaro", converter="bench", configuration=configuration)
        yield {case: (gateway, port) for case, port in zip(CASES, ports, strict=True)}


def cost(gateway: Gateway, port: int, path: str, seconds: float, pace: list[object]) -> float:
    """CPU in µs per uplink, until the last one is converted: where answers don't wait for conversions, those
    lag behind."""
    before = gateway.cpu()
    answered = uplinks(gateway, port, path, "-t", seconds, *pace)
    return float(1e6 * (gateway.cpu() - before) / answered)


def uplinks(gateway: Gateway, port: int, path: str, *more: object) -> int:
    """Load with uplinks of devices that have no item, until the last one is converted; returns how many."""
    report = load("coapload", "-p", port, "-u", path, "-m", "post", "-n", AWAKE, "--base", 100_000, *more)
    assert report["answered"], report
    wait_until(lambda: converted(gateway), 60, "the last conversion", lambda: gateway.alive)
    return int(report["answered"])


def converted(gateway: Gateway) -> bool:
    """Whether every uplink is converted."""
    counts = [each["counts"] for each in gateway.api("GET", "/status")["datasources"]]
    return all(each["received"] == each["converted"] + each["filtered"] + each["failed"] for each in counts)


class Resting:
    """As much of a journal as replies need: its writer always rests."""

    epochs = Epochs("e")

    def at_rest(self, callback: Callable[[], None]) -> None:
        callback()


def own_work(count: int = 100_000) -> None:
    """What deciding on an answer costs by itself, in µs per uplink: quieter than the load, and without what
    the waiting does to the batches."""
    group = [StoredUplink(seq, Uplink("default", "ds", 0, b"", b"{}")) for seq in range(GROUP)]
    output = Output("awake", "", b"{}")
    outcomes = [Outcome(stored.seq, State.CONVERTED, "", (output,)) for stored in group]
    cost = {}
    for case, identity, queue in (
        ("without", "", Waiting()),
        ("converter", "", full()),
        ("known", "imei", full()),
    ):
        source = Source("ds", "default", DatasourceSpec(name="ds", type="coap", converter="c"))
        replies = Replies({"ds": source}, Resting(), Lookup(queue), Clock())
        entries = [(stored, (id, identity)) for stored in group]
        replies.stored("ds", entries)
        replies.converted(outcomes)  # from here on the identity is known

        def once(
            replies: Replies = replies, entries: list[tuple[StoredUplink, tuple[Any, str]]] = entries
        ) -> None:
            replies.stored("ds", entries)
            replies.converted(outcomes)

        cost[case] = min(timeit.repeat(once, number=count // GROUP, repeat=5)) * 1e6 / count
    extra = {f"{case}_extra_us": round(cost[case] - cost["without"], 2) for case in ("converter", "known")}
    print(json.dumps({"case": "own work", "without_us": round(cost["without"], 2), **extra}), flush=True)


class Lookup:
    """The question that replies ask of the queue."""

    def __init__(self, queue: Waiting) -> None:
        self.waited_for = queue.names


def full() -> Waiting:
    """The index of the queue with all items."""
    queue = Waiting()
    for item in items(ITEMS):
        queue.put(item)
    return queue


def measure(rounds: int, seconds: float, rate: float, window: int, count: int, only: str = "") -> None:
    """Both gateways in turns, the order changing with each round; only the cases that begin with ``only``."""
    pace = ["-w", window] if window else ["--rate", rate, "--poisson"]
    load_text = f"{window} always under way" if window else f"{rate:.0f}/s"
    with ExitStack() as stack:
        folders = [
            Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="iotgw-bench-"))) for _ in "12"
        ]
        fill(folders[1], count)
        without, with_items = (stack.enter_context(running(folder)) for folder in folders)
        for case, path in CASES.items():
            if not case.startswith(only):
                continue
            pairs = []
            for number in range(-1, rounds):
                order = (without, with_items) if number % 2 else (with_items, without)
                costs = {id(each): cost(*each[case], path, seconds, pace) for each in order}
                if number >= 0:  # the first is to warm up
                    pairs.append((costs[id(without)], costs[id(with_items)]))
            print(
                json.dumps(
                    {
                        "case": case, "items": count, "devices": DEVICES, "rounds": rounds, "load": load_text,
                        "without_us": round(median(a for a, _ in pairs), 2),
                        "with_us": round(median(b for _, b in pairs), 2),
                        "ratio": round(median(b / a for a, b in pairs), 3),
                        "ratios": [round(b / a, 3) for a, b in pairs],
                    }
                ),
                flush=True,
            )  # fmt: skip


def instructions(count: int, window: int, items_queued: int) -> None:
    """What an uplink takes of the gateway's process, in instructions, with items and without."""
    found: dict[str, list[float]] = {case: [] for case in CASES}
    for is_full in (False, True):
        with tempfile.TemporaryDirectory(prefix="iotgw-bench-") as name:
            if is_full:
                fill(Path(name), items_queued)
            out = Path(name) / "callgrind.out"
            with running(
                Path(name), ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
            ) as cases:
                gateway, _ = next(iter(cases.values()))
                began, idle = time.monotonic(), executed(gateway.pid)
                time.sleep(IDLE)
                idle_rate = (executed(gateway.pid) - idle) / (time.monotonic() - began)
                for case, path in CASES.items():
                    gateway, port = cases[case]
                    more = ["-w", window, "-t", 600]
                    uplinks(gateway, port, path, "-c", AWAKE, *more)  # makes each device known
                    began, before = time.monotonic(), executed(gateway.pid)
                    answered = uplinks(gateway, port, path, "-c", count, "--first", 1000, *more)
                    by_clock = idle_rate * (time.monotonic() - began)
                    found[case].append((executed(gateway.pid) - before - by_clock) / answered)
    for case, (without, with_items) in found.items():
        print(
            json.dumps(
                {
                    "case": case, "items": items_queued, "devices": DEVICES, "load": f"{window} always under way",
                    "without_instructions": round(without), "with_instructions": round(with_items),
                    "extra_instructions": round(with_items - without), "ratio": round(with_items / without, 3),
                }
            ),
            flush=True,
        )  # fmt: skip


def executed(pid: int) -> int:
    """Instructions that callgrind has counted in a process so far."""
    told = subprocess.run(["callgrind_control", "-e", str(pid)], capture_output=True, text=True, check=True)
    return int(re.findall(r"[\d,]{9,}", told.stdout)[0].replace(",", ""))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each load")
    parser.add_argument("--rate", type=float, default=2000.0, help="uplinks a second")
    parser.add_argument("--window", type=int, default=0, help="instead: so many under way, always")
    parser.add_argument("--instructions", type=int, metavar="N", help="count them for N uplinks (callgrind)")
    parser.add_argument("--items", type=int, default=ITEMS, help=f"queued downlinks ({ITEMS:,})")
    parser.add_argument("--case", default="", help="only the case that begins so, as in 'the datasource'")
    options = parser.parse_args()
    if options.instructions and not shutil.which("callgrind_control"):
        parser.error("--instructions: callgrind is missing (Debian: valgrind)")
    end_on_sigterm()
    tools.build()
    if options.instructions:
        instructions(options.instructions, options.window or 64, options.items)
    else:
        own_work()
        measure(options.rounds, options.seconds, options.rate, options.window, options.items, options.case)

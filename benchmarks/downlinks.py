"""What queued downlinks cost the uplinks of devices that have none: a ratio, within one run.

``python benchmarks/downlinks.py [--rounds N] [--seconds S] [--rate R | --window W]`` starts two gateways, one of them with 100,000 items
for 50,000 sleeping devices, and loads them in turns over CoAP with other devices' uplinks: once where only the
converter names a device (its answer waits for the conversion), once where the datasource knows it. Prints one
JSON object per case: CPU per uplink in µs with and without items (medians), and their ratio (median of the
rounds').
"""

from __future__ import annotations

import argparse
import json
import socket
import sqlite3
import tempfile
import time
import timeit
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import msgspec
from harness import tools
from harness.gateway import Gateway
from harness.processes import end_on_sigterm, free_port, wait_until
from harness.tools import load
from twisted.internet.task import Clock

from iotgw.answers import Answers
from iotgw.downlinks.item import Item, ItemState
from iotgw.downlinks.waiting import Waiting
from iotgw.model import DatasourceSpec, DownlinkSpec, Outcome, Output, State
from iotgw.store.sqlite import connect, upgrade

ITEMS = 100_000
DEVICES = 50_000
CASES = {"the converter names the device": "i/key", "the datasource knows the device": "up?i={id}"}


def items() -> Iterator[Item]:
    """What is queued."""
    now = int(time.time() * 1000)
    spec = DownlinkSpec(msg={"interval": 900}, msg_type="config")
    for number in range(ITEMS):
        device = f"sleeper-{number % DEVICES}"
        yield Item(
            f"dl{number:016x}", number + 1, "default", device, spec, ItemState.QUEUED, now, now, now + 10**9
        )


def fill(folder: Path) -> None:
    """Write the items as a gateway would have left them."""
    (folder / "data").mkdir()
    encode = msgspec.json.Encoder().encode
    rows = [
        (item.id, item.seq, item.tenant, item.device, item.state.value, item.updated_ms, encode(item))
        for item in items()
    ]
    connection: sqlite3.Connection = connect(folder / "data" / "downlinks.db")
    upgrade(connection, "downlinks")
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO item VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    connection.execute("COMMIT")
    connection.close()


@contextmanager
def running(folder: Path) -> Iterator[dict[str, tuple[Gateway, int]]]:
    """A gateway with a datasource per case: the gateway and the port of each."""
    with Gateway(folder) as gateway:
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
    common = ["-p", port, "-u", path, "-m", "post", "-n", 2000, "--base", 100_000, "-t", seconds]
    report = load("coapload", *common, *pace)
    assert report["answered"], report
    wait_until(lambda: converted(gateway), 60, "the last conversion", lambda: gateway.alive)
    return float(1e6 * (gateway.cpu() - before) / report["answered"])


def converted(gateway: Gateway) -> bool:
    """Whether every uplink is converted."""
    counts = [each["counts"] for each in gateway.api("GET", "/status")["datasources"]]
    return all(each["received"] == each["converted"] + each["filtered"] + each["failed"] for each in counts)


class Named:
    """As much of an intake as answers need."""

    id, tenant, converts = "ds", "default", True
    spec = DatasourceSpec(name="ds", type="coap")


def own_work(count: int = 100_000) -> None:
    """What deciding on an answer costs by itself, in µs per uplink: quieter than the load, and without what
    the waiting does to the batches."""
    named = Outcome(1, State.CONVERTED, "", (Output("awake", "", b"{}"),))
    cost = {}
    for case, identity, queue in (
        ("without", "", Waiting()),
        ("converter", "", full()),
        ("known", "imei", full()),
    ):
        answers = Answers(Lookup(queue), Clock(), "e-{}".format, lambda reply, answer: reply(answer))
        answers.stored(Named, 1, id, identity)
        answers.converted([named])  # from here on the identity is known

        def once(answers: Answers = answers, identity: str = identity) -> None:
            answers.stored(Named, 1, id, identity)
            answers.converted([named])

        cost[case] = min(timeit.repeat(once, number=count, repeat=5)) * 1e6 / count
    extra = {f"{case}_extra_us": round(cost[case] - cost["without"], 2) for case in ("converter", "known")}
    print(json.dumps({"case": "own work", "without_us": round(cost["without"], 2), **extra}), flush=True)


class Lookup:
    """The questions that answers ask of the queue."""

    def __init__(self, queue: Waiting) -> None:
        self.waits_in = queue.waits_in
        self._queue = queue

    def waiting(self, tenant: str, device: str) -> bool:
        """See `IDownlinks.waiting`."""
        return (tenant, device) in self._queue


def full() -> Waiting:
    """The index of the queue with all items."""
    queue = Waiting()
    for item in items():
        queue.put(item)
    return queue


def measure(rounds: int, seconds: float, rate: float, window: int) -> None:
    """Both gateways in turns, the order changing with each round."""
    pace = ["-w", window] if window else ["--rate", rate, "--poisson"]
    load_text = f"{window} always under way" if window else f"{rate:.0f}/s"
    with ExitStack() as stack:
        folders = [
            Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="iotgw-bench-"))) for _ in "12"
        ]
        fill(folders[1])
        without, with_items = (stack.enter_context(running(folder)) for folder in folders)
        for case, path in CASES.items():
            pairs = []
            for number in range(-1, rounds):
                order = (without, with_items) if number % 2 else (with_items, without)
                costs = {id(each): cost(*each[case], path, seconds, pace) for each in order}
                if number >= 0:  # the first is to warm up
                    pairs.append((costs[id(without)], costs[id(with_items)]))
            print(
                json.dumps(
                    {
                        "case": case, "items": ITEMS, "devices": DEVICES, "rounds": rounds, "load": load_text,
                        "without_us": round(median(a for a, _ in pairs), 2),
                        "with_us": round(median(b for _, b in pairs), 2),
                        "ratio": round(median(b / a for a, b in pairs), 3),
                        "ratios": [round(b / a, 3) for a, b in pairs],
                    }
                ),
                flush=True,
            )  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each load")
    parser.add_argument("--rate", type=float, default=2000.0, help="uplinks a second")
    parser.add_argument("--window", type=int, default=0, help="instead: so many under way, always")
    options = parser.parse_args()
    end_on_sigterm()
    tools.build()
    own_work()
    measure(options.rounds, options.seconds, options.rate, options.window)

"""What a message costs that is pulled from a broker, converted, and handed to the same kind of broker, beside workload B in the same run.

    python benchmarks/queues.py [--rounds 3] [--messages 20000] [--smoke] [--publish] [kind …]

The kinds are those of KINDS. Each measurement has a fresh broker and a fresh gateway, which runs with default settings and the script of all workloads. After a
warm-up all messages are put into the queue, while the gateway reads. CPU is that of the gateway's process tree, from then until the last message is
delivered; what the broker and this program use is not in it. What came out is read back and compared, message by message. The kinds and workload B take turns;
a ratio is of one round. The brokers are those of the tests: ``tests/install-peers large`` installs them, ``make .venv/.test`` the packages.

``--smoke`` is a few messages of each kind: it fails when one is lost, and judges no speed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from _pytest.outcomes import OutcomeException
from harness import machine, report, tools
from harness.contestants import TO_MQTT
from harness.gateway import Gateway
from harness.measure import Sample, closed_loop
from harness.plan import FULL, SMOKE, Plan
from harness.processes import end_on_sigterm, wait_until
from harness.queues import KINDS, QueueUnderTest

B = "coap → mqtt (workload B)"
WARM = 500
BAR = 1.0
"""Of Kafka's CPU over workload B's."""
HEADER = ("in and out", "messages", "CPU µs/msg", "over B's", "msg/s", "missing", "twice")
LOOK = 0.5
"""Seconds between looks at what is delivered."""
PATIENCE = 1200.0
"""Seconds for all messages of a measurement."""


def record(number: int) -> bytes:
    """A loader's record (tools/load.c): device, sequence, and a reading."""
    return struct.pack(">IIHBBHHQ", number % 500, number // 500, 2130, 48, 0, 3600, 0, 1_700_000_000_000)


def relayed(make: Callable[[Path], QueueUnderTest], count: int) -> Sample:
    """One measurement: CPU per message, the rate, what is missing and what came twice."""
    with tempfile.TemporaryDirectory(prefix="iotgw-queues-") as name:
        folder = Path(name)
        queue = make(folder / "broker")
        with queue.running():
            (folder / "gateway").mkdir()
            with Gateway(folder / "gateway") as gateway:
                return _through(gateway, queue, count)


def _through(gateway: Gateway, queue: QueueUnderTest, count: int) -> Sample:
    gateway.converter()
    type_, configuration = queue.target
    target = str(
        gateway.api("POST", "/integrations", {"name": "out", "type": type_, "configuration": configuration})[
            "id"
        ]
    )
    type_, configuration = queue.source
    source = {"name": "in", "type": type_, "converter": "bench", "configuration": configuration}
    made = str(gateway.api("POST", "/datasources", source)["id"])

    def is_connected() -> bool:
        return bool(gateway.api("GET", f"/datasources/{made}")["status"]["state"] == "connected")

    def wait_for(wanted: int) -> None:
        """Until so many are delivered. It is asked seldom, since answering costs CPU, too."""
        end = time.monotonic() + PATIENCE
        while gateway.api("GET", f"/integrations/{target}/stats")["delivered"] < wanted:
            if time.monotonic() > end or not gateway.alive:
                raise TimeoutError(f"waited in vain for {wanted} messages")
            time.sleep(LOOK)

    wait_until(is_connected, 120, "the datasource", lambda: gateway.alive)
    warm = min(WARM, count)
    queue.put_many([record(number) for number in range(warm)])
    wait_for(warm)
    cpu, began = gateway.cpu(), time.monotonic()
    queue.put_many([record(number) for number in range(warm, warm + count)])
    wait_for(warm + count)
    took, used = time.monotonic() - began, gateway.cpu() - cpu
    wanted = {(number % 500, number // 500) for number in range(warm + count)}
    found = [_whose(body) for body in queue.taken(lambda bodies: wanted <= {_whose(body) for body in bodies})]
    return {
        "cpu_us": 1e6 * used / count, "rate": count / took, "messages": count,
        "missing": len(wanted - set(found)), "duplicates": len(found) - len(set(found)),
    }  # fmt: skip


def _whose(body: Any) -> tuple[int, int]:
    """Device and sequence of a message that came out."""
    document = json.loads(body)
    return int(document["deviceName"].removeprefix("dev-")), int(document["telemetry"][0]["values"]["seq"])


def measured(name: str, plan: Plan, messages: int) -> Sample:
    """A sample of one kind, or why there is none."""
    try:
        if name == B:
            return closed_loop(TO_MQTT[0], plan, delivers=True)
        kind = KINDS[name]
        return relayed(kind, max(1, round(messages * kind.share)))
    except OutcomeException as missing:  # a peer of the tests that isn't there
        return {"skipped": str(missing)}
    except (RuntimeError, AssertionError, OSError) as error:  # the tests' own say what they missed
        return {"error": f"{type(error).__name__}: {error}"}


def rows(samples: dict[str, list[Sample]]) -> list[tuple[str, ...]]:
    """The table: medians with their ranges."""
    found = []
    for name, mine in samples.items():
        good = [sample for sample in mine if "cpu_us" in sample]
        if not good:
            continue
        ratios = [
            each["cpu_us"] / base["cpu_us"]
            for each, base in zip(mine, samples[B], strict=False)
            if "cpu_us" in each and "cpu_us" in base
        ]
        found.append(
            (
                name, f"{good[0]['messages']:,}", _spread([each["cpu_us"] for each in good], ".3g"), _spread(ratios, ".2f"),
                _spread([each["rate"] for each in good], ",.0f"), str(sum(each["missing"] for each in good)),
                str(sum(each["duplicates"] for each in good)),
            )
        )  # fmt: skip
    return found


def _spread(values: list[float], form: str) -> str:
    if not values:
        return "–"
    middle = format(statistics.median(values), form)
    return middle if len(values) == 1 else f"{middle} ({min(values):{form}}–{max(values):{form}})"


def table(samples: dict[str, list[Sample]], run: dict[str, Any], rounds: int) -> str:
    """The page's text."""
    lines = [report.heading(run, rounds), "", f"| {' | '.join(HEADER)} |", "|---" * len(HEADER) + "|"]
    lines += [f"| {' | '.join(row)} |" for row in rows(samples)]
    skipped = [name for name, mine in samples.items() if any("skipped" in sample for sample in mine)]
    if skipped:
        lines += ["", f"Without a peer, and not measured: {', '.join(skipped)}."]
    return "\n".join(lines)


def problems(samples: dict[str, list[Sample]], is_smoke: bool) -> list[str]:
    """What may not be: what failed, what is lost, and a bar that is missed."""
    found = [
        f"{name}: {sample['error']}" for name, mine in samples.items() for sample in mine if "error" in sample
    ]
    found += [
        f"{name}: {sample['missing']} messages are missing"
        for name, mine in samples.items()
        for sample in mine
        if sample.get("missing")
    ]
    pairs = [(each, base) for each, base in zip(samples.get("kafka", ()), samples[B], strict=False)]
    ratios = [
        each["cpu_us"] / base["cpu_us"] for each, base in pairs if "cpu_us" in each and "cpu_us" in base
    ]
    if not is_smoke and ratios and statistics.median(ratios) > BAR:
        found.append(f"kafka: {statistics.median(ratios):.2f} times the CPU of workload B")
    return found


def main(argv: list[str]) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kinds", nargs="*", metavar="kind", help=", ".join(KINDS))
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--messages", type=int, default=0, help="of the fast kinds (20,000)")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--publish", action="store_true", help="put the table into docs/performance.md")
    options = parser.parse_args(argv)
    if unknown := set(options.kinds) - set(KINDS):
        parser.error(f"expected kinds of {', '.join(KINDS)}, got {', '.join(sorted(unknown))}")
    tools.build()
    names = [B, *(options.kinds or KINDS)]
    rounds = options.rounds or (1 if options.smoke else 3)
    messages = options.messages or (400 if options.smoke else 20_000)
    run = {
        "command": " ".join(["benchmarks/queues.py", *argv]), "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "commit": machine.commit(Path(__file__).parent), "machine": machine.describe(), "load": machine.load(),
    }  # fmt: skip
    samples: dict[str, list[Sample]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names[::-1] if number % 2 else names:
            sample = measured(name, SMOKE if options.smoke else FULL, messages)
            samples[name].append(sample)
            shown = {
                key: value if isinstance(value, str) else f"{value:.5g}"
                for key, value in sample.items()
                if not isinstance(value, dict)
            }
            print(f"{number + 1} {name}: {shown}", file=sys.stderr, flush=True)
    text = table(samples, run, rounds)
    print(text)
    if options.publish:
        report.publish("queues", text)
    found = problems(samples, options.smoke)
    for problem in found:
        print(f"FAULT {problem}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    end_on_sigterm()
    sys.exit(main(sys.argv[1:]))

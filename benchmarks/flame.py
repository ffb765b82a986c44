"""Where the CPU goes: ``python benchmarks/flame.py [--only A,B,C,I] [--seconds N]``; ``make profile`` is workload B.

Loads the gateway (A: CoAP alone; B: CoAP → JavaScript → MQTT; C: the same to HTTP in batches; I: B with few devices and
with many, side by side), lets py-spy look at the whole process tree, and writes a flame graph and the stacks of each to
``benchmarks/results/profile/``. The tables share the CPU of the tree, as /proc knows it, among the stages of a message
by the samples of py-spy. A stage is the innermost frame that belongs to a room of iotgw; what a room calls in a library
is the room's.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from harness import tools
from harness.contestants import HTTP_BATCH, MQTT, Started, gateway
from harness.measure import SEQUENCES
from harness.plan import FULL
from harness.processes import end_on_sigterm
from harness.report import publish
from harness.tools import Load, Sink, load

OUT = Path(__file__).resolve().parent / "results" / "profile"
RATE = 250
"""Samples a second."""
LINES = 15
"""Of each table."""


class Case(NamedTuple):
    """A gateway, and how many devices load it, by which further options of the loader. ``delivers`` tells whether a
    sink gets what comes of it."""

    name: str
    start: Callable[[Path, Sink | None], Started]
    devices: int = 500
    sequences: int = SEQUENCES
    delivers: bool = True
    options: tuple[str, ...] = ()


class Workload(NamedTuple):
    """What is profiled: cases, side by side."""

    title: str
    cases: tuple[Case, ...]


FEWEST, MOST = FULL.device_counts[0], FULL.device_counts[-1]
WORKLOADS = {
    "A": Workload("CoAP CON POST to 2.04", (Case("A", gateway(converter=""), delivers=False),)),
    "B": Workload("CoAP → JavaScript → MQTT QoS 1", (Case("B", MQTT),)),
    "C": Workload("CoAP → JavaScript → HTTP in batches of 100", (Case("C", HTTP_BATCH),)),
    "I": Workload(
        "B with few devices and with many",
        (
            Case(f"{FEWEST:,} devices", MQTT, FEWEST, options=("--spread",)),
            Case(f"{MOST:,} devices", MQTT, MOST, sequences=64, options=("--spread",)),
        ),
    ),
}

STAGES = (
    ("iotgw/converters/worker", "JavaScript in the worker"),
    ("iotgw/converters/engines", "JavaScript in the worker"),
    ("iotgw/converters", "converters: batches to the workers"),
    ("iotgw/wire/coap", "CoAP engine"),
    ("iotgw/wire/mqtt", "MQTT codec"),
    ("iotgw/wire", "other codecs"),
    ("iotgw/datasources", "datasource: socket, metadata"),
    ("iotgw/store", "journal, devices, registry"),
    ("iotgw/integrations", "delivery and target"),
    ("iotgw/observe", "logs, events, metrics"),
    ("iotgw/", "spine"),
    ("twisted/", "reactor"),
)


def stage(frames: list[str]) -> str:
    """The stage that a stack (outermost frame first) belongs to."""
    if any("converters/worker" in frame for frame in frames):
        return STAGES[0][1]
    for frame in reversed(frames):
        for path, name in STAGES[:-1]:
            if path in frame:
                return name
    return "reactor" if any(STAGES[-1][0] in frame for frame in frames) else "other"


def innermost(frames: list[str]) -> str:
    """The last frame of a stack within iotgw; the last of all without one."""
    ours = [frame for frame in frames if "iotgw/" in frame]
    return (ours or frames)[-1]


def parse(stacks: str) -> list[tuple[list[str], int]]:
    """py-spy's raw format: frames by semicolon, a space, how often."""
    rows = []
    for line in stacks.splitlines():
        stack, _, count = line.rpartition(" ")
        rows.append((stack.split(";"), int(count)))
    return rows


def record(pid: int, form: str, seconds: float, file: Path) -> None:
    """Let py-spy look for some seconds. Raises RuntimeError when it may not."""
    spy = shutil.which("py-spy") or str(Path(sys.executable).with_name("py-spy"))
    argv = [
        spy,
        "record",
        "--pid",
        str(pid),
        "--subprocesses",
        "--full-filenames",
        "--threads",
        "--nonblocking",
    ]
    argv += ["--format", form, "--rate", str(RATE), "--duration", str(round(seconds)), "--output", str(file)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"py-spy: {done.stderr.strip()[-400:]} (it needs root, or CAP_SYS_PTRACE)")


REACTOR, WORKERS = "reactor's thread", "workers"
_THREAD = re.compile(r"thread \((\d+)\)(?:: (\S+))?")


def thread(frames: list[str]) -> tuple[int, str]:
    """The kernel's number of the thread that a stack is of, and its name."""
    if any("iotgw/converters/worker" in frame or "iotgw/converters/template" in frame for frame in frames):
        return 0, WORKERS
    found = next(match for frame in frames if (match := _THREAD.match(frame)))
    name = found[2] or "other threads"
    return int(found[1]), REACTOR if name == "MainThread" else name


def threads(pids: list[int]) -> dict[int, float]:
    """CPU seconds so far, by thread of the gateway's process; 0 stands for its workers."""
    spent: Counter[int] = Counter()
    for place, pid in enumerate(pids):
        for task in Path(f"/proc/{pid}/task").iterdir():
            spent[0 if place else int(task.name)] += (  # type: ignore[assignment]
                int((task / "schedstat").read_text().split()[0]) / 1e9
            )
    return dict(spent)


def shared(
    stacks: list[tuple[list[str], int]], us: dict[str, float], name: Callable[[list[str]], str]
) -> Counter[str]:
    """µs per message by ``name(frames)``: each thread's CPU is shared among its own samples, since a thread
    that waits in the kernel is sampled too."""
    samples: Counter[str] = Counter()
    for frames, count in stacks:
        samples[thread(frames)[1]] += count
    found: Counter[str] = Counter()
    for frames, count in stacks:
        own = thread(frames)[1]
        found[name(frames)] += us.get(own, 0.0) * count / samples[own]  # type: ignore[assignment]
    return found


class Profile(NamedTuple):
    """Where the CPU of a case went: µs per message by thread, and the stacks that were seen."""

    name: str
    heading: str
    us: dict[str, float]
    stacks: list[tuple[list[str], int]]


def profile(case: Case, started: Started, sink: Sink, seconds: float) -> Profile:
    """Load the running gateway while py-spy looks."""
    file = re.sub(r"\W+", "-", case.name)
    picture, raw = OUT / f"flame-{file}.svg", OUT / f"stacks-{file}.txt"
    common = ["-p", started.port, "-u", started.path, "-n", case.devices, "-w", 64]
    common += ["--sequences", case.sequences, *case.options]
    known = max(case.devices, 20_000)
    sent = load("coapload", *common, "-t", 600, "-c", known)["answered"]  # makes the devices known
    if case.delivers:
        sink.drained(sent)
    pids = started.program.tree()
    before = threads(pids)
    # by itself, as py-spy slows down what it looks at
    report = load("coapload", *common, "--first", case.sequences // 4, "-t", seconds)
    if case.delivers:
        sink.drained(sent + report["answered"])
    after = threads(pids)
    running = Load("coapload", *common, "--first", case.sequences // 2, "-t", 2 * seconds + 4)
    record(started.program.pid, "raw", seconds, raw)
    record(started.program.pid, "flamegraph", seconds, picture)
    running.wait()
    picture.write_text(bare(picture.read_text()))
    stacks = parse(raw.read_text())
    names = dict(thread(frames) for frames, _ in stacks) | {0: WORKERS}
    us: Counter[str] = Counter()
    for number, ran in after.items():
        us[names.get(number, "other threads")] += 1e6 * (ran - before.get(number, 0)) / report["answered"]  # type: ignore[assignment]
    heading = (
        f"{report['rate']:.0f} msg/s, {sum(us.values()):.1f} µs of CPU per message; "
        f"{sum(count for _, count in stacks)} samples"
    )
    return Profile(case.name, heading, dict(us), stacks)


def tables(profiles: Sequence[Profile]) -> str:
    """The tables of a workload in Markdown: a column per case."""
    several = len(profiles) > 1
    lines = []
    for each in profiles:
        lines += [f"{each.name}: {each.heading}" if several else each.heading, ""]
    for title, found in (
        ("thread", [Counter(each.us) for each in profiles]),
        ("stage", [shared(each.stacks, each.us, stage) for each in profiles]),
        ("innermost line within iotgw", [shared(each.stacks, each.us, innermost) for each in profiles]),
    ):
        columns = [f"{each.name}, µs per message" for each in profiles] if several else ["µs per message"]
        lines += [f"| {title} | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
        most = Counter({name: max(each[name] for each in found) for name in set().union(*found)})
        for name, _ in most.most_common(LINES):
            lines.append(f"| {_short(name)} | {' | '.join(f'{each[name]:.1f}' for each in found)} |")
        lines.append("")
    return "\n".join(lines)


def _short(frame: str) -> str:
    name, there, place = frame.partition(" (")
    if not there:
        return frame
    return f"`{name}` {bare(place).rstrip(')')}"


def bare(text: str) -> str:
    """A text whose file names say nothing of this machine: they begin at the package."""
    return re.sub(r"/[^ ();<>\"]*?/(?:site-packages|lib/python[0-9.]+|(?=(?:iotgw|twisted)/))", "", text)


def one(letter: str, seconds: float) -> str:
    """The profile of one workload, under its title."""
    workload = WORKLOADS[letter]
    found = []
    for case in workload.cases:
        with (
            tempfile.TemporaryDirectory(prefix="iotgw-bench-") as folder,
            Sink(case.devices, case.sequences) as sink,
        ):
            started = case.start(Path(folder), sink)
            with started.program:
                found.append(profile(case, started, sink, seconds))
    return f"### {letter}. {workload.title}\n\n{tables(found)}"


def main(argv: list[str]) -> int:
    """Run; returns the exit status."""
    parser = argparse.ArgumentParser(description="profile the gateway under load")
    parser.add_argument("--only", default="B", metavar="A,B,C,I", help="these workloads (B)")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each of the two recordings")
    parser.add_argument("--publish", action="store_true", help="put the tables into docs/performance.md")
    options = parser.parse_args(argv)
    letters = options.only.upper().split(",")
    if unknown := set(letters) - set(WORKLOADS):
        parser.error(f"--only: expected letters of {', '.join(WORKLOADS)}, got {', '.join(sorted(unknown))}")
    end_on_sigterm()
    tools.build()
    OUT.mkdir(parents=True, exist_ok=True)
    text = "\n".join(one(letter, options.seconds) for letter in letters)
    (OUT / "stages.md").write_text(text)
    print(text)
    if options.publish:
        publish("profile", text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

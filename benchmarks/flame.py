"""Where the CPU goes: ``python benchmarks/flame.py [--only A,B,C] [--seconds N]``; ``make profile`` is workload B.

Loads the gateway (A: CoAP alone; B: CoAP → JavaScript → MQTT; C: the same to HTTP in batches), lets py-spy look at the
whole process tree, and writes a flame graph and the stacks of each to ``benchmarks/results/profile/``. The tables
share the CPU of the tree, as /proc knows it, among the stages of a message by the samples of py-spy. A stage is the
innermost frame that belongs to a room of iotgw; what a room calls in a library is the room's.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from harness import tools
from harness.contestants import HTTP_BATCH, MQTT, Started, gateway
from harness.measure import SEQUENCES
from harness.processes import end_on_sigterm
from harness.report import publish
from harness.tools import Load, Sink, load

OUT = Path(__file__).resolve().parent / "results" / "profile"
RATE = 250
"""Samples a second."""
LINES = 15
"""Of each table."""
WORKLOADS = {
    "A": ("CoAP CON POST to 2.04", gateway(converter="")),
    "B": ("CoAP → JavaScript → MQTT QoS 1", MQTT),
    "C": ("CoAP → JavaScript → HTTP in batches of 100", HTTP_BATCH),
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


REACTOR, JOURNAL, WORKERS = "reactor's thread", "journal's threads", "workers"


def thread(frames: list[str]) -> str:
    """Which thread a stack is of."""
    if any("iotgw/converters/worker" in frame or "iotgw/converters/template" in frame for frame in frames):
        return WORKERS
    return JOURNAL if any("threading.py" in frame for frame in frames) else REACTOR


def threads(pids: list[int]) -> dict[str, float]:
    """CPU seconds so far, by thread."""
    spent = {REACTOR: 0.0, JOURNAL: 0.0, WORKERS: 0.0}
    for place, pid in enumerate(pids):
        for task in Path(f"/proc/{pid}/task").iterdir():
            key = WORKERS if place else REACTOR if task.name == str(pid) else JOURNAL
            spent[key] += int((task / "schedstat").read_text().split()[0]) / 1e9
    return spent


def shared(
    stacks: list[tuple[list[str], int]], us: dict[str, float], name: Callable[[list[str]], str]
) -> Counter[str]:
    """µs per message by ``name(frames)``: each thread's CPU is shared among its own samples, since a thread
    that waits in the kernel is sampled too."""
    samples: Counter[str] = Counter()
    for frames, count in stacks:
        samples[thread(frames)] += count
    found: Counter[str] = Counter()
    for frames, count in stacks:
        own = thread(frames)
        found[name(frames)] += us[own] * count / samples[own]  # type: ignore[assignment]
    return found


def profile(letter: str, started: Started, sink: Sink | None, seconds: float) -> str:
    """Load the running gateway while py-spy looks; returns the tables in Markdown."""
    picture, raw = OUT / f"flame-{letter}.svg", OUT / f"stacks-{letter}.txt"
    common = ["-p", started.port, "-u", started.path, "-n", 500, "-w", 64, "--sequences", SEQUENCES]
    sent = load("coapload", *common, "-t", 2, "--base", 500)["answered"]
    if sink:
        sink.drained(sent)
    pids = started.program.tree()
    before = threads(pids)
    report = load("coapload", *common, "-t", seconds)  # by itself, as py-spy slows down what it looks at
    if sink:
        sink.drained(sent + report["answered"])
    us = {name: 1e6 * (ran - before[name]) / report["answered"] for name, ran in threads(pids).items()}
    running = Load("coapload", *common, "--first", SEQUENCES // 2, "-t", 2 * seconds + 4)
    record(started.program.pid, "raw", seconds, raw)
    record(started.program.pid, "flamegraph", seconds, picture)
    running.wait()
    picture.write_text(bare(picture.read_text()))
    stacks = parse(raw.read_text())
    lines = [
        (
            f"{report['rate']:.0f} msg/s, {sum(us.values()):.1f} µs of CPU per message; "
            f"{sum(count for _, count in stacks)} samples"
        ),
        "",
    ]
    for title, found in (
        ("thread", Counter(us)),
        ("stage", shared(stacks, us, stage)),
        ("innermost line within iotgw", shared(stacks, us, innermost)),
    ):
        lines += [f"| {title} | µs per message |", "|---|---|"]
        lines += [f"| {_short(name)} | {value:.1f} |" for name, value in found.most_common(LINES)] + [""]
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
    title, start = WORKLOADS[letter]
    with tempfile.TemporaryDirectory(prefix="iotgw-bench-") as folder, Sink(1000, SEQUENCES) as sink:
        started = start(Path(folder), sink)
        with started.program:
            return f"### {letter}. {title}\n\n" + profile(
                letter, started, sink if letter != "A" else None, seconds
            )


def main(argv: list[str]) -> int:
    """Run; returns the exit status."""
    parser = argparse.ArgumentParser(description="profile the gateway under load")
    parser.add_argument("--only", default="B", metavar="A,B,C", help="these workloads (B)")
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

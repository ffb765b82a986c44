"""Run the benchmarks: ``python benchmarks/run.py [--smoke] [--only A,B] [--rounds N]``; ``make bench``.

Builds the tools, starts what is installed of the peers and says what it skips. Contestants are interleaved,
each round takes fresh processes, all traffic stays on loopback. The tables go to stdout, the samples as JSON
and the picture as PNG and SVG to ``benchmarks/results/``. ``--smoke`` runs everything shortly and fails when
something is lost; it judges no speed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from harness import machine, report, tools
from harness.contestants import install_node_peers
from harness.measure import Sample
from harness.plan import FULL, SMOKE, Plan
from harness.processes import end_on_sigterm
from harness.record import Part, Record
from workloads import Workload
from workloads.crash import F
from workloads.dtls import G
from workloads.onlookers import L
from workloads.outage import D
from workloads.rates import J
from workloads.scaling import SCALING
from workloads.sessions import H
from workloads.small import K
from workloads.tail import E
from workloads.throughput import A, B, C

HERE = Path(__file__).resolve().parent
WORKLOADS = {each.letter: each for each in (A, B, C, D, E, F, G, H, SCALING, J, K, L)}
TITLES = {letter: each.title for letter, each in WORKLOADS.items()}


def arguments(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument(
        "--smoke", action="store_true", help="everything shortly; fail when something is lost"
    )
    parser.add_argument("--only", default="", metavar="A,B", help="these workloads")
    parser.add_argument("--entries", default="", metavar="NAME,…", help="only entries whose names begin so")
    parser.add_argument("--rounds", type=int, help="rounds of each (5)")
    parser.add_argument("--seconds", type=float, help="of a closed-loop measurement (5)")
    parser.add_argument("--tail", type=float, help="seconds of workload E (600)")
    parser.add_argument("--results", type=Path, help="folder for JSON and pictures")
    parser.add_argument(
        "--keep",
        action="store_true",
        help="keep what the folder has of other workloads, and of other entries",
    )
    parser.add_argument("--publish", action="store_true", help="put the tables into docs/performance.md")
    options = parser.parse_args(argv)
    options.only = [letter for letter in options.only.upper().split(",") if letter] or list(WORKLOADS)
    if unknown := set(options.only) - set(WORKLOADS):
        parser.error(f"--only: expected letters of {', '.join(WORKLOADS)}, got {', '.join(sorted(unknown))}")
    return options


def planned(options: argparse.Namespace) -> Plan:
    """How much is done."""
    plan = SMOKE if options.smoke else FULL
    if options.rounds:
        plan = plan._replace(rounds=options.rounds)
    if options.seconds:
        plan = plan._replace(seconds=options.seconds)
    return plan._replace(tail=options.tail) if options.tail else plan


def measure(
    workload: Workload,
    plan: Plan,
    prefixes: tuple[str, ...],
    skipped: dict[str, str],
    found: Callable[[Sample], None],
) -> None:
    """All rounds of a workload, its entries in turn; every other round backwards, so that neighbours stay such.

    ``found`` is called with each sample, so that a run that is interrupted has them.
    """
    entries = []
    for entry in workload.entries(plan):
        if prefixes and not entry.name.startswith(prefixes):
            continue
        if why := entry.missing():
            skipped[entry.name] = why
        else:
            entries.append(entry)
    for number in range(plan.rounds):
        for entry in entries[::-1] if number % 2 else entries:
            begin = time.monotonic()
            try:
                sample = entry.measure(plan)
            except (RuntimeError, TimeoutError, OSError) as error:
                sample = {"error": f"{type(error).__name__}: {error}"}
            took = time.monotonic() - begin
            print(
                f"{workload.letter} {number + 1} {entry.name}: {_brief(sample)} [{took:.0f} s]",
                file=sys.stderr,
            )
            found({"entry": entry.name, "round": number, **sample})


def _brief(sample: Sample) -> str:
    keys = ("rate", "cpu_us", "missing", "duplicates", "unanswered", "error")
    return ", ".join(
        f"{key} {sample[key]:.5g}" if key != "error" else sample[key] for key in keys if key in sample
    )


def write(record: Record, folder: Path) -> None:
    """Write the samples and the tables, in the workloads' order."""
    record.results = {letter: record.results[letter] for letter in WORKLOADS if letter in record.results}
    record.write()
    (folder / "results.md").write_text(report.text(record, TITLES))


def draw(record: Record, folder: Path) -> None:
    """Draw the picture, where matplotlib is."""
    try:
        from harness import plot  # noqa: PLC0415 (matplotlib is optional)

        plot.draw(record.results, TITLES, folder / "results")
    except ImportError as error:
        print(f"no picture: {error}; pip install 'iotgw[bench]'", file=sys.stderr)


def faults(results: dict[str, list[Sample]]) -> list[str]:
    """What a smoke run must not see: an entry that did not run, a message of ours that was lost."""
    found = []
    for letter, samples in results.items():
        if not samples:
            found.append(f"{letter}: nothing ran")
        for sample in samples:
            name = f"{letter} {sample['entry']} (round {sample['round'] + 1})"
            if "error" in sample:
                found.append(f"{name}: {sample['error']}")
            elif not sample.get("messages"):
                found.append(f"{name}: no message was acknowledged")
            elif sample["entry"].startswith("iotgw") and sample.get("missing"):
                found.append(f"{name}: {sample['missing']} acknowledged messages are missing")
    return found


def main(argv: list[str]) -> int:
    """Run; returns the exit status."""
    options = arguments(argv)
    plan = planned(options)
    tools.build()
    skipped: dict[str, str] = {}
    if not options.smoke and (why := install_node_peers()):
        skipped["Node.js peers"] = why
    folder = options.results or HERE / "results" / ("smoke" if options.smoke else "")
    record = Record(folder, options.keep)
    record.skipped |= skipped
    prefixes = tuple(each for each in options.entries.split(",") if each)
    mine: dict[str, list[Sample]] = {}
    for letter in options.only:
        run = {
            "command": " ".join(["benchmarks/run.py", *argv]),
            "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "commit": machine.commit(HERE),
            "machine": machine.describe(),
            "load": machine.load(),
            "plan": plan._asdict(),
        }
        names = [entry.name for entry in WORKLOADS[letter].entries(plan)]
        part = record.begin(letter, run, names, is_whole=not prefixes)
        mine[letter] = part.samples

        def found(sample: Sample, part: Part = part) -> None:
            part.add(sample)
            write(record, folder)

        write(record, folder)
        measure(WORKLOADS[letter], plan, prefixes, record.skipped, found)
    draw(record, folder)
    tables = (folder / "results.md").read_text()
    print(tables)
    if options.publish:
        report.publish("results", tables)
    problems = faults(mine)
    for problem in problems:
        print(f"FAULT {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    end_on_sigterm()
    sys.exit(main(sys.argv[1:]))

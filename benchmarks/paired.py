"""Has the working tree become slower than a revision? ``make bench-paired REV=…``.

Both are installed in virtual environments of their own, the revision from a git worktree, and measured in turns within
one run: pairs of measurements that follow each other, every other pair in reverse order, by one harness and one loader.
Prints the CPU per message of both and the median of the pairs' ratios (working tree over revision) with its 95 %
interval. Exit status 1 says that the interval lies wholly above ``--limit``, 2 that there was too little to judge by.

The interval is that of the order statistics: of n sorted ratios the k-th from either end, with the largest k for which a
median outside has a probability of 5 % at most (binomial). It assumes nothing about how the ratios are spread.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import NamedTuple

from harness import gateway, machine, tools
from harness.plan import FULL, Plan
from harness.processes import end_on_sigterm
from workloads import Entry
from workloads.throughput import A, B, C

ROOT = Path(__file__).resolve().parents[1]
WORKLOADS = {each.letter: each for each in (A, B, C)}
CONFIDENCE = 0.95
ENTRY = "iotgw"


class Pair(NamedTuple):
    """CPU per message in µs, of the revision and of the working tree."""

    revision: float
    tree: float

    @property
    def ratio(self) -> float:
        """Above 1: the working tree needs more."""
        return self.tree / self.revision


def interval(ratios: Sequence[float]) -> tuple[float, float]:
    """Between which two ratios the true median lies with 95 % confidence; infinite for fewer than six."""
    line, n = sorted(ratios), len(ratios)
    rank, outside = 0, 0.0  # P(fewer than ``rank`` of n lie below the median), on either side
    while outside + 2 * math.comb(n, rank) / 2**n <= 1 - CONFIDENCE:
        outside += 2 * math.comb(n, rank) / 2**n
        rank += 1
    return (line[rank - 1], line[n - rank]) if rank else (-math.inf, math.inf)


def run(*command: object, cwd: Path = ROOT) -> None:
    """Run a command to its end; raises SystemExit with what it said. Interrupted, it ends with all that it started."""
    process = subprocess.Popen(
        list(map(str, command)), cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    try:
        said, _ = process.communicate()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.returncode:
        print(f"{' '.join(map(str, command))}: {said}", file=sys.stderr)
        raise SystemExit(2)


@contextmanager
def worktree(revision: str, folder: Path) -> Iterator[Path]:
    """A checkout of a revision."""
    try:
        run("git", "worktree", "add", "--detach", folder, revision)
        yield folder
    finally:
        if folder.exists():
            run("git", "worktree", "remove", "--force", folder)


def copy_of_tree(folder: Path) -> Path:
    """The working tree as it is, without what git ignores: pip builds in its source's folder."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.decode().split("\0")):
        if (source := ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name)
    return folder


def installed(source: Path, folder: Path) -> Path:
    """Install a checkout into a virtual environment of its own; its Python."""
    run(sys.executable, "-m", "venv", folder)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", source)
    return python


def measured(python: Path, entry: Entry, plan: Plan) -> float:
    """CPU per message in µs; raises RuntimeError when a message was lost."""
    with gateway.installed_in(python):
        sample = entry.measure(plan)
    if not sample["messages"] or sample.get("missing"):
        raise RuntimeError(f"{sample['messages']} messages, {sample.get('missing')} missing")
    return float(sample["cpu_us"])


def pairs(pythons: tuple[Path, Path], entry: Entry, plan: Plan) -> Iterator[Pair]:
    """One pair per round. A pair of which one couldn't be measured is said and left out."""
    for number in range(plan.rounds):
        found = [0.0, 0.0]
        try:
            for place in (1, 0) if number % 2 else (0, 1):
                found[place] = measured(pythons[place], entry, plan)
        except (RuntimeError, TimeoutError, OSError) as error:
            print(f"pair {number + 1}: left out: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        pair = Pair(*found)
        print(
            f"pair {number + 1}: {pair.revision:.1f} µs, {pair.tree:.1f} µs, ratio {pair.ratio:.3f}",
            file=sys.stderr,
        )
        yield pair


def judged(
    found: Sequence[Pair], rounds: int, limit: float, names: tuple[str, str] = ("revision", "working tree")
) -> int:
    """Print what came of it, of what the ``names`` say; the exit status."""
    if 2 * len(found) <= rounds:
        print(f"only {len(found)} of {rounds} pairs could be measured")
        return 2
    ratios = [pair.ratio for pair in found]
    low, high = interval(ratios)
    for name, costs in zip(names, zip(*found, strict=True), strict=True):
        print(f"{name + ':':<13} {median(costs):.1f} µs CPU per message")
    print(f"ratio:        {median(ratios):.3f}, median of {len(found)} pairs")
    if math.isinf(low):
        print(f"              no {CONFIDENCE:.0%} interval of the median: it takes six pairs")
        return 0
    print(f"              {CONFIDENCE:.0%} interval {low:.3f} … {high:.3f} (order statistics)")
    if low > limit:
        print(f"slower: the interval lies above {limit}")
        return 1
    return 0


def arguments(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("revision", help="what git calls the revision to compare with")
    parser.add_argument("--rounds", type=int, default=20, help="pairs (20)")
    parser.add_argument("--workload", choices=WORKLOADS, default="B", help="A, B or C (B)")
    parser.add_argument("--seconds", type=float, default=FULL.seconds, help="of a measurement (5)")
    parser.add_argument("--limit", type=float, default=1.03, help="a ratio that is still well (1.03)")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Run; returns the exit status."""
    options = arguments(argv)
    plan = FULL._replace(rounds=options.rounds, seconds=options.seconds)
    (entry,) = (each for each in WORKLOADS[options.workload].entries(plan) if each.name == ENTRY)
    tools.build()
    with (
        tempfile.TemporaryDirectory(prefix="iotgw-paired-") as name,
        worktree(options.revision, Path(name) / "revision") as revision,
    ):
        folder = Path(name)
        print(
            f"workload {options.workload}: {machine.commit(ROOT)} against {options.revision}", file=sys.stderr
        )
        pythons = (
            installed(revision, folder / "venv-revision"),
            installed(copy_of_tree(folder / "tree"), folder / "venv-tree"),
        )
        return judged(list(pairs(pythons, entry, plan)), plan.rounds, options.limit)


if __name__ == "__main__":
    end_on_sigterm()
    sys.exit(main(sys.argv[1:]))

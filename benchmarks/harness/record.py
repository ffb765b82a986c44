"""What a results folder holds: the samples of each workload, and which run they are of.

A run replaces the samples of the entries that it measured. What it has not measured goes, or stays with the run
that it is of (``--keep``): commit, command and machine are told with each.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.measure import Sample


class Record:
    """Samples and runs by workload, as in ``results.json``. ``keep``: go on from what the folder has."""

    def __init__(self, folder: Path, keep: bool) -> None:
        self._file = folder / "results.json"
        held = json.loads(self._file.read_text()) if keep and self._file.exists() else {}
        self.results: dict[str, list[Sample]] = held.get("results", {})
        self.runs: dict[str, list[dict[str, Any]]] = held.get("runs", {})
        self.skipped: dict[str, str] = held.get("skipped", {})

    def begin(self, letter: str, run: dict[str, Any], entries: Sequence[str], is_whole: bool) -> Part:
        """A run of a workload whose ``entries`` are all there are, in their order; ``is_whole`` measures them all."""
        if is_whole:
            self.results.pop(letter, None)
            self.runs.pop(letter, None)
        return Part(self, letter, run, entries)

    def write(self) -> None:
        """Write the file."""
        held = {"runs": self.runs, "skipped": self.skipped, "results": self.results}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(held, indent=1) + "\n")


class Part:
    """One run's share of a workload."""

    def __init__(self, record: Record, letter: str, run: dict[str, Any], entries: Sequence[str]) -> None:
        self._record = record
        self._letter = letter
        self._run = run
        self._order = {name: place for place, name in enumerate(entries)}
        self._held = record.results.get(letter, [])
        self._earlier = record.runs.get(letter, [])
        self.samples: list[Sample] = []

    def add(self, sample: Sample) -> None:
        """Take a sample: what the folder had of its entry is out of date."""
        self.samples.append(sample)
        mine = {each["entry"] for each in self.samples}
        rest = [each for each in self._held if each["entry"] not in mine]
        self._record.results[self._letter] = sorted(
            [*rest, *self.samples],
            key=lambda each: (self._order.get(each["entry"], len(self._order)), each["round"]),
        )
        others = [
            {**run, "entries": left}
            for run in self._earlier
            if (left := [name for name in run["entries"] if name not in mine])
        ]
        self._record.runs[self._letter] = [
            *others,
            {**self._run, "entries": [name for name in self._order if name in mine]},
        ]

"""The picture of a run, as PNG and SVG. Needs matplotlib (``pip install iotgw[bench]``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.measure import Sample, middle
from harness.report import figure, points

OURS, PEER = "#1f6f8b", "#b8c4c8"


def draw(results: dict[str, list[Sample]], titles: dict[str, str], stem: Path) -> list[Path]:
    """Draw what there are samples of; returns the files. Raises ImportError without matplotlib."""
    import matplotlib as mpl  # noqa: PLC0415 (optional)

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "iotgw"
    from matplotlib import pyplot  # noqa: PLC0415

    results = {letter: [each for each in rows if "error" not in each] for letter, rows in results.items()}
    panels: list[Any] = [(letter, _bars) for letter in "ABC" if results.get(letter)]
    panels += [("E", _memory)] if results.get("E") else []
    panels += [("I", _curves)] if results.get("I") else []
    if not panels:
        return []
    rows = (len(panels) + 1) // 2
    picture, axes = pyplot.subplots(rows, 2, figsize=(11, 3.4 * rows), layout="constrained", squeeze=False)
    for axis, (letter, paint) in zip(axes.flat, panels, strict=False):
        paint(axis, results[letter])
        axis.set_title(f"{letter}. {titles[letter]}", fontsize=10, loc="left")
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    files = [stem.with_suffix(".png"), stem.with_suffix(".svg")]
    picture.savefig(files[0], dpi=110)
    picture.savefig(files[1], metadata={"Date": None})
    pyplot.close(picture)
    return files


def _bars(axis: Any, samples: list[Sample]) -> None:
    """CPU per message, least on top, with the range over the rounds."""
    names = sorted(
        {each["entry"] for each in samples}, key=lambda name: -middle(_of(samples, name), "cpu_us")
    )
    for row, name in enumerate(names):
        values = [each["cpu_us"] for each in _of(samples, name)]
        value = middle(_of(samples, name), "cpu_us")
        axis.barh(row, value, color=OURS if name.startswith("iotgw") else PEER)
        axis.plot([min(values), max(values)], [row, row], color="black", linewidth=1)
        axis.annotate(f" {figure(value)}", (max(values), row), va="center", fontsize=8)
    axis.set_yticks(range(len(names)), names, fontsize=9)
    axis.set_xlabel("CPU µs per message (process tree)", fontsize=8)
    axis.margins(x=0.12)


def _memory(axis: Any, samples: list[Sample]) -> None:
    """Resident memory over the run."""
    for sample in samples:
        axis.plot([x / 60 for x, _ in sample["memory"]], [y for _, y in sample["memory"]], color=OURS)
    axis.set_ylim(bottom=0)
    axis.set_xlabel("minutes", fontsize=8)
    axis.set_ylabel("RSS MiB (process tree)", fontsize=8)


def _curves(axis: Any, samples: list[Sample]) -> None:
    """CPU per message against each size."""
    for name in ("devices", "datasources", "integrations", "queued"):
        curve = points(samples, name)
        if curve:
            axis.plot(
                [max(x, 1) for x, _ in curve], [y for _, y in curve], marker="o", markersize=4, label=name
            )
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter("{x:g}")
    axis.tick_params(axis="y", which="both", labelsize=8)
    axis.set_xlabel("how many", fontsize=8)
    axis.set_ylabel("CPU µs per message", fontsize=8)
    axis.legend(fontsize=8)


def _of(samples: list[Sample], name: str) -> list[Sample]:
    return [each for each in samples if each["entry"] == name]

"""Usage on the command line."""

from __future__ import annotations

from typing import Any

import pytest_twisted

from iotgw.core.ports.usage import DeviceTally
from iotgw.core.times import DateMs
from iotgw.ctl.commands import usage
from iotgw.testing.contracts.usage import BEGUN, HOUR_MS, tally


@pytest_twisted.ensureDeferred
async def test_usage_is_a_table_of_what_counts_for_its_kind(bench: Any, run: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(usage, "PAGE", 1)
    kept = bench.parts.usage
    devices = [DeviceTally("default", "", 7, 70)]
    kept.add(
        DateMs(BEGUN),
        [tally("a", messages=3, bytes=30), tally("c", "converter", messages=3, cpu=0.5)],
        devices,
    )
    kept.add(DateMs(BEGUN + HOUR_MS), [tally("a", messages=4)], [])
    since = ("--since", "2024-10-01")
    lines = (await run("usage", *since))[1].splitlines()
    assert [line.split() for line in lines] == [
        ["NAME", "MESSAGES", "BYTES", "ERRORS", "REFUSED"],
        ["A", "7", "30", "0", "0"],
    ]
    hours = (await run("usage", *since, "--every", "hour"))[1].splitlines()
    assert (hours[0].split()[0], len(hours), hours[2].split()[-4]) == ("TIME", 3, "4")
    script = (await run("usage", *since, "--per", "converter"))[1].splitlines()[1]
    assert script.split() == ["C", "3", "0", "0.500"]
    assert (await run("usage", *since, "--per", "device"))[1].splitlines()[1].split() == [
        "(others)",
        "7",
        "70",
    ]
    text = (await run("usage", *since, "--csv", "--every", "day"))[1].splitlines()
    assert text[1] == f"{BEGUN},default,a,A,7,30,0,0,0,0.0"
    assert '"messages": 7' in (await run("usage", "A", *since, "--json"))[1]

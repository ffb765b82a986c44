"""Debugging on the command line."""

from __future__ import annotations

from typing import Any

import pytest_twisted

from iotgw.core.ports.debug import DebugEntry


@pytest_twisted.ensureDeferred
async def test_a_thing_is_debugged_listed_and_let_go(bench: Any, run: Any) -> None:
    code, out, _ = await run("debug", "dev-1", "--for", "10m", "--count", "50")
    assert (
        code,
        out.startswith("everything of device dev-1 is kept until "),
        out.endswith(", or 50 messages\n"),
    ) == (0, True, True)
    row = (await run("debug"))[1].splitlines()[1].split()
    assert (row[:2], row[4]) == (["device", "dev-1"], "50")
    assert (await run("debug", "dev-1", "--off"))[1] == "dev-1 is debugged no longer\n"
    assert (await run("debug", "dev-1", "--off"))[0] == 1
    assert (await run("debug", "nobody"))[0] == 1


@pytest_twisted.ensureDeferred
async def test_what_was_kept_of_a_message_is_shown(bench: Any, run: Any) -> None:
    bench.add("ds1", b"{}")
    id = bench.journal.epochs.message_id(1)
    assert (await run("message", id, "--debug"))[1].startswith("nothing was kept of it")
    said = {
        "datasource": "field", "converter": "meters", "version": 3, "payload": "eA==", "metadata": {"port": 2},
        "outputs": [{"deviceName": "d"}], "logs": ["one", "two\x1b[31m"], "warnings": [], "error": {"message": "boom"},
    }  # fmt: skip
    bench.debug_store.add("default", id, DebugEntry(5000, "conversion", said))
    exchange = {"integration": "cloud", "device": "d", "request": "POST /\n\n{}", "answer": "200 OK"}
    bench.debug_store.add("default", id, DebugEntry(6000, "delivery", exchange))
    lines = (await run("message", id, "--debug"))[1].splitlines()
    assert lines[0].endswith("conversion by meters version 3, from field")
    assert lines[1:7] == [
        '  payload:  x',
        '  metadata: {"port": 2}', '  outputs:  {"deviceName": "d"}', "  logs:     one", "  logs:     two\\x1b[31m",
        '  error:    {"message": "boom"}',
    ]  # fmt: skip
    assert lines[8].endswith("delivery to cloud")
    assert lines[9:] == ["  request:  POST /", "            ", "            {}", "  answer:   200 OK"]

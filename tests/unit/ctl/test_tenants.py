"""Tenants on the command line."""

from __future__ import annotations

from typing import Any

import pytest_twisted


@pytest_twisted.ensureDeferred
async def test_a_tenant_s_limits_and_quotas_are_set_and_taken_away(bench: Any, run: Any) -> None:
    code, out, _ = await run("tenant", "set", "north", "limit=100:1,2000:60", "quota.devices=500")
    assert (code, out) == (0, "tenant north is saved\n")
    assert (await run("tenant", "set", "north", "beyondLimit=keep", "quota.datasources=3"))[0] == 0
    rows = (await run("tenants"))[1].splitlines()
    assert rows[-1].split()[:6] == ["north", "100:1,2000:60", "0/3", "0", "0", "0/500"]
    shown = (await run("tenants", "north"))[1]
    assert '"beyondLimit": "keep"' in shown
    assert (await run("tenant", "set", "north", "quota.devices="))[0] == 0
    assert (await run("tenants"))[1].splitlines()[-1].split()[5] == "0"
    assert (await run("tenant", "set", "north", "quota.devices=many"))[0] == 2
    assert (await run("tenant", "set", "north", "colour=red"))[0] == 2
    assert (await run("tenant", "set", "north", "limit=fast"))[0] == 1
    assert (await run("tenant", "unlimit", "north"))[1] == "tenant north may use what it likes\n"


@pytest_twisted.ensureDeferred
async def test_commands_are_about_the_tenant_that_is_named(bench: Any, run: Any, tmp_path: Any) -> None:
    (tmp_path / "device.json").write_text('{"name": "meter"}')
    assert (await run("--tenant", "north", "create", "device", str(tmp_path / "device.json")))[0] == 0
    assert "meter" in (await run("devices", "--tenant", "north"))[1]
    assert "meter" not in (await run("devices"))[1]
    assert (await run("status", "--tenant", "north"))[0] == 0
    assert (await run("tenants", "--tenant", "north"))[0] == 0


@pytest_twisted.ensureDeferred
async def test_a_tenant_is_not_deleted_by_mistake(bench: Any, run: Any, tmp_path: Any) -> None:
    await run("tenant", "set", "north", "limit=1:1")
    assert (await run("tenant", "delete", "north"))[0] == 2
    assert (await run("tenant", "delete", "north", "--confirm", "south"))[0] == 2
    assert (await run("tenant", "delete", "nobody", "--export", str(tmp_path / "kept")))[0] == 1
    (tmp_path / "file").write_text("")
    assert (await run("tenant", "delete", "north", "--export", str(tmp_path / "file")))[0] == 2
    assert bench.parts.jobs.begun == []
    assert (await run("tenant", "delete", "north", "--confirm", "north", "--no-wait"))[0] == 0
    assert len(bench.parts.jobs.begun) == 1

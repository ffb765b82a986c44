"""`iotgwctl devices` and `device …`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from twisted.internet import reactor

from iotgw.ctl.commands import devices
from tests.unit.ctl.test_commands import inline


@pytest.fixture
def bench(bench: Any) -> Any:
    bench.parts = msgspec.structs.replace(bench.parts, clock=reactor, calendar=bench.parts.dates)
    return bench


@inline
async def test_a_device_is_created_changed_found_and_deleted(bench: Any, run: Any) -> None:
    assert await run("device", "set", "d 1", "label=Boiler", "groups=a|b", "latitude=1.5", "longitude=2", "tag.x=1") == (
        0, "device d 1 is saved (revision 1)\n", "",
    )  # fmt: skip
    assert (await run("device", "set", "d 1", "groups=", "tag.x=", "tag.y=2"))[0] == 0
    shown = json.loads((await run("devices", "d 1"))[1])
    assert (shown["label"], shown["groups"], shown["tags"], shown["latitude"]) == (
        "Boiler",
        [],
        {"y": "2"},
        1.5,
    )
    code, out, _ = await run("devices", "--text", "boil")
    assert (code, len(out.splitlines()), "d 1" in out) == (0, 2, True)
    assert (await run("device", "set", "d 1", "colour=red"))[0] == 2
    assert (await run("device", "set", "d 1", "latitude=north"))[0] == 2
    assert (await run("device", "set", "d 1", "latitude=91"))[0] == 1
    assert (await run("device", "delete", "d 1"))[:2] == (0, "device d 1 is deleted\n")
    assert (await run("device", "delete", "d 1"))[0] == 1


@inline
async def test_a_file_is_imported_in_parts_and_exported_again(
    run: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(devices, "BATCH", 3)
    monkeypatch.setattr(devices, "PAGE", 4)
    path = tmp_path / "list.csv"
    path.write_text(
        "name;label;latitude;longitude\r\n"
        + "".join(f"d{n};L {n};1,5;2\r\n" for n in range(8))
        + "d0;x;;\r\nbad;x;95;0\r\n"
    )
    code, out, _ = await run("device", "import", str(path), "--dry-run")
    assert (code, out.splitlines()[0]) == (
        1,
        "8 would be created, 0 would be changed, 0 would be unchanged; 2 refused",
    )
    code, out, _ = await run("device", "import", str(path))
    assert out.splitlines()[0] == "8 created, 0 changed, 0 unchanged; 2 refused"
    assert [line.split()[:2] for line in out.splitlines()[3:]] == [["10", "d0"], ["11", "bad"]]
    assert "row 2 is about the same device" in out
    for name in ("out.csv", "out.json"):
        assert (await run("device", "export", str(tmp_path / name), "--text", "d"))[0] == 0
        code, out, _ = await run("device", "import", str(tmp_path / name))
        assert (code, out) == (0, "0 created, 0 changed, 10 unchanged; 0 refused\n")


@inline
async def test_keys_go_to_a_file_that_only_its_owner_reads(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("name,psk.key\nd,hush-hush\n")
    assert (await run("device", "import", str(path)))[0] == 0
    await run("device", "export", str(tmp_path / "out.csv"))
    (tmp_path / "keys.csv").touch(0o644)  # as one that was exported without keys
    await run("device", "export", str(tmp_path / "keys.csv"), "--with-keys")
    assert "hush" not in (tmp_path / "out.csv").read_text()
    assert "hush-hush" in (tmp_path / "keys.csv").read_text()
    assert (tmp_path / "keys.csv").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b""), ("a.csv", b"colour\nred\n"), ("a.csv", b"name\n\xff\n"), ("a.json", b"{"), ("a.json", b"{}"), ("a.json", b"7"),
        ("missing.csv", None), ("missing.json", None), ("a.csv", "name".encode("utf-16") + b"\x00"),
    ],
)  # fmt: skip
@inline
async def test_what_is_no_list_is_one_line(
    run: Any, tmp_path: Path, name: str, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    code, out, err = await run("device", "import", str(tmp_path / name))
    assert (code, out, len(err.splitlines())) == (2, "", 1)


def test_a_file_is_read_as_it_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    path.write_bytes(b"name\n" + b"".join(b"d%d\n" % number for number in range(100_000)))
    read: list[int] = []
    with devices._opened(str(path)) as rows:
        batches = devices._batches(rows(read.append))
        assert len(next(batches)) == devices.BATCH
        assert read[-1] < 10_000


@inline
async def test_the_quarantine_is_listed_and_worked_off(bench: Any, run: Any) -> None:
    for number, name in enumerate(("a", "b"), 1):
        bench.add("ds1", b"x", device=name)
        bench.quarantine.hold("default", name, "ds1", number, 1000)
    assert [line.split()[:3] for line in (await run("device", "quarantine"))[1].splitlines()[1:]] == [
        ["a", "ds1", "1"],
        ["b", "ds1", "1"],
    ]
    assert (await run("device", "release", "a"))[:2] == (0, "device a is released with 1 messages\n")
    assert (await run("device", "drop", "b"))[:2] == (0, "1 messages of b are dropped\n")
    assert (await run("device", "drop", "b"))[0] == 1


@inline
async def test_a_downlink_to_nobody_needs_a_word_more(run: Any) -> None:
    assert (await run("downlink", "nobody", "--text", "x"))[0] == 1
    assert (await run("downlink", "nobody", "--text", "x", "--allow-unknown"))[0] == 0

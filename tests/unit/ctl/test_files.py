"""Files for devices and updates of them on the command line."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted

from iotgw.core.ports.firmware import UpdateState
from iotgw.ctl.commands import files


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


@pytest.fixture
def image(tmp_path: Any, monkeypatch: Any) -> Any:
    monkeypatch.setattr(files, "PART", 1000)
    path = tmp_path / "app.bin"
    path.write_bytes(bytes(range(250)) * 10)
    return path


@inline
async def test_a_file_is_uploaded_in_parts_once(bench: Any, run: Any, image: Any) -> None:
    code, out, _ = await run("file", "upload", str(image))
    assert (code, out.splitlines()[1].split()[:3]) == (0, ["app.bin", "2500", "2500"])
    (file,) = bench.parts.files.list("default")
    assert bench.parts.files.contents[file.id] == image.read_bytes()
    assert (await run("file", "upload", str(image)))[0] == 0
    assert len(bench.parts.files.contents) == 1
    assert "app.bin" in (await run("files"))[1]
    image.write_bytes(b"other")
    code, _, err = await run("file", "upload", str(image))
    assert (code, "another file 'app.bin'" in err) == (1, True)
    assert (await run("file", "delete", "app.bin"))[0] == 0
    assert bench.parts.files.list("default") == []


@inline
async def test_a_broken_upload_goes_on_where_it_was(bench: Any, run: Any, image: Any) -> None:
    await bench.parts.files.begin("default", "app.bin", 2500, image.read_bytes()[:1500])
    assert (await run("file", "upload", str(image)))[0] == 0
    assert bench.parts.files.get("default", "app.bin").is_whole


@inline
async def test_a_device_is_updated_with_a_local_file(bench: Any, run: Any, image: Any, connect: Any) -> None:
    await connect().ok("PUT", "/devices/kitchen", {})
    bench.parts.updates.states["default", "job1"] = [
        UpdateState("kitchen", "transferring", sent=1000, tries=1)
    ]
    bench.parts.updates.states["default", "job2"] = [UpdateState("kitchen", "failed", reason="no flash")]
    code, out, _ = await run("lwm2m", "kitchen", "firmware", str(image), "--no-wait", "--method", "push")
    assert (code, out.splitlines()[0], out.splitlines()[2].split()[:4]) == (
        0, "job1", ["kitchen", "transferring", "-", "1000"],
    )  # fmt: skip
    what = bench.parts.jobs.begun[0][1].what
    assert (what["device"], what["method"], what["name"]) == ("kitchen", "push", "app.bin")
    code, out, _ = await run("lwm2m", "firmware", "kitchen", str(image), "--no-wait")  # in the other order
    assert (code, "no flash" in out) == (1, True)
    assert (await run("lwm2m", "kitchen", "juggle"))[0] == 2
    assert (await run("lwm2m", "kitchen", "firmware"))[0] == 1
    assert (await run("lwm2m", "kitchen", "firmware", "/nonexistent"))[0] == 1


@inline
async def test_a_group_is_updated_with_an_uploaded_file(bench: Any, run: Any, image: Any) -> None:
    await run("file", "upload", str(image))
    assert (await run("device", "set", "a", "groups=north"))[0] == 0
    code, _, _ = await run("job", "firmware", "app.bin", "--group", "north", "--within", "3600")
    what = bench.parts.jobs.begun[0][1].what
    assert (code, what["group"], what["within"]) == (0, "north", 3600.0)
    bench.parts.updates.states["default", "job1"] = [
        UpdateState("a", "updated", "Idle", "updated successfully")
    ]
    assert "updated successfully" in (await run("job", "devices", "job1"))[1]

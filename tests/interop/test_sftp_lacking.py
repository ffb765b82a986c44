"""Servers that lack operations: that is theirs, and no message is charged for it."""

import hashlib
import json

import pytest
from pytest_twisted import ensureDeferred

from tests.peers.sftp_servers import AsyncsshServer

from .delivering import Delivering, numbers, per_device, until

LACKING = {
    "nothing": ((), set()),
    "rename": (("rename", "posix-rename"), {"rename"}),
    "posix-rename": (("posix-rename",), {"posix-rename"}),
    "fsync": (("fsync",), {"fsync"}),
    "setstat": (("setstat",), set()),
    "dot names": (("dot names",), {"dot names"}),
    "mkdir": (("mkdir",), set()),
    "the right to rename": (("rename denied",), {"rename in some directories"}),
    "remove": (("remove",), set()),
    "all but writing": (
        ("rename", "posix-rename", "fsync", "setstat", "dot names", "mkdir"), {"rename", "fsync", "dot names"},
    ),
    "rename, and says so in German": (("rename", "posix-rename"), {"rename"}),
}  # fmt: skip
IN_PLACE = {"rename", "the right to rename", "all but writing", "rename, and says so in German"}


def said(lacks):
    return {"said": "wird nicht unterstützt"} if "German" in lacks else {}


@pytest.mark.parametrize("lacks", LACKING)
@ensureDeferred
async def test_a_server_that_lacks_something_gets_every_file_whole(tmp_path, lacks):
    operations, told = LACKING[lacks]
    with AsyncsshServer(tmp_path / "server", operations, **said(lacks)) as server:
        for device in "abc":
            (server.root / device).mkdir()
        async with Delivering(
            "sftp", configuration=server.configuration(path="{{ deviceName }}/{{ id }}.json")
        ) as world:
            world.store(*"abc" * 4)
            stats = await world.settled()
            assert (stats["delivered"], stats["dead"], stats["retrying"]) == (12, 0, 0)
            found = server.files()
            assert per_device(sorted(numbers(json.loads(path.read_text()) for path in found))) == {
                "a": [1, 4, 7, 10], "b": [2, 5, 8, 11], "c": [3, 6, 9, 12],
            }  # fmt: skip
            status = stats["target"]
            assert told <= set(status["lacks"])
            assert {path.name for path in server.root.glob("*/*.done")} == (
                {f"{path.name}.done" for path in found} if lacks in IN_PLACE else set()
            )
            if lacks != "remove":
                assert not list(server.root.glob("**/*.part"))


@pytest.mark.parametrize("lacks", LACKING)
@ensureDeferred
async def test_a_file_of_the_same_name_is_replaced(tmp_path, lacks):
    operations, _ = LACKING[lacks]
    with AsyncsshServer(tmp_path / "server", operations, **said(lacks)) as server:
        async with Delivering("sftp", configuration=server.configuration(path="latest.json")) as world:
            for device in ("long-name-of-a-device", "b"):
                world.store(device)
                await world.settled()
            assert world.stats()["delivered"] == 2
            assert json.loads((server.root / "latest.json").read_text())["deviceName"] == "b"


@ensureDeferred
async def test_a_file_that_another_gateway_has_put_in_its_place_is_not_removed(tmp_path):
    """The server refuses to remove anything, so it would be known if that was tried."""
    with AsyncsshServer(tmp_path / "server", ["overtaken", "remove denied"]) as server:
        async with Delivering("sftp", configuration=server.configuration(path="latest.json")) as world:
            world.store("a")
            stats = await world.settled()
            assert (stats["delivered"], stats["dead"]) == (1, 0)
            assert stats["target"]["lacks"] == {}
            assert json.loads((server.root / "latest.json").read_text())["deviceName"] == "a"


@pytest.mark.parametrize("lacks", LACKING)
@ensureDeferred
async def test_a_check_writes_and_leaves_nothing(tmp_path, lacks):
    operations, told = LACKING[lacks]
    with AsyncsshServer(tmp_path / "server", operations, **said(lacks)) as server:
        async with Delivering("sftp", configuration=server.configuration()) as world:
            result = await world.service.check("i1")
            if lacks == "remove":
                assert not result["ok"]
                assert "remove iotgw-probe" in result["detail"]
                return
            assert result["ok"], result
            assert "read back and removed a file" in result["detail"]
            assert all(each in result["detail"] for each in told)
            assert not list(server.root.iterdir())


@pytest.mark.parametrize(
    ("lacks", "why"),
    [("writing", "open .iotgw-probe"), ("space", "write .iotgw-probe")],
)
@ensureDeferred
async def test_a_check_says_which_step_was_refused_where(tmp_path, lacks, why):
    with AsyncsshServer(tmp_path / "server", [lacks]) as server:
        async with Delivering("sftp", configuration=server.configuration()) as world:
            result = await world.service.check("i1")
            assert not result["ok"]
            assert why in result["detail"]
            world.store("a")
            await until(lambda: "a/.E-" in (world.stats()["lastError"] or ""), what="the path of the file")
            assert (world.stats()["dead"], world.stats()["retrying"]) == (0, 0)


@ensureDeferred
async def test_one_folder_that_is_refused_holds_up_nobody_else(tmp_path):
    with AsyncsshServer(tmp_path / "server", refused=["bad"]) as server:
        async with Delivering("sftp", configuration=server.configuration()) as world:
            world.store(*["bad", "a", "b"] * 4)
            await until(lambda: world.stats()["dead"] == 4, what="dead letters")
            stats = await world.settled()
            assert (stats["delivered"], stats["dead"]) == (8, 4)
            assert "delivery.unavailable" not in world.events.types
            letters = await world.service.dead_letters("i1")
            assert all("open bad/.E-" in letter.error for letter in letters)
            assert all("permission denied" in letter.error for letter in letters)


@ensureDeferred
async def test_of_a_batch_only_the_refused_file_fails(tmp_path):
    with AsyncsshServer(tmp_path / "server", refused=["bad"]) as server:
        configuration = server.configuration(files="batch", path="{{ deviceName }}/{{ file }}.json")
        async with Delivering("sftp", configuration=configuration) as world:
            world.service.pause("i1")
            world.store(*["bad", "a", "b"] * 4)
            world.service.resume("i1")
            await until(lambda: world.stats()["delivered"] == 8, what="the others")
            await until(lambda: world.stats()["dead"] == 4, what="dead letters")
            assert "delivery.unavailable" not in world.events.types


@pytest.mark.parametrize("lacks", ["nothing", "rename", "posix-rename", "dot names"])
@ensureDeferred
async def test_no_half_file_passes_for_a_whole_one_however_often_the_server_is_killed(tmp_path, lacks):
    """Where there is no rename, the marker tells."""
    operations, _ = LACKING[lacks]
    server = AsyncsshServer(tmp_path / "server", operations)
    server.start()
    body = b'{"deviceName":"%s","deviceType":"t","attributes":{"x":"%s"},"telemetry":[{"ts":1,"values":{"n":1}}]}'

    def whole():
        files = server.files()
        if lacks == "rename":
            files = [path for path in files if path.with_name(f"{path.name}.done").exists()]
        for path in files:
            assert json.loads(path.read_bytes())["attributes"]["x"] == "y" * 1_500_000
        return len(files)

    try:
        async with Delivering("sftp", configuration=server.configuration(timeout=5.0)) as world:
            for round in range(4):
                for device in "abcde":
                    world.store(device, body=body % (device.encode(), b"y" * 1_500_000))
                await until(lambda goal=5 * round + 1: len(list(server.root.glob("**/*"))) > goal)
                server.kill()
                whole()
                server.start()
            stats = await world.settled(60)
            assert (stats["delivered"], stats["dead"], stats["retrying"]) == (20, 0, 0)
            assert whole() == 20
    finally:
        server.kill()


@ensureDeferred
async def test_a_checksum_stands_beside_each_file_where_that_is_wanted(tmp_path):
    with AsyncsshServer(tmp_path / "server") as server:
        async with Delivering("sftp", configuration=server.configuration(marker="sha256")) as world:
            world.store("a", "b")
            await world.settled()
            found = server.files()
            assert len(found) == 2
            for path in found:
                line = f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
                assert path.with_name(f"{path.name}.sha256").read_text() == line


@pytest.mark.parametrize(
    ("temporary", "seen"), [("{name}.tmp", "a.json.tmp"), ("up/{name}", "up/a.json"), ("", "")]
)
@ensureDeferred
async def test_the_name_aside_is_the_users_choice(tmp_path, temporary, seen):
    with AsyncsshServer(tmp_path / "server", ["dot names"]) as server:
        configuration = server.configuration(path="{{ deviceName }}.json", temporary=temporary)
        async with Delivering("sftp", configuration=configuration) as world:
            world.store("a")
            stats = await world.settled()
            assert (server.root / "a.json").exists()
            assert "dot names" not in stats["target"]["lacks"]
            assert (server.root / "a.json.done").exists() == (not temporary)


@ensureDeferred
async def test_devices_with_one_path_take_turns(tmp_path):
    with AsyncsshServer(tmp_path / "server") as server:
        async with Delivering("sftp", configuration=server.configuration(path="one.json")) as world:
            world.store(*"abcdefgh" * 5)
            stats = await world.settled()
            assert (stats["delivered"], stats["dead"]) == (40, 0)
            assert json.loads((server.root / "one.json").read_text())["deviceName"] in "abcdefgh"


@ensureDeferred
async def test_a_folder_that_was_cleared_away_is_made_again(tmp_path):
    with AsyncsshServer(tmp_path / "server") as server:
        async with Delivering("sftp", configuration=server.configuration(path="x/y/{{ key }}.json")) as world:
            world.store("a")
            await world.settled()
            (server.files()[0]).unlink()
            (server.root / "x/y").rmdir()
            world.store("a")
            assert (await world.settled())["delivered"] == 2
            assert len(server.files()) == 1


@ensureDeferred
async def test_a_server_that_is_nearly_full_is_waited_for_and_batches_stay_batches(tmp_path):
    """Each message alone would fit where a batch doesn't."""
    room = tmp_path / "room"
    room.write_text("100000")
    with AsyncsshServer(tmp_path / "server", room=str(room)) as server:
        more = {"files": "batch", "batchSize": 50, "path": "{{ file }}.json"}
        async with Delivering("sftp", configuration=server.configuration(**more)) as world:
            batch = "abcdefghij" * 3

            def store():
                world.service.pause("i1")
                world.store(*batch)
                world.service.resume("i1")

            store()
            await world.settled()
            room.write_text("1000")
            store()
            await until(
                lambda: world.events.types.count("delivery.unavailable"), what="the target to be down"
            )
            stats = world.stats()
            assert "no room for" in stats["lastError"]
            assert (stats["delivered"], stats["waiting"] + stats["inflight"]) == (30, 30)
            room.write_text("100000")
            stats = await world.settled(60)
            assert (stats["delivered"], stats["dead"], stats["retrying"]) == (60, 0, 0)
            sizes = [len(json.loads(path.read_text())) for path in server.files()]
            assert sum(sizes) == 60 and min(sizes) > 1, sizes

"""What is asked of every SFTP server in every state: each file whole, or nothing charged while none can be written."""

import json
import subprocess

import pytest

from .delivering import Delivering, numbers, per_device, until

BODY = b'{"deviceName":"%b","deviceType":"t","attributes":{"x":"%b"},"telemetry":[{"ts":1,"values":{"n":1}}]}'


async def takes_everything(server, lacks=(), **settings):
    """Files of all sizes arrive whole and once; the status says what the server lacks; `check` says that it works."""
    for device in "abc":
        (server.root / device).mkdir()
    configuration = server.configuration(path="{{ deviceName }}/{{ id }}.json", **settings)
    async with Delivering("sftp", configuration=configuration) as world:
        checked = await world.service.check("i1")
        assert checked["ok"], checked
        world.store(*"abc" * 3)
        for device in b"abc":
            world.store(chr(device), body=BODY % (bytes((device,)), b"y" * 200_000))
        stats = await world.settled(60)
        assert (stats["delivered"], stats["dead"], stats["retrying"]) == (12, 0, 0), stats
        assert set(lacks) <= set(stats["target"]["lacks"]), stats["target"]
        found = [json.loads(path.read_text()) for path in server.files()]
        assert len(found) == 12
        assert sum(len(each["attributes"].get("x", "")) for each in found) == 600_000
        assert sum(each["telemetry"][0]["values"]["n"] for each in found) > 12
        assert not list(server.root.glob("**/*.part"))
        assert not list(server.root.glob("iotgw*"))


async def replaces(server, **settings):
    """A file of the same name is replaced, by a shorter one too."""
    configuration = server.configuration(path="latest.json", **settings)
    async with Delivering("sftp", configuration=configuration) as world:
        for device in ("long-name-of-a-device", "b"):
            world.store(device)
            await world.settled(60)
        stats = world.stats()
        assert (stats["delivered"], stats["dead"], stats["retrying"]) == (2, 0, 0), stats
        assert json.loads((server.root / "latest.json").read_text())["deviceName"] == "b"
        assert not list(server.root.glob("**/*.part"))


async def waits(server, why, **settings):
    """Nothing can be written: the target is down, and no message is charged."""
    configuration = server.configuration(path="{{ deviceName }}.json", **settings)
    async with Delivering("sftp", configuration=configuration) as world:
        checked = await world.service.check("i1")
        if server.checks_small is False:
            assert not checked["ok"], checked
        for device in b"abc":
            world.store(chr(device), body=BODY % (bytes((device,)), b"y" * 200_000))
        await until(lambda: world.stats()["state"] == "unavailable", what="the target to be down")
        stats = world.stats()
        assert why in stats["lastError"], stats
        assert (stats["delivered"], stats["dead"], stats["retrying"]) == (0, 0, 0), stats
        assert not server.files() or server.checks_small


async def refuses_one(server, **settings):
    """One folder is refused: the others' files go on, and the target isn't down."""
    configuration = server.configuration(path="{{ deviceName }}/{{ id }}.json", **settings)
    async with Delivering("sftp", configuration=configuration) as world:
        world.store(*["bad", "a", "b"] * 3)
        await until(lambda: world.stats()["dead"] == 3, 60, what="dead letters")
        stats = await world.settled(60)
        assert (stats["delivered"], stats["dead"]) == (6, 3)
        assert "delivery.unavailable" not in world.events.types
        arrived = per_device(sorted(numbers(json.loads(path.read_text()) for path in server.files())))
        assert arrived == {"a": [2, 5, 8], "b": [3, 6, 9]}


class SmallDisk:
    """A full disk: a few pages of memory in the place of a server's files."""

    def __init__(self, path):
        self._path = path

    def __enter__(self):
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", self._path], check=False)
        if mounted.returncode:
            pytest.skip("mounting is not allowed here")

    def __exit__(self, *exc):
        subprocess.run(["umount", "-l", self._path], check=True)

import csv
import json

import pytest
from msgspec import structs
from pytest_twisted import ensureDeferred

from tests.peers.sshd import Sshd, make_key

from .delivering import Delivering, numbers, per_device, until

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def settings(server, tmp_path):
    def make(**more):
        more["path"] = f"{tmp_path}/out/{more.pop('path', '{{ deviceName }}/{{ key }}.json')}"
        return {
            "host": "127.0.0.1", "port": server.port, "username": "root", "privateKey": server.user_key.read_text(),
            "hostKeys": [server.host_public_key], **more,
        }  # fmt: skip

    return make


def found(tmp_path, pattern="**/*"):
    return sorted(p for p in (tmp_path / "out").glob(pattern) if p.is_file())


@ensureDeferred
async def test_a_file_per_message(settings, tmp_path):
    async with Delivering("sftp", configuration=settings()) as world:
        world.store(*["a/..", "b"] * 10)
        await world.settled()
        files = found(tmp_path)
        assert len(files) == 20
        assert {p.parent.name for p in files} == {"a_..", "b"}
        assert per_device(numbers(json.loads(p.read_text()) for p in files)).keys() == {"a/..", "b"}
        assert not list((tmp_path / "out").glob("**/.*"))


@ensureDeferred
async def test_batches_as_ndjson(settings, tmp_path):
    configuration = settings(files="batch", content="ndjson", path="{{ file }}.ndjson", batchSize=40)
    async with Delivering("sftp", configuration=configuration) as world:
        world.service.pause("i1")
        world.store(*"abcde" * 20)
        world.service.resume("i1")
        await world.settled()
        files = found(tmp_path)
        assert 3 <= len(files) <= 4
        documents = [json.loads(line) for p in files for line in p.read_text().splitlines()]
        assert len(documents) == 100


@ensureDeferred
async def test_csv_has_a_file_per_device_type_and_a_header_that_stays(settings, tmp_path):
    configuration = settings(files="batch", content="csv", path="{{ file }}_{{ deviceType }}.csv")
    body = '{"deviceName":"m","deviceType":"meter","attributes":{},"telemetry":[{"ts":0,"values":%s}]}'
    async with Delivering("sftp", configuration=configuration) as world:
        world.service.pause("i1")
        world.store("m", device_type="meter", body=body.replace("%s", '{"v":1.5,"note":"=1+1"}').encode())
        world.store("s", device_type="sensor")
        world.service.resume("i1")
        await world.settled()
        world.store("m", device_type="meter", body=body.replace("%s", '{"a":2}').encode())
        await world.settled()
        meters = [list(csv.reader(p.read_text().splitlines())) for p in found(tmp_path, "*_meter.csv")]
        assert meters == [
            [["time", "deviceName", "deviceType", "note", "v"],
             ["1970-01-01T00:00:00.000Z", "m", "meter", "'=1+1", "1.5"]],
            [["time", "deviceName", "deviceType", "note", "v", "a"],
             ["1970-01-01T00:00:00.000Z", "m", "meter", "", "", "2"]],
        ]  # fmt: skip
        assert len(found(tmp_path, "*_sensor.csv")) == 1


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
@ensureDeferred
async def test_keys_of_every_kind(server, settings, tmp_path, kind):
    key = tmp_path / "key"
    make_key(key, kind, passphrase="open")
    authorized = server.user_key.parent / "authorized_keys"
    before = authorized.read_text()
    authorized.write_text(before + key.with_suffix(".pub").read_text())
    configuration = settings(privateKey=key.read_text(), passphrase="open")
    async with Delivering("sftp", configuration=configuration) as world:
        result = await world.service.check("i1")
        assert result["ok"]
        assert result["detail"].startswith(
            "logged in as root; wrote and renamed, read back and removed a file"
        )
    authorized.write_text(before)


@ensureDeferred
async def test_a_changed_host_key_is_refused(settings, tmp_path):
    other = tmp_path / "other"
    make_key(other)
    pin = " ".join(other.with_suffix(".pub").read_text().split()[:2])
    async with Delivering("sftp", configuration=settings(hostKeys=[pin])) as world:
        world.store("a")
        await until(lambda: "host key" in (world.stats()["lastError"] or ""))
        assert not found(tmp_path)
        assert world.stats()["waiting"] + world.stats()["inflight"] == 1
        # somebody looked, and put in the new one
        right = structs.replace(world.spec, configuration=settings())
        await world.service.apply("i1", "one", "default", right)
        assert (await world.settled())["delivered"] == 1


@ensureDeferred
async def test_a_wrong_key_is_said_and_costs_no_message(settings, tmp_path):
    make_key(tmp_path / "wrong")
    configuration = settings(privateKey=(tmp_path / "wrong").read_text(), password="wrong")
    async with Delivering("sftp", configuration=configuration) as world:
        result = await world.service.check("i1")
        assert not result["ok"]
        assert "auth" in result["detail"].lower()
        world.store("a", "b")
        await until(lambda: "auth" in (world.stats()["lastError"] or "").lower())
        await world.service.apply(
            "i1", "one", "default", structs.replace(world.spec, configuration=settings())
        )
        stats = await world.settled()
        assert (stats["delivered"], stats["dead"]) == (2, 0)


@ensureDeferred
async def test_a_server_that_is_killed_gets_everything_later(server, settings, tmp_path):
    async with Delivering("sftp", configuration=settings()) as world:
        world.store(*"abc")
        await world.settled()
        server.kill()
        world.store(*"abcabc")
        await until(lambda: world.stats()["state"] == "unavailable" or not world.stats()["waiting"])
        server.start()
        stats = await world.settled()
        assert stats["delivered"] == 9
        assert len(found(tmp_path)) == 9


@ensureDeferred
async def test_known_hosts(server, settings, tmp_path):
    line = f"[127.0.0.1]:{server.port} {server.host_public_key}\n"
    async with Delivering("sftp", configuration=settings(hostKeys=[], knownHosts=line)) as world:
        assert (await world.service.check("i1"))["ok"]

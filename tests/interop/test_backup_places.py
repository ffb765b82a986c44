"""Backups at a real sshd and in a bucket: whole ones, halves after a kill, and the way back."""

import os
import subprocess
import sys
import threading
import time
import urllib.request

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from iotgw.backups.pieces import PieceReader
from iotgw.backups.s3 import S3Place
from iotgw.backups.sftp import SftpPlace
from iotgw.connect.endpoint import Connector
from iotgw.core.backup_plan import BackupPlan
from iotgw.core.errors import Unavailable
from tests.peers.aws import REGION, Moto
from tests.peers.gateway import ROOT, Gateway
from tests.peers.process import wait_until
from tests.peers.sshd import Sshd

pytestmark = pytest.mark.interop
SECRET = "not so secret"


@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    with Moto(tmp_path_factory.mktemp("moto")) as made:
        yield made


@pytest.fixture
def sshd(tmp_path):
    with Sshd(tmp_path / "sshd") as made:
        yield made


def bucket(moto, name):
    scope = f"AKIDEXAMPLE/20260101/{REGION}/s3/aws4_request"
    said = {
        "Content-Type": "application/xml",
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none",
        "X-Amz-Date": "20260101T000000Z",
    }
    body = f"<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
    asked = urllib.request.Request(f"{moto.url}/{name}", body.encode(), said, method="PUT")
    with urllib.request.urlopen(asked) as answer:
        assert answer.status == 200
    return name


def s3(moto, name, **more):
    return BackupPlan(
        to=f"s3://{name}/gateways/one", endpoint=moto.url, region=REGION, access_key_id="AKIDEXAMPLE",
        secret_access_key=SECRET, **more,
    )  # fmt: skip


def sftp(sshd, folder="backups/one", **more):
    return BackupPlan(
        to=f"sftp://root@127.0.0.1:{sshd.port}{sshd.root}/{folder}", private_key=sshd.user_key.read_text(),
        host_keys=[sshd.host_public_key], **more,
    )  # fmt: skip


@pytest.fixture(params=["sftp", "s3"])
def place(request, tmp_path):
    connector = Connector(reactor, allow=["loopback"])
    pieces = PieceReader(reactor, deferToThread)
    if request.param == "sftp":
        return SftpPlace(sftp(request.getfixturevalue("sshd")), reactor, connector, pieces)
    moto = request.getfixturevalue("moto")
    name = bucket(moto, f"b-{os.urandom(4).hex()}")
    return S3Place(s3(moto, name), reactor, connector, pieces, time.time, part=5 << 20)


@pytest.fixture
def made(tmp_path):
    """What a backup may have: an empty file, a small one, one of several parts, and one for a device."""
    folder = tmp_path / "made"
    (folder / "device-files").mkdir(parents=True)
    (folder / "empty").write_bytes(b"")
    (folder / "registry.db").write_bytes(os.urandom(5000))
    (folder / "journal.db").write_bytes(os.urandom((11 << 20) + 7))
    (folder / "device-files" / "a1").write_bytes(b"firmware")
    (folder / "manifest.json").write_text("{}")
    return folder


FILES = ["empty", "journal.db", "registry.db", "device-files/a1", "manifest.json"]


@ensureDeferred
async def test_what_is_sent_is_listed_comes_back_and_can_be_removed(place, made, tmp_path):
    assert await place.names() == []
    await place.tidy("n-")
    await place.send("n-1", made, FILES)
    await place.send("n-2", made, FILES)
    assert await place.names() == ["n-1", "n-2"]
    for file in FILES:
        back = tmp_path / "back" / file
        back.parent.mkdir(parents=True, exist_ok=True)
        await place.fetch("n-1", file, back)
        assert back.read_bytes() == (made / file).read_bytes(), file
    await place.remove("n-1")
    assert await place.names() == ["n-2"]
    await place.close()


@ensureDeferred
async def test_what_is_not_whole_does_not_count_and_is_taken_away(place, made):
    reading = PieceReader.of

    def broken(self, path, piece=0):
        if path.name == "registry.db":
            raise Unavailable("cut off")
        return reading(self, path, piece)

    place._pieces.of = lambda path, piece=0: broken(place._pieces, path, piece)
    with pytest.raises(Unavailable):
        await place.send("n-1", made, FILES)
    assert await place.names() == []
    del place._pieces.of
    await place.tidy("n-")
    await place.send("n-1", made, FILES)
    assert await place.names() == ["n-1"]
    await place.close()


@ensureDeferred
async def test_a_place_that_is_away_or_refuses_is_said_without_secrets(moto, sshd, tmp_path, made):
    connector = Connector(reactor, allow=["loopback"])
    pieces = PieceReader(reactor, deferToThread)
    nowhere = S3Place(s3(moto, "no-such-bucket"), reactor, connector, pieces, time.time)
    with pytest.raises(Unavailable, match="NoSuchBucket") as found:
        await nowhere.names()
    assert SECRET not in str(found.value)
    await nowhere.close()
    plan = sftp(sshd)
    port = sshd.port
    sshd.stop()
    away = SftpPlace(plan, reactor, connector, pieces)
    with pytest.raises(Unavailable, match=f"127.0.0.1:{port}.*refused"):
        await away.send("n-1", made, FILES)


# --- a whole gateway ---


def ctl(gateway, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "iotgw.ctl.main", "--url", gateway.url, "--token-file", gateway.data / "admin-token", *arguments],
        cwd=gateway.folder, env={"PYTHONPATH": str(ROOT), "PATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def plan_of(sshd, folder):
    (folder / "id").write_text(sshd.user_key.read_text())
    return (
        f'[backup.nas]\nto = "sftp://root@127.0.0.1:{sshd.port}{sshd.root}/nas"\nprivate-key = "file:id"\n'
        f'host-keys = ["{sshd.host_public_key}"]\nkeep-last = 2\nwith-key = true\n'
    )


def fill(gateway, count, size=200_000):
    gateway.create("datasources", name="http", type="http", routingKey="key", converter="json")
    for number in range(count):
        body = b'{"deviceName": "dev-%d", "filler": "%s"}' % (number, b"x" * size)
        assert gateway.post("key", body).status == 204


def test_a_gateway_sends_its_backups_keeps_two_and_is_restored_from_there(tmp_path, sshd):
    folder = tmp_path / "gateway"
    folder.mkdir()
    gateway = Gateway(folder, settings=plan_of(sshd, folder))
    with gateway.start():
        fill(gateway, 3, 100)
        for _ in range(3):
            time.sleep(1.1)  # names have seconds
            done = ctl(gateway, "backup", "--to", "nas")
            assert done.returncode == 0, done.stderr
        listed = ctl(gateway, "backups", "--json")
        assert '"failed": null' in listed.stdout
        metrics = gateway.api("GET", "/metrics").body.decode()
        assert 'iotgw_backup_failures_total{plan="nas"} 0' in metrics
        assert 'iotgw_backup_last_success_seconds{plan="nas"}' in metrics
        sent = {each["id"] for each in gateway.all_messages()}
    assert len([*(sshd.root / "nas").iterdir()]) == 2
    config = gateway.config
    whole = ctl(gateway, "backup", "verify", "nas", "--config", config)
    assert (whole.returncode, "is whole" in whole.stdout, "the key fits" in whole.stdout) == (
        0,
        True,
        True,
    ), whole.stderr
    newest = max((sshd.root / "nas").iterdir())
    (newest / "journal.db").write_bytes(b"harmed")
    harmed = ctl(gateway, "backup", "verify", f"nas/{newest.name}", "--config", config)
    assert (harmed.returncode, "is not what was written" in harmed.stderr) == (2, True), harmed.stdout
    older = min((sshd.root / "nas").iterdir())
    done = ctl(gateway, "restore", f"nas/{older.name}", "--config", config, "--data-dir", tmp_path / "again")
    assert done.returncode == 0, done.stderr
    gateway.data.rename(tmp_path / "lost")
    (tmp_path / "again").rename(gateway.data)
    with gateway.start():
        assert {each["id"] for each in gateway.all_messages()} == sent


@pytest.mark.parametrize("moment", [0.05, 0.2, 0.5, 1.0, 1.6])
def test_a_kill_amid_a_backup_leaves_no_half_that_counts(tmp_path, sshd, moment):
    folder = tmp_path / "gateway"
    folder.mkdir()
    gateway = Gateway(folder, settings=plan_of(sshd, folder))
    with gateway.start():
        fill(gateway, 100)
        asking = threading.Thread(target=ctl, args=(gateway, "backup", "--to", "nas"))
        asking.start()
        time.sleep(moment)
        gateway.kill()
        asking.join()
    there = sshd.root / "nas"
    whole = [each.name for each in there.iterdir() if not each.name.startswith(".")] if there.exists() else []
    for name in whole:
        assert ctl(gateway, "backup", "verify", there / name).returncode == 0
    with gateway.start():
        wait_until(
            lambda: not (gateway.data / "backups" / ".sending").exists(), what="the rest to be removed"
        )
        done = ctl(gateway, "backup", "--to", "nas")
        assert done.returncode == 0, done.stderr
    assert not [each for each in there.iterdir() if each.name.startswith(".")]

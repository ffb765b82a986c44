"""Nobody but the gateway's user reads its data: whatever the umask, whoever made the directory, and after a restore."""

import json
import os
import stat
import subprocess
import sys

import pytest

from tests.peers.gateway import ROOT, Gateway

SETTINGS = "[log]\nrotate-bytes = 300\nkeep = 3\n"


def with_umask(umask, *command):
    return ["sh", "-c", f'umask {umask}; exec "$@"', "sh", *map(str, command)]


class UnderUmask(Gateway):
    def __init__(self, folder, umask, *options):
        super().__init__(folder, settings=SETTINGS)
        at = self.args.index("--nodaemon")
        self.args = with_umask(umask, *self.args[:at], *options, *self.args[at:])


def open_to_others(folder):
    """What others could reach, by path."""
    return {
        str(path.relative_to(folder)): oct(stat.S_IMODE(path.lstat().st_mode))
        for path in (folder, *folder.rglob("*"))
        if path.lstat().st_mode & 0o077
    }


def use(gateway):
    """Everything that makes a file."""
    gateway.create("datasources", name="http", type="http", routingKey="key", converter="json")
    for n in range(30):
        gateway.post("key", json.dumps({"deviceName": "d", "n": n}).encode())
        gateway.post("wrong", b"")  # lines of the log
    gateway.message_when("converted")
    assert gateway.api("POST", "/backups", {"name": "copy", "withKey": True}).status in (200, 201)
    assert (gateway.data / "journal.db-wal").exists()


@pytest.mark.parametrize(("umask", "options"), [("000", ()), ("022", ()), ("000", ("--umask", "0"))])
def test_all_files_of_a_new_gateway_are_its_own(tmp_path, umask, options):
    with UnderUmask(tmp_path / "gateway", umask, *options).start() as gateway:
        use(gateway)
        assert len(list(gateway.data.glob("iotgw.log*"))) > 1
        assert open_to_others(gateway.data) == {}


def test_a_directory_that_was_open_is_closed_and_the_event_says_so(tmp_path):
    with UnderUmask(tmp_path / "gateway", "022").start() as gateway:
        use(gateway)
        gateway.stop()
        for path in (gateway.data, *gateway.data.rglob("*")):
            path.chmod(0o777 if path.is_dir() else 0o666)
        with gateway.start():
            assert open_to_others(gateway.data) == {}
            (event,) = gateway.api("GET", "/events?type=made-private").json["items"]
            assert f"{gateway.data} was 0777" in event["message"]


def test_restored_copies_are_private_whatever_the_umask(tmp_path):
    with UnderUmask(tmp_path / "gateway", "022").start() as gateway:
        use(gateway)
        gateway.stop()
        backup = gateway.data / "backups" / "copy"
        for path in backup.iterdir():
            path.chmod(0o666)  # it was copied here and there
        target = tmp_path / "target"
        command = [
            sys.executable,
            "-m",
            "iotgw.ctl.main",
            "restore",
            backup,
            "--data-dir",
            target,
            "--paused",
        ]
        done = subprocess.run(
            with_umask("000", *command), cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert (target / "secret.key").exists() and (target / "paused").exists()
        assert open_to_others(target) == {}

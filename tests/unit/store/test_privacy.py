"""A data directory that an older version or somebody's `chmod` left open is made private at the start."""

import stat

import pytest

from iotgw import testing
from iotgw.app.privacy import make_private, tell_opened
from iotgw.config.settings import LogSection, Settings, StoreSection
from iotgw.core.recorder import Recorder
from iotgw.store.privacy import tighten

NAMES = [
    "journal.db", "journal.db-wal", "journal.db-shm", "journal.db-open", "registry.db", "devices.damaged", "secret.key",
    "secret.key.new", "admin-token", "lock", "paused", "restoring", "new-admin-token", "mqtt-12.json", "sftp-3.json", "iotgw.log", "iotgw.log.2",
    "backups/nightly/journal.db", "backups/nightly/manifest.json", "before-restore-20260101-000000-7/secret.key",
    "old-backups/one/manifest.json", "old-backups/one/registry.db",
]  # fmt: skip


def mode(path):
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def data(tmp_path):
    """As versions before left it under a umask of 022."""
    folder = tmp_path / "data"
    for name in NAMES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        path.chmod(0o644)
    for path in (folder, *(each for each in folder.rglob("*") if each.is_dir())):
        path.chmod(0o755)
    return folder


def test_everything_in_it_becomes_the_owner_s_alone(data):
    opened = tighten(data, data / "backups", data / "iotgw.log")
    assert {path.name: oct(mode(path)) for path in data.rglob("*") if mode(path) & 0o077} == {}
    assert mode(data) == 0o700
    assert (opened.tightened[str(data)], opened.tightened[str(data / "journal.db-wal")]) == ("0755", "0644")
    assert opened.left == {}
    assert tighten(data, data / "backups", data / "iotgw.log").tightened == {}


def test_the_settings_name_the_log_and_the_backups(data):
    for name in ("logs/own.log", "copies/nightly/manifest.json"):
        (data / name).parent.mkdir(parents=True)
        (data / name).touch(mode=0o644)
    settings = Settings(log=LogSection(file="logs/own.log"), store=StoreSection(backup_directory="copies"))
    opened = make_private(data, settings)
    assert {str(data / "logs/own.log"), str(data / "copies"), str(data / "copies/nightly/manifest.json")} <= {
        *opened.tightened
    }
    assert (opened.left, mode(data)) == ({}, 0o700)


def test_uploaded_files_are_private_and_their_directory_is_nobody_else_s(data):
    (data / "device-files").mkdir(mode=0o755)
    (data / "device-files" / "1").touch(mode=0o644)
    opened = make_private(data, Settings())
    assert (opened.left, mode(data)) == ({}, 0o700)
    assert (mode(data / "device-files"), mode(data / "device-files" / "1")) == (0o700, 0o600)


def test_the_certificates_are_an_operator_s_and_stay_as_they_are(data):
    (data / "certificates").mkdir(mode=0o750)
    (data / "certificates" / "server.key").touch(mode=0o640)
    opened = make_private(data, Settings())
    assert (opened.left, mode(data)) == ({}, 0o700)
    assert mode(data / "certificates" / "server.key") == 0o640


def test_files_of_somebody_else_s_and_links_are_not_touched(data, tmp_path):
    (tmp_path / "elsewhere.db").touch(mode=0o644)
    (data / "link.db").symlink_to(tmp_path / "elsewhere.db")
    (data / "iotgw.toml").touch(mode=0o644)
    tighten(data, data / "backups", None)
    assert (mode(tmp_path / "elsewhere.db"), mode(data / "iotgw.toml")) == (0o644, 0o644)


def test_a_directory_that_others_keep_their_directories_in_is_left_and_said(data):
    (data / "nginx").mkdir()
    opened = tighten(data, data / "backups", None)
    assert (mode(data), mode(data / "journal.db")) == (0o755, 0o600)
    assert opened.left == {
        str(data): "nginx in it isn't the gateway's; give the gateway a data directory of its own"
    }


def test_a_directory_for_everybody_is_left_and_said(data):
    data.chmod(0o1777)
    opened = tighten(data, data / "backups", None)
    assert mode(data) == 0o777 | stat.S_ISVTX and "for everybody" in opened.left[str(data)]


def test_a_file_that_belongs_to_somebody_else_is_said(data, monkeypatch):
    def refuse(path, mode):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("pathlib.Path.chmod", refuse)  # root could
    opened = tighten(data, data / "backups", None)
    assert opened.tightened == {}
    assert opened.left[str(data / "journal.db")].startswith("Operation not permitted; it belongs to user ")


def test_it_is_an_event(data):
    events = testing.MemoryEvents()
    (data / "theirs").mkdir()
    tell_opened(tighten(data, data / "backups", None), data, Recorder(events, testing.clock()))
    assert [(event.type, event.name, event.severity) for event in events.emitted] == [
        ("made-private", "data", "warning"),
        ("not-private", "data", "error"),
    ]
    assert f"{data / 'admin-token'} was 0644" in events.emitted[0].message
    assert events.emitted[0].message.endswith(" more; they can't any more")


def test_a_private_directory_is_no_event(tmp_path):
    events = testing.MemoryEvents()
    (tmp_path / "data").mkdir(mode=0o700)
    opened = tighten(tmp_path / "data", tmp_path / "data" / "backups", None)
    tell_opened(opened, tmp_path / "data", Recorder(events, testing.clock()))
    assert events.emitted == []

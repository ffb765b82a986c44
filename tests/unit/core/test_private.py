"""What the gateway makes is its own, whatever the umask that it was started with."""

import os
import stat

import pytest

from iotgw.core import private
from iotgw.store.sqlite import database


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path):
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.usefixtures("umask")
def test_a_directory_and_a_file_are_made_for_their_owner_only(tmp_path):
    private.make_directory(tmp_path / "made")
    private.make_file(tmp_path / "made" / "file")
    private.write_file(tmp_path / "made" / "written", b"content")
    assert mode(tmp_path / "made") == 0o700
    assert [mode(path) for path in sorted((tmp_path / "made").iterdir())] == [0o600, 0o600]
    assert (tmp_path / "made" / "written").read_bytes() == b"content"


@pytest.mark.usefixtures("umask")
def test_a_database_has_side_files_that_nobody_else_reads(tmp_path):
    connection = database.connect(tmp_path / "some.db")
    connection.execute("CREATE TABLE t (c)")
    found = {path.name: mode(path) for path in tmp_path.iterdir()}
    connection.close()
    assert found == {"some.db": 0o600, "some.db-wal": 0o600, "some.db-shm": 0o600}


def test_what_is_there_already_is_kept(tmp_path):
    path = tmp_path / "file"
    path.write_text("content")
    private.make_file(path)
    assert path.read_text() == "content"


def test_no_link_is_followed_to_where_somebody_else_wants_it_written(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(OSError):
        private.write_file(tmp_path / "link", b"content")
    private.make_file(tmp_path / "link")
    assert not (tmp_path / "target").exists()


def test_a_process_keeps_what_its_libraries_make_to_itself(tmp_path):
    before = os.umask(0)
    try:
        private.keep_to_ourselves()
        (tmp_path / "file").touch()
        (tmp_path / "folder").mkdir()
    finally:
        os.umask(before)
    assert (mode(tmp_path / "file"), mode(tmp_path / "folder")) == (0o600, 0o700)

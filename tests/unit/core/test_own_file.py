"""An integration's own files are found by its id, replaced as a whole, and go with it."""

import pytest

from iotgw.core.own_file import OwnFile, path_of, remove_all

ID = "0123456789abcdef"


def test_what_was_written_is_read_again_and_nobody_else_may_read_it(tmp_path):
    file = OwnFile(path_of(str(tmp_path), "sftp", ID))
    file.write({"a": ["b"]})
    assert file.read(dict[str, list[str]]) == {"a": ["b"]}
    assert (tmp_path / f"sftp-{ID}.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b"[1]", b'{"a": 1}', b"\xff"])
def test_what_cannot_be_read_is_nothing(tmp_path, content):
    path = path_of(str(tmp_path), "sftp", ID)
    (tmp_path / f"sftp-{ID}.json").write_bytes(content)
    assert OwnFile(path).read(dict[str, list[str]]) is None


@pytest.mark.parametrize(("data_dir", "id"), [("", ID), ("/tmp", "")])
def test_without_a_place_nothing_is_kept(data_dir, id):
    file = OwnFile(path_of(data_dir, "sftp", id))
    file.write({})
    assert not file and file.read(dict) is None


def test_all_files_of_an_integration_are_removed_and_no_others(tmp_path):
    mine = [f"parts-{ID}.json", f"sftp-{ID}.json", f"sftp-{ID}.new", f"my-own-{ID}.db"]
    others = ["parts-fedcba9876543210.json", f"mqtt-{ID}x.json", "journal.db", f"{ID}.json"]
    for name in mine + others:
        (tmp_path / name).write_text("{}")
    remove_all(str(tmp_path), ID)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)
    remove_all(str(tmp_path), ID)
    remove_all(str(tmp_path), "")
    remove_all("", ID)
    assert len(list(tmp_path.iterdir())) == len(others)

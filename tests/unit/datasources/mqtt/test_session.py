"""What is remembered of a session at a broker."""

import pytest

from iotgw.datasources.mqtt.session import Kept, Memory

KEPT = Kept(broker="h:1883", client_id="c", filters=("a/#", "b"))


@pytest.fixture
def said():
    return []


def test_what_was_kept_is_there_after_a_restart(tmp_path, said):
    Memory(str(tmp_path), "ds", said.append).keep(KEPT)
    again = Memory(str(tmp_path), "ds", said.append)
    assert again.kept == KEPT
    assert again.kept.is_of("h:1883", "c")
    assert not again.kept.is_of("h:1883", "other")
    assert said == []


def test_each_datasource_has_its_own_and_a_forgotten_one_is_gone(tmp_path, said):
    one, two = Memory(str(tmp_path), "1", said.append), Memory(str(tmp_path), "2", said.append)
    one.keep(KEPT)
    two.keep(Kept())
    one.forget()
    one.forget()
    assert Memory(str(tmp_path), "1", said.append).kept is None
    assert [file.name for file in tmp_path.iterdir()] == ["mqtt-2.json"]


@pytest.mark.parametrize("garbage", [b"", b"\xff", b"[]", b'{"filters": 5}', b"[" * 100_000])
def test_garbage_in_its_file_is_told_of_and_written_anew(tmp_path, said, garbage):
    (tmp_path / "mqtt-ds.json").write_bytes(garbage)
    memory = Memory(str(tmp_path), "ds", said.append)
    assert memory.kept is None
    assert "mqtt-ds.json can't be read" in said[0]
    memory.keep(KEPT)
    assert Memory(str(tmp_path), "ds", said.append).kept == KEPT


def test_a_file_that_can_not_be_written_is_told_of(tmp_path, said):
    memory = Memory(str(tmp_path / "nowhere"), "ds", said.append)
    memory.keep(KEPT)
    assert memory.kept == KEPT
    assert "mqtt-ds.json can't be written" in said[0]

"""What was removed stays so, whatever was under way."""

import pytest
from msgspec import structs
from twisted.internet.defer import Deferred

from iotgw.core.errors import NotFound
from iotgw.core.verdict import DELIVERED, Rejected, Retry
from tests.unit.delivery.worlds import World


def is_gone(world):
    for _ in range(5):
        world.clock.advance(1)
    with pytest.raises(NotFound):
        world.service.entry("i1")
    return world.journal.cursors == {} and world.journal.parked == {}


def test_one_that_is_removed_while_it_is_reordered_does_not_come_back():
    world = World()
    world.store("a")
    stopped = Deferred()
    world.target.stop = lambda: stopped
    world.service.apply("i1", "one", "default", structs.replace(world.spec, order="none"))
    world.target.answer_all()
    world.service.remove("i1")
    stopped.callback(None)
    assert is_gone(world)
    assert len(world.types.get("fake").targets) == 2


def test_one_that_is_removed_while_its_rows_are_read_does_not_come_back():
    world = World(apply=False)
    world.journal.slow = []
    world.service.apply("i1", "one", "default", world.spec)
    world.service.remove("i1")
    while world.journal.slow:
        deferred, rows = world.journal.slow.pop(0)
        deferred.callback(rows)
    assert is_gone(world)


def test_one_that_is_removed_while_it_waits_for_quiet_does_not_come_back():
    world = World()
    world.store("a")
    world.service.apply("i1", "one", "default", structs.replace(world.spec, description="new"))
    world.service.remove("i1")
    assert is_gone(world)


def test_what_is_under_way_for_a_removed_one_writes_nothing():
    world = World(says=lambda records: Rejected("never"))
    world.store("a", "b")
    world.clock.advance(1)
    world.journal.slow = []
    world.service.dismiss("i1")
    world.service.remove("i1")
    slow, world.journal.slow = world.journal.slow, None
    for deferred, rows in slow:
        deferred.callback(rows)
    assert is_gone(world)


def test_a_removed_one_that_is_made_again_begins_anew():
    world = World()
    world.store("a")
    world.service.remove("i1")
    world.service.apply("i1", "one", "default", world.spec)
    assert world.stats()["queued"] == 0


def files_of_world(folder, **spec):
    """A world with a data directory in which the target has kept a file."""
    world = World(apply=False)
    world.service._targets._data_dir = str(folder)
    world.service.apply("i1", "one", "default", structs.replace(world.spec, **spec))
    (folder / "sftp-i1.json").write_text("{}")
    (folder / "sftp-i2.json").write_text("{}")
    return world


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_files_of_one_that_is_removed_go_with_it(tmp_path):
    world = files_of_world(tmp_path, split="value")
    world.target.says = lambda records: Retry("no") if records[0].name == "h" else DELIVERED
    body = b'{"deviceName":"a","telemetry":[{"ts":1,"values":{"t":1,"h":2}}]}'
    world.store("a", body=body)
    world.clock.advance(2)
    assert names(tmp_path) == ["parts-i1.json", "sftp-i1.json", "sftp-i2.json"]
    world.service.remove("i1")
    world.clock.advance(5)
    assert names(tmp_path) == ["sftp-i2.json"]


def test_files_go_when_the_target_has_stopped_which_may_write_until_then(tmp_path):
    world = files_of_world(tmp_path)
    stopped = Deferred()
    world.target.stop = lambda: stopped
    removed = world.service.remove("i1")
    assert names(tmp_path) == ["sftp-i1.json", "sftp-i2.json"] and not removed.called
    stopped.callback(None)
    assert names(tmp_path) == ["sftp-i2.json"] and removed.called


def test_files_go_after_a_crash_between_both_halves_of_a_removal(tmp_path):
    world = files_of_world(tmp_path)
    again = World(world.journal.crashed(), world.clock, apply=False)
    again.service._targets._data_dir = str(tmp_path)
    again.service.remove("i1")  # said again, as it was marked as being deleted
    assert names(tmp_path) == ["sftp-i2.json"]


def test_files_of_one_that_no_longer_exists_go_at_the_start(tmp_path):
    world = files_of_world(tmp_path)
    world.store("a")
    world.target.answer_all()
    world.service.stop()
    again = World(world.journal.crashed(), world.clock, apply=False)
    again.service._targets._data_dir = str(tmp_path)
    assert again.service.drop_others(["i2"]) == {"i1": 0}
    assert names(tmp_path) == ["sftp-i2.json"]


def test_a_file_that_cannot_be_removed_does_not_hold_up_the_removal(tmp_path):
    world = files_of_world(tmp_path)
    (tmp_path / "sftp-i1.json").unlink()
    (tmp_path / "sftp-i1.json").mkdir()
    removed = world.service.remove("i1")
    assert removed.called and is_gone(world)

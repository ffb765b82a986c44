"""A disk that is full: uplinks are refused, nothing stored is lost, and it goes on when there is room."""

import os
import resource
import signal
import subprocess

import pytest

from iotgw.core.model import DeliveryState, Outcome, State
from iotgw.store.sqlite.journal import Journal
from tests.unit.store.sqlite.world import World, output, parked

SIZE = 2 << 20


class FileSizeLimit:
    """No file of this process may grow beyond a size; needs no privileges. SQLite sees an I/O error."""

    def __init__(self, path):
        self.path = path
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE, self.before[1]))

    def free(self):
        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)

    def remove(self):
        self.free()
        signal.signal(signal.SIGXFSZ, self.handler)


class SmallDisk:
    """A file system of its own, with a file that takes up half of it. SQLite sees that the disk is full."""

    def __init__(self, path):
        self.path = path
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE * 3}", "tmpfs", path], check=True)
        self.ballast = path / "ballast"
        self.ballast.write_bytes(bytes(SIZE * 2))

    def free(self):
        self.ballast.unlink(missing_ok=True)

    def remove(self):
        subprocess.run(["umount", self.path], check=True)


@pytest.fixture(params=[FileSizeLimit, pytest.param(SmallDisk, marks=pytest.mark.root)])
def disk(request, tmp_path):
    if request.param is SmallDisk and os.geteuid() != 0:
        pytest.skip("needs root, to mount a small file system")
    disk = request.param(tmp_path)
    yield disk
    disk.remove()


@pytest.fixture
def world(clock, disk):
    world = World(clock, lambda clock: Journal(clock, disk.path / "journal.db", max_pending_bytes=2 * SIZE))
    yield world
    disk.free()
    clock.wait(world.journal.stop())


def fill(world):
    """Append until the disk is full; the tokens of what was stored."""
    number = 0
    while not world.listener.lost:
        for _ in range(16):
            world.journal.append(world.uplink(number.to_bytes(4, "big") * 2000), number)
            number += 1
        world.clock.until(lambda told=number: len(world.listener.entries) + len(world.listener.lost) >= told)
    return {token for _, token in world.listener.entries}


def numbers(world, limit=10_000):
    found = world.wait(world.journal.read_uplinks("ds1", 0, limit))
    return {int.from_bytes(stored.uplink.payload[:4], "big") for stored in found}


def make_room(disk):
    """More than was taken up."""
    disk.free()
    if isinstance(disk, SmallDisk):
        subprocess.run(["mount", "-o", f"remount,size={SIZE * 20}", disk.path], check=True)


def second(world):
    """The next try of the disk, and its report."""
    world.clock.advance(1.0)
    world.clock.until(lambda: world.journal._writing is None)


def test_uplinks_are_refused_and_nothing_stored_is_lost(world, disk):
    stored = fill(world)
    refused = {token for _, token in world.listener.lost}
    assert stored
    assert not stored & refused
    assert not world.journal.room
    assert world.wait(world.journal.stats())["problem"]
    assert numbers(world) == stored
    for _ in range(3):
        second(world)
        assert not world.journal.room
    disk.free()
    second(world)
    assert world.journal.room
    assert world.listener.rooms == 1
    world.store((77).to_bytes(4, "big"))
    world.reopen()
    assert numbers(world) == stored | {77}


def test_outcomes_and_progress_wait_for_the_disk(world, disk):
    seqs = world.store(b"a", b"b")
    (early,) = world.convert(seqs[0])
    fill(world)
    # more than a page that happens to be free could take
    body = b'{"x":"' + b"x" * 3 * SIZE + b'"}'
    world.journal.settle(
        "ds1", seqs[1], [Outcome(seqs[1], State.CONVERTED, "c/1", (output("d2", body=body),))]
    )
    world.progress("int1", early.seq, [parked(early, DeliveryState.DEAD)], delivered=1)
    for _ in range(2):
        second(world)
    assert len(world.listener.records) == 1
    make_room(disk)
    world.clock.advance(1.0)
    world.clock.until(lambda: len(world.listener.records) == 2)
    assert world.listener.records[1].device_name == "d2"
    world.reopen()
    assert world.journal.conversion_cursors() == {"ds1": seqs[1]}
    assert world.journal.integrations()["int1"][0] == early.seq
    assert len(world.wait(world.journal.read_parked("int1", None, 0, 9))) == 1
    assert world.wait(world.journal.message(seqs[1])).records[0].device_name == "d2"


def test_conversions_are_not_given_more_work_than_can_be_written_down(world, disk):
    seqs = world.store(b"a", b"b")
    fill(world)
    big = output(body=b'"' + b"x" * 3 * SIZE + b'"')
    world.journal.settle("ds1", seqs[0], [Outcome(seqs[0], State.CONVERTED, "c/1", (big,))])
    read = world.journal.read_uplinks("ds1", seqs[0], 1)
    second(world)
    assert not read.called
    make_room(disk)
    second(world)
    assert [stored.seq for stored in world.wait(read)] == [seqs[1]]


def test_stopping_with_a_full_disk_refuses_what_is_queued(world, disk):
    fill(world)
    lost = len(world.listener.lost)
    world.journal.append(world.uplink(bytes(SIZE)), "queued")
    world.wait(world.journal.stop())
    assert [token for _, token in world.listener.lost[lost:]] == ["queued"]
    disk.free()
    world.reopen()

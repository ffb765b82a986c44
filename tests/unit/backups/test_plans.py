"""Plans: backups at their times, somewhere, and only so many."""

import pytest
from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.task import Clock
from zope.interface import implementer

from iotgw import testing
from iotgw.backups.directory import DirectoryPlace
from iotgw.backups.plans import BackupPlans, Sending
from iotgw.core.backup_plan import BackupPlan
from iotgw.core.clock import PlainCalendar
from iotgw.core.errors import NotFound, SettingsError, Unavailable
from iotgw.core.ports.backups import IBackupPlace, IBackups, MadeBackup
from iotgw.core.recorder import Recorder
from iotgw.testing import fired

MIDNIGHT = 1_800_057_600.0  # 2027-01-16
NIGHTLY = "30 3 * * *"
HALF_PAST_THREE = 3.5 * 3600


@implementer(IBackupPlace)
class Place:
    """Somewhere else; ``whole`` are the files of each backup by its name."""

    where = "sftp://nas/b"

    def __init__(self):
        self.whole, self.failing, self.sending = {}, "", None

    async def names(self):
        return sorted(self.whole)

    async def send(self, name, folder, files):
        if self.sending is not None:
            await self.sending
        if self.failing:
            raise Unavailable(self.failing)
        self.whole[name] = {file: (folder / file).read_text() for file in files}

    async def fetch(self, name, file, path):
        path.write_text(self.whole[name][file])

    async def remove(self, name):
        del self.whole[name]

    async def tidy(self, prefix):
        pass

    async def close(self):
        pass


@implementer(IBackups)
class Backups:
    """Backups of one file, made at once."""

    def __init__(self, folder, clock):
        self.folder, self.clock = folder, clock

    def take(self, name, with_key, folder=None):
        made = (folder or self.folder) / name
        made.mkdir(parents=True)
        (made / "journal.db").write_text("messages")
        (made / "manifest.json").write_text("{}")
        return succeed(
            MadeBackup(str(made), int(self.clock.seconds() * 1000), 0.1, 8, ["journal.db"], with_key)
        )


class World:
    def __init__(self, folder):
        self.folder, self.clock, self.place = folder, Clock(), Place()
        self.clock.advance(MIDNIGHT)
        self.kept, self.events = testing.MemoryKept(), testing.MemoryEvents()
        self.calendar = PlainCalendar(self.clock)
        self.backups = Backups(folder / "backups", self.clock)

    def start(self, schedule=NIGHTLY, place=None, **more):
        plan = BackupPlan(to="sftp://u@nas/b", schedule=schedule, **more)
        sending = Sending(self.folder / "backups" / ".sending", maybeDeferred)
        self.plans = BackupPlans(
            {"nightly": (plan, place or self.place)}, self.backups, sending, self.kept, Recorder(self.events, self.clock),
            self.clock, self.calendar,
        )  # fmt: skip
        fired(Deferred.fromCoroutine(self.plans.start()))
        return self

    def stop(self):
        fired(Deferred.fromCoroutine(self.plans.stop()))

    def later(self, seconds):
        """Time passes, a minute at a time."""
        for _ in range(int(seconds // 60)):
            self.clock.advance(60)

    @property
    def status(self):
        return self.plans.plans()[0]

    @property
    def types(self):
        return [event.type for event in self.events.emitted]


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    if hasattr(made, "plans"):
        made.stop()


def test_a_backup_is_made_at_its_time_sent_and_not_kept_here(world):
    world.start()
    world.later(HALF_PAST_THREE - 120)
    assert world.place.whole == {}
    world.later(240)
    assert world.place.whole == {
        "nightly-2027-01-16T03-30-00Z": {"journal.db": "messages", "manifest.json": "{}"}
    }
    assert not (world.folder / "backups" / ".sending").exists()
    assert (world.status.last.name, world.status.failed, world.status.made) == (
        "nightly-2027-01-16T03-30-00Z",
        None,
        1,
    )
    assert world.status.next == int((MIDNIGHT + 86_400 + HALF_PAST_THREE) * 1000)
    assert world.types == ["backup"]


def test_each_night_one_is_made_and_only_some_are_kept(world):
    world.start(keep_last=2)
    world.later(5 * 86_400)
    assert list(world.place.whole) == ["nightly-2027-01-19T03-30-00Z", "nightly-2027-01-20T03-30-00Z"]


def test_a_directory_has_it_without_a_way_round(world):
    folder = world.folder / "nas"
    world.start(place=DirectoryPlace(folder, maybeDeferred), keep_last=1)
    world.later(3 * 86_400)
    assert [path.name for path in folder.iterdir()] == ["nightly-2027-01-18T03-30-00Z"]


def test_a_backup_that_fails_is_said_and_tried_again(world):
    world.start()
    world.place.failing = "no route to host"
    world.later(HALF_PAST_THREE)
    assert (world.status.failed.error, world.status.failures, world.status.last) == (
        "no route to host",
        1,
        None,
    )
    assert not (world.folder / "backups" / ".sending").exists()
    due = world.status.due
    assert due == int((MIDNIGHT + HALF_PAST_THREE) * 1000)
    world.later(360)
    assert (world.status.failures, world.status.due) == (2, due)  # that of then is still missing
    world.place.failing = ""
    world.later(1200)
    assert world.status.due == due + 86_400_000
    assert (world.status.failed, list(world.place.whole)) == (None, ["nightly-2027-01-16T03-50-00Z"])
    assert world.types == ["backup-failed", "backup-failed", "backup"]
    world.later(86_400)
    assert len(world.place.whole) == 2


def test_one_that_was_missed_is_made_after_the_start(world):
    world.start()
    world.later(86_400)
    world.stop()
    world.clock.advance(86_400)
    world.start()
    assert len(world.place.whole) == 1
    world.later(120)
    assert len(world.place.whole) == 2


def test_a_new_plan_waits_for_its_first_time(world):
    world.start()
    world.later(3600)
    assert world.place.whole == {}


def test_no_backup_has_a_date_that_cannot_be_right(world):
    class Doubting(PlainCalendar):
        has_doubts = True

    world.calendar = Doubting(world.clock)
    world.start()
    world.later(86_400)
    assert world.place.whole == {}


def test_one_is_made_when_it_is_asked_for(world):
    world.start(schedule="")
    assert world.status.next is None
    made = fired(world.plans.run("nightly"))
    assert made.directory == "sftp://nas/b/nightly-2027-01-16T00-00-00Z"


def test_a_plan_that_nobody_has_made_is_said(world):
    world.start()
    found = []
    world.plans.run("weekly").addErrback(found.append)
    assert found[0].check(NotFound)
    assert "expected one of: nightly" in found[0].getErrorMessage()


def test_a_stop_gives_up_what_is_being_sent(world):
    world.start()
    world.place.sending = Deferred()
    found = []
    world.plans.run("nightly").addErrback(found.append)
    assert world.status.state == "sending"
    world.stop()
    assert len(found) == 1
    assert world.place.whole == {}
    world.place.sending = None
    world.start()
    assert not (world.folder / "backups" / ".sending").exists(), "the next start removes what was to be sent"


def test_old_ones_that_cannot_be_removed_make_the_new_one_no_worse(world):
    world.start(keep_last=1)
    fired(world.plans.run("nightly"))

    async def refused(name):
        raise Unavailable("read-only")

    world.place.remove = refused
    world.clock.advance(60)
    fired(world.plans.run("nightly"))
    assert len(world.place.whole) == 2
    assert world.types == ["backup", "backup", "backups-kept"]


def test_a_schedule_that_is_none_is_refused_with_its_place(world):
    with pytest.raises(SettingsError, match=r"backup\.nightly\.schedule: expected five fields"):
        world.start(schedule="at night")


def test_a_backup_that_cannot_be_made_is_no_backup(world):
    world.start()
    world.backups.take = lambda *_: fail(Unavailable("the disk is full"))
    found = []
    world.plans.run("nightly").addErrback(found.append)
    assert (world.status.failed.error, world.place.whole) == ("the disk is full", {})

from datetime import UTC, datetime

import pytest
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock, deferLater

from iotgw.connect.endpoint import Connector
from iotgw.core.cron import Cron
from iotgw.core.epochs import Epochs
from iotgw.core.errors import SettingsError
from iotgw.core.ports.integrations import IntegrationContext
from iotgw.core.specs import IntegrationSpec
from iotgw.core.verdict import DELIVERED, Unavailable
from iotgw.integrations.sftp import SftpTarget
from iotgw.integrations.sftp_settings import SftpSettings
from tests.unit.delivery.worlds import record
from tests.unit.jumps import HOUR, Jumps


class Scheduled:
    """A target whose files are written into a dict."""

    def __init__(self, **settings):
        self.clock = Clock()
        self.clock.advance(datetime(2026, 11, 21, 5, 0, tzinfo=UTC).timestamp())
        self.available = 0
        self.files = {}
        self.verdicts = []
        self.refuse = False
        self.takes = 0.0
        """Seconds for each file."""
        settings = SftpSettings(
            host="h", username="u", host_keys=["SHA256:x"], files="schedule", batch_size=2, **settings
        )
        self.jumps = Jumps(self.clock)
        spec = IntegrationSpec(name="i", type="sftp")
        context = IntegrationContext(
            id="i", name="i", tenant="default", spec=spec, epochs=Epochs("E"), reactor=self.clock,
            datasource_name=str, event=lambda *a, **k: None, available=self._available, calendar=self.jumps.calendar,
        )  # fmt: skip
        self.target = SftpTarget(settings, context, Connector(self.clock))
        self.target._write = self._write
        self.target.start()

    def _available(self):
        self.available += 1

    async def _write(self, path, entries):
        if self.refuse:
            raise ConnectionRefusedError
        if self.takes:
            await deferLater(self.clock, self.takes)
        self.files[path] = [record.seq for record, _ in entries]
        return DELIVERED

    def send(self, *seqs):
        self.target.send(
            [record(seq, f"d{seq}") for seq in seqs], lambda seqs, verdict: self.verdicts.append(verdict)
        )


def test_after_the_clock_was_set_back_a_run_replaces_no_file_of_an_earlier_one():
    world = Scheduled(content="csv")
    world.clock.advance(1800)
    world.send(1)
    world.jumps.jump(-HOUR)
    world.clock.advance(60)
    world.clock.advance(HOUR - 60)
    world.send(2)
    assert sorted(world.files.values()) == [[1], [2]]
    assert "2026-11-21_05-30_2_default.csv" in world.files


def test_a_run_comes_at_its_date_when_the_date_jumps_there():
    world = Scheduled()
    world.jumps.jump(1800)
    world.clock.advance(61)
    assert world.available == 1


def test_outside_of_a_run_nothing_is_taken():
    world = Scheduled()
    assert world.target.capacity == 0
    assert world.target.status()["nextRun"] == 1795239000000


def test_a_run_writes_what_waits_and_ends_with_a_batch_that_is_not_full():
    world = Scheduled(content="csv")
    world.clock.advance(1800)
    assert world.available == 1
    assert world.target.capacity == 2
    world.send(1, 2)
    assert world.target.capacity == 2
    world.send(3)
    assert world.target.capacity == 0
    assert world.files == {
        "2026-11-21_05-30_default.csv": [1, 2], "2026-11-21_05-30_2_default.csv": [3],
    }  # fmt: skip
    assert world.verdicts == [DELIVERED, DELIVERED]


def test_a_run_with_nothing_to_write_ends_by_itself():
    world = Scheduled()
    world.clock.advance(1800)
    world.clock.advance(61)
    assert world.target.capacity == 0
    world.clock.advance(86400)
    assert world.available == 2


def test_a_run_that_fails_goes_on_until_it_succeeds():
    world = Scheduled()
    world.refuse = True
    world.clock.advance(1800)
    world.send(1)
    assert isinstance(world.verdicts[0], Unavailable)
    world.clock.advance(3600)
    assert world.target.capacity == 2
    world.refuse = False
    world.send(1)
    assert world.files == {"2026-11-21_05-30.json": [1]}
    assert world.target.capacity == 0


def test_each_file_of_a_batch_has_the_whole_time():
    world = Scheduled(path="{{ deviceName }}/{{ file }}.json", timeout=120)
    world.takes = 100
    world.clock.advance(1800)
    world.send(1, 2)
    world.clock.pump([100, 100])
    assert world.verdicts == [DELIVERED, DELIVERED]
    world.takes = 121
    world.send(3)
    world.clock.advance(120)
    assert world.verdicts[2:] == [Unavailable("not written within 120 s")]


def test_a_schedule_of_many_characters_is_refused_unread():
    with pytest.raises(SettingsError, match="at most 1000 characters, got 65536"):
        Cron("1," * 32768)

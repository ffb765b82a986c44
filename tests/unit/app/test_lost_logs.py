"""A database that lost its write-ahead log while nobody had it open."""

from iotgw import testing
from iotgw.app.lost_logs import LostLogs
from iotgw.core.recorder import Recorder


def told(folder, between=lambda: None):
    events = testing.MemoryEvents()
    lost = LostLogs(folder, Recorder(events, testing.clock()))
    lost.look()
    between()
    lost.tell()
    return [(event.type, event.name, event.severity) for event in events.emitted]


def test_each_database_whose_log_was_taken_away_is_an_event(tmp_path):
    for name in ("registry.db", "journal.db", "downlinks.db"):
        (tmp_path / f"{name}-open").touch()
    (tmp_path / "registry.db-wal").touch()
    assert told(tmp_path) == [("log-lost", "journal.db", "error"), ("log-lost", "downlinks.db", "error")]


def test_it_counts_what_was_there_before_the_databases_were_opened(tmp_path):
    (tmp_path / "journal.db-open").touch()
    assert told(tmp_path, (tmp_path / "journal.db-wal").touch) == [("log-lost", "journal.db", "error")]


def test_a_clean_end_is_none(tmp_path):
    (tmp_path / "journal.db").touch()
    assert told(tmp_path) == []

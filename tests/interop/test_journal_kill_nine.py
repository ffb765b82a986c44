"""A journal whose process is killed at any moment has all that it acknowledged."""

import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class Child:
    """`tests.interop.journal_child`, until it is killed; remembers what was acknowledged."""

    def __init__(self, path, mode, first):
        self.uplinks, self.outcomes = set(), set()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.interop.journal_child", path, mode, str(first)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            bufsize=0,
        )

    def kill_after(self, count):
        """Kill it once so many uplinks are acknowledged; what it told until then counts too."""
        rest = b""
        while len(self.uplinks) < count:
            rest = self._take(rest + self._read())
        self.process.kill()
        while data := self.process.stdout.read(1 << 16):
            rest = self._take(rest + data)
        self.process.wait()
        self.process.stdout.close()

    def _read(self):
        data = os.read(self.process.stdout.fileno(), 1 << 16)
        assert data, "the child ended by itself"
        return data

    def _take(self, data):
        whole = len(data) - len(data) % 9
        for start in range(0, whole, 9):
            heard = self.uplinks if data[start : start + 1] == b"u" else self.outcomes
            heard.add(int.from_bytes(data[start + 1 : start + 9], "big"))
        return data[whole:]


def holds(path):
    """(numbers in stored uplinks, positions with an outcome); checks that the file is sound."""
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    uplinks = {
        int.from_bytes(payload[:8], "big") for (payload,) in database.execute("SELECT payload FROM uplink")
    }
    outcomes = {seq for (seq,) in database.execute("SELECT seq FROM outcome")}
    ((cursor,),) = database.execute("SELECT coalesce(max(cursor), 0) FROM integration").fetchall()
    ((head,),) = database.execute("SELECT coalesce(max(seq), 0) FROM telemetry").fetchall()
    ((orphans,),) = database.execute(
        "SELECT count(*) FROM outcome LEFT JOIN telemetry ON telemetry.uplink = outcome.seq "
        "WHERE telemetry.seq IS NULL"
    ).fetchall()
    database.close()
    assert cursor <= head
    assert orphans == 0  # an outcome and what came of it are one transaction
    return uplinks, outcomes


def lost(path, mode, rounds, seed):
    """Acknowledged uplinks and outcomes that are missing after so many kills."""
    rng = random.Random(seed)
    uplinks, outcomes = set(), set()
    for _ in range(rounds):
        child = Child(path, mode, max(uplinks, default=0) + 1_000_000)
        child.kill_after(rng.randrange(1, 5000))
        uplinks |= child.uplinks
        outcomes |= child.outcomes
    stored = holds(path)
    return len(uplinks - stored[0]), len(outcomes - stored[1]), len(uplinks)


@pytest.mark.parametrize(
    "rounds", [pytest.param(5, id="five"), pytest.param(60, id="sixty", marks=pytest.mark.soak)]
)
def test_nothing_acknowledged_is_lost_when_the_process_is_killed(tmp_path, rounds):
    lost_uplinks, lost_outcomes, acknowledged = lost(tmp_path / "journal.db", "durable", rounds, seed=rounds)
    assert acknowledged > 0
    assert (lost_uplinks, lost_outcomes) == (0, 0)


def test_the_test_sees_the_loss_when_it_is_acknowledged_early(tmp_path):
    lost_uplinks, _, acknowledged = lost(tmp_path / "journal.db", "early", 5, seed=7)
    assert 0 < lost_uplinks < acknowledged

"""The state of the gateway's clock, in the journal beside the times that were read from it.

It is needed before anything else is made, so it is read from the file as the last run left it, and nothing is changed.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from iotgw.core.clock import KeptClock
from iotgw.store.sqlite.database import connect_reader

KEY = "clock"
"""Of the table ``meta``."""


def kept_clock(path: Path) -> KeptClock | None:
    """What the journal at ``path`` keeps of the clock. Of an older version's journal it is the date of its last mark; None
    where there is no journal, or none that can be read: opening it will say so."""
    if not path.exists():
        return None
    try:
        with closing(_opened(path)) as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (KEY,)).fetchone()
            (last_ms,) = connection.execute("SELECT coalesce(max(at_ms), 0) FROM mark").fetchone()
    except sqlite3.Error:
        return None
    try:
        kept = msgspec.json.decode(row[0], type=KeptClock) if row else KeptClock.of_dates(last_ms)
    except msgspec.DecodeError:
        kept = KeptClock.of_dates(last_ms)
    if not last_ms and not row:
        return None
    return msgspec.structs.replace(kept, seen_ms=max(kept.seen_ms, last_ms))


def _opened(path: Path) -> sqlite3.Connection:
    """SQLite makes a write-ahead log where there is none, even for a reader, and then nobody could tell any more that it was
    taken away (`iotgw.store.sqlite.damage.OpenMark`). A file without one is read as it is."""
    if path.with_name(path.name + "-wal").exists():
        return connect_reader(path)
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)

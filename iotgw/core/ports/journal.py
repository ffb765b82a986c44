"""The journal: two streams and their cursors."""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def"
from zope.interface import Attribute, Interface


class IJournalListener(Interface):
    """Who hears what becomes durable; the gateway."""

    def storing(entries):
        """These uplinks are on their way to the disk: a list of ``(model.StoredUplink, token)``, in order. Each is
        `stored` or `refused` before the next ones are on their way. Where the disk is in doubt, they are so
        without having been here."""

    def stored(entries):
        """These uplinks are durable: a list of ``(model.StoredUplink, token)``, in order."""

    def refused(entries, reason):
        """These could not be stored: a list of ``(model.StoredUplink, token)``."""

    def settled(outcomes, records):
        """These outcomes (list of `model.Outcome`) and the `model.TelemetryRecord`s (list) that came of them are durable."""

    def room_again():
        """The journal was full and has room now."""


class IJournal(Interface):
    """The streams ``uplink`` and ``telemetry``, with their cursors; one writer, group commit."""

    epoch = Attribute("str: names this journal for good; part of every message id")
    room = Attribute("bool: False while the queue to the writer or the disk is full")
    head = Attribute("int: position of the last durable telemetry record")
    last_uplink = Attribute("int: the highest position that was given to an uplink")

    def start(listener):
        """Open; Deferred that fires when records can be read and written."""

    def stop():
        """Write what is queued, close; Deferred."""

    def append(uplink, token):
        """Queue a `model.Uplink` for the next commit; returns its position. The listener hears of it with
        ``token``, an opaque object."""

    def settle(datasource, cursor, outcomes, haste=True, kept=0):
        """Queue outcomes (list of `model.Outcome`) of a datasource; their outputs go to the telemetry
        stream, and the datasource's conversion cursor moves to ``cursor``, in one transaction. A second
        outcome for a position (reprocessing) replaces the first. ``kept`` counts the uplinks up to the cursor
        that are only kept: they end as FILTERED without an outcome each. Without ``haste`` nobody waits for
        it: it is written with the next commit, at the latest a second later."""

    def emit(record):
        """Queue an event as a `model.TelemetryRecord` (its ``seq`` is ignored) for integrations."""

    def progress(progress):
        """Queue a `model.Progress`; it is written with the next commit, at the latest a second later."""

    def committed():
        """Deferred that fires when all progress that was queued until now is durable; at once if it is."""

    def at_rest(callback):
        """Call back when no commit is under way: at once, or after the report of the one that is. What makes
        many small system calls does so then, since each of them lets go of the GIL, and a busy thread takes it
        for itself."""

    def hold(integration, max_age):
        """Keep what an integration still waits for until it is ``max_age`` seconds old, however full the
        journal is; without this, until it is as old as the journal keeps anything."""

    def conversion_cursors():
        """dict of datasource id → position, as of `start`."""

    def read_uplinks(datasource, after, limit):
        """Deferred of a list of `model.StoredUplink` of a datasource with seq > after, in order: ``limit`` of
        them, or all, or so many that their payloads weigh `iotgw.core.stream.WEIGHT` bytes."""

    def read_telemetry(after, limit):
        """Deferred of a list of `model.TelemetryRecord` with seq > after, in order: ``limit`` of them, or all,
        or so many that their bodies weigh `iotgw.core.stream.WEIGHT` bytes."""

    def integrations():
        """dict of integration id → (cursor, model.Counters), as of `start`."""

    def forget(integration):
        """Drop an integration's cursor and parked records."""

    def read_parked(integration, state, after, limit):
        """Deferred of a list of `model.Parked` of an integration, by position; ``state`` None for all. ``limit`` of
        them, or all, or so many that their bodies weigh `iotgw.core.stream.WEIGHT` bytes."""

    def due_parked(integration, now_ms, limit):
        """Deferred of a list of `model.Parked` in state RETRYING whose ``next_try_ms`` is not 0 and due."""

    def parked_behind(integration, device, after, limit):
        """Deferred of a list of `model.Parked` of one device after a position."""

    def message(seq):
        """Deferred of a `model.Message`, or None."""

    def messages(tenant, before, limit, datasource=None, state=None, device=None):
        """Deferred of a list of `model.Message`, newest first, with seq < before (0: from the newest)."""

    def time_to_seq(ts_ms):
        """Deferred of the position of the first telemetry record received at or after a time."""

    def stats():
        """Deferred of a dict: counts by state, bytes, oldest, positions."""

"""The journal: two streams, ``uplink`` and ``telemetry``, with their cursors; one writer, group commit.

Each room gets the part that it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from iotgw.core.epochs import Epochs
from iotgw.core.failures import FailureGroup, FoundFailures
from iotgw.core.message_query import FoundMessages, MessageQuery
from iotgw.core.model import (
    Counters,
    DeliveryState,
    Message,
    Outcome,
    Parked,
    ParkedState,
    Progress,
    State,
    StoredUplink,
    TelemetryRecord,
    Uplink,
)
from iotgw.core.ports.intake import Reply
from iotgw.core.ports.live import HappenedElsewhere
from iotgw.core.series import FoundSeries, SeriesQuery
from iotgw.core.times import DateMs, SteadyMs

Waiter = tuple[Reply, str | None]
"""Who waits for an uplink to be stored: its reply, and what the datasource knows of the sender (an identity,
empty for nothing, None when the answer can carry no downlink). The journal returns it unchanged."""
Entries = list[tuple[StoredUplink, Waiter]]
"""Uplinks with who waits for them, in order."""


Held = tuple[int, str, str, int, tuple[str, ...]]
"""Position, tenant, datasource, when it was received (ms), and the devices that nobody knows."""


class Flow(Struct, frozen=True):
    """How many uplinks came in a step that begins at a gateway time, and how many records came of converters and of events."""

    at_ms: SteadyMs
    received: int
    outputs: int


class IJournalListener(Interface):
    """Is told what becomes durable."""

    def storing(entries: Entries) -> None:
        """These uplinks are being written. Each is `stored` or `refused` before the next ones are written. When
        the disk is failing, they are stored or refused without this call."""

    def stored(entries: Entries) -> None:
        """These uplinks are durable."""

    def spilled(entries: Entries) -> None:
        """These uplinks are durable in a file of their own, as the journal's database is away: their senders may be answered. They come as
        `stored` when they are in the journal, and nobody waits for them then."""

    def postponed(entries: Entries) -> None:
        """These, of which `storing` was told, could not be stored; they are spilled, and come again."""

    def refused(entries: Entries, reason: str) -> None:
        """These could not be stored."""

    def settled(outcomes: list[Outcome], records: list[TelemetryRecord]) -> None:
        """These outcomes, and the records that came of them, are durable."""

    def room_again() -> None:
        """The journal was full and has room now."""

    def damaged(table: str, first: int, last: int, what: str) -> None:
        """Rows between these positions are affected by damage to the file; ``what`` says how, as a sentence."""


class IUplinkStream(Interface):
    """The journal as the pipeline uses it."""

    epochs: Epochs = Attribute(
        "names what is stored: message ids and keys of deliveries; each start opens an epoch"
    )
    room: bool = Attribute("False while the queue to the writer or the disk is full")
    problem: str = Attribute("why `room` is False, or nothing can be written; empty while all is well")
    last_uplink: int = Attribute("the highest position assigned to an uplink")

    def when_away(datasource: str, spills: bool) -> None:
        """Say whether uplinks of a datasource are spilled while the database is away; or else they are refused."""

    def spills(datasource: str) -> bool:
        """Whether uplinks of a datasource may be appended now although there is no `room`: they are spilled."""

    def append(uplink: Uplink, token: Waiter) -> int:
        """Queue an uplink for the next commit; returns its position. The listener hears of it with ``token``."""

    def settle(
        datasource: str,
        cursor: int,
        outcomes: list[Outcome],
        haste: bool = True,
        kept: int = 0,
        lost: int = 0,
    ) -> None:
        """Queue outcomes of a datasource; their outputs go to the telemetry stream, and the datasource's
        conversion cursor moves to ``cursor``, in one transaction. A second outcome for a position
        (reprocessing) replaces the first. ``kept`` counts the uplinks up to the cursor that are only stored:
        they end as FILTERED without an outcome each. ``lost`` counts those that can't be read and are given up: they end as
        FAILED in the same way. Without ``haste`` it is written with the next commit, at
        the latest a second later."""

    def at_rest(callback: Callable[[], None]) -> None:
        """Call back when no commit is under way: at once, or after the current one is reported. Use it for work
        with many small system calls: each of them releases the GIL, which the busy writer thread would then
        take."""

    def conversion_cursors() -> dict[str, int]:
        """Datasource id → position, as of the start."""

    def unconverted() -> list[str]:
        """The ids of datasources with uplinks that are not converted, as of the start."""

    def counts() -> dict[str, dict[str, int]]:
        """Datasource id → how many of its uplinks were ``received``, ``converted``, ``filtered`` and ``failed`` since
        the journal was made, as of the start. What is 0 may be missing."""

    def durable() -> Deferred[None]:
        """Fires when everything that was queued until now is durable, or refused; at once if it is."""

    def message(seq: int) -> Deferred[Message | None]:
        """The uplink at a position, with its outcome and deliveries."""

    def latest_keys(datasource: str, limit: int) -> Deferred[list[tuple[str, int]]]:
        """Among the latest ``limit`` uplinks of a datasource, those with a text ``uplinkKey`` in their metadata: pairs of
        key and position, in order."""

    def read_uplinks(datasource: str, after: int, limit: int) -> Deferred[list[StoredUplink]]:
        """Uplinks of a datasource with seq > after, in order: ``limit`` of them, or all, or so many that their
        payloads weigh `iotgw.core.stream.WEIGHT` bytes. A read that fails is tried again; what can't be read at
        all has a stand-in whose metadata says ``rejected`` and ``unreadable``. Fails once the journal is closed."""


class ITelemetryStream(Interface):
    """The journal as the delivery service uses it."""

    epochs: Epochs = Attribute(
        "names what is stored: message ids and keys of deliveries; each start opens an epoch"
    )
    head: int = Attribute("position of the last durable telemetry record")

    short: int = Attribute(
        "what integrations have to give up, although they wait for it, before there is room: every record up to this "
        "position; 0 while there is room"
    )

    def emit(record: TelemetryRecord) -> None:
        """Queue an event as a record (its ``seq`` is ignored) for integrations."""

    def progress(progress: Progress) -> None:
        """Queue how far an integration has come; it is written with the next commit, at the latest a second
        later."""

    def committed() -> Deferred[None]:
        """Fires when all progress that was queued until now is durable; at once if it is."""

    def hold(integration: str, max_age: float) -> None:
        """Keep records that an integration has yet to deliver until they are ``max_age`` seconds old, however
        full the journal is. Without this, the journal's own retention applies."""

    def integrations() -> dict[str, tuple[int, Counters]]:
        """Integration id → (cursor, accounts), as of the start."""

    def lent() -> Collection[str]:
        """Of those integrations, as of the start, for which others write how far they have come, as `Progress.lent` says."""

    def take_back(integration: str) -> Deferred[tuple[int, Counters] | None]:
        """End that for one of them: fires with its cursor and its accounts, once nobody else writes for it any more; with None where nothing is stored of
        it. Fails with Unavailable."""

    def forget(integration: str) -> None:
        """Drop an integration's cursor and parked records."""

    def read_telemetry(after: int, limit: int) -> Deferred[list[TelemetryRecord]]:
        """Records with seq > after, in order: ``limit`` of them, or all, or so many that their bodies weigh
        `iotgw.core.stream.WEIGHT` bytes. A read that fails is tried again; what can't be read at all has a
        stand-in of `Kind.UNREADABLE`, which no route lets through. Fails once the journal is closed."""

    def read_parked(
        integration: str, state: DeliveryState | None, after: int, limit: int
    ) -> Deferred[list[Parked]]:
        """Parked records of an integration, by position; ``state`` None for all. ``limit`` of them, or all, or so
        many that their bodies weigh `iotgw.core.stream.WEIGHT` bytes. A row that can't be read has a stand-in,
        whatever ``state`` says: it is `DeliveryState.DROPPED`, its record as in `read_telemetry`."""

    def parked_among(wanted: Mapping[str, Sequence[int]]) -> Deferred[dict[tuple[str, int], ParkedState]]:
        """What is said of those of these positions, by integration, that are parked there, by both. A row that can't be read
        is `DeliveryState.DROPPED`."""

    def parked_behind(integration: str, device: str, after: int, limit: int) -> Deferred[list[Parked]]:
        """Parked records of one device after a position, without dead letters; stand-ins as in `read_parked`."""

    def time_to_seq(ts_ms: DateMs, moment_ms: SteadyMs) -> Deferred[int]:
        """The position of the first telemetry record received at or after a date. ``moment_ms`` is the gateway time of
        that date."""


class IMessages(Interface):
    """The journal as users see it."""

    epochs: Epochs = Attribute(
        "names what is stored: message ids and keys of deliveries; each start opens an epoch"
    )
    head: int = Attribute("position of the last durable telemetry record")
    faults: list[str] = Attribute("what is wrong with the data, as sentences; empty when nothing is")

    def where(id: str) -> Deferred[int | None]:
        """The position of the message that an id names, or at which a list goes on; None where it is none of this journal's. Where several nodes have
        one each, it may be a place (`iotgw.core.places`)."""

    def message(seq: int) -> Deferred[Message | None]:
        """The uplink at a position, with its outcome and deliveries."""

    def messages(
        tenant: str,
        before: int,
        limit: int,
        datasource: str | None = None,
        state: State | None = None,
        device: str | None = None,
    ) -> Deferred[list[Message]]:
        """Messages, newest first, with seq < before (0: from the newest). However rare they are, ``limit`` of them are found, or
        all: for programs, which have time."""

    def search(query: MessageQuery, before: int, limit: int) -> Deferred[FoundMessages]:
        """Messages of a query, newest first, with seq < before (0: from the newest). It looks at
        `iotgw.core.message_query.LOOK` entries or so, finds at most ``limit`` messages, and says where it goes on: for people, who
        see something at once."""

    def quarantined(after: int, limit: int) -> Deferred[list[Held]]:
        """Uplinks that wait in quarantine with seq > after, in order: ``limit`` of them, or all."""

    def series(query: SeriesQuery, before: int, limit: int) -> Deferred[FoundSeries]:
        """A device's readings of messages with seq < before (0: from the newest), of ``limit`` records or so at most. Fails with
        Unavailable where the journal is damaged."""

    def failures(query: MessageQuery, before: int) -> Deferred[FoundFailures]:
        """Groups of the failed conversions of a query, of messages with seq < before (0: from the newest). Fails as `series` does."""

    def dead_deliveries(query: MessageQuery, integrations: tuple[str, ...]) -> Deferred[list[FailureGroup]]:
        """Groups of the dead letters of these integrations (ids). Of the query, tenant, times, datasource and device count. Fails
        as `series` does."""

    def flow(since_ms: SteadyMs, until_ms: SteadyMs, step_ms: int) -> Deferred[list[Flow]]:
        """How much there was, of all tenants, in steps of ten seconds or more with since <= at < until (gateway time); a step is at a multiple of
        its width, and one in which nothing came may be missing. A count may be in the step before or after. Fails as `series` does."""

    def stats() -> Deferred[dict[str, Any]]:
        """Counts by state, bytes, oldest, positions; as JSON."""


class IElsewhere(Interface):
    """What other nodes' partitions say of deliveries, as of their last commits."""

    def progress(part: int) -> Deferred[dict[str, tuple[int, Counters]]]:
        """Integration id → (cursor, accounts)."""

    def parked_among(
        part: int, wanted: Mapping[str, Sequence[int]]
    ) -> Deferred[dict[tuple[str, int], ParkedState]]:
        """As `ITelemetryStream.parked_among`."""


class IHistory(IMessages, IElsewhere):
    """The messages of all nodes. Those of others have places (`iotgw.core.places`)."""

    def happened(messages: bool, events: bool) -> Deferred[HappenedElsewhere]:
        """What has happened on other nodes since this was asked before: messages whose conversion ended, and events, if these are wanted. What wasn't wanted
        before begins now. Of very much, the newest."""

    def stop() -> Deferred[None]:
        """Answer what was asked, and close."""


class IJournal(IUplinkStream, ITelemetryStream, IMessages):
    """All of it."""

    def start(listener: IJournalListener) -> Deferred[None]:
        """Open the journal; fires when records can be read and written."""

    def stop() -> Deferred[None]:
        """Write what is queued, close."""

    def keep_clock(state: str) -> None:
        """Keep the state of the gateway's clock beside the times that were read from it: before anything that is
        appended from now on."""

"""Known devices and their last state, written behind.

Changes gather in memory, one entry per device however many records it sent (a single record is kept as it is). A
thread writes them to the database every few seconds, in one transaction. A crash loses the changes of those seconds;
the messages themselves are in the journal.
"""

from __future__ import annotations

import builtins
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol, TypeVar, cast

import msgspec
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core.errors import Unavailable
from iotgw.core.model import Kind, Outcome, TelemetryRecord
from iotgw.core.ports.devices import IDevices, Owned, Seen, Trouble, Troubled
from iotgw.core.ports.journal import ITelemetryStream
from iotgw.core.ports.pipeline import UplinkListener
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.store.device_overlay import Changes, Unwritten, laid_over
from iotgw.store.device_state import DeviceState
from iotgw.store.worker import StoreThread

FLUSH_SECONDS = 5.0
FLUSH_DEVICES = 10_000
"""This many changed devices are written at once, without waiting for the timer."""
FLUSH_BYTES = 16 << 20
"""This many bytes of records are written at once as well."""
MAX_BYTES = 64 << 20
"""Bytes of changed devices' records that may wait in memory."""
PAGE = 1000
"""Records read at a time when the states are learned again."""
Learn = Callable[[list[TelemetryRecord]], None]
"""Called with records that are read again."""
Owners = dict[tuple[str, str], tuple[str, bool]]
"""By tenant and device name: the datasource, and whether the device has proved itself."""
Troubles = dict[tuple[str, str, Trouble], int]
"""By tenant, device name and what is wrong: since when, or 0."""
T = TypeVar("T")
_Found = list[dict[str, Any]]


class StateReads(Protocol):
    """A connection that only reads, beside the one that writes. Used in one thread only."""

    def of(self, tenant: str, names: Sequence[str]) -> list[tuple[str, DeviceState]]:
        """Names and states of those of these devices that were seen."""

    def close(self) -> None:
        """Close the connection."""


class StateRows(Protocol):
    """The tables of a database. Used in one thread only, but for `position`. A batch of changes that it is given to write stays as it is, since
    others read it meanwhile."""

    @property
    def position(self) -> int | None:
        """Up to which position of the telemetry stream the records are taken in; None if nobody knows."""

    def write(
        self,
        changes: Changes,
        owners: Owners | None = None,
        position: int | None = None,
        troubles: Troubles | None = None,
    ) -> None:
        """Merge states into the table, in one transaction, with the owners and the troubles that have changed, and the position up to which the
        changes are known."""

    def page(self, tenant: str, after: str, limit: int, text: str) -> list[tuple[str, DeviceState]]:
        """See `IDevices.list`."""

    def count(self) -> int:
        """See `IDevices.count`."""

    def owners(self) -> list[Owned]:
        """See `IDevices.owners`."""

    def troubles(self) -> list[Troubled]:
        """See `IDevices.troubles`."""

    def seen(self) -> list[Seen]:
        """See `IDevices.seen`."""

    def forget(self, tenant: str, name: str) -> None:
        """See `IDevices.forget`."""

    def close(self) -> None:
        """Close the database."""


@implementer(IDevices)
class DeviceStateStore(UplinkListener):
    """What the stores of all databases have in common. A subclass opens its `StateRows` and its `StateReads`.

    ``max_changed`` and `MAX_BYTES` bound the devices whose changes wait in memory. Beyond them, changes of further
    devices are left out of the state and counted in `dropped`.

    Many methods: those of the port, and the steps of writing behind.
    """

    _log = Logger()
    passing: ClassVar[type[Exception]]
    """What a write fails with that may succeed later."""

    def __init__(self, reactor: IThreadedClock, *, max_changed: int = 50_000) -> None:
        self._reactor = reactor
        self._max_changed = max_changed
        self._worker: StoreThread | None = None
        self._rows: StateRows
        self._reading: StoreThread | None = None
        self._reads: StateReads
        self._unwritten = Unwritten()
        self._changed: Changes = {}
        self._weight = 0
        """Bytes of the records that wait."""
        self._owned: Owners = {}
        """Owners that wait to be written."""
        self._troubled: Troubles = {}
        """What is wrong with devices, and waits to be written."""
        self._position: int | None = None
        """Up to where the telemetry stream was seen; None if nobody knows."""
        self._learned: int | None = None
        """Up to where they were learned again; None when that is done. The next start goes on there, if this one doesn't get
        to the end."""
        self._writes = 0
        """Batches of changes that the thread has not written yet."""
        self._tick = LoopingCall(self._flush_unless_writing)
        self._tick.clock = reactor
        self.put_aside = ""
        """What happened to a damaged file at the start; empty for nothing."""
        self.dropped = 0
        """Records that changed no state because too many changes were waiting."""

    # --- start and stop ---

    def start(self) -> Deferred[None]:
        """Open the database. Fires when it can be used."""
        self._worker = StoreThread(self._reactor, "devices")

        def opened(rows: StateRows) -> None:
            self._rows = rows
            self._position = rows.position
            self._tick.start(FLUSH_SECONDS, now=False)

        def readable(reads: StateReads) -> None:
            self._reads = reads

        self._reading = reading = StoreThread(self._reactor, "device-reads")
        began = self._worker.call(self._open).addCallback(opened)
        return began.addCallback(lambda _: reading.call(self._open_reads)).addCallback(readable)

    @abstractmethod
    def _open(self) -> StateRows:
        """Open the database; in the thread."""

    @abstractmethod
    def _open_reads(self) -> StateReads:
        """Open it once more, to read; in a thread of its own."""

    @property
    def position(self) -> int | None:
        """Up to which position of the telemetry stream the records are known; None if nobody can say."""
        return self._position

    async def rebuild(self, journal: ITelemetryStream, learn: Learn, after: int = 0) -> int:
        """Learn the states again from the journal's records behind a position. Returns how many records were read, of
        which ``learn(records)`` is told, too. Live records may arrive meanwhile, since a reading that is older than the
        known one changes nothing."""
        position, count = after, 0
        self._learned = position
        while position < journal.head:
            records = await journal.read_telemetry(position, PAGE)
            if not records:
                break
            position, count = records[-1].seq, count + len(records)
            self._take_in(records)
            learn(records)
            self._learned = position
            await self.count()  # the changes of one page at a time wait in memory
        self._learned = None
        return count

    def stop(self) -> Deferred[None]:
        """Write what waits and close. Fires when closed."""
        if self._worker is None:
            return succeed(None)
        if self._tick.running:
            self._tick.stop()
        self._flush()
        worker, self._worker = self._worker, None
        reading, self._reading = cast(StoreThread, self._reading), None
        # The writer goes last: SQLite's last connection to close tidies up the WAL.
        read = reading.call(self._reads.close)
        reading.stop()

        def close(_: None) -> Deferred[None]:
            done = worker.call(self._rows.close)
            worker.stop()
            return done

        return read.addCallback(close)

    # --- writing ---

    def settled(self, outcomes: builtins.list[Outcome], records: builtins.list[TelemetryRecord]) -> None:
        """See `UplinkListener.settled`."""
        if records:
            self.saw(records)

    def saw(self, records: list[TelemetryRecord]) -> None:
        """See `IDevices.saw`."""
        self._take_in(records)
        if records[-1].seq:
            self._position = records[-1].seq

    def own(self, tenant: str, name: str, datasource: str, has_proved: bool) -> None:
        """See `IDevices.own`."""
        self._owned[tenant, name] = datasource, has_proved

    def trouble(self, tenant: str, name: str, what: Trouble, since_ms: int) -> None:
        """See `IDevices.trouble`."""
        self._troubled[tenant, name, what] = since_ms

    def _take_in(self, records: list[TelemetryRecord]) -> None:
        changed = self._changed
        for record in records:
            if record.kind is Kind.EVENT:
                continue
            key = (record.tenant, record.device_name)
            known = changed.get(key)
            if known is None:
                if len(changed) < self._max_changed and self._weight < MAX_BYTES:
                    changed[key] = record
                    self._weight += len(record.body)
                else:
                    self.dropped += 1
            else:
                if isinstance(known, TelemetryRecord):
                    changed[key] = known = DeviceState.of(known)
                known.saw(record)
        if len(changed) >= FLUSH_DEVICES or self._weight >= FLUSH_BYTES:
            self._flush_unless_writing()

    def _flush_unless_writing(self) -> None:
        """Write now, unless a write is under way: then changes go on gathering, and the thread never falls behind."""
        if not self._writes:
            self._flush()

    def _flush(self) -> None:
        """Hand the changes to the thread."""
        if (self._changed or self._owned or self._troubled) and self._worker is not None:
            changed, self._changed = self._changed, {}
            owned, self._owned = self._owned, {}
            troubled, self._troubled = self._troubled, {}
            weight, self._weight = self._weight, 0
            self._writes += 1
            self._unwritten.begin(changed)
            position = self._position if self._learned is None else self._learned
            written = self._worker.call(self._rows.write, changed, owned, position, troubled)
            written.addBoth(self._flushed, changed, owned, troubled, weight)

    def _flushed(
        self, result: Failure | None, changed: Changes, owned: Owners, troubled: Troubles, weight: int
    ) -> None:
        self._writes -= 1
        self._unwritten.end(changed)
        if isinstance(result, Failure):
            self._log.warn("device states could not be written: {error}", error=result.value)
            if result.check(self.passing) is not None:  # full disk: with the next changes
                self._put_back(changed)
                self._owned = owned | self._owned
                self._troubled = troubled | self._troubled
                self._weight += weight

    def _put_back(self, changed: Changes) -> None:
        for key, change in changed.items():
            later = self._changed.get(key)
            if later is not None:
                self._changed[key] = state = DeviceState.of(later)
                state.merge(change.copy() if isinstance(change, DeviceState) else DeviceState.of(change))
            elif len(self._changed) < self._max_changed:
                self._changed[key] = change

    # --- reading ---

    def get(self, tenant: str, name: str) -> Deferred[dict[str, Any] | None]:
        """See `IDevices.get`: ``{name, type, tenant, datasource, firstSeen, lastSeen, attributes,
        telemetry: {key: {ts, value}}}``."""
        return self.states(tenant, [name]).addCallback(lambda devices: devices.get(name))

    def states(self, tenant: str, names: Sequence[str]) -> Deferred[dict[str, dict[str, Any]]]:
        """See `IDevices.states`."""
        if self._reading is None:
            return fail(Unavailable("the devices' database is closed"))
        unwritten = self._unwritten.of(tenant, names, self._changed)

        def read() -> dict[str, dict[str, Any]]:
            found = laid_over(self._reads.of(tenant, names), unwritten)
            return {name: _shown(tenant, name, state) for name, state in found.items()}

        return self._reading.call(read)

    def forget(self, tenant: str, name: str) -> Deferred[None]:
        """See `IDevices.forget`."""
        return self._call(lambda: self._rows.forget(tenant, name))

    def troubles(self) -> Deferred[builtins.list[Troubled]]:
        """See `IDevices.troubles`."""
        return self._call(lambda: self._rows.troubles())  # noqa: PLW0108  # as `owners`

    def seen(self) -> Deferred[builtins.list[Seen]]:
        """See `IDevices.seen`."""
        return self._call(lambda: self._rows.seen())  # noqa: PLW0108  # as `owners`

    def owners(self) -> Deferred[builtins.list[Owned]]:
        """See `IDevices.owners`."""
        return self._call(lambda: self._rows.owners())  # noqa: PLW0108  # there are no rows before the start

    def list(self, tenant: str, after: str, limit: int, text: str = "") -> Deferred[_Found]:
        """See `IDevices.list`. ``text`` is part of the name, in any case."""
        return self._call(
            lambda: [_shown(tenant, *found) for found in self._rows.page(tenant, after, limit, text)]
        )

    def count(self) -> Deferred[int]:
        """How many devices are known."""
        return self._call(lambda: self._rows.count())  # noqa: PLW0108  # as `owners`

    def _call(self, query: Callable[[], T]) -> Deferred[T]:
        """Run a query once all changes so far have been written, so that it sees them."""
        if self._worker is None:
            return fail(Unavailable("the devices' database is closed"))
        self._flush()
        return self._worker.call(query)


def _shown(tenant: str, name: str, state: DeviceState) -> dict[str, Any]:
    decode = msgspec.json.decode
    return {
        "name": name,
        "type": state.type,
        "tenant": tenant,
        "datasource": state.datasource,
        "firstSeen": state.first_ms,
        "lastSeen": state.last_ms,
        "attributes": {key: decode(value) for key, value in state.attributes.items()},
        "telemetry": {
            key: {"ts": state.times[key], "value": decode(value)} for key, value in state.values.items()
        },
    }

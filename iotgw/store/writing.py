"""What a journal and its writer say to each other. The writer works in a thread of its own; both speak in the reactor's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct
from twisted.python.failure import Failure

from iotgw.core.epochs import Epoch
from iotgw.core.model import Counters, Outcome, TelemetryRecord
from iotgw.core.ports.journal import Entries
from iotgw.store.group import Group


class Opened(Struct, frozen=True):
    """What a journal holds when it is opened."""

    epochs: list[Epoch]
    epoch: Epoch
    last_uplink: int
    head: int
    conversion_cursors: dict[str, int]
    unconverted: list[str]
    counts: dict[str, dict[str, int]]
    integrations: dict[str, tuple[int, Counters]]
    lent: frozenset[str] = frozenset()
    """Those of them of which others write how far they have come."""


class Committed(Struct, frozen=True):
    """What a commit made durable, as the listener is told."""

    outcomes: list[Outcome]
    records: list[TelemetryRecord]
    head: int


class CommitReport(Struct, frozen=True):
    """How a commit ended. ``problem`` is empty if the group is durable. The uplinks in ``unfit`` can never be
    stored."""

    group: Group
    committed: Committed | None
    problem: str = ""
    unfit: Entries = []


class GroupWriter(Protocol):
    """Commits groups, one after another, and reports each (`CommitReport`) in the reactor's thread."""

    def start(self, opened: Callable[[Opened | Failure], None]) -> None:
        """Open the database in the thread. ``opened`` is called with what it holds, or with the failure."""

    def write(self, group: Group, now_ms: int, probe: bool = False) -> None:
        """Commit a group. The next may follow only after its report. With ``probe``, first find out whether a commit
        can succeed."""

    def tend(self, now_ms: int) -> None:
        """Do what isn't urgent, such as trimming, if there is nothing else to do."""

    def hold(self, integration: str, age_ms: int) -> None:
        """Keep records that an integration waits for up to this age, in milliseconds."""

    def keep_clock(self, state: str) -> None:
        """Keep the state of the gateway's clock, before what is ordered from now on."""

    def erase(self, tenant: str, after: int, erased: Callable[[tuple[int, int] | Failure], None]) -> None:
        """Take out a piece of what a tenant has behind an uplink's position, or of telemetry where ``after`` is negative. ``erased`` is called in
        the reactor's thread with where to go on (0: all is gone), and with how many rows went."""

    def stop(self, stopped: Callable[[], None]) -> None:
        """Close after the work that is queued. ``stopped`` is called in the reactor's thread."""

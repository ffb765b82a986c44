"""The nodes of a database, as one of them sees them: it tells that it lives, adopts what dead ones leave, and runs what runs once."""

from __future__ import annotations

import builtins
import time
from collections.abc import Callable, Collection
from typing import Any

import msgspec
from msgspec import Struct
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw import __version__
from iotgw.core.errors import IotgwError, NotFound
from iotgw.core.ports.nodes import ILeases, INodes, NodeState, NodeView, Sums
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.store.postgres import beat
from iotgw.store.postgres.beat import Beat, Look, NodeRow, PartRow
from iotgw.store.postgres.node import DatabaseNode, HeldPartition
from iotgw.store.postgres.partition import adopt
from iotgw.store.postgres.session import DatabaseSession
from iotgw.store.worker import StoreThread

SOONEST, LATEST = 0.2, 1.0
"""Seconds between two looks; in between, a tenth of the lease."""
SURE = 0.75
"""The part of the lease after its renewal in which a node may count on it."""


class Backlogs(Struct):
    """What a node says of itself, for the others to show: what waits for conversions and for integrations, and whether it takes no more messages."""

    waiting: int = 0
    undelivered: int = 0
    drains: bool = False


class Duties(Struct, frozen=True):
    """What a node does for others: begins to work on a partition, and ends that; both fire when it is done. ``figures`` says how it does itself,
    ``drains`` hears whether it is to take no more messages, and ``others`` which partitions this node doesn't work on, after each look."""

    begin: Callable[[HeldPartition, str], Deferred[None]]
    end: Callable[[int], Deferred[None]]
    figures: Callable[[], Backlogs]
    drains: Callable[[bool], None]
    others: Callable[[Collection[int]], None]


@implementer(INodes, ILeases)
class DatabaseNodes:
    """An `INodes` and `ILeases` for the process that is ``node``.

    Many methods: those of both ports, and one for each thing that a look may lead to.
    """

    _log = Logger()

    def __init__(self, reactor: IThreadedClock, node: DatabaseNode) -> None:
        self._reactor = reactor
        self._node = node
        self._session = DatabaseSession(node.address)
        self._duties: Duties
        self._looker: StoreThread
        self._adopter: StoreThread
        self._last: Look | None = None
        self._is_looking = self._is_stopping = False
        self._adopting = 0
        """The partition that is being adopted; 0 for none."""
        self._seeks: dict[str, Callable[[], Any]] = {}
        self._stays: set[str] = set()
        """What this node runs also while it drains, if it has to."""
        self._held: frozenset[str] = frozenset()
        self._sure_until = 0.0
        """Until when this node may count on what it holds; by the machine's monotonic clock, as the reactor's may be another one's."""
        self._works_on: dict[int, Deferred[None]] = {}
        """Adopted partitions, each with the Deferred of its begin."""
        self._ending: set[int] = set()
        self._drains = False
        self._tick = LoopingCall(self._turn)
        self._tick.clock = reactor

    @property
    def name(self) -> str:
        """See `INodes.name`."""
        return self._node.name

    @property
    def is_alone(self) -> bool:
        """Whether no other partition has been seen than the own."""
        return self._last is None or len(self._last.parts) < 2

    # --- start and stop

    def start(self, duties: Duties) -> Deferred[None]:
        """Begin. Fires after the first look."""
        self._duties = duties
        self._looker = StoreThread(self._reactor, "nodes")
        self._adopter = StoreThread(self._reactor, "adopter")
        every = max(SOONEST, min(LATEST, self._node.lease / 10))
        first = self._look()
        self._tick.start(every, now=False)
        return first

    def stop(self) -> Deferred[None]:
        """Let go of all that was adopted. This node goes on to say that it lives, and keeps what it holds."""
        self._is_stopping = True
        ended = DeferredList([self._end(part) for part in list(self._works_on)], consumeErrors=True)
        return ended.addCallback(lambda _: None)

    def leave(self) -> Deferred[None]:
        """Say that this node stops, and let go of what it holds: nothing of it runs any more."""
        if not self._tick.running:
            return succeed(None)
        self._tick.stop()
        self._seeks, self._held = {}, frozenset()
        said: Deferred[Any] = self._looker.call(self._session.run, lambda db: beat.end(db, self.name))

        def over(_: object) -> None:
            self._looker.stop()
            self._adopter.stop()

        said.addErrback(lambda failure: failure.trap(IotgwError))
        return said.addCallback(lambda _: self._looker.call(self._session.close)).addCallback(over)

    # --- a look

    def _turn(self) -> None:
        if self._held and time.monotonic() > self._sure_until:
            self._hold(frozenset())
        self._look()

    def _look(self) -> Deferred[None]:
        if self._is_looking:
            return succeed(None)
        self._is_looking = True
        began = time.monotonic()
        seeks = sorted(self._seeks)
        if self._drains:
            seeks = [] if self._has_others() else sorted(self._stays)
        figures = msgspec.structs.replace(self._duties.figures(), drains=self._drains)
        mine = Beat(self.name, __version__, msgspec.json.encode(figures), seeks, self._node.lease)

        def looked(found: Look | Failure) -> None:
            self._is_looking = False
            if isinstance(found, Failure):
                if not found.check(IotgwError):
                    self._log.failure("the nodes could not be looked at", found)
                return
            self._sure_until = began + SURE * self._node.lease
            self._last = found
            self._hold(found.held)
            self._follow(found)

        return self._looker.call(self._session.run, lambda db: beat.look(db, mine)).addBoth(looked)

    def _has_others(self) -> bool:
        """Whether another node could run what this one doesn't."""
        rows = self._last.nodes if self._last is not None else []
        return any(
            row.name != self.name and row.is_up and not row.drains and row.heard <= self._node.lease
            for row in rows
        )

    def _hold(self, held: frozenset[str]) -> None:
        changed, self._held = held ^ self._held, held
        for what in sorted(changed):
            if what in self._seeks:
                self._seeks[what]()

    def _follow(self, found: Look) -> None:
        me = next((each for each in found.nodes if each.name == self.name), None)
        if me is not None and me.drains != self._drains:
            self._drains = me.drains
            self._duties.drains(me.drains)
        dead = {each.name for each in found.nodes if each.heard > self._node.lease}
        for each in found.parts:
            if each.part in self._works_on:
                if each.wanted_by:
                    self._end(each.part)
            elif self._is_orphaned(each, dead) and not (self._drains or self._is_stopping):
                self._adopt(each)
        if not self._is_stopping:
            mine = {self._node.part, self._adopting, *self._works_on}
            self._duties.others(frozenset(each.part for each in found.parts) - mine)

    def _is_orphaned(self, part: PartRow, dead: set[str]) -> bool:
        """Whether nobody works on a partition. Its owner lives as long as he is heard of, although he may have nothing to commit to."""
        mine = part.part == self._node.part
        return (
            not mine
            and part.heard > self._node.lease
            and (part.owner in dead or part.owner in ("", self.name))
        )

    # --- adopting

    def _adopt(self, row: PartRow) -> None:
        if self._adopting:
            return
        self._adopting = row.part

        def adopted(held: HeldPartition | Failure | None) -> None:
            self._adopting = 0
            if isinstance(held, Failure):
                self._log.warn(
                    "partition {part} could not be adopted: {reason}",
                    part=row.part,
                    reason=held.getErrorMessage(),
                )
            elif held is not None and self._is_stopping:
                held.let_go()
            elif held is not None:
                self._log.warn("partition {part} of node {owner} is adopted", part=row.part, owner=row.owner)
                begun = maybeDeferred(self._duties.begin, held, self._home_of(row.part))
                self._works_on[row.part] = begun
                begun.addErrback(self._not_begun, row.part)

        self._adopter.call(self._take_over, row.part).addBoth(adopted)

    def _take_over(self, part: int) -> HeldPartition | None:
        connection = self._node.address.connect()
        try:
            mine = adopt(connection, part, self.name, lease=self._node.lease)
        except BaseException:
            connection.close()
            raise
        if mine is None:
            connection.close()
            return None
        return HeldPartition(self._node.address, self._node.lease, connection, mine)

    def _not_begun(self, failure: Failure, part: int) -> None:
        self._log.failure("the work on an adopted partition could not begin", failure)
        self._end(part)

    def _end(self, part: int) -> Deferred[None]:
        """Work on an adopted partition no more, and let go of it."""
        if part in self._ending:
            return succeed(None)
        self._ending.add(part)
        self._log.info("the work on partition {part} ends here", part=part)

        def ended(result: object) -> None:
            self._ending.discard(part)
            self._works_on.pop(part, None)
            if isinstance(result, Failure):
                self._log.failure("the work on an adopted partition could not be ended", result)

        return maybeDeferred(self._duties.end, part).addBoth(ended)

    def lost(self, part: int) -> None:
        """Another node has taken an adopted partition."""
        self._end(part)

    def _home_of(self, part: int) -> str:
        rows = self._last.nodes if self._last is not None else []
        return next((each.name for each in rows if each.part == part), "")

    # --- the ports

    def list(self) -> builtins.list[NodeView]:
        """See `INodes.list`."""
        found = self._last
        if found is None:
            return []
        owners = {each.part: each.owner for each in found.parts if each.heard <= self._node.lease}
        return [self._view(each, owners) for each in found.nodes]

    def _view(self, row: NodeRow, owners: dict[int, str]) -> NodeView:
        figures = msgspec.json.decode(row.figures, type=Backlogs)
        held = [part for part, owner in owners.items() if owner == row.name and part != row.part]
        leases = (
            [what for what, node in self._last.leases if node == row.name] if self._last is not None else []
        )
        return NodeView(
            row.name, row.part, self._state(row, figures), round(row.heard, 1), row.version, owners.get(row.part, ""),
            figures.waiting, figures.undelivered, [self._home_of(part) for part in held], leases,
        )  # fmt: skip

    def _state(self, row: NodeRow, figures: Backlogs) -> NodeState:
        if row.heard > self._node.lease:
            return "dead" if row.is_up else "stopped"
        if not row.is_up:
            return "stopped"
        if not row.drains:
            return "up"
        is_empty = figures.drains and not (figures.waiting or figures.undelivered)
        return "drained" if is_empty else "draining"

    def accounts(self, id: str) -> Deferred[Sums | None]:
        """See `INodes.accounts`."""
        return self._looker.call(self._session.run, lambda db: beat.accounts(db, id))

    def drain(self, name: str, drains: bool) -> Deferred[None]:
        """See `INodes.drain`."""

        def decided(is_there: bool) -> Deferred[None]:
            if not is_there:
                raise NotFound(f"there is no node {name!r}")
            return self._look()

        return self._looker.call(self._session.run, lambda db: beat.drain(db, name, drains)).addCallback(
            decided
        )

    def seek(self, what: str, changed: Callable[[], Any], stays: bool = False) -> None:
        """See `ILeases.seek`."""
        self._seeks[what] = changed
        if stays:
            self._stays.add(what)

    def holds(self, what: str) -> bool:
        """See `ILeases.holds`."""
        return what in self._held and time.monotonic() <= self._sure_until

    def give_up(self, what: str) -> None:
        """See `ILeases.give_up`."""
        self._seeks.pop(what, None)
        self._stays.discard(what)
        self._held -= {what}

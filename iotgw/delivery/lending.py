"""What another node delivers: of an integration that is `single`, one node delivers the messages of all partitions."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed

from iotgw.core.model import Counters, Progress
from iotgw.core.ports.journal import ITelemetryStream
from iotgw.delivery.running import Elsewhere

Place = tuple[int, Counters]
"""A cursor, and the accounts as of it."""


class Lending:
    """The integrations to which others deliver what is in this partition. ``kept`` are the places of those that aren't running, and ``release`` ends one and
    says where it stands."""

    def __init__(
        self, journal: ITelemetryStream, kept: dict[str, Place], release: Callable[[str], Deferred[Place | None]]
    ) -> None:  # fmt: skip
        self._journal = journal
        self._kept = kept
        self._release = release
        self._lent: set[str] = set()
        self.elsewhere: dict[str, Elsewhere] = {}
        """Those to which another node delivers, by id."""

    def start(self) -> None:
        """Begin. The journal must have started."""
        self._lent = set(self._journal.lent())

    def lend(self, id_: str, is_running: bool, found: Elsewhere, max_age: float) -> Deferred[None]:
        """See `iotgw.delivery.service.DeliveryService.lend`."""
        self.elsewhere[id_] = found
        self._journal.hold(id_, max_age)
        if is_running:
            return self._release(id_).addCallback(lambda place: self._lend(id_, place))
        if id_ in self._lent:
            self._kept.pop(id_, None)
            return succeed(None)
        head = self._journal.head
        return self._lend(id_, self._kept.pop(id_, (head, Counters(counted=head, since=head))))

    def _lend(self, id_: str, place: Place | None) -> Deferred[None]:
        if place is None:
            return succeed(None)
        self._lent.add(id_)
        self._journal.progress(Progress(id_, *place, lent=True))
        return self._journal.committed()

    def keep(self, id_: str, place: Place) -> None:
        """See `iotgw.delivery.service.DeliveryService.keep`."""
        self._kept[id_] = place

    def take_back(self, id_: str) -> Deferred[None]:
        """See `iotgw.delivery.service.DeliveryService.take_back`."""

        def taken(found: Place | None) -> None:
            self.elsewhere.pop(id_, None)
            self._lent.discard(id_)
            self._kept.pop(id_, None)
            if found is not None:
                self._kept[id_] = found

        if id_ in self._lent:
            return self._journal.take_back(id_).addCallback(taken)
        self.elsewhere.pop(id_, None)
        return succeed(None)

    def remove(self, id_: str) -> None:
        """It is deleted."""
        self.elsewhere.pop(id_, None)
        if id_ in self._lent:
            self._lent.discard(id_)
            self._journal.forget(id_)

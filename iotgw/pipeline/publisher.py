"""Publishes what happens to uplinks to all listeners."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ParamSpec

from twisted.logger import Logger
from zope.interface import implementer

from iotgw.core.model import Outcome, TelemetryRecord
from iotgw.core.ports.journal import Entries, IJournalListener
from iotgw.core.ports.pipeline import UplinkListener

P = ParamSpec("P")
Damaged = Callable[[str, int, int, str], None]


def _unheard(table: str, first: int, last: int, what: str) -> None:
    """Nobody wants to know of damage."""


@implementer(IJournalListener)
class Publisher:
    """Listens to the journal, groups uplinks by datasource, and calls the listeners in order.

    An exception in a listener is logged, and the others are still called. ``room_again()`` is called when the journal
    has room again, ``damaged`` as in `IJournalListener.damaged`.
    """

    _log = Logger()

    def __init__(
        self, listeners: Sequence[UplinkListener], room_again: Callable[[], None], damaged: Damaged = _unheard
    ) -> None:
        silent = UplinkListener
        self._storing = [each.storing for each in listeners if type(each).storing is not silent.storing]
        self._stored = [each.stored for each in listeners if type(each).stored is not silent.stored]
        self._spilled = [each.spilled for each in listeners if type(each).spilled is not silent.spilled]
        self._postponed = [
            each.postponed for each in listeners if type(each).postponed is not silent.postponed
        ]
        self._refused = [each.refused for each in listeners if type(each).refused is not silent.refused]
        self._converted = [
            each.converted for each in listeners if type(each).converted is not silent.converted
        ]
        self._settled = [each.settled for each in listeners if type(each).settled is not silent.settled]
        self._room_again = room_again
        self._damaged = damaged

    def storing(self, entries: Entries) -> None:
        """See `IJournalListener.storing`."""
        groups = [
            (source, [stored for stored, _ in group]) for source, group in _by_datasource(entries).items()
        ]
        for hear in self._storing:
            for source, uplinks in groups:
                self._tell(hear, source, uplinks)

    def stored(self, entries: Entries) -> None:
        """See `IJournalListener.stored`."""
        groups = _by_datasource(entries).items()
        for hear in self._stored:
            for source, group in groups:
                self._tell(hear, source, group)

    def spilled(self, entries: Entries) -> None:
        """See `IJournalListener.spilled`."""
        groups = _by_datasource(entries).items()
        for hear in self._spilled:
            for source, group in groups:
                self._tell(hear, source, group)

    def postponed(self, entries: Entries) -> None:
        """See `IJournalListener.postponed`."""
        groups = _by_datasource(entries).items()
        for hear in self._postponed:
            for source, group in groups:
                self._tell(hear, source, [stored for stored, _ in group])

    def refused(self, entries: Entries, reason: str) -> None:
        """See `IJournalListener.refused`."""
        self._log.warn("{count} uplinks were refused: {reason}", count=len(entries), reason=reason)
        groups = _by_datasource(entries).items()
        for hear in self._refused:
            for source, group in groups:
                self._tell(hear, source, group, reason)

    def converted(self, outcomes: list[Outcome]) -> None:
        """A datasource's conversions report that these durable uplinks are converted."""
        for hear in self._converted:
            self._tell(hear, outcomes)

    def settled(self, outcomes: list[Outcome], records: list[TelemetryRecord]) -> None:
        """See `IJournalListener.settled`."""
        for hear in self._settled:
            self._tell(hear, outcomes, records)

    def room_again(self) -> None:
        """See `IJournalListener.room_again`."""
        self._room_again()

    def damaged(self, table: str, first: int, last: int, what: str) -> None:
        """See `IJournalListener.damaged`."""
        self._damaged(table, first, last, what)

    def _tell(self, hear: Callable[P, None], *what: P.args, **more: P.kwargs) -> None:
        try:
            hear(*what, **more)
        except Exception:
            self._log.failure("a listener failed when it was told of uplinks")


def _by_datasource(entries: Entries) -> dict[str, Entries]:
    sources = {stored.uplink.datasource for stored, _ in entries}
    if len(sources) == 1:
        return {sources.pop(): entries}
    found: dict[str, Entries] = {}
    for entry in entries:
        source = entry[0].uplink.datasource
        group = found.get(source)
        if group is None:
            group = found[source] = []
        group.append(entry)
    return found

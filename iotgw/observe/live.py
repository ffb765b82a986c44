"""A short ring of what happens now, which everybody who looks on reads at his own pace.

Nothing is put into it while nobody looks: a batch of messages then costs one look at an attribute. What a message was is taken down when it has been
converted, and put into the ring when that is durable.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from itertools import islice
from typing import Any

from msgspec.structs import replace
from zope.interface import implementer

from iotgw.core.model import Event, Outcome, State, StoredUplink, TelemetryRecord
from iotgw.core.ports.live import HappenedElsewhere, Happening, ILive, ILiveFeed, LiveMessage, Topic
from iotgw.core.ports.pipeline import UplinkListener

LENGTH = 2048
"""What the ring holds: about a second of a busy gateway."""
HEAD = 16
"""Bytes of a payload that are kept."""
UNDER_WAY = 16_384
"""Converted messages that may wait to be durable; of more, the oldest are not shown."""
_WORDS = {state: state.name.lower() for state in State}


@implementer(ILive, ILiveFeed)
class LiveFeed(UplinkListener):
    """An `ILive` of what it is told. ``length`` is how much it holds."""

    def __init__(self, length: int = LENGTH) -> None:
        self._ring: deque[Happening] = deque(maxlen=length)
        self._watchers: Counter[Topic] = Counter()
        self._under_way: dict[int, tuple[str, str, LiveMessage]] = {}
        self.head = 0
        self.is_watched = False

    # --- for readers ---

    def join(self, topics: frozenset[Topic]) -> None:
        """See `ILive.join`."""
        self._watchers.update(topics)
        self._look()

    def leave(self, topics: frozenset[Topic]) -> None:
        """See `ILive.leave`."""
        self._watchers.subtract(topics)
        self._look()

    def _look(self) -> None:
        self.is_watched = self._watchers["messages"] > 0
        if not self.is_watched:
            self._under_way.clear()
        if not any(self._watchers.values()):
            self._ring.clear()

    def watchers(self, topic: Topic) -> int:
        """How many look at a topic."""
        return self._watchers[topic]

    def after(self, number: int) -> list[Happening]:
        """See `ILive.after`."""
        ring = self._ring
        if not ring or number >= self.head:
            return []
        return list(islice(ring, max(0, number + 1 - ring[0].number), None))

    # --- what happens ---

    def _put(
        self, topic: Topic, tenant: str, datasource: str, devices: Iterable[str], state: str, value: Any
    ) -> None:
        self.head += 1
        self._ring.append(Happening(self.head, topic, tenant, datasource, tuple(devices), state, value))

    def has_ended(
        self, tenant: str, datasource: str, uplinks: list[StoredUplink], outcomes: list[Outcome]
    ) -> None:
        """See `ILiveFeed.has_ended`."""
        if not self.is_watched:
            return
        ended = {outcome.seq for outcome in outcomes}
        for stored in uplinks:
            if stored.seq in ended:
                self._under_way[stored.seq] = tenant, datasource, _facts(stored)
            else:
                message = _facts(stored)
                self._put("messages", tenant, datasource, (), _WORDS[State.FILTERED], message)
        while len(self._under_way) > UNDER_WAY:
            del self._under_way[next(iter(self._under_way))]

    def settled(self, outcomes: list[Outcome], records: list[TelemetryRecord]) -> None:
        """These outcomes are durable."""
        if not self.is_watched:
            return
        for outcome in outcomes:
            known = self._under_way.pop(outcome.seq, None)
            if known is None:  # it was converted before anybody looked
                continue
            tenant, datasource, message = known
            outputs = outcome.outputs
            devices: Iterable[str] = (
                (outputs[0].device_name,)
                if len(outputs) == 1
                else dict.fromkeys([output.device_name for output in outputs])
            )
            if outcome.error is not None:
                message = replace(message, error=outcome.error)
            self._put("messages", tenant, datasource, devices, _WORDS[outcome.state], message)

    def happened(self, event: Event) -> None:
        """Something happened that is worth an event."""
        if self._watchers["events"]:
            datasource = event.name if event.source == "datasource" else ""
            self._put("events", event.tenant, datasource, (event.device,), "", event)

    def happened_elsewhere(self, found: HappenedElsewhere) -> None:
        """This has happened on other nodes."""
        if self.is_watched:
            for each in found.messages:
                self._put(
                    "messages", each.tenant, each.datasource, each.devices, _WORDS[each.state], each.message
                )
        for event in found.events:
            self.happened(event)

    def counted(self, tenant: str, changed: Any) -> None:
        """These figures of a tenant's things have changed in the last second."""
        self._put("stats", tenant, "", (), "", changed)


def _facts(stored: StoredUplink) -> LiveMessage:
    uplink = stored.uplink
    return LiveMessage(stored.seq, uplink.received_ms, len(uplink.payload), uplink.payload[:HEAD], None)

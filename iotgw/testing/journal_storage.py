"""What a journal in memory has made durable."""

from __future__ import annotations

from collections import Counter
from typing import Any

from msgspec import Struct

from iotgw.core.epochs import Epoch
from iotgw.core.message_query import LOOK, FoundMessages, KeptApart, MessageQuery, affordable
from iotgw.core.model import Counters, Message, Outcome, Parked, State, TelemetryRecord, Uplink
from iotgw.core.ports.journal import Held
from iotgw.core.times import DateMs


class Storage(Struct):
    """The durable contents, which a journal leaves to the next one. Everything is keyed by position."""

    uplinks: dict[int, Uplink] = {}
    outcomes: dict[int, Outcome] = {}
    made: dict[int, tuple[TelemetryRecord, ...]] = {}
    """An uplink's records, of its last outcome."""
    lost: set[int] = set()
    """Uplinks that were given up unread."""
    kept: set[int] = set()
    """Uplinks that ended without an outcome."""
    cursors: dict[str, int] = {}
    """By datasource."""
    records: dict[int, TelemetryRecord] = {}
    integrations: dict[str, tuple[int, Counters]] = {}
    parked: dict[tuple[str, int], Parked] = {}
    epochs: list[Epoch] = []
    """One for each journal that was opened on it."""

    def copy(self) -> Storage:
        """The contents that a crash would leave now."""
        return Storage(
            *(type(value)(value) for value in (getattr(self, each) for each in self.__struct_fields__))
        )

    @property
    def last_uplink(self) -> int:
        """The position after which uplinks go on."""
        return max([*self.uplinks, *self.cursors.values()], default=0)

    @property
    def head(self) -> int:
        """The position after which the telemetry stream goes on."""
        return max([*self.records, *(cursor for cursor, _ in self.integrations.values())], default=0)

    def state(self, seq: int) -> State:
        """What became of an uplink."""
        if seq in self.outcomes:
            return self.outcomes[seq].state
        if seq in self.lost:
            return State.FAILED
        return State.FILTERED if seq in self.kept else State.RECEIVED

    def message(self, seq: int) -> Message:
        """An uplink with all that became of it."""
        outcome = self.outcomes.get(seq)
        converter, error = ("", None) if outcome is None else (outcome.converter, outcome.error)
        return Message(seq, self.uplinks[seq], self.state(seq), converter, error, self.made.get(seq, ()))

    def waiting(self, after: int) -> list[Held]:
        """See `IMessages.quarantined`."""
        return [
            (
                seq,
                self.uplinks[seq].tenant,
                self.uplinks[seq].datasource,
                self.uplinks[seq].received_ms,
                outcome.error.devices,
            )
            for seq, outcome in sorted(self.outcomes.items())
            if seq > after
            and outcome.error is not None
            and outcome.error.name == "Quarantined"
            and outcome.state is not State.FAILED
        ]

    def found(self, query: MessageQuery, before: int, after: int = 0) -> list[Message]:
        """The messages of a query, newest first, with after < seq < before (0: from the newest)."""
        positions = sorted(self.uplinks, reverse=True)
        candidates = (seq for seq in positions if after < seq and (not before or seq < before))
        return [
            message
            for message in map(self.message, candidates)
            if query.matches(message) and (query.parked is None or self._is_parked(message, query.parked))
        ]

    def _is_parked(self, message: Message, wanted: KeptApart) -> bool:
        return any(
            each.record.uplink == message.seq and id in wanted.integrations and each.state in wanted.states
            for (id, _), each in self.parked.items()
        )

    def searched(self, query: MessageQuery, before: int, limit: int, looks: int) -> FoundMessages:
        """The messages of a query among the next so many."""
        ahead = sorted((seq for seq in self.uplinks if not before or seq < before), reverse=True)[:looks]
        looked_to = ahead[-1] if ahead else 0
        found = self.found(query, before, looked_to - 1)
        if len(found) > limit:
            found = found[:limit]
            looked_to = found[-1].seq
        count, _ = affordable(map(_size, found), LOOK)
        if count < len(found):
            found = found[:count]
            looked_to = found[-1].seq
        left = any(seq < looked_to for seq in self.uplinks)
        at_ms = self.uplinks[looked_to].received_ms if looked_to else DateMs(0)
        return FoundMessages(found, looked_to if left else 0, at_ms)

    def tally(self) -> dict[str, Any]:
        """What `IMessages.stats` says of what is stored."""
        totals, datasources = Counter[str](), dict[str, Counter[str]]()
        for seq, uplink in self.uplinks.items():
            names = {"received", self.state(seq).name.lower()}
            totals.update(names)
            datasources.setdefault(uplink.datasource, Counter()).update(names)
        done = totals["converted"] + totals["filtered"] + totals["failed"]
        first = min(self.uplinks, default=0)
        oldest = self.uplinks[first].received_ms if first else 0
        return {
            **{state.name.lower(): totals[state.name.lower()] for state in State},
            "waiting": totals["received"] - done,
            "datasources": {source: dict(counts) for source, counts in datasources.items()},
            "bytes": sum(len(uplink.payload) for uplink in self.uplinks.values()),
            "parked": len(self.parked),
            "uplink": {"first": first, "last": self.last_uplink, "oldest": oldest},
        }


def _size(message: Message) -> int:
    uplink = message.uplink
    return len(uplink.payload) + len(uplink.metadata) + sum(len(each.body) for each in message.records)

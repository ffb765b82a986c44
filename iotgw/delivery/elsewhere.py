"""Tells what became of other nodes' messages, as their last commits say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from iotgw.core.model import Counters, Delivery, Message, TelemetryRecord
from iotgw.core.places import part_of
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.journal import IElsewhere
from iotgw.delivery.losses import Losses
from iotgw.delivery.standing import Named, choose, settled


class StandingsElsewhere:
    """As `iotgw.delivery.standing.Standings`, for messages that have a place."""

    def __init__(self, elsewhere: IElsewhere, calendar: ICalendar) -> None:
        self._elsewhere = elsewhere
        self._calendar = calendar

    async def of(
        self, messages: Sequence[Message], integrations: Mapping[str, Named]
    ) -> list[list[Delivery]]:
        """The deliveries of each message, sorted by name."""
        found: list[dict[str, Delivery]] = [{} for _ in messages]
        for part in {part_of(message.seq) for message in messages}:
            some = [
                (chosen, message)
                for chosen, message in zip(found, messages, strict=True)
                if part_of(message.seq) == part
            ]
            await self._of_part(part, some, integrations)
        return [[each[name] for name in sorted(each)] for each in found]

    async def _of_part(
        self,
        part: int,
        messages: list[tuple[dict[str, Delivery], Message]],
        integrations: Mapping[str, Named],
    ) -> None:
        progress = await self._elsewhere.progress(part)
        asked: list[tuple[dict[str, Delivery], TelemetryRecord, str]] = []
        wanted: dict[str, list[int]] = {}
        for chosen, message in messages:
            for record in message.records:
                for id, each in integrations.items():
                    cursor, counters = progress.get(id, (0, Counters()))
                    if record.seq > counters.since and each.route.match(record):
                        if _waits(record.seq, cursor, counters):
                            choose(chosen, Delivery(each.name, "queued", 0, None))
                        else:
                            asked.append((chosen, record, id))
                            wanted.setdefault(id, []).append(record.seq)
        rows = await self._elsewhere.parked_among(part, wanted) if wanted else {}
        losses = {id: Losses(progress[id][1].lost, progress[id][0]) for id in wanted}
        for chosen, record, id in asked:
            row, outcome = rows.get((id, record.seq)), losses[id].outcome(record.seq)
            choose(chosen, settled(integrations[id].name, row, outcome, self._calendar))


def _waits(seq: int, cursor: int, counters: Counters) -> bool:
    """Whether a record is neither settled nor parked."""
    return seq > cursor and (seq > counters.done or seq in counters.open)

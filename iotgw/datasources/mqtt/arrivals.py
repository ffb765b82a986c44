"""What arrives on one connection to a broker: to the gateway in order, and acknowledged when it is durable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from iotgw.connect.mqtt_owner import ArrivalSource
from iotgw.core.model import Answer, Downlink, Metadata
from iotgw.core.ports.intake import IIntake
from iotgw.datasources.feed import Feed
from iotgw.wire.mqtt import Arrived

Found = tuple[bytes, Metadata, bool]
"""An uplink of a message: payload, metadata, and whether its answer can carry a downlink."""
Send = Callable[[str, str, tuple[Downlink, ...]], None]
"""``send(identity, topic, downlinks)``: what an answer brought for the device behind an uplink's topic."""


class Era:
    """The life of one session at a broker, over its connections: identifiers of QoS 2 messages mean the same in it.

    ``pending`` are those in the gateway's hands, each with the connection that brought it last: a message that comes
    again meanwhile is not another one (MQTT 5.0 §4.3.3).
    """

    def __init__(self) -> None:
        self.is_over = False
        self.pending: dict[int, ArrivalSource] = {}


class Arrivals:
    """The messages of one connection. ``is_kept``: the broker keeps what was not acknowledged, and sends it again."""

    def __init__(
        self,
        intake: IIntake,
        clock: IReactorTime,
        reader: ArrivalSource,
        era: Era,
        send: Send,
        counts: Counter[str],
        *,
        is_kept: bool,
        listens: bool,
    ) -> None:
        self._reader = reader
        self._era = era
        self._send = send
        self._counts = counts
        self._is_kept = is_kept
        self._listens = listens
        self._feed = Feed(intake, clock, self._pause, reader.start_reading)

    def take(self, arrived: Arrived, uplinks: list[Found]) -> None:
        """Hand a message's uplinks over, and acknowledge it when the gateway has all of them."""
        qos = arrived.qos
        if qos == 2:
            pending = self._era.pending
            is_new = arrived.id not in pending
            pending[arrived.id] = self._reader
            if not is_new:
                return
        finish = self._complete if qos == 2 else self._reader.acknowledge
        if len(uplinks) == 1:
            self._submit(arrived, uplinks[0], finish)
            return
        left = len(uplinks)

        def one_is_over(arrived: Arrived) -> None:
            nonlocal left
            left -= 1
            if not left:
                finish(arrived)

        for uplink in uplinks:
            self._submit(arrived, uplink, one_is_over)
        if not uplinks:
            finish(arrived)

    def _submit(self, arrived: Arrived, uplink: Found, settled: Callable[[Arrived], None]) -> None:
        payload, facts, listens = uplink

        def answered(answer: Answer) -> None:
            settled(arrived)
            if answer.downlinks:
                self._send(str(facts.get("identity", "")), arrived.topic, answer.downlinks)

        # what is pending must not be forgotten: when it comes again, it counts as taken
        is_kept = arrived.qos == 1 and self._is_kept
        self._feed.submit(payload, facts, answered, self._listens and listens, is_kept=is_kept)

    def close(self) -> None:
        """The connection ended."""
        self._feed.close()

    def _complete(self, arrived: Arrived) -> None:
        """A message of QoS 2 is durable: tell the connection that brought it last, if the session is still the same."""
        reader = self._era.pending.pop(arrived.id, None)
        if reader is not None and not self._era.is_over:
            reader.acknowledge(arrived)

    def _pause(self) -> None:
        self._counts["paused"] += 1
        self._reader.stop_reading()

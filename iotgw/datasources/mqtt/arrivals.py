"""Messages that arrive on one connection to a broker: handed to the gateway in order, acknowledged when
durable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from twisted.internet.interfaces import IReactorTime

from iotgw.connect.mqtt_owner import ArrivalSource
from iotgw.core.model import Answer, DeviceReply, Downlink, Metadata
from iotgw.core.ports.intake import IIntake
from iotgw.datasources.feed import Feed, Write
from iotgw.datasources.frames import HeldFrames
from iotgw.datasources.pieces import piece_of
from iotgw.wire.mqtt import Arrived

Found = tuple[bytes, Metadata, bool, str] | Write
"""What a message has: an uplink (payload, metadata, whether its answer can carry a downlink, and its key), or a network's receipt,
which must be durable, too, before the message is acknowledged."""
Send = Callable[[str, str, tuple[Downlink, ...]], None]
"""``send(identity, topic, downlinks)``: sends an answer's downlinks to the device behind an uplink's topic."""
SendReply = Callable[[str, str, DeviceReply], None]
"""The same for a converter's reply."""


class Era:
    """One session at a broker, across its connections; identifiers of QoS 2 messages belong to it.

    ``pending`` are the messages that the gateway has not answered yet, each with the connection that delivered
    it last: a message that is redelivered meanwhile is a duplicate (MQTT 5.0 §4.3.3).
    """

    def __init__(self) -> None:
        self.is_over = False
        self.pending: dict[int, ArrivalSource] = {}


class Arrivals:
    """The messages of one connection. ``is_kept``: the broker keeps unacknowledged messages and redelivers
    them. ``note(topic, payload)`` is called when a message has been answered."""

    def __init__(
        self,
        intake: IIntake,
        clock: IReactorTime,
        reader: ArrivalSource,
        era: Era,
        send: Send,
        reply: SendReply,
        counts: Counter[str],
        note: Callable[[str, bytes], None] | None,
        *,
        is_kept: bool,
        listens: bool,
        frames: HeldFrames | None = None,
    ) -> None:
        self._reader = reader
        self._era = era
        self._send = send
        self._reply = reply
        self._counts = counts
        self._note = note
        self._is_kept = is_kept
        self._listens = listens
        self._is_closed = False
        self._feed = Feed(intake, clock, self._pause, reader.start_reading, frames=frames)

    def take(self, arrived: Arrived, found: Iterable[Found]) -> None:
        """Hand over what a message has, and acknowledge it when the gateway has all of them. What isn't a list is gone through some at a time."""
        qos = arrived.qos
        if qos == 2:
            pending = self._era.pending
            is_new = arrived.id not in pending
            pending[arrived.id] = self._reader
            if not is_new:
                return
        finish = self._complete if qos == 2 else self._finish
        if isinstance(found, list) and len(found) == 1 and not self._feed.is_working:
            self._submit(arrived, found[0], finish)
            return
        left = 1  # until all have been handed over

        def one_is_over(arrived: Arrived) -> None:
            nonlocal left
            left -= 1
            if not left:
                finish(arrived)

        def submit(found: Found) -> None:
            nonlocal left
            left += 1
            self._submit(arrived, found, one_is_over)

        is_kept = self._is_kept_message(arrived)
        self._feed.work(
            piece_of(
                iter(found), submit, lambda: one_is_over(arrived), lambda: not (is_kept and self._is_closed)
            )
        )

    def _is_kept_message(self, arrived: Arrived) -> bool:
        """Whether it comes again if it isn't acknowledged. Pending messages must not be forgotten: if redelivered, they count as received."""
        return arrived.qos == 1 and self._is_kept

    def _submit(self, arrived: Arrived, found: Found, settled: Callable[[Arrived], None]) -> None:
        is_kept = self._is_kept_message(arrived)
        if not isinstance(found, tuple):
            self._feed.write(found, lambda _: settled(arrived), is_kept)
            return
        payload, facts, listens, key = found

        def answered(answer: Answer) -> None:
            settled(arrived)
            if answer.reply is not None:
                self._reply(str(facts.get("identity", "")), arrived.topic, answer.reply)
            if answer.downlinks:
                self._send(str(facts.get("identity", "")), arrived.topic, answer.downlinks)

        self._feed.submit(payload, facts, answered, self._listens and listens, is_kept=is_kept, key=key)

    def close(self) -> None:
        """The connection ended."""
        self._is_closed = True
        self._feed.close()

    def _finish(self, arrived: Arrived) -> None:
        """A message is durable."""
        if self._note is not None:
            self._note(arrived.topic, arrived.payload)
        self._reader.acknowledge(arrived)

    def _complete(self, arrived: Arrived) -> None:
        """A QoS 2 message is durable: tell the connection that delivered it last, if the session is still the
        same."""
        if self._note is not None:
            self._note(arrived.topic, arrived.payload)
        reader = self._era.pending.pop(arrived.id, None)
        if reader is not None and not self._era.is_over:
            reader.acknowledge(arrived)

    def _pause(self) -> None:
        self._counts["paused"] += 1
        self._reader.stop_reading()

"""What is pulled from a broker: read by its envelope, handed over in order, acknowledged as the durable prefix.

A broker keeps messages until they are acknowledged, and gives them out again after an interruption. So a message that waits
here when its partition is given up is dropped, and one that was acknowledged late comes twice, never not at all. It is
recognised by its key, which is the platform's own or the broker's name for the message.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from iotgw.core.model import Answer, Downlink, Metadata
from iotgw.core.ports.datasources import DatasourceContext
from iotgw.core.ports.intake import IIntake
from iotgw.datasources.feed import Feed, Write
from iotgw.datasources.frames import HeldFrames
from iotgw.datasources.notices import Notices
from iotgw.datasources.pieces import piece_of
from iotgw.datasources.prefix import DurablePrefix, Mark
from iotgw.envelopes.envelope import Asked, Envelope, Event, Malformed, Reading

P = TypeVar("P")
Uplink = tuple[bytes, Metadata, str]
"""Payload, metadata, and the key by which it is known when it comes again (empty if it has none)."""
Found = Uplink | Write
"""What a message has: an uplink, or a network's receipt, which must be durable, too, before the message is acknowledged."""
MOST = 10_000
"""Messages of a partition that may be ahead of its durable prefix before it is paused."""


class PulledReader:
    """Reads a datasource's messages. ``counts`` are shown with its status."""

    def __init__(self, context: DatasourceContext, envelope: Envelope, counts: Counter[str]) -> None:
        self.whose = "device"
        """The key of the metadata that says whose an uplink is: ``identity`` where its device can be sent downlinks."""
        self._context = context
        self._envelope = envelope
        self._counts = counts
        self._notices = Notices(context.intake, context.reactor, counts)

    def uplinks(
        self,
        payload: bytes,
        known: Metadata,
        device: str,
        key: str,
        address: str = "",
        attributes: Mapping[str, str] | None = None,
    ) -> Iterable[Found]:
        """The uplinks and receipts of one message, each of many when it is asked for. An invalid message is returned itself, to be kept as failed.

        ``known`` is what the broker says, ``device`` the device that it names (empty if none), ``key`` its name for the
        message, which is the same when the message comes again (empty if it has none). ``address`` says what the message is about, where others
        have an MQTT topic (``application.7.device.01.event.up``); presets see it as a topic. ``attributes`` are what the message says beside its
        payload, where over HTTP the query does: presets see them as that.
        """
        self._counts["messages"] += 1
        received_ms = self._context.date_ms()
        known = {"integrationName": self._context.name, **known, "receivedTime": received_ms}
        asked = {**known, "topic": address.replace(".", "/")} if address else known
        if attributes:
            asked = {**asked, "query": attributes}
        if device:
            asked = {**asked, "identity": device}
        events = self._envelope.read(payload, asked, received_ms)
        found = (
            each
            for number, event in enumerate(events)
            if (each := self._found(event, known, device, f"{key}/{number}" if key and number else key))
            is not None
        )
        return list(found) if isinstance(events, list | tuple) else found

    def _found(self, event: Event, known: Metadata, device: str, name: str) -> Found | None:
        if isinstance(event, Reading):
            facts, bytes_, named = {**event.facts, **known}, event.payload, event.identity or device
            if self._envelope.keys_last and event.key:
                name = event.name  # what a platform calls its uplink is the same over all ways
        elif isinstance(event, Malformed):
            self._counts["faults"] += 1
            facts, bytes_, named = {**event.facts, **known, "rejected": event.reason}, event.data, device
        elif isinstance(event, Asked):
            self._counts["unanswered"] += 1
            return None
        else:
            return self._notices.in_turn(event)
        if named:  # where nobody can be answered, it is no identity that downlinks are for
            facts[self.whose] = named
        return bytes_, facts, name

    def malformed(self, payload: bytes, known: Metadata, device: str, key: str, reason: str) -> list[Found]:
        """A message that no envelope can read, for a reason in one line. It is kept as failed."""
        self._counts["messages"] += 1
        self._counts["faults"] += 1
        received_ms = self._context.date_ms()
        facts = {
            "integrationName": self._context.name,
            **known,
            "receivedTime": received_ms,
            "rejected": reason,
        }
        return [(payload, {**facts, "device": device} if device else facts, key)]


class Partition(Generic[P]):
    """The messages of one partition, queue or shard. ``pause()`` and ``resume()`` as of a `Feed`; ``grew()`` is called when
    `durable` did, often several times in one turn of the reactor. With ``reply``, a device's downlinks come with the answer to its
    uplink: it is called with that uplink's metadata and them."""

    def __init__(
        self,
        intake: IIntake,
        clock: IReactorTime,
        pause: Callable[[], None],
        resume: Callable[[], None],
        grew: Callable[[], None],
        reply: Callable[[Metadata, tuple[Downlink, ...]], None] | None = None,
        frames: HeldFrames | None = None,
    ) -> None:
        self._reply = reply
        self._feed = Feed(
            intake, clock, pause, resume, settled_up_to=lambda number: None, most=MOST, frames=frames
        )
        self._prefix: DurablePrefix[P] = DurablePrefix()
        self._grew = grew
        self._is_closed = False

    @property
    def durable(self) -> P | None:
        """The position up to which all messages are durable."""
        return self._prefix.reached

    @property
    def is_paused(self) -> bool:
        """Whether it waits because of the gateway."""
        return self._feed.is_paused

    def take(self, position: P, found: Iterable[Found]) -> None:
        """Hand over what the next message has. What isn't a list is gone through some at a time."""
        if isinstance(found, list) and not self._feed.is_working:
            mark = self._prefix.begin(position, len(found))
            if not found and not len(self._prefix):
                self._grew()
            for each in found:
                self._submit(mark, each)
            return
        mark = self._prefix.begin(position, 1)  # until all have been handed over

        def submit(found: Found) -> None:
            mark.left += 1
            self._submit(mark, found)

        self._feed.work(
            piece_of(iter(found), submit, lambda: self._settled(mark), lambda: not self._is_closed)
        )

    def _submit(self, mark: Mark[P], found: Found) -> None:
        if not isinstance(found, tuple):
            self._feed.write(found, lambda _: self._settled(mark), is_kept=True)
            return
        payload, facts, key = found
        reply = self._reply

        def answered(answer: Answer) -> None:
            self._settled(mark)
            if answer.downlinks and reply is not None:
                reply(facts, answer.downlinks)

        self._feed.submit(payload, facts, answered, listens=reply is not None, is_kept=True, key=key)

    def close(self) -> Deferred[None]:
        """It is read no more. Fires when the gateway has answered what it has; what waits is dropped."""
        self._is_closed = True
        self._feed.close()
        closed: Deferred[None] = Deferred()
        self._feed.when_quiet(lambda: closed.callback(None))
        return closed

    def _settled(self, mark: Mark[P]) -> None:
        if self._prefix.settle(mark):
            self._grew()

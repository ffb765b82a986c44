"""An idempotent producer of a Kafka cluster, in the asyncio thread. Its owner is in the reactor's.

Messages are put into batches for their partitions here, since the library's Future per message costs more than all else. A
message is held until the brokers have reported on its batch. When they refuse a batch, or say nothing for too long, the producer
gives way to a new one: an idempotent producer can't go on without a batch.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct
from twisted.internet.defer import Deferred

from iotgw.connect.kafka_access import KafkaClient
from iotgw.core.ports.connect import IAsyncioThread
from iotgw.core.ports.reactor import IThreadedClock

BATCH = 256 << 10
"""Bytes of a batch, unless its only message is larger."""
GOODBYE = 2.0
"""Seconds for what is under way when the producer ends."""
TICK = 1.0
"""Seconds between two looks whether a report is overdue, while one is awaited."""
LOOK = 5.0
"""Seconds in which brokers must answer to count as back."""

Compression = Literal["none", "gzip", "snappy", "lz4", "zstd"]
Blame = Literal["message", "place", "brokers"]
"""What a failure is about: the message itself, the topic (its rights, its existence), or the cluster."""
ABOUT_MESSAGE = ("MessageSizeTooLargeError", "InvalidTopicError", "InvalidMessageError", "InvalidTimestampError",
                 "RecordListTooLargeError")  # fmt: skip
ABOUT_PLACE = ("TopicAuthorizationFailedError", "UnknownTopicOrPartitionError", "PolicyViolationError")
TOO_LARGE = ("MessageSizeTooLargeError", "RecordListTooLargeError")


class Outgoing(Struct, frozen=True, gc=False):
    """A message: ``number`` is its owner's, ``key`` chooses the partition (None is any), ``timestamp`` is in ms."""

    number: int
    topic: str
    key: bytes | None
    value: bytes
    timestamp: int
    headers: list[tuple[str, bytes]]


class KafkaWriterOwner(Protocol):
    """What a writer tells, in the reactor's thread. Nothing may raise."""

    def on_ready(self) -> None:
        """The brokers answer."""

    def on_failed(self, reason: str) -> None:
        """The brokers can't be reached, or say nothing; what was put is held, or has been reported."""

    def on_delivered(self, numbers: Sequence[int]) -> None:
        """The brokers have these messages."""

    def on_refused(self, numbers: Sequence[int], blame: Blame, reason: str) -> None:
        """They were not delivered, as far as is known."""


class KafkaWriter:
    """Writes for an owner. ``patience`` are the seconds for which a message may be without a report. Methods without
    ``async`` are called in the reactor's thread."""

    def __init__(
        self,
        client: KafkaClient,
        owner: KafkaWriterOwner,
        reactor: IThreadedClock,
        thread: IAsyncioThread,
        backoff: Callable[[int], float],
        compression: Compression = "none",
        patience: float = 30.0,
    ) -> None:
        self._client = client
        self._owner = owner
        self._reactor = reactor
        self._thread = thread
        self._backoff = backoff
        self._compression = compression
        self._patience = patience
        self._ends: asyncio.Event | None = None
        self._is_ended = False
        self._producer: Any = None
        self._pending: dict[asyncio.Task[None], tuple[float, list[Outgoing]]] = {}
        self._held: list[Outgoing] | None = None
        """What waits for the next producer, each to be sent by itself; None where none is expected soon."""
        self._broken = asyncio.Event()
        self._said = ""
        """The last trouble since the brokers took something."""
        self._partitions = Partitioner(client.library)

    def run(self) -> Deferred[None]:
        """Write until `end`."""
        return self._thread.run(self._run())

    def end(self) -> None:
        """Write no more, after a short wait for what is under way."""
        self._is_ended = True
        self._thread.call(self._end)

    def put(self, messages: list[Outgoing]) -> None:
        """Write these; each is reported once."""
        self._thread.call(self._put, messages)

    # --- in the loop ---

    def _end(self) -> None:
        if self._ends is not None:
            self._ends.set()
        self._broken.set()

    def _note(self, reason: str) -> None:
        self._said = reason
        self._tell(self._owner.on_failed, reason)

    async def _run(self) -> None:
        self._ends = asyncio.Event()
        failures = 0
        while not self._is_ended:
            self._broken = asyncio.Event()
            try:
                await self._session()
                failures = 0
                continue
            except Exception as error:
                words = self._client.in_words(error)
                self._note(self._said if self._said and "bootstrap" in words else words)
            held, self._held = self._held, None
            self._refuse(held or [], "brokers", self._said)
            failures += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ends.wait(), self._backoff(failures))
        self._refuse(self._held or [], "brokers", "the integration was stopped")

    async def _session(self) -> None:
        """Until `end`, or until a batch fails."""
        said: list[str] = []
        producer = self._client.library.AIOKafkaProducer(
            **self._client.arguments(said.append),
            client_id="iotgw",
            acks="all",
            enable_idempotence=True,
            compression_type=None if self._compression == "none" else self._compression,
            max_batch_size=BATCH,
        )
        try:
            try:
                await producer.start()
            finally:
                self._said = said[-1] if said else ""
            self._client.arguments(self._note)
            self._producer = producer
            self._tell(self._owner.on_ready)
            held, self._held = self._held, None
            for message in held or ():  # each by itself: a batch of them may have been too large
                self._put([message])
            await self._until_broken(producer)
        finally:
            self._producer = None
            await self._close(producer)

    async def _until_broken(self, producer: Any) -> None:
        while not self._broken.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._broken.wait(), TICK)
            overdue = time.monotonic() - self._patience
            if any(since < overdue for since, _ in self._pending.values()):
                self._note(self._said or f"the brokers have reported nothing for {self._patience:g} s")
                return
            if self._said and not self._pending:  # nothing else would find out that they are back
                with contextlib.suppress(TimeoutError):
                    if await asyncio.wait_for(producer.client.force_metadata_update(), LOOK):
                        self._said = ""
                        self._tell(self._owner.on_ready)

    async def _close(self, producer: Any) -> None:
        """End a producer. What is under way may still be reported, unless the brokers are silent."""
        if self._broken.is_set():
            self._held = self._held or []
            if self._pending:
                await asyncio.wait(self._pending, timeout=GOODBYE)
        for task in list(self._pending):
            task.cancel()
        # an idempotent producer would go on for ever with what it holds
        parts: tuple[Any, Any] = (getattr(producer, "_sender", None), producer.client)
        for closing in parts:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(closing.close(), GOODBYE)
        with contextlib.suppress(Exception):
            await asyncio.wait_for(producer.stop(), GOODBYE)
        pending, self._pending = self._pending, {}
        for _, messages in pending.values():
            self._refuse(messages, "brokers", self._said or "the connection was given up")

    def _put(self, messages: list[Outgoing]) -> None:
        producer = self._producer
        if producer is None and self._held is not None:  # one producer gives way to another
            self._held += messages
            return
        if producer is None:
            self._refuse(messages, "brokers", self._said or "not connected yet")
            return
        of: dict[str, list[Outgoing]] = defaultdict(list)
        for message in messages:
            of[message.topic].append(message)
        for topic, found in of.items():
            partitions = producer.client.cluster.partitions_for_topic(topic)
            if partitions:
                self._divide(producer, topic, partitions, found)
            else:
                self._keep(asyncio.create_task(self._look_up(producer, topic, found)), found)

    def _keep(self, task: asyncio.Task[None], messages: list[Outgoing]) -> None:
        """A task reports on these messages when it is done; what was cancelled is reported by `_close`."""
        self._pending[task] = time.monotonic(), messages
        task.add_done_callback(lambda task: task.cancelled() or self._pending.pop(task, None))

    async def _look_up(self, producer: Any, topic: str, messages: list[Outgoing]) -> None:
        try:
            partitions = await producer.partitions_for(topic)
        except Exception as error:
            self._failed(messages, error)
        else:
            self._divide(producer, topic, partitions, messages)

    def _divide(self, producer: Any, topic: str, partitions: Any, messages: list[Outgoing]) -> None:
        """Put messages into batches, and send those of each partition in order."""
        lines: dict[int, list[tuple[Any, list[Outgoing]]]] = defaultdict(list)
        for message in messages:
            line = lines[self._partitions.of(message.key, partitions)]
            if not line or not _append(line[-1][0], message):
                line.append((producer.create_batch(), []))
                _append(line[-1][0], message)
            line[-1][1].append(message)
        for number, line in lines.items():
            mine = [message for _, part in line for message in part]
            self._keep(asyncio.create_task(self._deliver(producer, topic, number, line)), mine)

    async def _deliver(
        self, producer: Any, topic: str, number: int, line: list[tuple[Any, list[Outgoing]]]
    ) -> None:
        """Send a partition's batches one after another."""
        own = asyncio.current_task()
        while line:
            batch, messages = line[0]
            try:
                await (await producer.send_batch(batch, topic, partition=number))
            except Exception as error:
                for _, part in line:
                    self._failed(part, error)
                self._broken.set()
                return
            del line[0]
            self._said = ""
            self._tell(self._owner.on_delivered, [message.number for message in messages])
            if line and own in self._pending:
                self._pending[own] = time.monotonic(), [message for _, part in line for message in part]

    # --- reports ---

    def _failed(self, messages: list[Outgoing], error: Exception) -> None:
        kind = type(error).__name__
        if kind in TOO_LARGE and len(messages) > 1:
            self._held = (self._held or []) + messages
            return
        reason = self._client.in_words(error)
        if kind in ABOUT_MESSAGE:
            self._refuse(messages, "message", reason)
        elif kind in ABOUT_PLACE and not self._said:
            self._refuse(messages, "place", reason)
        else:
            self._refuse(messages, "brokers", self._said or reason)

    def _refuse(self, messages: Sequence[Outgoing], blame: Blame, reason: str) -> None:
        if messages:
            self._tell(self._owner.on_refused, [message.number for message in messages], blame, reason)

    def _tell(self, function: Callable[..., object], *args: object) -> None:
        self._reactor.callFromThread(function, *args)


class Partitioner:
    """Chooses partitions as Kafka's own clients do (murmur2), and remembers what it found for a key."""

    MOST = 65_536

    def __init__(self, library: Any) -> None:
        from aiokafka.partitioner import DefaultPartitioner  # noqa: PLC0415 - an extra

        self._choose = DefaultPartitioner()
        self._known: dict[tuple[bytes, int], int] = {}
        self._next = 0

    def of(self, key: bytes | None, partitions: Any) -> int:
        """The partition of a key; without one, each in turn."""
        numbers = sorted(partitions)
        if key is None:
            self._next = (self._next + 1) % len(numbers)
            return int(numbers[self._next])
        found = self._known.get((key, len(numbers)))
        if found is None:
            if len(self._known) >= self.MOST:
                self._known.clear()
            found = self._known[key, len(numbers)] = int(self._choose(key, numbers, numbers))
        return found


def _append(batch: Any, message: Outgoing) -> bool:
    """Whether a batch had room for a message."""
    appended = batch.append(
        timestamp=message.timestamp, key=message.key, value=message.value, headers=message.headers
    )
    return appended is not None

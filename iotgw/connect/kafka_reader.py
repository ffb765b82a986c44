"""A member of a Kafka consumer group, in the asyncio thread. Its owner is in the reactor's.

It fetches in the background, and hands over what came as soon as the owner has taken what came before. Offsets are committed
when the owner says so, without waiting: a commit that fails or comes late means that messages are read twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, Literal, Protocol, TypeVar

from msgspec import Struct
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.python.failure import Failure

from iotgw.connect.kafka_access import KafkaClient
from iotgw.connect.kafka_batches import KafkaBatches
from iotgw.connect.kafka_beginning import KafkaBeginning
from iotgw.core.ports.connect import IAsyncioThread
from iotgw.core.ports.reactor import IThreadedClock

T = TypeVar("T")
Place = tuple[str, int]
"""Topic and partition."""
FETCH = 8 << 20
"""Bytes that a broker sends at once, unless the first message is larger."""
LOOK = 5.0
"""Seconds between two looks how many messages wait at the brokers, and whether these answer."""
GOODBYE = 5.0
"""Seconds for leaving the group."""
COMMIT = 30.0
"""Seconds for a commit."""
AGAIN = 1.0
"""Seconds after which a failed commit is tried again."""
DELETED = "the brokers deleted {} messages before they were read; they keep them for too short a time, or the gateway was away for too long"


class KafkaRecord(Protocol):
    """A message as the library has it."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: Sequence[tuple[str, bytes]]


class KafkaWanted(Struct, frozen=True, kw_only=True):
    """What to read: ``topics``, or those that match ``pattern``; ``start`` is where a group begins that hasn't begun before."""

    topics: tuple[str, ...]
    pattern: str
    group: str
    start: Literal["earliest", "latest"]
    session: float


class KafkaOwner(Protocol):
    """What a reader tells, in the reactor's thread. Nothing may raise."""

    def on_joined(self) -> None:
        """The brokers answer."""

    def on_failed(self, reason: str) -> None:
        """There is no connection; another try comes."""

    def on_records(self, batch: Mapping[Place, Sequence[KafkaRecord]]) -> None:
        """Messages, in order for each partition."""

    def on_revoked(self, places: Sequence[Place]) -> Deferred[Mapping[Place, int]]:
        """These partitions go to other members, or to nobody. Fires with the offsets to commit last."""

    def on_assigned(self, places: Sequence[Place]) -> None:
        """These partitions are ours now, and no others."""

    def on_missed(self, place: Place, what: str) -> None:
        """Messages of a partition won't be read; ``what`` says how many, and why, for people."""

    def on_waiting(self, number: int) -> None:
        """So many messages wait at the brokers."""

    def on_not_committed(self, reason: str) -> None:
        """A commit failed."""


class KafkaReader:
    """Reads for an owner. Methods without ``async`` are called in the reactor's thread."""

    def __init__(
        self,
        client: KafkaClient,
        wanted: KafkaWanted,
        owner: KafkaOwner,
        reactor: IThreadedClock,
        thread: IAsyncioThread,
        backoff: Callable[[int], float],
    ) -> None:
        self._client = client
        self._wanted = wanted
        self._owner = owner
        self._reactor = reactor
        self._thread = thread
        self._backoff = backoff
        self._consumer: Any = None
        self._beginning: KafkaBeginning | None = None
        self._batches: KafkaBatches
        self._ends: asyncio.Event | None = None
        self._is_ended = False
        self._to_commit: dict[Place, int] = {}
        self._committing: asyncio.Task[None] | None = None
        self._looking_for_gaps: asyncio.Task[None] | None = None
        self._placing: asyncio.Task[None] | None = None

    def run(self, is_new: bool, begun: Callable[[], None]) -> Deferred[None]:
        """Read until `end`; fires when the group has been left. ``is_new``: the group hasn't begun before. If it is to begin with the next message,
        ``begun()`` is called in the reactor's thread when it has."""
        return self._thread.run(self._run(is_new, begun))

    def end(self) -> None:
        """Read no more, commit what the owner says last, leave the group."""
        self._is_ended = True
        self._thread.call(self._end)

    def pause(self, place: Place) -> None:
        """Fetch no more of a partition."""
        self._thread.call(self._steer, place, True)

    def resume(self, place: Place) -> None:
        """Go on with it."""
        self._thread.call(self._steer, place, False)

    def commit(self, offsets: Mapping[Place, int]) -> None:
        """Commit these offsets in the background: all before them is durable."""
        self._thread.call(self._commit, dict(offsets))

    # --- in the loop ---

    def _end(self) -> None:
        if self._ends is not None:
            self._ends.set()

    def _steer(self, place: Place, is_paused: bool) -> None:
        consumer = self._consumer
        partition = self._client.library.TopicPartition(*place)
        if consumer is not None and partition in consumer.assignment():
            (consumer.pause if is_paused else consumer.resume)(partition)

    async def _run(self, is_new: bool, begun: Callable[[], None]) -> None:
        self._ends = asyncio.Event()
        if self._wanted.start == "latest":
            self._beginning = KafkaBeginning(is_new, partial(self._tell, begun))

        def unreadable(partition: Any, offset: int, error: Exception) -> None:
            words = f"the message at offset {offset} can't be read: {self._client.in_words(error)}"
            self._tell(self._owner.on_missed, (partition[0], partition[1]), words)

        self._batches = KafkaBatches(self._client.library, self._beginning, unreadable)
        failures = 0
        while not self._is_ended:
            said: list[str] = []
            try:
                await self._session(said)
            except _Ended:
                return
            except Exception as error:
                words = self._client.in_words(error)
                self._tell(self._owner.on_failed, said[-1] if said and "bootstrap" in words else words)
            failures = failures + 1 if said else 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ends.wait(), self._backoff(failures))

    async def _session(self, said: list[str]) -> None:
        """Until `end`, or until the library gives up. What it says before it is connected is appended to ``said``."""
        library, wanted = self._client.library, self._wanted
        consumer = library.AIOKafkaConsumer(
            **self._client.arguments(said.append),
            group_id=wanted.group,
            client_id="iotgw",
            enable_auto_commit=False,
            auto_offset_reset="earliest" if self._beginning is None else "none",
            isolation_level="read_committed",
            fetch_max_bytes=FETCH,
            session_timeout_ms=int(wanted.session * 1000),
            heartbeat_interval_ms=int(wanted.session * 1000 / 3),
            rebalance_timeout_ms=60_000,
            metadata_max_age_ms=30_000,
        )
        listener = self._listener(consumer)
        looking: asyncio.Task[None] | None = None
        try:
            if wanted.pattern:
                consumer.subscribe(pattern=wanted.pattern, listener=listener)
            else:
                consumer.subscribe(topics=wanted.topics, listener=listener)
            await self._or_end(consumer.start())
            said.clear()
            self._client.arguments()  # from now on it goes on by itself, and its troubles are told
            self._consumer = consumer
            self._tell(self._owner.on_joined)
            looking = asyncio.create_task(self._look(consumer))
            while True:
                batch = await self._or_end(self._batches.next(consumer))
                if batch:
                    await self._ask(
                        self._owner.on_records,
                        {(place[0], place[1]): found for place, found in batch.items()},
                    )
        finally:
            if looking is not None:
                looking.cancel()
                await self._give_up(consumer, consumer.assignment())  # the listener isn't called for this
            if self._placing is not None:
                self._placing.cancel()
            self._consumer = None
            await _close(consumer)

    async def _or_end(self, doing: Coroutine[Any, Any, T]) -> T:
        """The result, or _Ended if `end` is called before."""
        assert self._ends is not None
        task, ends = asyncio.create_task(doing), asyncio.create_task(self._ends.wait())
        try:
            await asyncio.wait((task, ends), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise _Ended
        finally:
            ends.cancel()
            if not task.done():
                task.cancel()
                await asyncio.wait((task,))

    def _listener(self, consumer: Any) -> Any:
        reader = self

        class _Listener(self._client.library.ConsumerRebalanceListener):  # type: ignore[misc, name-defined]
            """Called by the library when the group is divided anew."""

            async def on_partitions_revoked(self, revoked: Any) -> None:
                await reader._give_up(consumer, revoked)

            async def on_partitions_assigned(self, assigned: Any) -> None:
                reader._tell(reader._owner.on_assigned, [(place[0], place[1]) for place in assigned])
                if assigned and reader._beginning is not None:
                    reader._placing = asyncio.create_task(reader._beginning.keep_trying(consumer))
                reader._looking_for_gaps = asyncio.create_task(reader._look_for_gaps(consumer, assigned))

        return _Listener()

    async def _give_up(self, consumer: Any, partitions: Any) -> None:
        """Commit what is durable of these partitions, before another member reads on."""
        if not partitions:
            return
        offsets = await self._ask(self._owner.on_revoked, [(place[0], place[1]) for place in partitions])
        if self._committing is not None:
            self._committing.cancel()
            self._committing = None
        await self._commit_now(consumer, {**self._to_commit, **offsets}, GOODBYE)
        self._to_commit.clear()

    # --- commits ---

    def _commit(self, offsets: dict[Place, int]) -> None:
        self._to_commit.update(offsets)
        if self._committing is None and self._consumer is not None:
            self._committing = asyncio.create_task(self._commit_all(self._consumer))

    async def _commit_all(self, consumer: Any) -> None:
        while self._to_commit:
            wanted, self._to_commit = self._to_commit, {}
            if not await self._commit_now(consumer, wanted, COMMIT):
                self._to_commit = wanted | self._to_commit
                await asyncio.sleep(AGAIN)
        self._committing = None

    async def _commit_now(self, consumer: Any, offsets: Mapping[Place, int], patience: float) -> bool:
        """Returns whether nothing is left to commit. What isn't ours any more needs no commit."""
        ours = consumer.assignment()
        found = {self._client.library.TopicPartition(*place): offset for place, offset in offsets.items()}
        if not (found := {place: offset for place, offset in found.items() if place in ours}):
            return True
        try:
            await asyncio.wait_for(consumer.commit(found), patience)
        except Exception as error:
            self._tell(self._owner.on_not_committed, self._client.in_words(error))
            return False
        return True

    # --- what is left to read ---

    async def _look(self, consumer: Any) -> None:
        """Tell now and then how many messages wait, and if nobody can say so."""
        while True:
            ours = consumer.assignment()
            try:
                if ours:
                    self._tell(self._owner.on_waiting, await asyncio.wait_for(_waiting(consumer, ours), LOOK))
            except TimeoutError:
                self._tell(self._owner.on_failed, "the brokers don't answer")
            except Exception as error:
                self._tell(self._owner.on_failed, self._client.in_words(error))
            await asyncio.sleep(LOOK)

    async def _look_for_gaps(self, consumer: Any, assigned: Any) -> None:
        with contextlib.suppress(Exception):
            first = await consumer.beginning_offsets(assigned)
            for place in assigned:
                committed = await consumer.committed(place)
                if committed is not None and committed < first[place]:
                    number = first[place] - committed
                    self._tell(self._owner.on_missed, (place[0], place[1]), DELETED.format(number))

    # --- between the threads ---

    def _tell(self, function: Callable[..., object], *args: object) -> None:
        self._reactor.callFromThread(function, *args)

    async def _ask(self, function: Callable[..., Any], *args: object) -> Any:
        """The result of a function that is called in the reactor's thread; of a Deferred, what it fires with. Raises what that raises."""
        loop = asyncio.get_running_loop()
        asked: asyncio.Future[Any] = loop.create_future()

        def answer(result: Any) -> None:
            if not asked.done():
                asked.set_result(result)

        def failed(failure: Failure) -> None:
            if not asked.done():
                asked.set_exception(failure.value or CancelledError())

        def ask() -> None:
            maybeDeferred(function, *args).addCallbacks(
                lambda result: loop.call_soon_threadsafe(answer, result),
                lambda failure: loop.call_soon_threadsafe(failed, failure),
            )

        self._reactor.callFromThread(ask)
        return await asked


class _Ended(Exception):
    """`KafkaReader.end` was called."""


async def _waiting(consumer: Any, places: Any) -> int:
    ends = await consumer.end_offsets(places)
    return sum([max(0, ends[place] - await consumer.position(place)) for place in places if place in ends])


async def _close(consumer: Any) -> None:
    """Leave the group. Where the brokers don't answer, close the connections all the same."""
    try:
        await asyncio.wait_for(consumer.stop(), GOODBYE)
    except Exception:
        coordinator = getattr(consumer, "_coordinator", None)
        for name in ("_coordination_task", "_heartbeat_task", "_commit_refresh_task"):
            task = getattr(coordinator, name, None)
            if task is not None:
                task.cancel()
        for part in (consumer._fetcher, consumer._client):
            with contextlib.suppress(Exception):
                await asyncio.wait_for(part.close(), 1.0)

"""The messages of a Kafka consumer as they come, but for those that nobody can read.

A producer may write what the library can't read: the name of a header that is no UTF-8, or bytes that can't be unpacked. The library then fails, also for
what it has read at the same time. So messages are read again from what is committed, one by one, until the one is known; that one is told of and passed over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from iotgw.connect.kafka_beginning import KafkaBeginning

MOST = 1000
"""Messages that are handed over at once."""
ONE_BY_ONE = 1000
"""Messages that are read so after one that can't be read: where there is one, there may be more."""


class KafkaBatches:
    """Of a reader's consumers, one after another. ``beginning`` is None for those that the library places; ``unreadable(partition, offset, error)`` is called
    for a message that is passed over."""

    def __init__(
        self,
        library: Any,
        beginning: KafkaBeginning | None,
        unreadable: Callable[[Any, int, Exception], None],
    ) -> None:
        self._errors = library.errors
        self._beginning = beginning
        self._unreadable = unreadable
        self._one_by_one = 0

    async def next(self, consumer: Any) -> Any:
        """Messages by partition; none after a while, or where a place to go on at had to be found first. Raises the library's errors, and others
        where this consumer can't go on."""
        errors, beginning = self._errors, self._beginning
        try:
            batch = await consumer.getmany(timeout_ms=1000, max_records=1 if self._one_by_one else MOST)
        except errors.NoOffsetForPartitionError:
            if beginning is None:
                raise
            await beginning.place(consumer)
        except errors.OffsetOutOfRangeError as error:
            if beginning is None:
                raise
            await beginning.gone(consumer, error.args[0])
        except errors.KafkaError:
            raise
        except Exception as error:
            found = _unread(consumer)
            if found is None:
                raise
            is_alone, self._one_by_one = bool(self._one_by_one), ONE_BY_ONE
            if not is_alone:
                raise
            partition, offset = found
            consumer.seek(partition, offset + 1)
            self._unreadable(partition, offset, error)
        else:
            if batch and self._one_by_one:
                self._one_by_one -= 1
            return batch
        return {}


def _unread(consumer: Any) -> tuple[Any, int] | None:
    """Partition and offset of the message at which the library failed; None if it failed otherwise. It says so nowhere, but the generator of that partition's
    messages has ended before them."""
    for partition, fetched in getattr(consumer._fetcher, "_records", {}).items():
        records: Any = getattr(fetched, "_partition_records", None)
        reading = getattr(records, "_records_iterator", None)
        if reading is not None and reading.gi_frame is None:
            return partition, records.next_fetch_offset
    return None

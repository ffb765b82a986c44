"""What a queue of Amazon SQS is told of messages: that they are durable, or for how long they stay hidden from others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from iotgw.connect.json_api import CallProblem
from iotgw.connect.sqs import MOST, SqsApi, SqsBatch
from iotgw.datasources.outstanding import Outstanding


class SqsTelling:
    """Tells it in groups of ten. Deletes that are fewer wait while others are under way, and then go together. A message of which the queue can't be told
    comes again, and is known then."""

    def __init__(self, api: SqsApi, counts: Counter[str]) -> None:
        self._api = api
        self._counts = counts
        self._outstanding = Outstanding()
        self._durable: list[str] = []
        self._deletes = 0
        """Requests that aren't answered."""

    def acknowledge(self, handles: Sequence[str]) -> None:
        """These messages are durable."""
        self._durable += handles
        self._delete()

    def lend(self, handles: Sequence[str], seconds: int) -> None:
        """Nobody else gets these messages for so many seconds; 0 is that others may have them now."""
        for start in range(0, len(handles), MOST):
            self._tell(
                "ChangeMessageVisibilityBatch", handles[start : start + MOST], VisibilityTimeout=seconds
            )

    def quiet(self) -> Deferred[None]:
        """Fires when the queue has answered all that it was told."""
        return self._outstanding.none()

    def _delete(self) -> None:
        while len(self._durable) >= MOST or (self._durable and not self._deletes):
            some, self._durable = self._durable[:MOST], self._durable[MOST:]
            self._deletes += 1
            self._tell("DeleteMessageBatch", some, self._deleted)

    def _deleted(self, failed: int) -> None:
        self._deletes -= 1
        if failed:
            self._counts["failedDeletes"] += failed
        self._delete()

    def _tell(
        self, action: str, handles: Sequence[str], then: Callable[[int], None] | None = None, **more: Any
    ) -> None:
        """``then`` is told of how many messages the queue couldn't be told."""

        def told(answer: Any, problem: CallProblem | None) -> None:
            if then is not None:
                then(len(handles) if problem is not None else len(answer.failed or ()))
            self._outstanding.end()

        entries = [
            {"Id": str(number), "ReceiptHandle": handle, **more} for number, handle in enumerate(handles)
        ]
        self._outstanding.begin()
        self._api.do(action, told, SqsBatch, Entries=entries)

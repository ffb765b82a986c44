"""What a queue of Amazon SQS is told of messages: that they are durable, or for how long they stay hidden from others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from iotgw.connect.json_api import CallProblem
from iotgw.connect.sqs import MOST, SqsApi, SqsBatch
from iotgw.datasources.outstanding import Outstanding


class SqsTelling:
    """Tells it in groups of ten. A message of which the queue can't be told comes again, and is known then."""

    def __init__(self, api: SqsApi, counts: Counter[str]) -> None:
        self._api = api
        self._counts = counts
        self._outstanding = Outstanding()

    def acknowledge(self, handles: Sequence[str]) -> None:
        """These messages are durable."""
        for some in _tens(handles):
            self._tell("DeleteMessageBatch", some, "failedDeletes")

    def lend(self, handles: Sequence[str], seconds: int) -> None:
        """Nobody else gets these messages for so many seconds; 0 is that others may have them now."""
        for some in _tens(handles):
            self._tell("ChangeMessageVisibilityBatch", some, "", VisibilityTimeout=seconds)

    def quiet(self) -> Deferred[None]:
        """Fires when the queue has answered all that it was told."""
        return self._outstanding.none()

    def _tell(self, action: str, handles: Sequence[str], failures: str, **more: Any) -> None:
        def told(answer: Any, problem: CallProblem | None) -> None:
            number = len(handles) if problem is not None else len(answer.failed or ())
            if number and failures:
                self._counts[failures] += number
            self._outstanding.end()

        entries = [
            {"Id": str(number), "ReceiptHandle": handle, **more} for number, handle in enumerate(handles)
        ]
        self._outstanding.begin()
        self._api.do(action, told, SqsBatch, Entries=entries)


def _tens(handles: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(handles), MOST):
        yield handles[start : start + MOST]

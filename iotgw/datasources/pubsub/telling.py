"""What a subscription of Google Pub/Sub is told of messages: that they are durable, or how long the gateway needs for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred

from iotgw.connect.json_api import CallProblem
from iotgw.connect.pubsub import PubsubApi
from iotgw.datasources.outstanding import Outstanding

MOST = 1000
"""Messages in a request: half a megabyte is what Pub/Sub takes."""


class PubsubTelling:
    """A message of which the subscription can't be told comes again, and is known then."""

    def __init__(self, api: PubsubApi, counts: Counter[str]) -> None:
        self._api = api
        self._counts = counts
        self._outstanding = Outstanding()

    def acknowledge(self, ids: Sequence[str]) -> None:
        """These messages are durable."""
        self._tell("acknowledge", ids, "failedAcknowledgements")

    def lend(self, ids: Sequence[str], seconds: int) -> None:
        """Nobody else gets these messages for so many seconds; 0 is that others may have them now."""
        self._tell("modifyAckDeadline", ids, "", ackDeadlineSeconds=seconds)

    def quiet(self) -> Deferred[None]:
        """Fires when the subscription has answered all that it was told."""
        return self._outstanding.none()

    def _tell(self, method: str, ids: Sequence[str], failures: str, **more: Any) -> None:
        for start in range(0, len(ids), MOST):
            some = ids[start : start + MOST]

            def told(answer: Any, problem: CallProblem | None, number: int = len(some)) -> None:
                if problem is not None and failures:
                    self._counts[failures] += number
                self._outstanding.end()

            self._outstanding.begin()
            self._api.do(method, {"ackIds": some, **more}, told)

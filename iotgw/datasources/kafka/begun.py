"""Keeps whether a consumer group has begun, where it was to begin with the next message: it does so once."""

from __future__ import annotations

from collections import Counter

from twisted.python.failure import Failure

from iotgw.core.ports.datasources import DatasourceContext
from iotgw.datasources.kafka.settings import KafkaSourceSettings

DATE = "begun"
"""When it did, in milliseconds since 1970."""


class Begun:
    """Of a datasource's group, for what it reads now: of topics that are added to its settings, the next messages are wanted, too. Where it can't be
    kept, the offsets that the group has committed say the same of the partitions that it had."""

    def __init__(
        self, settings: KafkaSourceSettings, context: DatasourceContext, counts: Counter[str]
    ) -> None:
        topics = sorted(settings.topics) or [settings.pattern]
        self._what = " ".join([settings.group_of(context.id), *sorted(settings.bootstrap), *topics])
        self._checkpoints = context.checkpoints
        self._date_ms = context.date_ms
        self._counts = counts

    @property
    def is_kept(self) -> bool:
        """Whether it has."""
        return self._checkpoints is not None and DATE in self._checkpoints.read(self._what)

    def keep(self) -> None:
        """It has, just now."""
        if self._checkpoints is not None:
            self._checkpoints.write(self._what, {DATE: str(self._date_ms())}).addErrback(self._failed)

    def _failed(self, _: Failure) -> None:
        self._counts["failedCheckpoints"] += 1

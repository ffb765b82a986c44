"""What a message of Google Pub/Sub says besides its data, whether it was pulled or pushed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Protocol

from iotgw.connect.pubsub import PubsubMessage
from iotgw.core.model import Metadata
from iotgw.core.names import unfit
from iotgw.datasources.pulled import Found, PulledReader
from iotgw.datasources.pulled_source import MOST_HEADERS


class NamesDevices(Protocol):
    """Settings that say what names a message's device."""

    @property
    def subscription(self) -> str:
        """The subscription's name."""

    @property
    def key_is_device(self) -> bool:
        """Whether the ordering key does."""


class PubsubReader:
    """Reads a subscription's messages. The attribute of the name ``attribute`` says whose they are, before the ordering key;
    ``may_show(name)`` whether one may stand in the metadata."""

    def __init__(
        self, settings: NamesDevices, attribute: str, messages: PulledReader, may_show: Callable[[str], bool]
    ) -> None:
        self._settings = settings
        self._attribute = attribute
        self._messages = messages
        self._may_show = may_show

    def uplinks(self, message: PubsubMessage, attempt: int = 0) -> Iterable[Found]:
        """The uplinks of a message; ``attempt`` is how often Pub/Sub has sent it, 0 where it doesn't say."""
        settings = self._settings
        known: Metadata = {
            "protocol": "google-pubsub", "subscription": settings.subscription,
        }  # fmt: skip
        for name, value in (
            ("messageId", message.message_id), ("publishTime", message.publish_time),
            ("orderingKey", message.ordering_key), ("deliveryAttempt", attempt),
        ):  # fmt: skip
            if value:
                known[name] = value
        device = message.ordering_key if settings.key_is_device else ""
        for name, value in islice(message.attributes.items(), MOST_HEADERS):
            if name == self._attribute and value:
                device = value
            if self._may_show(name):
                known[f"Header:{name}"] = value
        return self._messages.uplinks(
            message.data,
            known,
            "" if unfit(device) else device,
            message.message_id,
            message.ordering_key,
            message.attributes,
        )

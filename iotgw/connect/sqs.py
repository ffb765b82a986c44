"""A queue of Amazon SQS: where it is, and the actions on it, used by the datasource and the target alike."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from msgspec import Meta, Struct

from iotgw.connect.aws import AwsAccess, AwsApi, check_region
from iotgw.connect.json_api import Told
from iotgw.core.destination import origin
from iotgw.core.errors import SettingsError
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.reactor import IReactor

MOST = 10
"""Messages in one action (Amazon SQS API reference, e.g. "SendMessageBatch")."""
LARGEST_ANSWER = 16 << 20
"""Bytes of an answer that is read: ten messages of a megabyte, with what JSON makes of them."""
_REGION = re.compile(r"(?:sqs\.([a-z0-9-]+)|([a-z0-9-]+)\.queue)\.amazonaws\.com(\.cn)?")
_QUEUE = re.compile(r"https?://[^/?#]+/[^?#]*[A-Za-z0-9_-]+(\.fifo)?")


class SqsAttribute(Struct, frozen=True, rename="pascal"):
    """An attribute of a message."""

    string_value: str | None = None
    binary_value: str | None = None

    @property
    def text(self) -> str:
        """Its value; of a binary one the base64 that it came in."""
        return self.string_value or self.binary_value or ""


class SqsMessage(Struct, frozen=True, rename="pascal"):
    """A message. ``attributes`` are what the queue says of it, ``message_attributes`` what its sender does."""

    message_id: str
    receipt_handle: str
    body: str = ""
    attributes: dict[str, str] = {}
    message_attributes: dict[str, SqsAttribute] = {}


class SqsReceived(Struct, frozen=True, rename="pascal"):
    """What ``ReceiveMessage`` answers."""

    messages: list[SqsMessage] | None = None


class SqsEntry(Struct, frozen=True, rename="pascal"):
    """What became of one message of several."""

    id: str = ""
    code: str = ""
    message: str | None = None
    sender_fault: bool = False


class SqsBatch(Struct, frozen=True, rename="pascal"):
    """What the actions on several messages answer."""

    successful: list[SqsEntry] | None = None
    failed: list[SqsEntry] | None = None


class SqsPlace(AwsAccess, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings that say which queue, for a way in and a way out alike."""

    queue_url: Annotated[
        str,
        Meta(
            min_length=1,
            description="The queue's URL, as AWS shows it: `https://sqs.eu-central-1.amazonaws.com/123456789012/readings`.",
        ),
    ]
    region: Annotated[str, Meta(description="Such as `eu-central-1`, if the URL doesn't say it.")] = ""

    def __post_init__(self) -> None:
        """Refuse what is no queue."""
        if not _QUEUE.fullmatch(self.queue_url):
            raise ValueError(
                "queueUrl: expected a URL with a queue's path, such as https://sqs.…/123456789012/name"
            )
        self.queue_region()

    def destination(self) -> object:
        """See `iotgw.core.destination.Destined`."""
        return self.way(self.queue_url, "configuration.queueUrl")

    def queue_region(self) -> str:
        """The queue's region. Raises ValueError."""
        if self.region:
            check_region(self.region)
            return self.region
        try:
            _, host, _ = origin(self.queue_url, "configuration.queueUrl")
        except SettingsError as error:
            raise ValueError(f"queueUrl: {error}") from None
        said = _REGION.fullmatch(host)
        if said is None:
            raise ValueError("region: expected one, since the queue's URL doesn't say it")
        region = said[1] or said[2]
        check_region(region)
        return region

    @property
    def is_fifo(self) -> bool:
        """Whether the queue keeps order: its name says so (Amazon SQS developer guide, "FIFO queue names")."""
        return self.queue_url.endswith(".fifo")


class SqsApi(AwsApi):
    """The actions on one queue."""

    def __init__(
        self,
        reactor: IReactor,
        connector: IConnector,
        place: SqsPlace,
        date: Callable[[], float],
        *,
        connections: int,
        timeout: float,
    ) -> None:
        scheme, _, rest = place.queue_url.partition("://")
        host = rest.partition("/")[0]
        super().__init__(
            reactor, connector, place, f"{scheme}://{host}", place.queue_region(), "sqs", "AmazonSQS", "1.0", date,
            connections=connections, timeout=timeout, kept=LARGEST_ANSWER, place="configuration.queueUrl",
        )  # fmt: skip
        self._url = place.queue_url

    def do(self, action: str, told: Told, form: Any = Any, **body: Any) -> None:
        """Do something with the queue; ``form`` is the type of the answer."""
        self.act(action, {"QueueUrl": self._url, **body}, told, form)

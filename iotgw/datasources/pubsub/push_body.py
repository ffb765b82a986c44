"""The request by which Google Pub/Sub pushes a message: wrapped in JSON, or as it is with the rest in headers.

Sources: "Push subscriptions" and "Payload unwrapping for Pub/Sub push subscriptions" in Google's documents.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from iotgw.connect.pubsub import PubsubMessage
from iotgw.core import plain_json

PREFIX = "x-goog-pubsub-"
OF_HTTP = frozenset(
    {
        "accept", "accept-encoding", "authorization", "connection", "content-length", "content-type", "forwarded", "from",
        "host", "transfer-encoding", "user-agent", "via", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host",
    }
)  # fmt: skip
"""Headers that are no attributes of the message."""


class Pushed(Struct, frozen=True, rename="camel"):
    """A message, and by which subscription it comes; empty where the request doesn't say."""

    message: PubsubMessage
    subscription: str = ""
    delivery_attempt: int = 0


def wrapped(body: bytes) -> Pushed:
    """The message of a body that wraps it. Raises ValueError."""
    return plain_json.decode(body, Pushed)


def unwrapped(body: bytes, headers: Iterable[tuple[str, str]]) -> Pushed:
    """The message whose data the body is. The headers say the rest, if the subscription has *write metadata*; attributes are
    headers of their own names, here in small letters, since headers come in any."""
    said: dict[str, str] = {}
    attributes: dict[str, str] = {}
    for name, value in headers:
        small = name.lower()
        if small.startswith(PREFIX):
            said[small.removeprefix(PREFIX)] = value
        elif small not in OF_HTTP:
            attributes[small] = value
    message = PubsubMessage(
        said.get("message-id", ""), body, attributes, said.get("publish-time", ""), said.get("ordering-key", "")
    )  # fmt: skip
    return Pushed(message, said.get("subscription-name", ""))

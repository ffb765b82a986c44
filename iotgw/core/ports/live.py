"""What happens now, for whoever looks on: one short ring for all of them. Nothing is kept while nobody looks."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct
from zope.interface import Attribute, Interface

from iotgw.core.model import ConversionError, Event, Outcome, State, StoredUplink
from iotgw.core.times import DateMs

Topic = Literal["messages", "events", "stats"]
TOPICS: tuple[Topic, ...] = ("messages", "events", "stats")


class LiveMessage(Struct, frozen=True, gc=False):
    """A message that was converted, or stored where nothing converts it. ``head`` are the first bytes of its payload, ``size`` counts all."""

    seq: int
    received_ms: DateMs
    size: int
    head: bytes
    error: ConversionError | None


class Happening(Struct, gc=False):
    """One thing that happened. ``datasource`` is an id for messages, and a name for events. ``value`` is a `LiveMessage`, an
    `iotgw.core.model.Event`, or the counts of `iotgw.core.ports.rates.Figures`; ``text`` is for the reader, who may keep there what it makes of it for
    everybody."""

    number: int
    topic: Topic
    tenant: str
    datasource: str
    devices: tuple[str, ...]
    state: str
    value: Any
    text: bytes = b""


class MessageElsewhere(Struct, frozen=True):
    """A message of another node that was converted, or is only stored; its position is a place (`iotgw.core.places`)."""

    tenant: str
    datasource: str
    devices: tuple[str, ...]
    state: State
    message: LiveMessage


class HappenedElsewhere(Struct):
    """What has happened on other nodes."""

    messages: list[MessageElsewhere] = []
    events: list[Event] = []


class ILiveFeed(Interface):
    """What is told of messages on their way. ``is_watched`` is looked at once a batch, and nothing else is done while it is False."""

    is_watched: bool = Attribute("whether anybody looks at messages")

    def has_ended(tenant: str, datasource: str, uplinks: list[StoredUplink], outcomes: list[Outcome]) -> None:
        """These durable uplinks of a datasource (an id) were converted. Those without an outcome are only stored."""


class ILive(Interface):
    """The ring as its readers see it. Each of them keeps the number of what it has seen last."""

    head: int = Attribute("the number of what happened last; 0 for nothing")

    def join(topics: frozenset[Topic]) -> None:
        """Somebody looks at these topics from now on."""

    def leave(topics: frozenset[Topic]) -> None:
        """Somebody looks at them no more."""

    def after(number: int) -> list[Happening]:
        """What happened after the one of this number, as far as it is still there: the number of the first one tells what is missing."""

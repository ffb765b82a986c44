"""A message as the API shows it: whole, or as a row of a list."""

from __future__ import annotations

import base64
from collections.abc import Collection, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from iotgw.api.described import Before, LookedBackTo
from iotgw.core.epochs import Epochs
from iotgw.core.errors import IotgwError
from iotgw.core.model import ConversionError, Delivery, Event, Kind, Message
from iotgw.core.ports.delivery import IDeliveries
from iotgw.core.ports.pipeline import IPipeline

HEAD = 16
"""Bytes of a payload that a row shows."""
EVENT = "event-"
"""What the id of a refusal begins with; the event's own follows."""


class MessageView(Struct, frozen=True, rename="camel"):
    """A message."""

    id: Annotated[str, Meta(description="The message's id; of a sender who was turned away, the event's.")]
    received_at: Annotated[int, Meta(description="When it was received: milliseconds since 1970.")]
    datasource: Annotated[str, Meta(description="The name of the datasource by which it came.")]
    state: Annotated[
        str,
        Meta(
            description="`received`, `converted`, `filtered` or `failed`; or `refused` for a sender who was turned away, of whom nothing is stored."
        ),
    ]
    payload: Annotated[str, Meta(description="The bytes that came, in base64.")]
    metadata: Annotated[
        msgspec.Raw, Meta(description="What its transport and its datasource say of it, by name.")
    ]
    output: Annotated[
        list[msgspec.Raw],
        Meta(
            description="What it became: for each device an object with `deviceName`, `deviceType`, `attributes`, and `telemetry` as `{ts, values}`."
        ),
    ]
    error: Annotated[ConversionError | None, Meta(description="Why its conversion failed; else null.")]
    deliveries: Annotated[list[Delivery], Meta(description="What became of it at each integration.")]
    converter: Annotated[str, Meta(description="The converter and its version that ran.")] = ""


class MessageRow(Struct, frozen=True, rename="camel"):
    """A message in few words. ``size`` is its payload's, in bytes, and ``head`` the first of them in hexadecimal."""

    id: str
    received_at: int
    datasource: str
    state: str
    size: int
    head: str
    devices: list[str]
    error: ConversionError | None


class MessagePage(Struct, frozen=True, rename="camel"):
    """A page of messages. It may hold nothing, and yet not be the last."""

    items: Annotated[
        list[MessageView],
        Meta(description="Messages, the newest first; there may be fewer than were asked for."),
    ]
    next: Before
    looked_back_to: LookedBackTo = 0


class MessageRows(Struct, frozen=True, rename="camel"):
    """As `MessagePage`, with rows."""

    items: list[MessageRow]
    next: str | None
    looked_back_to: int = 0


class MessageViews:
    """Makes views of messages."""

    def __init__(self, epochs: Epochs, pipeline: IPipeline, delivery: IDeliveries) -> None:
        self._epochs = epochs
        self._pipeline = pipeline
        self._delivery = delivery

    async def deliveries(
        self, messages: Sequence[Message], ids: Collection[str] | None = None
    ) -> list[list[Delivery]]:
        """What became of each message at each integration, or at these; nothing where that can't be told."""
        try:
            return list(await self._delivery.deliveries(messages, ids))
        except IotgwError:
            return [[] for _ in messages]

    async def whole(self, message: Message) -> MessageView:
        """All of it."""
        (deliveries,) = await self.deliveries([message])
        return self.of(message, deliveries)

    def of(self, message: Message, deliveries: list[Delivery]) -> MessageView:
        """All of it, with deliveries that are known."""
        uplink = message.uplink
        records = [record for record in message.records if record.kind is Kind.TELEMETRY]
        return MessageView(
            id=self._epochs.message_id(message.seq),
            received_at=uplink.received_ms,
            datasource=self._pipeline.datasource_name(uplink.datasource),
            state=message.state.name.lower(),
            payload=base64.b64encode(uplink.payload).decode(),
            metadata=msgspec.Raw(uplink.metadata or b"{}"),
            output=[msgspec.Raw(record.body) for record in records],
            error=message.error,
            deliveries=deliveries,
            converter=message.converter,
        )

    def row(self, message: Message) -> MessageRow:
        """A row of it."""
        uplink = message.uplink
        return MessageRow(
            id=self._epochs.message_id(message.seq),
            received_at=uplink.received_ms,
            datasource=self._pipeline.datasource_name(uplink.datasource),
            state=message.state.name.lower(),
            size=len(uplink.payload),
            head=uplink.payload[:HEAD].hex(),
            devices=list(dict.fromkeys(record.device_name for record in message.records)),
            error=message.error,
        )


def refusal(id: int, event: Event) -> MessageView:
    """Somebody who was turned away, in the form of a message."""
    reason = str(event.detail.get("reason", "refused"))
    detail: dict[str, Any] = {key: value for key, value in event.detail.items() if key != "reason"}
    return MessageView(
        id=f"{EVENT}{id}",
        received_at=event.ts,
        datasource=event.name,
        state="refused",
        payload="",
        metadata=msgspec.Raw(msgspec.json.encode(detail, enc_hook=str)),
        output=[],
        error=ConversionError(event.message, stage="intake", name=reason),
        deliveries=[],
    )


def refusal_row(id: int, event: Event) -> MessageRow:
    """As `refusal`, as a row."""
    whole = refusal(id, event)
    return MessageRow(whole.id, whole.received_at, whole.datasource, whole.state, 0, "", [], whole.error)

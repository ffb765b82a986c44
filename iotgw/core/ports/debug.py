"""What is kept of single messages, for a person who looks for a fault: how converters and targets dealt with them."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from iotgw.core.model import Conversion, Job, TelemetryRecord

DebugKind = Literal["datasource", "converter", "integration", "device"]
KINDS: tuple[DebugKind, ...] = ("datasource", "converter", "integration", "device")
Picked = tuple[Job, Conversion]


class DebugSwitch(Struct, frozen=True, rename="camel"):
    """One thing of which everything is kept for a while."""

    id: Annotated[str, Meta(description="Its id.")]
    kind: Annotated[DebugKind, Meta(description="What is debugged.")]
    name: Annotated[str, Meta(description="The thing's name.")]
    target: Annotated[str, Meta(description="The thing's id; a device's name.")]
    until: Annotated[int, Meta(description="Until when: milliseconds since 1970.")]
    left: Annotated[
        int | None, Meta(description="After how many more messages it ends; null where they aren't counted.")
    ]
    by: Annotated[str, Meta(description="Who began it.")]


class DebugEntry(Struct, frozen=True):
    """What happened to a message."""

    at: Annotated[int, Meta(description="When it happened: milliseconds since 1970.")]
    stage: Annotated[Literal["conversion", "delivery"], Meta(description="At which stage.")]
    said: Annotated[dict[str, Any], Meta(description="What was said there, by name.")]


class IDebug(Interface):
    """What the rooms ask and tell."""

    def picked(
        tenant: str, datasource: str, jobs: Sequence[Job], conversions: Sequence[Conversion]
    ) -> list[Picked]:
        """Of a batch of conversions, those that are to be told by `converted` once they are durable."""

    def converted(tenant: str, datasource: str, name: str, picked: Sequence[Picked]) -> None:
        """These uplinks of a datasource (by id and name) were converted."""

    def shown(tenant: str, integration: str, records: Sequence[TelemetryRecord]) -> TelemetryRecord | None:
        """Of records that go to an integration (by id) together, one for which `exchanged` is to be called; None for none."""

    def exchanged(tenant: str, integration: str, record: TelemetryRecord, request: str, answer: str) -> None:
        """What a target was sent and what it answered; ``integration`` is its name."""


class IDebugging(Interface):
    """Debugging as people see it."""

    def switch_on(
        tenant: str, kind: DebugKind, target: str, name: str, seconds: float, count: int | None, by: str
    ) -> DebugSwitch:
        """Keep everything of a thing. One that is on already gets the new end. Raises TooMany."""

    def switch_off(tenant: str, id: str) -> DebugSwitch:
        """Keep only failures again; raises NotFound."""

    def list(tenant: str) -> builtins.list[DebugSwitch]:
        """What is on, in the order in which it ends."""

    def entries(tenant: str, message_id: str) -> Deferred[builtins.list[DebugEntry]]:
        """What was kept of a message, the oldest first."""


class IDebugStore(Interface):
    """Where entries are kept: a ring of bounded size, which can be lost."""

    put_aside: str = Attribute("what happened to a damaged file at the start; empty for nothing")

    def start() -> Deferred[None]:
        """Open it."""

    def stop() -> Deferred[None]:
        """Write what waits, and close it."""

    def add(tenant: str, message_id: str, entry: DebugEntry) -> None:
        """Keep an entry. Where more comes than can be written, some are dropped."""

    def of(tenant: str, message_id: str) -> Deferred[list[DebugEntry]]:
        """What was kept of a message, the oldest first."""

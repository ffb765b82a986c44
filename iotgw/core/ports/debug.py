"""What is kept of single messages, for a person who looks for a fault: how converters and targets dealt with them."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from iotgw.core.model import Conversion, Job, TelemetryRecord

DebugKind = Literal["datasource", "converter", "integration", "device"]
KINDS: tuple[DebugKind, ...] = ("datasource", "converter", "integration", "device")
Picked = tuple[Job, Conversion]


class DebugSwitch(Struct, frozen=True, rename="camel"):
    """Everything of one thing is kept: until a date (ms), or ``left`` more messages have passed, where that is no None. ``target`` is a thing's id, or a
    device's name."""

    id: str
    kind: DebugKind
    name: str
    target: str
    until: int
    left: int | None
    by: str


class DebugEntry(Struct, frozen=True):
    """What happened to a message, at a date (ms): in a ``conversion`` or a ``delivery``."""

    at: int
    stage: Literal["conversion", "delivery"]
    said: dict[str, Any]


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

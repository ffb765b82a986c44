"""How much is used: what everything counts, where it is kept, and how it is asked for."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from iotgw.core.model import Outcome, StoredUplink
from iotgw.core.ports.tenants import IForgetsTenants
from iotgw.core.times import DateMs

Metered = Literal["datasource", "integration", "converter"]
"""What is counted by hour and by day. Devices are counted by day only."""
Per = Literal["tenant", "datasource", "integration", "converter", "device"]
Every = Literal["hour", "day", "all"]


class Amounts(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """What was used. ``messages`` were received (by a datasource), or converted (by a converter), ``bytes`` is the size of their payloads,
    or of what was delivered (by an integration), before it is written in a target's format. ``errors``
    are failed conversions, or deliveries that were given up. ``refused`` messages are not among ``messages``. ``cpu`` is in seconds."""

    messages: int = 0
    bytes: int = 0
    errors: int = 0
    refused: int = 0
    deliveries: int = 0
    cpu: float = 0.0

    def since(self, before: Amounts) -> Amounts:
        """What was used since ``before``. A count that went back counts nothing."""
        mine, other = _fields(self), _fields(before)
        return Amounts(*(max(0, now - then) for now, then in zip(mine, other, strict=True)))  # type: ignore[arg-type]

    def plus(self, more: Amounts) -> Amounts:
        """Both together."""
        return Amounts(*(one + two for one, two in zip(_fields(self), _fields(more), strict=True)))  # type: ignore[arg-type]


def _fields(amounts: Amounts) -> tuple[float, ...]:
    return (
        amounts.messages, amounts.bytes, amounts.errors, amounts.refused, amounts.deliveries, amounts.cpu,
    )  # fmt: skip


Thing = tuple[Metered, str, str]
"""Kind, tenant and id."""


class Tally(Struct, frozen=True, gc=False):
    """What one thing has counted, and its name."""

    thing: Thing
    name: str
    amounts: Amounts


class DeviceTally(Struct, frozen=True, gc=False):
    """What was received of a device. The name is empty for devices beyond those that can be counted one by one. ``errors`` are failed
    conversions; they are not among ``messages``."""

    tenant: str
    device: str
    messages: int
    bytes: int
    errors: int = 0


class UsageQuery(Struct, frozen=True):
    """What is asked for: of a tenant (None: of all), per what, and for each hour or day, or all in one, of the time from ``since`` to before ``until``
    (dates; 0 says nothing). ``name`` is a thing's name or id, or a device's name. ``offset`` rows are left out."""

    tenant: str | None
    per: Per
    every: Every = "all"
    since: int = 0
    until: int = 0
    name: str = ""
    offset: int = 0
    limit: int = 1000


class UsageRow(Struct, frozen=True):
    """What one thing (by id and name) or device used in the period that begins at a date; 0 is all of the time that was asked for."""

    at: int
    tenant: str
    id: str
    name: str
    amounts: Amounts


class IMetered(Interface):
    """What counts: a room."""

    def tallies() -> list[Tally]:
        """All that was counted so far, for each thing. Whoever asks takes the difference to what was said before; a thing that is new has counted
        from 0."""


class IDeviceMeter(Interface):
    """Counts what devices send."""

    def converted(tenant: str, uplinks: list[StoredUplink], outcomes: list[Outcome]) -> None:
        """These durable uplinks were converted, each with the outcome at the same place."""


class IUsageStore(IForgetsTenants):
    """Where usage is kept. It is bounded in size, and dispensable."""

    put_aside: str = Attribute("what happened to a damaged file at the start; empty for nothing")

    def start() -> Deferred[None]:
        """Open it."""

    def stop() -> Deferred[None]:
        """Close it."""

    def add(
        at_ms: DateMs, things: list[Tally], devices: list[DeviceTally], forgets: bool = True
    ) -> Deferred[None]:
        """So much was used in the hour and day of a date; in one transaction. What is too old by this date goes, unless ``forgets`` is false."""

    def rows(query: UsageQuery) -> Deferred[list[UsageRow]]:
        """What was used, by time, tenant and name."""


class IUsage(Interface):
    """Usage as people see it."""

    def rows(query: UsageQuery) -> Deferred[list[UsageRow]]:
        """See `IUsageStore.rows`; up to now."""

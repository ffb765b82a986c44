"""Devices: what operators say of them, which never gets lost, and their last state, which is written later, in batches."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta, Raw, Struct
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from iotgw.core.device_entry import DeviceEntry, DeviceSpec
from iotgw.core.model import TelemetryRecord
from iotgw.core.rectangle import Rectangle

Owned = tuple[str, str, str, bool]
"""Tenant, device, id of the datasource that it belongs to, and whether it has proved itself."""
Seen = tuple[str, str, str, int]
"""Tenant, device, type, and when it was heard last (ms)."""
Trouble = Literal["silent", "battery", "signal"]
"""What may be wrong with a device."""
TROUBLES: tuple[Trouble, ...] = ("silent", "battery", "signal")
Troubled = tuple[str, str, Trouble, int]
"""Tenant, device, what is wrong with it, and since when (ms)."""


class IDevices(Interface):
    """The last state of the devices that have sent messages. It can be learned again from the journal."""

    def saw(records: builtins.list[TelemetryRecord]) -> None:
        """Record device, type, attributes, latest telemetry and last seen."""

    def get(tenant: str, name: str) -> Deferred[dict[str, Any] | None]:
        """A device, as JSON, or None."""

    def states(tenant: str, names: Sequence[str]) -> Deferred[dict[str, dict[str, Any]]]:
        """Those of these devices that were seen, as JSON, by name."""

    def list(tenant: str, after: str, limit: int, text: str = "") -> Deferred[builtins.list[dict[str, Any]]]:
        """Devices by name, names > after; with ``text`` in the name."""

    def forget(tenant: str, name: str) -> Deferred[None]:
        """Drop what is known of a device; nobody owns it any more."""

    def own(tenant: str, name: str, datasource: str, has_proved: bool) -> None:
        """Record which datasource (by id) a device belongs to, and whether it has proved itself."""

    def owners() -> Deferred[builtins.list[Owned]]:
        """All that was recorded by `own`."""

    def trouble(tenant: str, name: str, what: Trouble, since_ms: int) -> None:
        """Record since when something is wrong with a device; 0: it is all right again."""

    def troubles() -> Deferred[builtins.list[Troubled]]:
        """All that was recorded by `trouble` and isn't over."""

    def seen() -> Deferred[builtins.list[Seen]]:
        """Every device that was seen."""

    def count() -> Deferred[int]:
        """How many there are."""


class IDeviceEntries(Interface):
    """Where what operators say of devices is stored, with the guarantees of the registry."""

    def load() -> Deferred[list[DeviceEntry]]:
        """All of them."""

    def write(
        saved: Sequence[DeviceEntry], gone: Sequence[tuple[str, str]] = (), is_made: bool = False
    ) -> Deferred[None]:
        """Store entries, and delete those of these tenants and names, with what the names are bound to; in one transaction. Fires when that is durable;
        fails with NoSpace or Unavailable, and has changed nothing then. Of several nodes, another one may have changed an entry meanwhile: then it
        fails with Conflict, or, where the entries were made by messages (``is_made``), leaves what is there."""

    def watch(callback: Callable[[list[DeviceEntry], list[tuple[str, str]]], object]) -> None:
        """Call ``callback(saved, gone)`` with what other nodes have changed."""


class HeldDevice(Struct, frozen=True, rename="camel"):
    """A device in quarantine."""

    name: Annotated[str, Meta(description="The device's name.")]
    datasource: Annotated[str, Meta(description="The id of the datasource by which it came.")]
    first_seen: Annotated[
        int, Meta(description="When the first message that waits was received: milliseconds since 1970.")
    ]
    last_seen: Annotated[int, Meta(description="When the last one was received: milliseconds since 1970.")]
    messages: Annotated[int, Meta(description="How many messages wait.")]
    is_leaving: Annotated[bool, Meta(description="Whether somebody is releasing or dropping it.")]
    output: Annotated[
        Raw | None,
        Meta(description="What a converter made of the last one, if that is still known; else null."),
    ]


class IQuarantine(Interface):
    """The devices that nobody knows, and what waits of them."""

    def is_known(tenant: str, device: str) -> bool:
        """Whether messages of a device count: it has an entry, and nothing of it waits."""

    def has_room(tenant: str, devices: Sequence[str]) -> bool:
        """Whether a message of these devices may be held."""

    def hold(
        tenant: str, device: str, datasource: str, seq: int, received_ms: int, body: bytes = b""
    ) -> None:
        """The uplink at a position of the journal waits until somebody releases the device. ``body`` is what its converter
        made."""

    def list(tenant: str, after: str, limit: int) -> builtins.list[HeldDevice]:
        """Devices by name, names > after."""

    def get(tenant: str, device: str) -> HeldDevice:
        """One of them; raises NotFound."""

    def count(tenant: str | None) -> int:
        """How many there are; of every tenant for None."""

    def came_by(tenant: str, datasource: str) -> dict[str, int]:
        """The devices of which messages wait that came by a datasource, in the order of their names, with how many."""

    def listen(callback: Callable[[str, str, bool], None]) -> None:
        """See `IFleet.watch`."""


class IReleases(Interface):
    """Lets devices out of quarantine."""

    async def release(tenant: str, device: str) -> int:
        """Create a device, and have what waits of it converted and delivered, in order. Returns how many messages that were. Raises
        NotFound, SettingsError for a name that no device may have, and Conflict if it is under way."""

    async def drop(tenant: str, device: str) -> int:
        """Let what waits of a device go; its messages stay in the journal as filtered. Returns how many. Raises as `release`."""


class DeviceFilter(Struct, frozen=True):
    """Which devices of a tenant are looked for; what is empty doesn't matter.

    ``text`` is part of name, label, serial, identity, place or ``tag=text``, in any case; ``tag`` is a key, or ``key=text``; ``datasource`` is
    the id of the one that they belong to; ``trouble`` is what is wrong with them; ``box`` is where they stand.
    """

    text: str = ""
    type: str = ""
    group: str = ""
    tag: str = ""
    datasource: str = ""
    trouble: Trouble | Literal[""] = ""
    box: Rectangle | None = None


class Saved(Struct, frozen=True):
    """What became of one of several specs: the entry, or why there is none."""

    entry: DeviceEntry | None
    outcome: Literal["created", "changed", "unchanged", "refused"]
    error: str = ""


class HealthView(Struct, frozen=True, rename="camel"):
    """How a device does."""

    state: Annotated[
        Literal["well", "troubled", "unwatched"],
        Meta(description="`unwatched` is a device for which nothing is watched."),
    ]
    report_every: Annotated[
        float, Meta(description="Seconds within which it has to be heard again; 0 where nobody waits for it.")
    ] = 0.0
    silent_since: Annotated[
        int, Meta(description="Since when it is silent: milliseconds since 1970; 0 where it isn't.")
    ] = 0
    battery_below: Annotated[
        float | None,
        Meta(description="Below which reading its battery is low; null where nobody watches it."),
    ] = None
    battery_low_since: Annotated[
        int, Meta(description="Since when its battery is low: milliseconds since 1970; 0 where it isn't.")
    ] = 0
    signal_below: Annotated[
        float | None,
        Meta(description="Below which reading its signal is weak; null where nobody watches it."),
    ] = None
    signal_weak_since: Annotated[
        int, Meta(description="Since when its signal is weak: milliseconds since 1970; 0 where it isn't.")
    ] = 0


class IOwnConverters(Interface):
    """The converters that devices have of their own, which outrank those of their datasources."""

    def own_converters(tenant: str) -> Collection[str]:
        """The names of all of them."""

    def own_converter(tenant: str, names: Iterable[str]) -> str:
        """The converter of the first device that has one, by its name, its identity, or its EUI in any spelling; empty if none
        has."""

    def watch_own_converters(callback: Callable[[str], None]) -> None:
        """Call ``callback(tenant)`` after a device got another converter, or none."""


class IFleet(Interface):
    """The devices of all tenants, as operators know them. Reads are synchronous, from memory."""

    most: int = Attribute("how many devices of a tenant are created because they sent something")

    def get(tenant: str, name: str) -> DeviceEntry | None:
        """A device; None if nobody knows it."""

    def room(tenant: str) -> int | None:
        """How many more devices the tenant's quota lets it have; None where there is none."""

    def is_known(tenant: str, name: str) -> bool:
        """Whether a device has an entry, by name or by its identity."""

    def called(tenant: str, names: Sequence[str]) -> str:
        """The device with an entry that has the first of these names, or identities, that any has; empty if none has."""

    def alike(tenant: str, name: str) -> str:
        """The device whose name differs from this one by case or by an EUI's separators only; empty if there is none."""

    def names(tenant: str, wanted: DeviceFilter, after: str, limit: int) -> builtins.list[str]:
        """The names of the devices that are wanted, by name, names > after."""

    def type_of(tenant: str, name: str) -> str:
        """A device's type: its own, or that of its messages."""

    def health(tenant: str, name: str) -> HealthView:
        """How a device does."""

    def in_trouble(tenant: str | None) -> dict[Trouble, int]:
        """How many devices have which trouble; of every tenant for None."""

    def count(tenant: str | None, kind: str = "", name: str = "") -> int:
        """How many devices there are; or of a type or group (a kind of `iotgw.core.device_entry`)."""

    def groups(tenant: str) -> dict[str, int]:
        """The groups in which devices are, with how many."""

    async def save(
        tenant: str, spec: DeviceSpec, revision: int | None = None, is_new: bool = False
    ) -> DeviceEntry:
        """Create or change a device; durable when it returns. ``revision`` is the one that it must have, and ``is_new`` says
        that there must be none. Raises Conflict, NoSpace or Unavailable."""

    async def save_all(
        tenant: str, specs: Sequence[DeviceSpec], is_dry: bool = False
    ) -> builtins.list[Saved]:
        """Create or change many devices in one transaction; ``is_dry`` only says what would happen. Raises NoSpace or
        Unavailable, and has changed nothing then."""

    async def delete(tenant: str, name: str, revision: int | None = None) -> DeviceEntry:
        """Delete a device and what is known of its state. Raises NotFound or Conflict."""

    def watch(callback: Callable[[str, str, bool], None]) -> None:
        """Call ``callback(tenant, name, is_there)`` after a device was created or deleted, or got another identity."""

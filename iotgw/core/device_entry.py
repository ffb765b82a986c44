"""What an operator says of a device, of a type of devices, and of a group of them."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta, Struct

from iotgw.core.names import unfit
from iotgw.core.specs import LONGEST, Spec

TYPE = "device-type"
GROUP = "device-group"
"""Kinds of the registry: settings that many devices share."""

BATTERY_KEYS = ("batteryPercent", "battery", "batteryLevel", "batteryVolts")
SIGNAL_KEYS = ("rssi", "signalDbm", "rsrp", "signal")
"""Where a device's battery and signal are looked for, the first that it has, if no key is named."""

_EUI = re.compile(r"(?:[0-9A-Fa-f]{2}[:-]?){7}[0-9A-Fa-f]{2}")
_SHORTEST_EUI = 16
"""Characters of one without separators."""

Name = Annotated[str, Meta(min_length=1, max_length=255)]
Word = Annotated[str, Meta(max_length=200)]
Threshold = Annotated[float, Meta(ge=-1e9, le=1e9)]


class HealthSpec(Spec, frozen=True, kw_only=True):
    """When a device is said to be silent, its battery low, or its signal weak. What isn't set is inherited: from the
    device's type, then from its groups."""

    report_every: Annotated[
        Annotated[float, Meta(ge=0, le=LONGEST)] | None,
        Meta(
            description="Seconds within which it is heard again; beyond, it is silent. 0: nobody waits for it. Leave room for one lost message."
        ),
    ] = None
    battery_below: Annotated[
        Threshold | None, Meta(description="Its battery is low below this, in the unit of its reading.")
    ] = None
    battery_key: Annotated[
        Word,
        Meta(description=f"The reading that is its battery; else the first of {', '.join(BATTERY_KEYS)}."),
    ] = ""
    signal_below: Annotated[
        Threshold | None, Meta(description="Its signal is weak below this, in the unit of its reading.")
    ] = None
    signal_key: Annotated[
        Word, Meta(description=f"The reading that is its signal; else the first of {', '.join(SIGNAL_KEYS)}.")
    ] = ""


class DeviceSpec(HealthSpec, frozen=True, kw_only=True, gc=False):
    """A device as users save it."""

    name: Annotated[
        Name, Meta(description="As its messages and its downlinks have it; it can't be changed afterwards.")
    ]
    label: Annotated[Word, Meta(description="What people call it.")] = ""
    type: Annotated[Word, Meta(description="What kind of device it is; else the type of its messages.")] = ""
    groups: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...],
        Meta(max_length=50, description="Any number of groups; one that has no settings need not be made."),
    ] = ()
    latitude: Annotated[
        Annotated[float, Meta(ge=-90, le=90)] | None, Meta(description="Degrees, WGS 84.")
    ] = None
    longitude: Annotated[Annotated[float, Meta(ge=-180, le=180)] | None, Meta(description="Degrees.")] = None
    place: Annotated[str, Meta(max_length=500, description="Where it is, in words.")] = ""
    serial: Annotated[Word, Meta(description="Its maker's number.")] = ""
    identity: Annotated[
        Word,
        Meta(
            description="What its datasource calls it, where that isn't its name, such as an IMEI or an EUI."
        ),
    ] = ""
    converter: Annotated[
        Word,
        Meta(
            description="The converter of its messages, by name, whatever its datasource has; else the datasource's."
        ),
    ] = ""
    notes: Annotated[str, Meta(max_length=4000, description="Anything else that people should know.")] = ""
    tags: Annotated[
        dict[Annotated[str, Meta(min_length=1, max_length=100)], Annotated[str, Meta(max_length=1000)]],
        Meta(max_length=50, description="Whatever else is to be known, as keys with texts."),
    ] = {}

    def __post_init__(self) -> None:
        """Refuse what breaks lists and terminals, and half a position."""
        check_name(self.name)
        groups = self.groups
        words = (
            self.label,
            self.type,
            self.place,
            self.serial,
            self.identity,
            self.converter,
            *self.tags,
            *groups,
        )
        if unfit("".join(words)):  # looked at together first: a start makes a hundred thousand of these
            self._refuse_unfit()
        if groups and "|" in "".join(groups):
            raise ValueError("groups: expected names without '|', which parts them in a CSV file")
        if len(groups) > 1 and len(set(groups)) < len(groups):
            raise ValueError("groups: expected each group once")
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("latitude and longitude: expected both or none")

    def _refuse_unfit(self) -> None:
        words = {
            "label": self.label, "type": self.type, "place": self.place, "serial": self.serial, "identity": self.identity,
            "converter": self.converter,
        }  # fmt: skip
        words |= dict.fromkeys(self.tags, "")
        for field, text in (*words.items(), *(("groups", group) for group in self.groups)):
            if character := unfit(text) or unfit(field):
                raise ValueError(f"{field}: expected no control characters, got {character}")


class TypeSpec(HealthSpec, frozen=True, kw_only=True):
    """Settings of all devices of a type."""

    name: Annotated[
        str,
        Meta(min_length=1, max_length=200, description="The type, as devices and their messages name it."),
    ]
    description: Annotated[str, Meta(description="For people.")] = ""


class GroupSpec(HealthSpec, frozen=True, kw_only=True):
    """Settings of all devices of a group. Where a device's groups disagree, the first of them in its list counts."""

    name: Annotated[str, Meta(min_length=1, max_length=200, description="The group, as devices name it.")]
    description: Annotated[str, Meta(description="For people.")] = ""


class DeviceEntry(Struct, frozen=True, gc=False):
    """A device as it is stored. ``revision`` counts its changes; times are milliseconds since 1970."""

    tenant: str
    spec: DeviceSpec
    revision: int
    created_ms: int
    updated_ms: int

    @property
    def name(self) -> str:
        """The device's name."""
        return self.spec.name


def check_name(name: str) -> None:
    """Refuse a name that breaks protocols, paths or terminals; raises ValueError."""
    if character := unfit(name):
        raise ValueError(f"name: expected a name without control characters, got {character}")
    if not name.strip() or name in (".", ".."):
        raise ValueError(f"name: expected a name, got {name!r}")


def same_eui(name: str) -> str:
    """What two spellings of one EUI-64 have in common; empty for a name that is none."""
    if len(name) < _SHORTEST_EUI or _EUI.fullmatch(name) is None:
        return ""
    return (name if len(name) == _SHORTEST_EUI else name.replace(":", "").replace("-", "")).lower()

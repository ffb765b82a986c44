"""What a device is asked for, and what its values are called: a profile, in the words of ThingsBoard's device profiles, and the
`ProfilePlan` that it makes for single devices."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, field

from iotgw.core.patterns import pattern
from iotgw.core.wildcards import NamePattern, check_patterns, matcher
from iotgw.wire.lwm2m import paths
from iotgw.wire.lwm2m.commands import unversioned
from iotgw.wire.lwm2m.links import Objects
from iotgw.wire.lwm2m.models import Models, ResourceModel
from iotgw.wire.lwm2m.operations import ATTRIBUTES
from iotgw.wire.lwm2m.paths import Path
from iotgw.wire.lwm2m.values import CodecError, Value

PathText = Annotated[str, Meta(max_length=64)]
ALL = "*"
_HIDDEN = frozenset((0, 1, 2, 21))
"""Security, Server, Access Control and OSCORE: what ``*`` doesn't stand for."""
Milliseconds = Annotated[int, Meta(ge=1, le=30 * 86_400_000)]


class ObserveAttr(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Which resources are of interest. A path is ``/3303/0/5700``, of an instance or of an object as well, with a version behind
    the object's id or not (``/3303_1.1/0/5700``)."""

    observe: Annotated[
        list[PathText],
        Meta(
            max_length=500,
            description="Observed from the registration on. `*` is every object but 0, 1, 2 and 21.",
        ),
    ] = []
    telemetry: Annotated[list[PathText], Meta(max_length=500, description="Time series.")] = []
    attribute: Annotated[list[PathText], Meta(max_length=500, description="Attributes.")] = []
    key_name: Annotated[
        dict[PathText, str],
        Meta(description="What a resource is called; else by its model, as in `temperature_sensorValue`."),
    ] = {}
    attribute_lwm2m: Annotated[
        dict[PathText, dict[str, float]],
        Meta(
            description="Conditions of notifications: `pmin`, `pmax` (s), `gt`, `lt`, `st`, `epmin`, `epmax` …, written before observing."
        ),
    ] = field(name="attributeLwm2m", default_factory=dict)
    observe_strategy: Annotated[
        Literal["SINGLE", "COMPOSITE_ALL", "COMPOSITE_BY_OBJECT"],
        Meta(
            description="One observation for each path, one for all, or one for each object. A device that doesn't know composite ones gets single ones."
        ),
    ] = "SINGLE"

    def __post_init__(self) -> None:
        """Refuse what is no path and no condition."""
        for text in (*self.telemetry, *self.attribute, *self.key_name, *self.attribute_lwm2m):
            unversioned(text)
        for text in self.observe:
            if text != ALL and not unversioned(text):
                raise ValueError("observe: expected paths, or '*' for all")
        for text, conditions in self.attribute_lwm2m.items():
            if not unversioned(text):
                raise ValueError(
                    f"attributeLwm2m: expected the path of an object or of a part of it, got {text!r}"
                )
            unknown = conditions.keys() - set(ATTRIBUTES)
            if unknown:
                raise ValueError(
                    f"attributeLwm2m: expected some of {', '.join(ATTRIBUTES)}, got {min(unknown)!r}"
                )


class ClientSettings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How the devices are spoken to."""

    client_only_observe_after_connect: Annotated[
        Literal[1, 2],
        Meta(
            description="After a registration: 1 observes only, 2 reads first what is telemetry or attribute."
        ),
    ] = 1
    power_mode: Annotated[
        Literal["DRX", "PSM", "E_DRX"],
        Meta(
            description="How long a device in queue mode is awake after each message: `psmActivityTimer`, `pagingTransmissionWindow`, or with `DRX` the datasource's `awakeTime`. PSM and E_DRX put every device into queue mode."
        ),
    ] = "DRX"
    psm_activity_timer: Annotated[Milliseconds, Meta(description="Milliseconds.")] = 10_000
    edrx_cycle: Annotated[
        Milliseconds, Meta(description="Milliseconds; for people, the gateway waits for the device.")
    ] = 81_000
    paging_transmission_window: Annotated[Milliseconds, Meta(description="Milliseconds.")] = 10_000
    fw_update_strategy: Annotated[
        Literal[1, 2, 3] | None,
        Meta(
            description="How `--method auto` updates firmware: 1 writes the image (`/5/0/0`), 2 has the device fetch it (`/5/0/1`), 3 writes it to object 19. Without it, the device's own word decides (`/5/0/9`)."
        ),
    ] = None
    sw_update_strategy: Annotated[
        Literal[1, 2] | None, Meta(description="The same of software (object 9): 1 writes, 2 has it fetched.")
    ] = None
    default_object_id_ver: Annotated[
        str,
        Meta(
            pattern=pattern(r"^[0-9]{1,3}\.[0-9]{1,3}$", "a version such as 1.0"),
            description="The version of objects for which a device names none.",
        ),
    ] = field(name="defaultObjectIDVer", default="1.0")


class Lwm2mProfile(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A type of devices. The first profile that fits an endpoint name is its."""

    endpoints: Annotated[
        list[NamePattern],
        Meta(
            max_length=1000,
            description="Patterns of endpoint names, such as `urn:imei:86*`; none is all.",
        ),
    ] = []
    device_type: Annotated[str, Meta(description="The type of the devices; `lwm2m`, if empty.")] = ""
    observe_attr: Annotated[ObserveAttr, Meta(description="What is observed, with its attributes.")] = (
        ObserveAttr()
    )
    client_settings: Annotated[ClientSettings, Meta(description="How clients are treated.")] = field(
        name="clientLwM2mSettings", default=ClientSettings()
    )

    def awake(self, otherwise: float) -> float:
        """Seconds for which its devices listen after a message, ``otherwise`` where that isn't theirs to say."""
        client = self.client_settings
        return {
            "DRX": otherwise,
            "PSM": client.psm_activity_timer / 1000,
            "E_DRX": client.paging_transmission_window / 1000,
        }[client.power_mode]


Kind = Literal["telemetry", "attributes"]


class ProfilePlan:
    """A profile, ready for use: what to observe of a device, and what each value is called."""

    def __init__(self, profile: Lwm2mProfile, models: Models) -> None:
        wanted = profile.observe_attr
        self.profile = profile
        self.fits = matcher(profile.endpoints or [ALL])
        """Whether it is the plan of an endpoint, unless one before it is."""
        self.models = models
        self.observes_all = ALL in wanted.observe
        self.observed = tuple(unversioned(text) for text in wanted.observe if text != ALL)
        self.strategy = wanted.observe_strategy
        self.conditions: Mapping[Path, Mapping[str, float]] = {
            unversioned(text): conditions for text, conditions in wanted.attribute_lwm2m.items() if conditions
        }
        self.mark = _mark(self.conditions)
        """What tells these conditions from others; empty for none."""
        self._telemetry = {unversioned(text) for text in wanted.telemetry}
        self._attributes = {unversioned(text) for text in wanted.attribute}
        self._names = {unversioned(text): name for text, name in wanted.key_name.items()}
        self.keys: Mapping[str, Path] = {name: path for path, name in self._names.items()}
        self._known: dict[tuple[Path, str], tuple[Kind | None, str]] = {}
        self.reads: tuple[Path, ...] = ()
        if profile.client_settings.client_only_observe_after_connect == 2:
            named = dict.fromkeys(unversioned(text) for text in (*wanted.telemetry, *wanted.attribute))
            self.reads = tuple(path for path in named if path)

    def version(self, objects: Objects, object: int) -> str:
        """The version of a device's object."""
        return objects.versions.get(object, self.profile.client_settings.default_object_id_ver)

    def to_observe(self, objects: Objects) -> list[Path]:
        """The paths to observe of a device that has these objects."""
        found: dict[Path, None] = {}
        if self.observes_all:
            for id, instances in objects.instances.items():
                if id not in _HIDDEN and instances:
                    found.update(dict.fromkeys((id, instance) for instance in instances))
        for path in self.observed:
            has = objects.instances.get(path[0])
            if has is not None and (len(path) == 1 or path[1] in has or not has):
                found[path] = None
        return list(found)

    def groups(self, asked: Sequence[Path]) -> Iterator[tuple[Path, ...]]:
        """The paths in the groups that are observed together."""
        if self.strategy == "SINGLE":
            yield from ((path,) for path in asked)
        elif self.strategy == "COMPOSITE_ALL":
            if asked:
                yield tuple(asked)
        else:
            by_object: dict[int, list[Path]] = {}
            for path in asked:
                by_object.setdefault(path[0], []).append(path)
            yield from map(tuple, by_object.values())

    def name(self, path: Path, value: Value, version: str) -> tuple[Kind, str]:
        """What the value at a path is, and what it is called."""
        key = path, version
        known = self._known.get(key)
        if known is None:
            known = self._listed(path), self._name(path, version)
            if len(self._known) < 10_000:
                self._known[key] = known
        listed, name = known
        return listed or ("attributes" if isinstance(value, str | bytes) else "telemetry"), name

    def _listed(self, path: Path) -> Kind | None:
        for length in range(len(path), 0, -1):
            if path[:length] in self._telemetry:
                return "telemetry"
            if path[:length] in self._attributes:
                return "attributes"
        return None

    def _name(self, path: Path, version: str) -> str:
        if path in self._names:
            return self._names[path]
        if len(path) == 4 and path[:3] in self._names:
            return f"{self._names[path[:3]]}_{path[3]}"
        return named(path, self.models, version)


def _mark(conditions: Mapping[Path, Mapping[str, float]]) -> str:
    if not conditions:
        return ""
    written = msgspec.json.encode(sorted((path, sorted(each.items())) for path, each in conditions.items()))
    return blake2b(written, digest_size=6).hexdigest()


def named(path: Path, models: Models, version: str) -> str:
    """What a resource is called by its model: ``temperature_sensorValue``, ``temperature_1_sensorValue`` of the instance 1,
    ``device_powerSourceVoltage_0`` of an instance of the resource. Its path, where there is no model."""
    object = models.object(path[0], version)
    resource: ResourceModel | None = models.resource(path, version)
    if object is None or resource is None:
        return paths.text(path)
    instance = f"_{path[1]}" if path[1] else ""
    inner = f"_{path[3]}" if len(path) > 3 else ""
    return f"{camel(object.name)}{instance}_{camel(resource.name)}{inner}"


def camel(name: str) -> str:
    """``Power Source Voltage`` as ``powerSourceVoltage``."""
    words: list[str] = re.findall(r"[A-Za-z0-9]+", name)
    first, *rest = words or ["value"]
    return (first if first.isupper() and len(first) > 1 else first[:1].lower() + first[1:]) + "".join(
        word[:1].upper() + word[1:] for word in rest
    )


def checked(profiles: Sequence[Lwm2mProfile]) -> None:
    """Raise ValueError where the paths of a profile make no observation."""
    check_patterns("profiles", (each for profile in profiles for each in profile.endpoints))
    for profile in profiles:
        try:
            ProfilePlan(profile, Models())
        except CodecError as error:
            raise ValueError(f"profiles: {error}") from error

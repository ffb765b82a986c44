"""Object models: what the ids of objects and resources mean. Several versions of an object stand side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path as FilePath
from typing import Literal

import msgspec
from msgspec import Struct

from iotgw.core.numbers import whole
from iotgw.wire.lwm2m.paths import Path
from iotgw.wire.lwm2m.values import ValueType

_TABLE = FilePath(__file__).with_name("objects.json")
Operations = Literal["", "R", "W", "RW", "E"]


class ResourceModel(Struct, frozen=True, array_like=True, gc=False):
    """A resource of an object. ``type`` is None for what can only be executed; ``units`` are as OMA's registry writes
    them, such as ``Cel``."""

    name: str
    type: ValueType | None = None
    operations: Operations = "R"
    is_multiple: bool = False
    units: str = ""


class ObjectModel(Struct, frozen=True):
    """A version of an object."""

    id: int
    version: str
    name: str
    is_multiple: bool
    resources: Mapping[int, ResourceModel]


Versions = Mapping[str, ObjectModel]


class Models:
    """Object models by id and version."""

    def __init__(self, models: Iterable[ObjectModel] = ()) -> None:
        self._objects: dict[int, dict[str, ObjectModel]] = {}
        for model in models:
            self._objects.setdefault(model.id, {})[model.version] = model

    def with_these(self, models: Iterable[ObjectModel]) -> Models:
        """A collection that has these as well; they stand in place of equal versions."""
        both = Models()
        both._objects = {id: dict(versions) for id, versions in self._objects.items()}
        for model in models:
            both._objects.setdefault(model.id, {})[model.version] = model
        return both

    def __iter__(self) -> Iterable[ObjectModel]:
        for versions in self._objects.values():
            yield from versions.values()

    def __len__(self) -> int:
        return sum(map(len, self._objects.values()))

    def object(self, id: int, version: str = "1.0") -> ObjectModel | None:
        """The model of an object in this version; else in the nearest older one, else in the oldest, since what a later
        version has in common with an earlier one keeps its meaning (Core §6.2.1)."""
        versions = self._objects.get(id)
        if not versions:
            return None
        exact = versions.get(version)
        if exact is not None:
            return exact
        wanted = number_of(version)
        by_age = sorted(versions, key=number_of)
        older = [each for each in by_age if number_of(each) <= wanted]
        return versions[older[-1] if older else by_age[0]]

    def resource(self, path: Path, version: str = "1.0") -> ResourceModel | None:
        """The model of the resource at a path (or of which it is an instance); None if there is none."""
        if len(path) < 3:
            return None
        found = self.object(path[0], version)
        return None if found is None else found.resources.get(path[2])


def number_of(version: str) -> tuple[int, int]:
    """A version as a value to compare by; (1, 0) for what is none."""
    major, _, minor = version.partition(".")
    one, other = whole(major, 0, 999), whole(minor or "0", 0, 999)
    return (1, 0) if one is None or other is None else (one, other)


class _Row(Struct, frozen=True, array_like=True):
    """An object's version in the table."""

    name: str
    is_multiple: bool
    resources: dict[str, ResourceModel]


@cache
def bundled() -> Models:
    """The objects that come with the gateway: LwM2M's own and IPSO's."""
    table = msgspec.json.decode(_TABLE.read_bytes(), type=dict[str, dict[str, _Row]])
    return Models(
        ObjectModel(
            int(id),
            version,
            row.name,
            row.is_multiple,
            {int(number): resource for number, resource in row.resources.items()},
        )
        for id, versions in table.items()
        for version, row in versions.items()
    )


def table_of(models: Iterable[ObjectModel]) -> bytes:
    """The table that `bundled` reads, as JSON."""
    table: dict[str, dict[str, _Row]] = {}
    for model in sorted(models, key=lambda each: (each.id, number_of(each.version))):
        resources = {str(number): model.resources[number] for number in sorted(model.resources)}
        table.setdefault(str(model.id), {})[model.version] = _Row(model.name, model.is_multiple, resources)
    return msgspec.json.encode(table)

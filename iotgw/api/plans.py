"""What a document would change: each entry is checked beside the others, and compared with what is stored.

Nothing is changed here. `iotgw.api.decisions` carries out what was planned.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from iotgw.api.foreseen import Foreseen
from iotgw.api.keepers import DEVICE, Backlog, Entry, Held, Keeper
from iotgw.api.problems import Problem
from iotgw.core.errors import Conflict, IotgwError, SettingsError, StillReferenced
from iotgw.core.model import ConverterVersion
from iotgw.core.ports.devices import IOwnConverters
from iotgw.core.redaction import MASK
from iotgw.core.resources_file import ResourcesDocument
from iotgw.core.specs import TENANT

PIECE = 100
"""Entries that are looked at between two breaths."""
Outcome = Literal["created", "changed", "unchanged", "deleted", "deleting", "refused"]


class FieldChange(Struct, frozen=True, omit_defaults=True):
    """A field that changes."""

    path: Annotated[str, Meta(description="Where in the document the field is.")]
    old: Annotated[Any, Meta(description="What it was, secrets masked; null where it wasn't there.")] = None
    new: Annotated[
        Any, Meta(description="What it will be, secrets masked; null where it won't be there.")
    ] = None


class Applied(Struct, frozen=True, omit_defaults=True):
    """What became of an entry."""

    kind: Annotated[str, Meta(description="What the entry is, such as `datasource`.")]
    name: Annotated[str, Meta(description="Its name.")]
    outcome: Annotated[
        Outcome, Meta(description="What became of it; `deleting` while its backlog is being worked off.")
    ]
    error: Annotated[str, Meta(description="Why it was refused; else empty.")] = ""
    warnings: Annotated[list[str], Meta(description="What may not go as expected.")] = []
    changes: Annotated[list[FieldChange], Meta(description="Its fields that change.")] = []


class Change(Struct, frozen=True):
    """A change of what is stored under a name: the bodies before and after, secrets sealed. None is nothing."""

    kind: str
    name: str
    before: Entry | None
    after: Entry | None


class DocumentPlan(Struct, frozen=True):
    """What a document asks for. ``state`` names what it was compared with, and ``going`` are the names of what it lacks, by kind."""

    items: list[Applied]
    changes: list[Change]
    state: str
    going: Mapping[str, Sequence[str]] = {}

    @property
    def refused(self) -> int:
        """How many entries are refused."""
        return sum(item.outcome == "refused" for item in self.items)


class Planner:
    """Plans for documents. ``keepers`` are those of all kinds, in the order in which entries are saved; ``library`` are the bundled
    converters."""

    def __init__(
        self,
        keepers: Sequence[Keeper],
        library: Mapping[str, ConverterVersion],
        own: IOwnConverters,
        clock: IReactorTime,
    ) -> None:
        self.keepers = keepers
        self._own = own
        self._library = library
        self._clock = clock

    async def plan(
        self,
        tenant: str,
        document: ResourcesDocument,
        prune: bool = False,
        backlog: Backlog = "drain",
        prove: bool = True,
    ) -> DocumentPlan:
        """Check and compare all entries. With ``prune``, what isn't in the document goes; a document without devices says nothing of devices,
        and they stay; so it is with what the tenant may use. With ``prove``, scripts are compiled, which
        saving does otherwise."""
        items: list[Applied] = []
        changes: list[Change] = []
        entries = {keeper.kind: [self.whole(keeper.kind, each) for each in document.of(keeper.kind)]
                   for keeper in self.keepers}  # fmt: skip
        going = await self._going(tenant, entries) if prune else {}
        foreseen = self.foreseen(tenant, entries, going)
        seen: dict[Hashable, str] = {}
        for keeper in self.keepers:
            room = keeper.room(tenant)  # what goes makes none: it goes last
            for number, entry in enumerate(entries[keeper.kind]):
                if number and not number % PIECE:
                    await deferLater(self._clock, 0)
                name = _name(entry)
                try:
                    if isinstance(entry, Problem):
                        raise entry
                    name, body = await keeper.checked(tenant, entry, foreseen)
                    _take(seen, keeper, tenant, name, body)
                    item, change = await self._compared(keeper, tenant, name, body, prove)
                    if item.outcome == "created" and room is not None:
                        if not room:
                            raise Conflict(f"the tenant has as many {keeper.kind}s as its quota lets it have")
                        room -= 1
                except (IotgwError, Problem) as error:
                    items.append(Applied(keeper.kind, name, "refused", _said(error)))
                    continue
                items.append(item)
                changes += [change] if change is not None else []
        for keeper in reversed(self.keepers):
            for held in going.get(keeper.kind, ()):
                try:
                    keeper.check_leaves(tenant, held.name, backlog)
                    self._check_own(keeper, tenant, held, entries)
                except IotgwError as error:
                    items.append(Applied(keeper.kind, held.name, "refused", _said(error)))
                    continue
                items.append(Applied(keeper.kind, held.name, "deleted"))
                changes.append(Change(keeper.kind, held.name, held.body, None))
        names = {kind: [held.name for held in some] for kind, some in going.items()}
        return DocumentPlan(items, changes, self._state(tenant, entries, names), names)

    def state(self, tenant: str, document: ResourcesDocument, going: Mapping[str, Sequence[str]]) -> str:
        """What a document, and what it lacks, are compared with now. What has come since isn't in ``going``, and stays."""
        entries = {keeper.kind: [self.whole(keeper.kind, each) for each in document.of(keeper.kind)]
                   for keeper in self.keepers}  # fmt: skip
        return self._state(tenant, entries, going)

    def whole(self, kind: str, entry: Entry) -> Entry | Problem:
        """An entry, a bundled converter spelled out; a Problem for one that there isn't."""
        if kind != "converter" or not isinstance(entry, dict) or "library" not in entry:
            return entry
        entry = dict(entry)
        library = str(entry.pop("library"))
        bundled = self._library.get(library)
        if bundled is None:
            known = ", ".join(sorted(self._library)) or "none"
            return Problem(422, f"library: expected a bundled converter ({known}), got {library!r}")
        of_version = {
            "script": bundled.script, "type": bundled.direction, "dialect": bundled.dialect,
            "options": bundled.options,
        }  # fmt: skip
        return {"name": library.replace("/", "-"), **of_version, **entry}

    def foreseen(
        self,
        tenant: str,
        entries: Mapping[str, Sequence[Entry | Problem]],
        going: Mapping[str, Sequence[Held]],
    ) -> Foreseen:
        """What will be there."""
        converters = {
            _name(each): str(each.get("type", "UPLINK"))
            for each in entries.get("converter", ())
            if isinstance(each, dict)
        }
        replaced = {held.id for of_kind in going.values() for held in of_kind}
        for keeper in self.keepers:
            for each in entries.get(keeper.kind, ()):
                stamp = keeper.stamp(tenant, _name(each))
                replaced |= {stamp[0]} if stamp is not None else set()
        gone = frozenset(held.name for held in going.get("converter", ()))
        return Foreseen(converters, gone, frozenset(replaced - {""}))

    async def _compared(
        self, keeper: Keeper, tenant: str, name: str, body: Entry, prove: bool
    ) -> tuple[Applied, Change | None]:
        held = keeper.get(tenant, name)
        if held is not None and keeper.clear(held.body) == keeper.clear(body):
            return Applied(keeper.kind, name, "unchanged"), None
        if prove:
            await keeper.prove(tenant, name, body)
        if held is None:
            return Applied(keeper.kind, name, "created"), Change(keeper.kind, name, None, body)
        fields = [*differences(keeper, held.body, body)]
        return Applied(keeper.kind, name, "changed", changes=fields), Change(
            keeper.kind, name, held.body, body
        )

    async def _going(
        self, tenant: str, entries: Mapping[str, Sequence[Entry | Problem]]
    ) -> dict[str, list[Held]]:
        """What isn't in the document."""
        going = {}
        for keeper in self.keepers:
            if keeper.kind in (DEVICE, TENANT) and not entries[keeper.kind]:
                continue
            named = {_name(each) for each in entries[keeper.kind]}
            going[keeper.kind] = [held for held in await keeper.all(tenant) if held.name not in named]
        return going

    def _check_own(
        self, keeper: Keeper, tenant: str, held: Held, entries: Mapping[str, Sequence[Entry | Problem]]
    ) -> None:
        """Raise StillReferenced for a converter that a device has of its own which the document doesn't speak of."""
        is_judged = keeper.kind == "converter" and not entries[DEVICE]
        if is_judged and {held.name, held.id} & set(self._own.own_converters(tenant)):
            raise StillReferenced(f"converter {held.name!r} is the own converter of a device")

    def _state(
        self,
        tenant: str,
        entries: Mapping[str, Sequence[Entry | Problem]],
        going: Mapping[str, Sequence[str]],
    ) -> str:
        digest = hashlib.sha256()
        for keeper in self.keepers:
            names = [*map(_name, entries[keeper.kind]), *going.get(keeper.kind, ())]
            stamps = [(keeper.kind, name, keeper.stamp(tenant, name)) for name in names]
            digest.update(msgspec.json.encode(stamps))
        return digest.hexdigest()[:20]


def differences(keeper: Keeper, before: Entry, after: Entry) -> Iterator[FieldChange]:
    """The fields in which two stored bodies differ."""
    clear_old, clear_new = flat(keeper.clear(before)), flat(keeper.clear(after))
    old, new = flat(keeper.masked(before)), flat(keeper.masked(after))
    for path in sorted(clear_old.keys() | clear_new.keys()):
        if clear_old.get(path) != clear_new.get(path):
            yield FieldChange(
                path,
                old.get(path, MASK) if path in clear_old else None,
                new.get(path, MASK) if path in clear_new else None,
            )


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """The leaves of a JSON value by their paths: ``retry.cap``, ``secrets[0].value``. Lists of plain values are leaves."""
    if isinstance(value, dict) and (value or not path):
        found: dict[str, Any] = {}
        for key, item in value.items():
            found |= flat(item, f"{path}.{key}" if path else key)
        return found
    if isinstance(value, (list, tuple)) and any(isinstance(item, dict) for item in value):
        found = {}
        for number, item in enumerate(value):
            found |= flat(item, f"{path}[{number}]")
        return found
    return {path: value}


def _take(seen: dict[Hashable, str], keeper: Keeper, tenant: str, name: str, body: Entry) -> None:
    """Refuse what two entries of a document have in common."""
    keys: list[tuple[str, Hashable]] = [("name", (keeper.kind, "name", name))]
    keys += [
        (str(key[0]), (keeper.kind, key)) for key in keeper.unique(tenant, body) if isinstance(key, tuple)
    ]
    for path, key in keys:
        if key in seen:
            raise SettingsError(path, f"the document has it twice; {keeper.kind} {seen[key]!r} has it, too")
        seen[key] = name


def _name(entry: Entry | Problem) -> str:
    name = entry.get("name", "") if isinstance(entry, dict) else ""
    return name[:255] if isinstance(name, str) else ""


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__

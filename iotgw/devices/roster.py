"""The devices of one tenant in memory, to be found and searched without a database.

100,000 devices are searched in some 20 ms: a text of each that a search looks in is made when it is first needed.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Callable, Iterator

from msgspec import Struct

from iotgw.core.device_entry import DeviceEntry, DeviceSpec, same_eui
from iotgw.core.ports.devices import DeviceFilter
from iotgw.devices.watching import DeviceWatch


class Member(Struct, gc=False):
    """A device: what is stored of it, the type that its messages say, and what is waited for, if anything is."""

    entry: DeviceEntry
    seen_type: str = ""
    watch: DeviceWatch | None = None
    text: str = ""
    """What a search looks in; made when it is needed."""

    @property
    def type(self) -> str:
        """Its own type, else that of its messages."""
        return self.entry.spec.type or self.seen_type


class Roster:
    """One tenant's devices by name."""

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}
        self._identities: dict[str, str] = {}
        """Names by identity."""
        self._euis: dict[str, str] = {}
        """Names that are EUIs, by what all spellings have in common."""
        self._names: list[str] | None = []
        """In order; None while nobody has asked since many came at once."""
        self.groups: Counter[str] = Counter()
        self.types: Counter[str] = Counter()

    def put(self, entry: DeviceEntry, seen_type: str = "") -> Member:
        """Add a device, or take its new entry."""
        name = entry.name
        member = self.members.get(name)
        if member is None:
            member = self.members[name] = Member(entry, seen_type)
            if self._names is not None:
                insort(self._names, name)
            if eui := same_eui(name):
                self._euis.setdefault(eui, name)
        else:
            self._uncount(member)
            member.entry, member.text = entry, ""
        self._count(member)
        return member

    def load(self, entries: Iterator[tuple[DeviceEntry, str]]) -> None:
        """Add many at once, each with the type of its messages."""
        self._names = None
        for entry, seen_type in entries:
            self.put(entry, seen_type)

    def remove(self, name: str) -> Member | None:
        """Take a device out."""
        member = self.members.pop(name, None)
        if member is not None:
            self._uncount(member)
            names = self.names()
            del names[bisect_right(names, name) - 1]
            eui = same_eui(name)
            if self._euis.get(eui) == name:
                del self._euis[eui]
        return member

    def retype(self, member: Member, type_: str) -> None:
        """A device's messages say another type."""
        self.types[member.type] -= 1
        member.seen_type = type_
        self.types[member.type] += 1

    def names(self) -> list[str]:
        """All names, in order."""
        if self._names is None:
            self._names = sorted(self.members)
        return self._names

    def behind(self, identity: str) -> str:
        """The device that has this identity; empty if none has."""
        return self._identities.get(identity, "")

    def alike(self, name: str) -> str:
        """A device whose name is the same but for case, or the separators of an EUI; empty if there is none."""
        eui = same_eui(name)
        if eui and (found := self._euis.get(eui, name)) != name:
            return found
        folded = name.casefold()
        for other in self.members:
            if len(other) == len(name) and other != name and other.casefold() == folded:
                return other
        return ""

    def alike_eui(self, name: str) -> str:
        """The device whose name is another spelling of this EUI; empty if there is none, or it is no EUI."""
        found = self._euis.get(same_eui(name), name)
        return "" if found == name else found

    def find(self, wanted: DeviceFilter, after: str, limit: int, owner: Callable[[str], str]) -> list[str]:
        """Names in order, names > ``after``. ``owner`` tells the datasource of a device by its name."""
        names = self.names()
        start = bisect_right(names, after) if after else 0
        if wanted == DeviceFilter():
            return names[start : start + limit]
        members, is_meant = self.members, _condition(wanted, owner)
        found: list[str] = []
        for at in range(start, len(names)):
            name = names[at]
            if is_meant(members[name]):
                found.append(name)
                if len(found) == limit:
                    break
        return found

    def _count(self, member: Member) -> None:
        spec = member.entry.spec
        self.types[member.type] += 1
        self.groups.update(spec.groups)
        if spec.identity:
            self._identities.setdefault(spec.identity, spec.name)

    def _uncount(self, member: Member) -> None:
        spec = member.entry.spec
        self.types[member.type] -= 1
        self.groups.subtract(spec.groups)
        self.groups = +self.groups if any(not self.groups[group] for group in spec.groups) else self.groups
        if self._identities.get(spec.identity) == spec.name:
            del self._identities[spec.identity]


def _condition(wanted: DeviceFilter, owner: Callable[[str], str]) -> Callable[[Member], bool]:
    """The cheapest condition comes first."""
    text = wanted.text.lower()
    key, has_value, value = wanted.tag.partition("=")
    type_, group, datasource, trouble = wanted.type, wanted.group, wanted.datasource, wanted.trouble

    def is_meant(member: Member) -> bool:
        if trouble and (member.watch is None or not member.watch.since(trouble)):
            return False
        spec = member.entry.spec
        if group and group not in spec.groups:
            return False
        if type_ and member.type != type_:
            return False
        if text and text not in (member.text or _searched(member)):
            return False
        if key and (key not in spec.tags or (has_value and spec.tags[key] != value)):
            return False
        return not datasource or owner(spec.name) == datasource

    return is_meant


def _searched(member: Member) -> str:
    spec: DeviceSpec = member.entry.spec
    text = "\n".join(filter(None, (spec.name, spec.label, spec.serial, spec.identity, spec.place))).lower()
    member.text = spec.name if text == spec.name else text
    return member.text

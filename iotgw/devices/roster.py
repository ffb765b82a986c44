"""The devices of one tenant in memory, to be found and searched without a database.

Names stand in order in blocks of some hundred, each with one text in which a search looks first, so that 100,000 devices are
searched in a few milliseconds. What is rare (a type, a group, a trouble, a datasource) has an index, so that few devices are looked at.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from msgspec import Struct

from iotgw.core.device_entry import DeviceEntry, DeviceSpec, same_eui
from iotgw.core.ports.devices import DeviceFilter, Trouble
from iotgw.core.rectangle import Rectangle
from iotgw.devices.own_converters import OwnConverters
from iotgw.devices.watching import DeviceWatch

BLOCK = 256
"""Names of a block, after which it is parted at twice as many."""


class Member(Struct, gc=False):
    """A device: what is stored of it, the type that its messages say, and what is waited for, if anything is."""

    entry: DeviceEntry
    seen_type: str = ""
    watch: DeviceWatch | None = None

    @property
    def type(self) -> str:
        """Its own type, else that of its messages."""
        return self.entry.spec.type or self.seen_type


class _Block:
    """Some names in order, and what a search looks in."""

    __slots__ = ("names", "text")

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.text: str | None = None


class Roster:
    """One tenant's devices by name."""

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}
        self._blocks: list[_Block] = []
        self._firsts: list[str] = []
        """The first name of each block."""
        self._identities: dict[str, str] = {}
        """Names by identity."""
        self._euis: dict[str, str] = {}
        """Names that are EUIs, by what all spellings have in common."""
        self.own_converters = OwnConverters()
        self.groups: dict[str, set[str]] = {}
        self.types: dict[str, set[str]] = {}

    def put(self, entry: DeviceEntry, seen_type: str = "") -> Member:
        """Add a device, or take its new entry."""
        name = entry.name
        member = self.members.get(name)
        if member is None:
            member = self.members[name] = Member(entry, seen_type)
            self._insert(name)
            if eui := same_eui(name):
                self._euis.setdefault(eui, name)
        else:
            self._leave(member)
            member.entry = entry
            self._block(name).text = None
        self._enter(member)
        return member

    def load(self, entries: Iterable[tuple[DeviceEntry, str]]) -> None:
        """Take many at once, each with the type of its messages. There are none before."""
        members, euis, enter = self.members, self._euis, self._enter
        for entry, seen_type in entries:
            name = entry.spec.name
            member = members[name] = Member(entry, seen_type)
            if eui := same_eui(name):
                euis.setdefault(eui, name)
            enter(member)
        names = sorted(self.members)
        self._blocks = [_Block(names[start : start + BLOCK]) for start in range(0, len(names), BLOCK)]
        self._firsts = [block.names[0] for block in self._blocks]
        for block in self._blocks:
            self._text(block)

    def remove(self, name: str) -> Member | None:
        """Take a device out."""
        member = self.members.pop(name, None)
        if member is not None:
            self._leave(member)
            block = self._block(name)
            block.names.remove(name)
            block.text = None
            if not block.names:
                at = self._blocks.index(block)
                del self._blocks[at], self._firsts[at]
            eui = same_eui(name)
            if self._euis.get(eui) == name:
                del self._euis[eui]
        return member

    def retype(self, member: Member, type_: str) -> None:
        """A device's messages say another type."""
        _drop(self.types, member.type, member.entry.name)
        member.seen_type = type_
        _add(self.types, member.type, member.entry.name)

    def behind(self, identity: str) -> str:
        """The device that has this identity; empty if none has."""
        return self._identities.get(identity, "")

    def called(self, names: Iterable[str]) -> str:
        """The first device that is meant by one of these names or identities; empty if none is."""
        return next(
            (found for each in names if (found := each if each in self.members else self.behind(each))), ""
        )

    def alike(self, name: str) -> str:
        """A device whose name is the same but for case, or the separators of an EUI; empty if there is none."""
        if found := self.alike_eui(name):
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

    # --- searches

    def find(
        self,
        wanted: DeviceFilter,
        after: str,
        limit: int,
        owned: Callable[[str], Collection[str]],
        troubled: Callable[[Trouble], Collection[str]] = lambda what: (),
    ) -> list[str]:
        """Names in order, names > ``after``. ``owned`` tells the devices of a datasource, ``troubled`` those with a trouble."""
        is_meant = self._condition(wanted)
        few = self._few(wanted, owned, troubled)
        are_many = few is None or len(few) > len(self.members) // 8
        found: list[str] = []
        for name in self._names(after, wanted) if few is None or are_many else sorted(few):
            if name > after and (few is None or name in few) and is_meant(name):
                found.append(name)
                if len(found) == limit:
                    break
        return found

    def _few(
        self,
        wanted: DeviceFilter,
        owned: Callable[[str], Collection[str]],
        troubled: Callable[[Trouble], Collection[str]],
    ) -> Collection[str] | None:
        """The devices that some conditions leave; None where these are nearly all, which are looked at in their order."""
        if wanted.trouble or wanted.datasource:  # which their entries don't tell
            theirs = owned(wanted.datasource) if wanted.datasource else ()
            if not wanted.trouble:
                return theirs
            found = set(troubled(wanted.trouble))
            return {name for name in found if name in theirs} if wanted.datasource else found
        indices: list[Collection[str]] = []
        if wanted.type:
            indices.append(self.types.get(wanted.type, ()))
        if wanted.group:
            indices.append(self.groups.get(wanted.group, ()))
        smallest = min(indices, key=len, default=None)
        return None if smallest is None or len(smallest) > len(self.members) // 8 else smallest

    def _names(self, after: str, wanted: DeviceFilter) -> Iterator[str]:
        """Names in order from about ``after`` on, of blocks in which the text and the tag are."""
        text = wanted.text.lower()
        tag = (wanted.tag if "=" in wanted.tag or not wanted.tag else f"{wanted.tag}=").lower()
        start = max(0, bisect_right(self._firsts, after) - 1) if after else 0
        for at in range(start, len(self._blocks)):
            block = self._blocks[at]
            if text or tag:
                said = block.text or self._text(block)
                if text not in said or tag not in said:
                    continue
            yield from block.names

    def _condition(self, wanted: DeviceFilter) -> Callable[[str], bool]:
        members, text = self.members, wanted.text.lower()
        key, has_value, value = wanted.tag.partition("=")
        type_, group = wanted.type, wanted.group
        box = wanted.box
        if not (text or key or type_ or group or box):
            return members.__contains__

        def is_meant(name: str) -> bool:
            member = members.get(name)
            if member is None or (type_ and member.type != type_):
                return False
            spec = member.entry.spec
            if box and not _is_in(box, spec):
                return False
            if group and group not in spec.groups:
                return False
            if key and (key not in spec.tags or (has_value and spec.tags[key] != value)):
                return False
            return not text or text in _searched(member)

        return is_meant

    # --- blocks

    def _block(self, name: str) -> _Block:
        return self._blocks[max(0, bisect_right(self._firsts, name) - 1)]

    def _insert(self, name: str) -> None:
        if not self._blocks:
            self._blocks, self._firsts = [_Block([name])], [name]
            return
        at = max(0, bisect_right(self._firsts, name) - 1)
        block = self._blocks[at]
        insort(block.names, name)
        block.text = None
        self._firsts[at] = block.names[0]
        if len(block.names) > 2 * BLOCK:
            rest = _Block(block.names[BLOCK:])
            del block.names[BLOCK:]
            self._blocks.insert(at + 1, rest)
            self._firsts.insert(at + 1, rest.names[0])

    def _text(self, block: _Block) -> str:
        members = self.members
        block.text = text = "\0".join([_said(members[name]) for name in block.names]).lower()
        return text

    # --- indices

    def _enter(self, member: Member) -> None:
        spec = member.entry.spec
        if spec.converter:
            self.own_converters.enter(spec)
        name = spec.name
        _add(self.types, spec.type or member.seen_type, name)
        for group in spec.groups:
            _add(self.groups, group, name)
        if spec.identity:
            self._identities.setdefault(spec.identity, name)

    def _leave(self, member: Member) -> None:
        spec = member.entry.spec
        self.own_converters.leave(spec)
        name = spec.name
        _drop(self.types, member.type, name)
        for group in spec.groups:
            _drop(self.groups, group, name)
        if self._identities.get(spec.identity) == name:
            del self._identities[spec.identity]


def _is_in(box: Rectangle, spec: DeviceSpec) -> bool:
    """Whether a device stands in a rectangle; one without a place stands in none."""
    return (
        spec.latitude is not None and spec.longitude is not None and box.holds(spec.latitude, spec.longitude)
    )


def _add(index: dict[str, set[str]], key: str, name: str) -> None:
    found = index.get(key)
    if found is None:
        found = index[key] = set()
    found.add(name)


def _drop(index: dict[str, set[str]], key: str, name: str) -> None:
    found = index[key]
    found.discard(name)
    if not found:
        del index[key]


def _searched(member: Member) -> str:
    return _said(member).lower()


def _said(member: Member) -> str:
    spec = member.entry.spec
    said = f"{spec.name}\n{spec.label}\n{spec.serial}\n{spec.identity}\n{spec.place}"
    for key, text in spec.tags.items():
        said += f"\n{key}={text}"
    return said


def with_types(
    entries: Sequence[DeviceEntry], seen: dict[tuple[str, str], tuple[str, int]]
) -> Iterator[tuple[DeviceEntry, str]]:
    """Entries with the types of the devices' messages. ``seen`` has type and time by tenant and name."""
    for entry in entries:
        yield entry, seen.get((entry.tenant, entry.name), ("", 0))[0]

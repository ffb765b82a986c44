"""Which devices of a tenant have a converter of their own, by whatever their messages may call them."""

from __future__ import annotations

from collections import Counter

from iotgw.core.device_entry import DeviceSpec, same_eui


class OwnConverters:
    """The converters by the devices' names, their identities, and what all spellings of an EUI have in common."""

    def __init__(self) -> None:
        self.names: Counter[str] = Counter()
        """How many devices have which."""
        self._of: dict[str, tuple[str, str]] = {}
        """Device and converter."""

    def enter(self, spec: DeviceSpec) -> None:
        """Take in a device."""
        if spec.converter:
            self.names[spec.converter] += 1
            for key in _keys(spec):
                self._of.setdefault(key, (spec.name, spec.converter))

    def leave(self, spec: DeviceSpec) -> None:
        """Take a device out."""
        if not spec.converter:
            return
        self.names[spec.converter] -= 1
        self.names = +self.names
        for key in _keys(spec):
            if self._of.get(key, ("",))[0] == spec.name:
                del self._of[key]

    def find(self, name: str) -> str:
        """The converter of the device that a message calls so; empty if it has none."""
        found = self._of.get(name) or self._of.get(same_eui(name))
        return found[1] if found is not None else ""


def _keys(spec: DeviceSpec) -> set[str]:
    names = (spec.name, spec.identity)
    return {each for each in (*names, *map(same_eui, names)) if each}

"""Which converter a device gets: by its own name, the range of its DevEUI, or what it is.

The keys of a datasource's ``converters`` are

* a device's identity or DevEUI: ``70B3D57ED0000017``, in either case, with dashes or without,
* a range of DevEUIs: ``70B3D57ED0*`` or ``70B3D57ED0000000-70B3D57ED000FFFF``,
* what the metadata says as ``deviceModel``, ``deviceProfile`` or ``deviceType``, in any case.

They count in this order; of several ranges, the smallest one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

_RANGE = re.compile(r"([0-9A-F]{16})-([0-9A-F]{16})")
_PREFIX = re.compile(r"([0-9A-F]{1,15})\*")
_EUI = re.compile(r"[0-9A-F]{16}")
_WORD = re.compile(r"[a-z]+[0-9]*|[0-9]+")


class DeviceFacts(Struct):
    """What the metadata says of a device; anything may come as JSON."""

    deviceModel: Any = None
    deviceProfile: Any = None
    deviceType: Any = None
    identity: Any = None
    devEui: Any = None
    deviceName: Any = None

    def kinds(self) -> tuple[str, ...]:
        """What the device is, in the order in which that counts."""
        return tuple(
            each for each in (self.deviceModel, self.deviceProfile, self.deviceType) if _is_text(each)
        )

    def names(self) -> tuple[str, ...]:
        """What the network calls it."""
        return tuple(each for each in (self.identity, self.devEui) if _is_text(each))

    def all_names(self) -> tuple[str, ...]:
        """What it is called, by people first."""
        return tuple(each for each in (self.deviceName, self.identity, self.devEui) if _is_text(each))


class ConverterChoice:
    """The ``converters`` of a datasource. ``otherwise`` is the converter for the rest; empty is none."""

    def __init__(self, converters: Mapping[str, str], otherwise: str) -> None:
        self._otherwise = otherwise
        self._exact = converters
        self._folded = {_folded(key): name for key, name in reversed(list(converters.items()))}
        self._ranges: list[tuple[int, int, str]] = []
        for key, name in converters.items():
            if found := eui_range(key):
                self._ranges.append((*found, name))
        self._ranges.sort(key=lambda each: each[1] - each[0])

    def name(self, facts: DeviceFacts) -> str:
        """The converter of a device; empty if there is none."""
        names = facts.names()
        for each in names:
            if found := self._exact.get(each) or self._folded.get(_folded(each)):
                return found
        if self._ranges:
            for each in names:
                eui = each.replace("-", "").replace(":", "").upper()
                if _EUI.fullmatch(eui):
                    number = int(eui, 16)
                    for low, high, found in self._ranges:
                        if low <= number <= high:
                            return found
        for kind in facts.kinds():
            if found := self._exact.get(kind) or self._folded.get(_folded(kind)):
                return found
        return self._otherwise


def eui_range(key: str) -> tuple[int, int] | None:
    """The first and the last DevEUI of a key of ``converters``; None for another key."""
    text = key.upper()
    if match := _RANGE.fullmatch(text):
        return int(match[1], 16), int(match[2], 16)
    if match := _PREFIX.fullmatch(text):
        return int(match[1].ljust(16, "0"), 16), int(match[1].ljust(16, "F"), 16)
    return None


def suggested(profile: str, library: Iterable[str]) -> str:
    """The converter of the library whose device a profile names, such as ``milesight/em300-th`` for ``EM300-TH (EU868)``; the
    one that says most. Empty if there is none."""
    words = _WORD.findall(profile.lower())
    best, length = "", 0
    for name in library:
        model = _WORD.findall(name.partition("/")[2].lower())
        size = sum(map(len, model))
        if size > length and any(any(map(str.isdigit, word)) for word in model) and _has(words, model):
            best, length = name, size
    return best


def _has(words: list[str], part: list[str]) -> bool:
    return any(words[at : at + len(part)] == part for at in range(len(words) - len(part) + 1))


def _folded(text: str) -> str:
    plain = text.replace("-", "").replace(":", "").upper()
    return plain if _EUI.fullmatch(plain) else text.casefold()


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)

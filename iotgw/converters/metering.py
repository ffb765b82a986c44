"""What each converter has used, by what workers say of it."""

from __future__ import annotations

from iotgw.converters.protocol import Spent
from iotgw.core.model import ConverterVersion
from iotgw.core.ports.usage import Amounts, Tally

Key = tuple[str, str]
"""Tenant and id of a converter."""


class _Used:
    __slots__ = ("calls", "cpu", "errors", "loaded", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.loaded = 0
        self.calls = self.errors = 0
        self.cpu = 0.0


class ConverterMeter:
    """Adds up what converters use, all versions of one together. Workers know them by numbers."""

    def __init__(self) -> None:
        self._used: dict[Key, _Used] = {}
        self._numbers: dict[int, _Used] = {}

    def enter(self, number: int, version: ConverterVersion) -> None:
        """Workers know a version by this number from now on."""
        used = self._used.setdefault((version.tenant, version.id), _Used(version.name))
        used.name = version.name
        used.loaded += 1
        self._numbers[number] = used

    def leave(self, number: int) -> None:
        """They have forgotten it."""
        self._numbers.pop(number).loaded -= 1

    def add(self, spent: list[Spent]) -> None:
        """What a frame of calls has used."""
        for number, calls, errors, cpu in spent:
            used = self._numbers.get(number)
            if used is not None:
                used.calls += calls
                used.errors += errors
                used.cpu += cpu

    def died(self, number: int, cpu: float) -> None:
        """A worker died of a call, which used about so much."""
        self.add([(number, 1, 1, cpu)])

    def tallies(self) -> list[Tally]:
        """See `IMetered.tallies`. Converters that no worker knows any more are said for the last time."""
        found = [
            Tally(
                ("converter", *key), used.name, Amounts(messages=used.calls, errors=used.errors, cpu=used.cpu)
            )
            for key, used in self._used.items()
        ]
        self._used = {key: used for key, used in self._used.items() if used.loaded}
        return found

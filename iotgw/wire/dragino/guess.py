"""Which of the models that could have sent a frame did: the one that makes it the least surprising.

Each layout reads the frame as numbers of its own, and each number has its surprise in bits (see
`iotgw.wire.dragino.quantity`): pH 2 is odd, so is soil of 80 °C, and a history whose values jump to and fro says
that its fields are taken in the wrong order. What a device's frames say adds up, within bounds, so
that a guess, once made, doesn't change with the weather.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from iotgw.wire.dragino.frame import DraginoFrame
from iotgw.wire.dragino.layout import MODELS, Layout, is_time
from iotgw.wire.dragino.quantity import Quantity

TIE = 3.0
"""Bits that decide nothing: within them, the order of `MODELS` does."""
RESOLVE = 8.0
"""Bits by which another model must be ahead to replace the one that a device was taken for."""
CERTAIN = 96.0
"""The most that is held against a model, so that a device's new firmware is believed after a few frames."""
MISFIT = 48.0
"""What a frame holds against a model whose layout doesn't fit it."""
REMEMBERED = 10_000
"""Devices whose evidence is kept; the one silent for longest goes first."""
_TIME, _NO_TIME, _GARBAGE = 12.0, 4.0, 40.0


def surprise(frame: DraginoFrame, layout: Layout) -> float:
    """How many bits of surprise a frame holds that fits this layout, if a device of its model sent it."""
    data, at = frame.payload, frame.data
    before: dict[Quantity, int] = {}
    bits = _numbers(data, at, layout.first, before)
    if layout.time:
        bits += _clock(data, at + layout.group)
    if not layout.step:
        return bits
    for start in range(at + layout.history, len(data), layout.step):
        end = start + layout.step
        if any(data[start:end]):
            bits += _numbers(data, start, layout.record, before) + _clock(data, end - 4)
    return bits


def _numbers(data: bytes, at: int, quantities: Iterable[Quantity], before: dict[Quantity, int]) -> float:
    bits = 0.0
    for quantity in quantities:
        raw = int.from_bytes(data[at : at + quantity.size], "big")
        bits += quantity.surprise(raw, before.get(quantity))
        before[quantity] = quantity.value(raw)
        at += quantity.size
    return bits


def _clock(data: bytes, at: int) -> float:
    seconds = int.from_bytes(data[at : at + 4], "big")
    if not seconds:
        return _NO_TIME
    return _TIME if is_time(seconds) else _GARBAGE


def evidence(frame: DraginoFrame, layouts: tuple[Layout, ...]) -> dict[str, float]:
    """Of each model with a layout among these, by how many bits the frame speaks against it."""
    if len({layout.model for layout in layouts}) == 1:
        return {layouts[0].model: 0.0}
    bits: dict[str, float] = {}
    for layout in layouts:
        found = surprise(frame, layout)
        bits[layout.model] = min(found, bits.get(layout.model, found))
    least = min(bits.values(), default=0.0)
    return {model: found - least for model, found in bits.items()}


def best(against: dict[str, float]) -> list[str]:
    """The models with what speaks against each, likeliest first; those that are about even in their fixed order."""
    least = min(against.values(), default=0.0)
    return sorted(
        against,
        key=lambda model: (
            max(0.0, against[model] - least - TIE),
            MODELS.index(model) if model in MODELS else len(MODELS),
        ),
    )


class Guesses:
    """What devices were taken for, and on what evidence. Holds ``capacity`` devices at most."""

    def __init__(self, capacity: int = REMEMBERED) -> None:
        self._capacity = capacity
        self._devices: OrderedDict[str, tuple[str, dict[str, float]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._devices)

    def models(self, identity: str, frame_says: dict[str, float]) -> list[str]:
        """The models that a frame may be from, likeliest first, by its own and by earlier evidence."""
        taken_for, held = self._devices.pop(identity, ("", {}))
        against = {}
        for model in held.keys() | frame_says.keys():
            # what did not fit an earlier frame starts with that held against it
            earlier = held.get(model, MISFIT if held else 0.0)
            # a device's readings resemble each other: what decides nothing doesn't by being said often
            now = max(0.0, frame_says.get(model, MISFIT) - TIE) if held else frame_says[model]
            against[model] = min(CERTAIN, earlier + now)
        order = best({model: against[model] for model in frame_says})
        if taken_for in frame_says and against[taken_for] - against[order[0]] < RESOLVE:
            order.remove(taken_for)
            order.insert(0, taken_for)
        least = min(against.values())
        self._devices[identity] = order[0], {model: bits - least for model, bits in against.items()}
        if len(self._devices) > self._capacity:
            self._devices.popitem(last=False)
        return order

"""Guesses which model sent a frame: the one for which its values are the least surprising.

Each layout reads the frame as different quantities, and each value has a surprise in bits (see
`iotgw.wire.dragino.quantity`). A pH of 2 is unusual, soil at 80 °C as well, and a history whose values jump
back and forth suggests fields in the wrong order. Evidence adds up over a device's frames, within bounds, so
that a guess doesn't change with the weather.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from iotgw.wire.dragino.frame import DraginoFrame
from iotgw.wire.dragino.layout import MODELS, Layout, is_time
from iotgw.wire.dragino.quantity import Quantity

TIE = 3.0
"""Differences below this many bits decide nothing; the order of `MODELS` does."""
RESOLVE = 8.0
"""Bits by which another model must lead before it replaces a device's current guess."""
CERTAIN = 96.0
"""Maximum evidence against a model, so that a device's new firmware is recognized after a few frames."""
MISFIT = 48.0
"""Evidence against a model whose layout doesn't fit the frame."""
REMEMBERED = 10_000
"""Devices whose evidence is kept. The one that was silent for longest is dropped first."""
_TIME, _NO_TIME, _GARBAGE = 12.0, 4.0, 40.0


def surprise(frame: DraginoFrame, layout: Layout) -> float:
    """Surprise in bits of a frame that fits this layout, if a device of its model sent it."""
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
    """Evidence in bits that the frame gives against each model with one of these layouts."""
    if len({layout.model for layout in layouts}) == 1:
        return {layouts[0].model: 0.0}
    bits: dict[str, float] = {}
    for layout in layouts:
        found = surprise(frame, layout)
        bits[layout.model] = min(found, bits.get(layout.model, found))
    least = min(bits.values(), default=0.0)
    return {model: found - least for model, found in bits.items()}


def best(against: dict[str, float]) -> list[str]:
    """The models with the evidence against each, likeliest first; models that are about even keep their fixed
    order."""
    least = min(against.values(), default=0.0)
    return sorted(
        against,
        key=lambda model: (
            max(0.0, against[model] - least - TIE),
            MODELS.index(model) if model in MODELS else len(MODELS),
        ),
    )


class Guesses:
    """The model guessed for each device, and the evidence. Holds ``capacity`` devices at most."""

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
            # a model that did not fit an earlier frame starts with that evidence against it
            earlier = held.get(model, MISFIT if held else 0.0)
            # a device's readings resemble each other, so small differences must not add up by repetition
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

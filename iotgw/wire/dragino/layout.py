"""How the data of Dragino's models is laid out: where a frame may end, and which models could have sent it.

Frames of G0 to G3 mostly don't name their model. A layout fits a frame when its length works out and its
timestamps lie where the layout says. Several models share a length (NLMS01, NSPH01 and NMDS200, for one): which
one of them it is, `iotgw.wire.dragino.guess` tells by the values.
"""

from __future__ import annotations

from msgspec import Struct

from iotgw.wire.dragino.frame import DraginoFrame
from iotgw.wire.dragino.quantity import Quantity, count, flag, temperature

_GPS = 12
"""Latitude 4, longitude 4, time of the fix 4."""
_MOST = 64
"""History records: twice the maximum of `AT+NOUD`. Anything longer would only cost time to parse."""
_EARLIEST, _LATEST = 1_420_070_400, 2_366_841_600
"""2015 and 2045: plausible timestamps of these devices. The converter knows the date and is stricter."""

MODEL_CODES = {0x01: "PS-NB", 0x09: "NDDS75", 0x46: "PS-NB", 0x4C: "SN50v3-CB"}
"""High byte of the version word of G2 and G3, as far as it is public: PS-NB, DDS75-NB, PS-CB, SN50v3-CB."""

MODELS = (
    "NBSN95",
    "N95S31B",
    "NDDS75",
    "NSE01",
    "NLMS01",
    "NSPH01",
    "CPN01",
    "NDS03A",
    "SW3L",
    "PS-NB",
    "NMDS200",
    "SN50v3-CB",
)
"""In the order that decides where the values don't: models with the most public traces first."""


class Layout(Struct, frozen=True):
    """What follows the signal byte: ``first``, a timestamp, a position with ``gps``, and any number of history
    records, each a ``record`` and a timestamp. Without ``record`` there is no history, without ``time`` no
    timestamp.

    ``mode`` is what the first byte always is, -1 where it may be anything. In bytes, ``group`` is the size of
    ``first``, ``step`` that of a record with its timestamp, and ``history`` where the first record begins, from the
    signal byte on.
    """

    model: str
    generation: str
    first: tuple[Quantity, ...]
    record: tuple[Quantity, ...]
    gps: bool
    time: bool
    mode: int
    group: int
    history: int
    step: int


def _layout(
    model: str,
    generation: str,
    first: tuple[Quantity, ...],
    record: tuple[Quantity, ...],
    *,
    gps: bool = False,
    time: bool = True,
) -> Layout:
    group = sum(quantity.size for quantity in first)
    step = sum(quantity.size for quantity in record) + 4 if record else 0
    mode = first[0].low if first[0].low == first[0].high else -1
    history = group + 4 * time + _GPS * gps
    return Layout(model, generation, first, record, gps, time, mode, group, history, step)


def _mode(number: int) -> Quantity:
    return Quantity("mode", 1, number, number)


_MODE1 = _mode(1)
_INTERRUPT, _LEVEL = flag("interrupt"), flag("interrupt level")
_EXIT = Quantity("exit flag", 1, 0, 3, 0, 255)
_BYTE = Quantity("byte", 1, 0, 255, 0, 255)
_WORD = Quantity("word", 2, 0, 0xFFFF, 0, 0xFFFF)
_PROBE = temperature("probe")
_ADC = Quantity("ADC, mV", 2, 0, 3600, 0, 5000)
_CLIMATE = (temperature("temperature"), Quantity("humidity, 0.1 %", 2, 100, 1000, 0, 1000))
_DISTANCE = Quantity("distance, mm", 2, 20, 8000, 0, 12000)
_DISTANCES = (
    Quantity("nearest, mm", 2, 200, 12000, 0, 20000),
    Quantity("next, mm", 2, 200, 12000, 0, 20000),
)
_LEAF = (Quantity("leaf moisture, 0.1 %", 2, 0, 1000, 0, 1000), temperature("leaf temperature"))
_ACIDITY = (Quantity("pH, 0.01", 2, 350, 900, 0, 1400), temperature("soil temperature"))
_SOIL = (
    Quantity("soil moisture, 0.01 %", 2, 0, 6000, 0, 10000),
    temperature("soil temperature", 100),
    Quantity("conductivity, µS/cm", 2, 0, 5000, 0, 20000),
)
_DIELECTRIC = Quantity("dielectric constant, 0.1", 2, 10, 400, 0, 810)
_PULSES, _OPEN = count("pulses", 3), count("minutes open", 3)
_DOOR = (flag("door"), flag("alarm"), count("openings", 3), count("minutes open", 3))
_DOOR2 = (flag("door 2"), flag("alarm 2"), count("openings 2", 3), count("minutes open 2", 3))
_FLOW = count("pulses", 4)
_METER = (
    *(flag("PA4"), flag("PB15"), flag("alarm"), Quantity("mode", 1, 1, 4, 0, 255)),
    *(Quantity("pulses per litre", 2, 1, 500, 0, 0xFFFF), _FLOW),
)
_LOOP = (Quantity("current, µA", 2, 0, 20500, 0, 25000), Quantity("voltage, mV", 2, 0, 30500, 0, 36000))
_SENSOR = Quantity("kind and range of the probe", 2, 0, 0x400, 0, 0xFFFF)
_INPUTS = (flag("input 1"), flag("input 2"), _LEVEL, _INTERRUPT)
_ALARMS = (flag("current alarm"), flag("voltage alarm"))
_LATITUDE, _LONGITUDE = Quantity("degrees", 4, 0, 1 << 32), Quantity("degrees", 4, 0, 1 << 32)

_NBSN95 = (
    (_MODE1, _PROBE, _INTERRUPT, _ADC, *_CLIMATE),
    (_mode(2), _PROBE, _INTERRUPT, _ADC, _WORD),
    (_mode(3), _ADC, _INTERRUPT, _ADC, *_CLIMATE, _ADC),
    (_mode(4), _PROBE, _ADC, _INTERRUPT, temperature("probe 2"), temperature("probe 3")),
    (_mode(5), _PROBE, _ADC, _INTERRUPT, _WORD),
    (_mode(6), count("count", 4)),
)
# AT+CUM=1: frames that could not be sent follow whole, from the version on
_HEADER = (_WORD, Quantity("battery, mV", 2, 2000, 3700, 1500, 5500), Quantity("signal", 1, 0, 31, 0, 99))

LAYOUTS = (
    _layout("NSE01", "G0", (_MODE1, *_SOIL, _INTERRUPT), ()),
    _layout("NSE01", "G0", (*_SOIL, _INTERRUPT), (), time=False),
    *(_layout("NBSN95", "G0", first, ()) for first in _NBSN95),
    *(_layout("NBSN95", "G1", first, (*_HEADER, *first)) for first in _NBSN95),
    _layout("N95S31B", "G1", _NBSN95[0], _CLIMATE),
    _layout("NDDS75", "G1", (_MODE1, _INTERRUPT, _DISTANCE), (_DISTANCE,)),
    _layout("NLMS01", "G1", (_MODE1, _INTERRUPT, *_LEAF), _LEAF[::-1]),
    _layout("NSPH01", "G1", (_MODE1, _INTERRUPT, *_ACIDITY), _ACIDITY),
    _layout("NMDS200", "G1", (_MODE1, _EXIT, *_DISTANCES), _DISTANCES),
    _layout("NSE01", "G1", (_MODE1, _INTERRUPT, *_SOIL, _DIELECTRIC), (*_SOIL, _DIELECTRIC)),
    _layout(
        "CPN01",
        "G1",
        (_MODE1, _BYTE, flag("contact"), flag("alarm"), _PULSES, _OPEN),
        (flag("contact"), _PULSES, _BYTE, _OPEN),
    ),
    _layout("NDS03A", "G1", (_MODE1, *_DOOR), (_DOOR[0], *_DOOR[2:])),
    _layout("NDS03A", "G1", (_mode(2), *_DOOR, *_DOOR2), (_DOOR[0], *_DOOR[2:], _DOOR2[0], *_DOOR2[2:])),
    _layout("SW3L", "G1", _METER, (_FLOW,)),
    _layout("PS-NB", "G1", (_SENSOR, *_INPUTS, *_LOOP), _LOOP),
    _layout("N95S31B", "G2", (_MODE1, _PROBE, flag("PA4"), _INTERRUPT, _LEVEL, _ADC, *_CLIMATE), _CLIMATE),
    _layout("NDDS75", "G2", (_MODE1, _INTERRUPT, _LEVEL, _DISTANCE), (_DISTANCE,)),
    _layout("NLMS01", "G2", (_MODE1, _INTERRUPT, _LEVEL, *_LEAF), _LEAF[::-1]),
    _layout("NSPH01", "G2", (_MODE1, _INTERRUPT, _LEVEL, *_ACIDITY), _ACIDITY),
    _layout("NMDS200", "G2", (_MODE1, _EXIT, _LEVEL, *_DISTANCES), _DISTANCES),
    _layout("NSE01", "G2", (_MODE1, _INTERRUPT, _LEVEL, *_SOIL, _DIELECTRIC), (*_SOIL, _DIELECTRIC)),
    _layout("NDS03A", "G2", (_MODE1, *_DOOR), (_DOOR[0], *_DOOR[2:])),
    _layout("SW3L", "G2", _METER, (_FLOW,)),
    _layout("PS-NB", "G2", (*_INPUTS, _SENSOR, *_LOOP), _LOOP),
    _layout("PS-NB", "G2", (*_INPUTS, *_ALARMS, _SENSOR, *_LOOP), _LOOP),
    _layout(
        "N95S31B",
        "G3",
        (_MODE1, _PROBE, flag("PA4"), _INTERRUPT, _LEVEL, _ADC, count("count", 4), *_CLIMATE),
        _CLIMATE,
        gps=True,
    ),
    _layout("NDDS75", "G3", (_MODE1, _INTERRUPT, _LEVEL, _DISTANCE), (_DISTANCE,), gps=True),
    _layout(
        "PS-NB",
        "G3",
        # the position comes before the reading here
        (*_INPUTS, *_ALARMS, _SENSOR, _LATITUDE, _LONGITUDE, Quantity("fix", 4, 0, 1 << 32), *_LOOP),
        _LOOP,
    ),
    # in the firmware's working mode 1; how other modes and a history look in binary isn't public
    _layout(
        "SN50v3-CB",
        "G3",
        (_MODE1, _PROBE, flag("PA4"), _INTERRUPT, _LEVEL, _ADC, *_CLIMATE),
        (),
        gps=True,
    ),
)


_BY_GENERATION = {
    "G0": tuple(layout for layout in LAYOUTS if layout.generation == "G0"),
    "G1": tuple(layout for layout in LAYOUTS if layout.generation == "G1"),
    # a header can't tell G3 from G2
    "G2": tuple(layout for layout in LAYOUTS if layout.generation in ("G2", "G3")),
}


def fitting(frame: DraginoFrame) -> tuple[Layout, ...]:
    """The layouts that fit a binary frame: its length, and where its timestamps are.

    None fits if the version word names another model, or one that nobody knows: that its frame has the length of some
    other model's says nothing. Several are narrowed down to those with the frame's mode, then to those with the most plausible
    timestamps. A step that would leave none is skipped.
    """
    fits = [
        (garbage, layout)
        for layout in _BY_GENERATION.get(frame.generation, ())
        if (garbage := _garbage(layout, frame)) is not None
    ]
    if code := model_code(frame):
        coded = MODEL_CODES.get(code)
        fits = [(garbage, layout) for garbage, layout in fits if layout.model == coded]
    mode = frame.payload[frame.data : frame.data + 1]
    fits = [(garbage, layout) for garbage, layout in fits if layout.mode in (-1, *mode)] or fits
    least = min((garbage for garbage, _ in fits), default=0)
    return tuple(layout for garbage, layout in fits if garbage == least)


def model_code(frame: DraginoFrame) -> int:
    """What the high byte of the version word says of the model; 0 where it says nothing, as in G0 and G1."""
    return (frame.version or 0) >> 8 if frame.generation == "G2" else 0


def _garbage(layout: Layout, frame: DraginoFrame) -> int | None:
    """How many timestamps of the history are implausible; None when the layout doesn't fit."""
    data, step = frame.payload, layout.step
    end = frame.data + layout.history
    rest = len(data) - end
    if not 0 <= rest <= _MOST * step or (step and rest % step):
        return None
    if not layout.time:
        return 0
    first = frame.data + layout.group
    if not _is_time(data, first) or (layout.gps and not _is_position(data[first + 4 : end])):
        return None
    if not step:
        return 0
    times = range(end + step - 4, len(data), step)
    garbage = sum(not _is_time(data, at) for at in times)
    # devices do send garbage times, but rarely
    return garbage if garbage * 2 <= len(times) else None


def is_time(seconds: int) -> bool:
    """Whether a Unix timestamp is plausible for these devices. 0 means that the clock isn't set yet."""
    return not seconds or _EARLIEST <= seconds < _LATEST


def _is_time(data: bytes, at: int) -> bool:
    return is_time(int.from_bytes(data[at : at + 4], "big"))


def _is_position(data: bytes) -> bool:
    latitude = int.from_bytes(data[:4], "big", signed=True)
    longitude = int.from_bytes(data[4:8], "big", signed=True)
    # degrees · 10⁶
    return abs(latitude) <= 90_000_000 and abs(longitude) <= 180_000_000 and _is_time(data, 8)

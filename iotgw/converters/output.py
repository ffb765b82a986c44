"""The check of what a converter returned: ThingsBoard's format in every form, or an error that names the place.

One object or a list of objects, each with ``deviceName`` and ``deviceType`` (or ``assetName`` and
``assetType``; a type that is missing is ``default``), and ``customerName``, ``groupName``, ``attributes``,
``telemetry`` as they are there.
Telemetry is ``{key: value}``, ``{"ts", "values"}``, or a list of either. What leaves here is canonical:
telemetry is a list of ``{"ts", "values"}`` with ``ts`` in ms.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from iotgw.converters.beside import AsideMaker, AsideRefused
from iotgw.converters.doubts import EARLY_MS, Doubts
from iotgw.core.model import Aside, Output
from iotgw.core.names import unfit
from iotgw.core.numbers import whole

MAX_DEVICES = 1_000
MAX_RECEIPTS = 100
"""Receipts beside one device."""
MAX_VALUES = 10_000
MAX_NAME = 255
MAX_TEXT = 65_536
MAX_DEPTH = 8
MAX_BYTES = 2 << 20
"""Of everything that one message becomes."""
LATEST_MS = 253_402_300_799_999  # the end of the year 9999
LEAST, MOST = -0x8000000000000000, 0x7FFFFFFFFFFFFFFF
"""What an integer value may be."""
_NUMBERS = frozenset((int, float, bool))
_SCALARS = _NUMBERS | {str}

_encode = msgspec.json.Encoder().encode
NAMELESS = "_"
"""What the value of an empty key is called."""
DEFAULT_TYPE = "default"
"""ThingsBoard's default profile, for a converter that names no type."""
_OWNERS = ("customerName", "groupName")
_NAMES = ("deviceName", "deviceType", "assetName", "assetType", *_OWNERS)
_KNOWN = frozenset((*_NAMES, "attributes", "telemetry", "downlinkAck"))
_ALONE = frozenset(("downlinkAck", "reply", "session"))
"""What an object may have without a device: it is for whoever sent the uplink."""
_NOTHING: frozenset[str] = frozenset()

Changed = Callable[[str, str, dict[str, Any]], dict[str, Any]]
"""``changed(device, part, values)``: the values that should be sent on."""


class OutputRefused(Exception):
    """A converter's output breaks a rule; the message begins with the place."""


class Checked(Struct, gc=False):
    """What a good output comes to."""

    outputs: list[Output]
    acks: list[bytes]
    warnings: list[str]
    says: frozenset[str]
    """Which of ``reply`` and ``session`` the converter may say."""
    maker: AsideMaker | None = None
    doubts: Doubts | None = None

    @property
    def aside(self) -> Aside | None:
        """What the output says to the sender."""
        return self.maker.made() if self.maker is not None else None


def check(
    result: Any,
    received_ms: int,
    nested: str = "refuse",
    changed: Changed | None = None,
    says: frozenset[str] = _NOTHING,
) -> Checked:
    """Check and normalise a converter's output (JSON values). ``says`` are the names that the script may use of
    `iotgw.converters.beside`. Raises Refused."""
    checked = Checked([], [], [], says)
    if type(result) is dict:
        _device(result, "", received_ms, nested, changed, checked)
        _bounded(sum([len(output.body) for output in checked.outputs]))
    elif type(result) is list:
        if len(result) > MAX_DEVICES:
            raise OutputRefused(f"expected at most {MAX_DEVICES} objects, got {len(result)}")
        size = 0
        for index, device in enumerate(result):
            if type(device) is not dict:
                raise OutputRefused(f"[{index}]: expected an object, got {_kind(device)}")
            made = len(checked.outputs)
            _device(
                device, f"[{index}].", received_ms, nested, changed, checked, is_one_of_many=len(result) > 1
            )
            size += sum([len(output.body) for output in checked.outputs[made:]])
            _bounded(size)
    elif result is not None:
        raise OutputRefused(f"expected an object or a list of objects, got {_kind(result)}")
    if checked.doubts is not None:
        checked.warnings += checked.doubts.warnings()
    if checked.acks or checked.warnings:
        _bounded(sum(map(len, checked.acks)) + sum(map(len, checked.warnings)))
    return checked


def _doubts(checked: Checked) -> Doubts:
    if checked.doubts is None:
        checked.doubts = Doubts()
    return checked.doubts


def _bounded(size: int) -> None:
    if size > MAX_BYTES:
        raise OutputRefused(f"expected at most {MAX_BYTES} bytes of output, got {size}")


def _device(
    device: dict[str, Any],
    at: str,
    received_ms: int,
    nested: str,
    changed: Changed | None,
    checked: Checked,
    is_one_of_many: bool = False,
) -> None:
    is_alone = False
    if not device.keys() <= _KNOWN:
        is_alone = _beside(device, at, checked)
    receipts: list[dict[str, Any]] = []
    if "downlinkAck" in device:
        receipts = _receipts(device["downlinkAck"], at + "downlinkAck")
        if is_alone or len(device) == 1:
            checked.acks += map(_encode, receipts)
            return
    if is_alone:
        return
    name, type_, body = _named(device, at)
    attributes = device.get("attributes")
    if attributes is None:
        attributes = {}
    elif type(attributes) is not dict:
        raise OutputRefused(f"{at}attributes: expected an object, got {_kind(attributes)}")
    elif not _is_plain(attributes):
        attributes = _unfolded(attributes, at + "attributes", nested, checked)
    telemetry = device.get("telemetry")
    shape = 0
    if type(telemetry) is dict and "values" not in telemetry and _is_plain(telemetry):
        entries: list[dict[str, Any]] = [{"ts": received_ms, "values": telemetry}] if telemetry else []
        if changed is None:
            shape = hash((*attributes, None, *telemetry))
    else:
        entries = _telemetry(telemetry, at + "telemetry", received_ms, nested, checked)
    if is_one_of_many or len(entries) > 1:
        _doubts(checked).compare(name, entries, at + "telemetry")
    if changed is not None:
        attributes = changed(name, "attributes", attributes)
        for entry in entries:
            entry["values"] = changed(name, "telemetry", entry["values"])
        entries = [entry for entry in entries if entry["values"]]
    body["attributes"] = attributes
    body["telemetry"] = entries
    checked.outputs.append(Output(name, type_, _encode(body), shape))
    checked.acks += [_encode({**receipt, "deviceName": name}) for receipt in receipts]


def _beside(device: dict[str, Any], at: str, checked: Checked) -> bool:
    """Take what an object says to the sender, and warn of keys that nobody knows. Returns whether there is nothing else."""
    unknown = device.keys() - _KNOWN
    said = unknown & checked.says
    for name in sorted(said):
        if checked.maker is None:
            checked.maker = AsideMaker()
        try:
            checked.maker.take(name, device[name], at + name)
        except AsideRefused as refused:
            raise OutputRefused(str(refused)) from None
    if unknown := unknown - said:
        names = ", ".join(sorted(unknown)[:5])
        checked.warnings.append(f"{at}{names}: not part of a converter's output, ignored")
    return bool(said) and device.keys() <= _ALONE


def _named(device: dict[str, Any], at: str) -> tuple[str, str, dict[str, Any]]:
    """Name, type, and the part of the output's body that says whose it is."""
    if "assetName" in device and "deviceName" not in device:
        name, type_ = _name(device, "assetName", at), _name(device, "assetType", at, DEFAULT_TYPE)
        body: dict[str, Any] = {"assetName": name, "assetType": type_}
    else:
        name, type_ = _name(device, "deviceName", at), _name(device, "deviceType", at, DEFAULT_TYPE)
        body = {"deviceName": name, "deviceType": type_}
    for key in _OWNERS:
        if device.get(key) is not None:
            body[key] = _name(device, key, at)
    return name, type_, body


def _receipts(acks: Any, at: str) -> list[dict[str, Any]]:
    """The receipts for downlinks of one device: an object or a list of objects."""
    if acks is None:
        return []
    receipts = acks if type(acks) is list else [acks]
    if len(receipts) > MAX_RECEIPTS:
        raise OutputRefused(f"{at}: expected at most {MAX_RECEIPTS} objects, got {len(receipts)}")
    for receipt in receipts:
        if type(receipt) is not dict:
            raise OutputRefused(f"{at}: expected an object or a list of objects, got {_kind(receipt)}")
        if type(receipt.get("id")) is not str and type(receipt.get("msgType")) is not str:
            raise OutputRefused(f"{at}: expected a text in `id` or `msgType`, got neither")
        if type(receipt.get("success", True)) is not bool:
            raise OutputRefused(f"{at}.success: expected true or false, got {_kind(receipt['success'])}")
    return receipts


def _name(device: dict[str, Any], key: str, at: str, default: str | None = None) -> str:
    value = device.get(key)
    if value is None and default is not None:
        return default
    if type(value) is str and 0 < len(value) <= MAX_NAME:
        if character := unfit(value):
            raise OutputRefused(f"{at}{key}: expected a text without control characters, got {character}")
        return value
    if type(value) is not str:
        if type(value) is int:  # a serial number is a fine name
            return str(value)
        what = "it is missing" if key not in device else f"got {_kind(value)}"
        raise OutputRefused(f"{at}{key}: expected a text, {what}")
    raise OutputRefused(f"{at}{key}: expected 1 to {MAX_NAME} characters, got {len(value)}")


def _telemetry(
    telemetry: Any, at: str, received_ms: int, nested: str, checked: Checked
) -> list[dict[str, Any]]:
    if telemetry is None:
        return []
    if type(telemetry) is dict:
        return _entry(telemetry, at, received_ms, nested, checked)
    if type(telemetry) is not list:
        raise OutputRefused(f"{at}: expected an object or a list of objects, got {_kind(telemetry)}")
    if len(telemetry) > MAX_VALUES:
        raise OutputRefused(f"{at}: expected at most {MAX_VALUES} entries, got {len(telemetry)}")
    entries: list[dict[str, Any]] = []
    for index, entry in enumerate(telemetry):
        if type(entry) is not dict:
            raise OutputRefused(f"{at}[{index}]: expected an object, got {_kind(entry)}")
        entries += _entry(entry, f"{at}[{index}]", received_ms, nested, checked)
    return entries


def _entry(
    entry: dict[str, Any], at: str, received_ms: int, nested: str, checked: Checked
) -> list[dict[str, Any]]:
    ts = received_ms
    # ThingsBoard tells the two forms by whether both keys are there
    if "values" in entry and ("ts" in entry or type(entry["values"]) is dict):
        if "ts" in entry:
            ts = timestamp(entry["ts"], at + ".ts")
            if ts < EARLY_MS:
                _doubts(checked).early(at + ".ts")
        values = entry["values"]
        if type(values) is not dict:
            raise OutputRefused(f"{at}.values: expected an object, got {_kind(values)}")
        values = _values(values, at + ".values", nested, checked)
    else:
        values = _values(entry, at, nested, checked)
    return [{"ts": ts, "values": values}] if values else []


def moment(text: str) -> int | None:
    """Milliseconds since 1970 of an ISO 8601 text, UTC where it names no zone; None for anything else."""
    try:
        date = datetime.fromisoformat(text)
        return int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def timestamp(value: Any, at: str) -> int:
    """Milliseconds since 1970 from a number of ms or an ISO 8601 text. Raises Refused."""
    kind = type(value)
    if kind is str:
        number = moment(value)
        if number is not None:
            value = number
        else:
            number = whole(value, 0, 10**15 - 1)
            if number is None:
                raise OutputRefused(f"{at}: expected a number of ms or an ISO 8601 time, got {value[:40]!r}")
            value = number
    elif kind is float:
        value = int(value)
    elif kind is not int:
        raise OutputRefused(f"{at}: expected a number of ms or an ISO 8601 time, got {_kind(value)}")
    if not 0 <= value <= LATEST_MS:
        raise OutputRefused(f"{at}: expected ms since 1970, got {value}")
    stamp: int = value
    return stamp


def _values(values: dict[str, Any], at: str, nested: str, checked: Checked) -> dict[str, Any]:
    return values if _is_plain(values) else _unfolded(values, at, nested, checked)


def _is_plain(values: dict[str, Any]) -> bool:
    """Whether keys and values are as they must be, as nearly always; a float beyond any int counts as not. By whole
    columns: a loop over the values costs four times the bytecode."""
    if not values:
        return True
    if len(values) > MAX_VALUES or "" in values or max(map(len, values)) > MAX_NAME:
        return False
    numbers: Any = values.values()
    kinds = set(map(type, numbers))
    if not kinds <= _NUMBERS:
        if not kinds <= _SCALARS:
            return False
        if max([len(value) for value in numbers if type(value) is str]) > MAX_TEXT:
            return False
        numbers = [value for value in numbers if type(value) is not str]
    return bool(min(numbers, default=0) >= LEAST and max(numbers, default=0) <= MOST)


def _unfolded(values: dict[str, Any], at: str, nested: str, checked: Checked) -> dict[str, Any]:
    made: dict[str, Any] = {}
    _unfold(values, "", at, nested, checked, made, 0)
    return made


def _unfold(
    values: dict[str, Any],
    prefix: str,
    at: str,
    nested: str,
    checked: Checked,
    made: dict[str, Any],
    depth: int,
) -> None:
    """The slow way: drop nulls, mend big numbers, flatten or refuse what is nested."""
    for name, value in values.items():
        key, place = prefix + name, f"{at}.{name}"
        if (
            not key and value is not None
        ):  # many a target takes no such name, and would refuse all the others with it
            key = _nameless(values)
            checked.warnings.append(f"{at}: a key is empty; its value is kept as `{key}`")
        if len(key) > MAX_NAME:
            raise OutputRefused(
                f"{at}: expected keys of at most {MAX_NAME} characters, got one of {len(key)}"
            )
        if value is None:
            checked.warnings.append(f"{place}: null (or NaN, Infinity, undefined), left out")
        elif isinstance(value, (dict, list)):
            if nested == "json":
                made[key] = _encode(value).decode()
            elif nested == "flatten" and depth < MAX_DEPTH:
                inner = value if isinstance(value, dict) else {str(i): v for i, v in enumerate(value)}
                _unfold(inner, key + ".", place, nested, checked, made, depth + 1)
            else:
                raise OutputRefused(
                    f"{place}: expected a number, text or boolean, got {_kind(value)}"
                    + ("" if nested == "flatten" else " (option `nested` can flatten it)")
                )
        elif type(value) is str and len(value) > MAX_TEXT:
            raise OutputRefused(f"{place}: expected at most {MAX_TEXT} characters, got {len(value)}")
        elif type(value) is int and not LEAST <= value <= MOST:
            made[key] = float(value)
        else:
            made[key] = value
        if len(made) > MAX_VALUES:
            raise OutputRefused(f"{at}: expected at most {MAX_VALUES} values, got more")


def _nameless(values: dict[str, Any]) -> str:
    """What the value of an empty key is called: a name that no other value has."""
    name = NAMELESS
    while name in values:
        name += NAMELESS
    return name


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    return {bool: "a boolean", int: "a number", float: "a number", str: "a text", list: "a list"}.get(
        type(value), "an object"
    )

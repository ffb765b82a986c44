"""``updateOnlyKeys``: values that are sent on only when they have changed, as ThingsBoard has it."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from iotgw.converters.options import read
from iotgw.converters.output import Changed
from iotgw.core.model import ConverterVersion

MAX_DEVICES = 20_000


class LastValues:
    """The last values of the named keys, per converter and device; the least recently seen go first.

    They live in the worker: after it is replaced, each value is sent once more.
    """

    def __init__(self) -> None:
        self._values: OrderedDict[tuple[str, str, str], dict[str, Any]] = OrderedDict()

    def of(self, version: ConverterVersion) -> Changed | None:
        """The filter for a converter version; None when it names no keys."""
        only = frozenset(read(version.options).update_only_keys)
        if not only:
            return None

        def changed(device: str, part: str, values: dict[str, Any]) -> dict[str, Any]:
            place = (version.id, device, part)
            known = self._values.setdefault(place, {})
            self._values.move_to_end(place)
            if len(self._values) > MAX_DEVICES:
                self._values.popitem(last=False)
            kept = {
                key: value
                for key, value in values.items()
                if key not in only or key not in known or not _same(known[key], value)
            }
            known.update((key, value) for key, value in kept.items() if key in only)
            return kept

        return changed


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(a == b)

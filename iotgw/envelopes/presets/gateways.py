"""The gateways that heard a frame."""

from __future__ import annotations

from typing import Any

from iotgw.core.expressions.functions import to_number
from iotgw.core.expressions.language import Expression
from iotgw.core.expressions.nodes import Evaluate
from iotgw.core.expressions.table import ExpressionTable
from iotgw.core.model import Metadata

MOST_GATEWAYS = 256


class Gateways:
    """See `GatewaysForm`. ``parts`` are the expressions on one gateway: dBm, dB, and its name."""

    __slots__ = ("at", "told")

    def __init__(self, at: Expression, parts: list[Expression]) -> None:
        self.at = at
        self.told = _by_names(parts) or ExpressionTable(parts).run
        """What a gateway says of itself, in the order of the parts."""


def _by_names(parts: list[Expression]) -> Evaluate | None:
    """The same for three parts that are names, or a name below another for the last, which is what most platforms have. It costs less than a table; None
    for all other parts."""
    paths = [part.path[0] for part in parts if part.path is not None and part.path[1] is None]
    if [len(path) for path in paths] not in ([1, 1, 1], [1, 1, 2]):
        return None
    (rssi,), (snr,), (first, *below) = paths
    second = below[0] if below else None

    def told(heard: Any) -> tuple[Any, Any, Any]:
        if type(heard) is not dict:
            return None, None, None
        name = heard.get(first)
        if second is not None:
            name = name.get(second) if type(name) is dict else None
        return heard.get(rssi), heard.get(snr), name

    return told


def best_gateway(gateways: Gateways, heard: Any) -> Metadata:
    """``rssi``, ``snr`` and ``gatewayId`` of the gateway that heard a frame best; empty if none says its signal. With several
    that have names, ``gateways`` has all of them, the best one first. ``heard`` is the list of gateways, or the only one."""
    if type(heard) is dict:
        heard = [heard]
    elif type(heard) is not list:
        return {}
    found = [told for each in heard[:MOST_GATEWAYS] if (told := _told(gateways, each)) is not None]
    if len(found) < 2:
        return found[0] if found else {}
    found.sort(key=_loudness, reverse=True)
    for each in found:
        if "gatewayId" not in each:
            return found[0]
    return {**found[0], "gateways": found}


def _told(gateways: Gateways, heard: Any) -> Metadata | None:
    rssi, snr, name = gateways.told(heard)
    if type(rssi) is not int and (rssi := to_number(rssi)) is None:
        return None
    told: Metadata = {"rssi": rssi}
    if type(snr) is float or (snr := to_number(snr)) is not None:
        told["snr"] = snr
    if type(name) is str and name:
        told["gatewayId"] = name
    return told


def _loudness(told: Metadata) -> float:
    loudness: float = told["rssi"]
    return loudness

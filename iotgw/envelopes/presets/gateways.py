"""The gateways that heard a frame."""

from __future__ import annotations

from typing import Any

from iotgw.core.expressions.functions import to_number
from iotgw.core.expressions.language import Expression
from iotgw.core.expressions.table import ExpressionTable
from iotgw.core.model import Metadata

MOST_GATEWAYS = 256


class Gateways:
    """See `GatewaysForm`. ``parts`` are the expressions on one gateway: dBm, dB, and its name."""

    __slots__ = ("at", "told")

    def __init__(self, at: Expression, parts: list[Expression]) -> None:
        self.at = at
        self.told = ExpressionTable(parts)


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
    rssi, snr, name = gateways.told.run(heard)
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

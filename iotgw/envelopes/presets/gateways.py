"""The gateways that heard a frame."""

from __future__ import annotations

from typing import Any

import msgspec

from iotgw.core.expressions.functions import to_number
from iotgw.core.expressions.language import Expression
from iotgw.core.model import Metadata

MOST_GATEWAYS = 256


class Gateways(msgspec.Struct, frozen=True):
    """See `GatewaysForm`."""

    at: Expression
    rssi: Expression
    snr: Expression
    id: Expression | None


def best_gateway(gateways: Gateways, occasion: Any) -> Metadata:
    """``rssi``, ``snr`` and ``gatewayId`` of the gateway that heard a frame best; empty if none says its signal. With several
    that have names, ``gateways`` has all of them, the best one first."""
    heard = gateways.at.run(occasion)
    if isinstance(heard, dict):
        heard = [heard]
    if not isinstance(heard, list):
        return {}
    found = [told for each in heard[:MOST_GATEWAYS] if (told := _told(gateways, each)) is not None]
    if not found:
        return {}
    if len(found) == 1:
        return found[0]
    found.sort(key=_loudness, reverse=True)
    if not all("gatewayId" in each for each in found):
        return found[0]
    return {**found[0], "gateways": found}


def _told(gateways: Gateways, heard: Any) -> Metadata | None:
    rssi = to_number(gateways.rssi.run(heard))
    if rssi is None:
        return None
    told: Metadata = {"rssi": rssi}
    if (snr := to_number(gateways.snr.run(heard))) is not None:
        told["snr"] = snr
    name = gateways.id.run(heard) if gateways.id is not None else None
    if isinstance(name, str) and name:
        told["gatewayId"] = name
    return told


def _loudness(told: Metadata) -> float:
    loudness: float = told["rssi"]
    return loudness

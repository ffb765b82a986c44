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
    """``rssi``, ``snr`` and ``gatewayId`` of the gateway that heard a frame best; empty if none says its signal."""
    heard = gateways.at.run(occasion)
    if isinstance(heard, dict):
        heard = [heard]
    best: Any = None
    loudest: int | float | None = None
    for each in heard[:MOST_GATEWAYS] if isinstance(heard, list) else ():
        rssi = to_number(gateways.rssi.run(each))
        if rssi is not None and (loudest is None or rssi > loudest):
            best, loudest = each, rssi
    if loudest is None:
        return {}
    found: Metadata = {"rssi": loudest}
    if (snr := to_number(gateways.snr.run(best))) is not None:
        found["snr"] = snr
    name = gateways.id.run(best) if gateways.id is not None else None
    if isinstance(name, str) and name:
        found["gatewayId"] = name
    return found

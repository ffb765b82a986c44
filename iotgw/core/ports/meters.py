"""What rooms count for `/metrics`: only what grows, and how long things took."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from zope.interface import Interface

from iotgw.core.histogram import Histogram
from iotgw.core.times import SteadyMs

DurableAt = Callable[[int], SteadyMs | None]
"""Gateway time when the uplink at a position was durable; None if that is no longer remembered, and for 0."""


class Meter(Struct, frozen=True):
    """What one datasource or integration has counted since the process started. The counts by word never go back, whatever is
    converted or sent again. ``waits`` is how long its deliveries took."""

    counts: dict[str, int]
    waits: Histogram | None = None


class IMeters(Interface):
    """A room that counts."""

    def meters() -> dict[str, Meter]:
        """What each datasource or integration has counted, by id."""


class ILatency(Interface):
    """How long it took from the receipt of uplinks until they were durable."""

    def waits(tenant: str) -> Histogram | None:
        """Those of a tenant; None if it had none."""

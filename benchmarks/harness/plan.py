"""How much of each workload is done: the full form, and the short one that CI runs."""

from __future__ import annotations

from typing import NamedTuple


class Plan(NamedTuple):
    """Rounds, and the sizes of the workloads. Times are seconds."""

    rounds: int = 5
    seconds: float = 5.0
    warm_up: float = 2.0
    devices: int = 500
    window: int = 64
    outage: float = 30.0
    outage_rate: int = 1000
    tail: float = 600.0
    rates: tuple[int, ...] = (500, 2_000, 5_000)
    sessions: int = 1000
    hold: float = 3.0
    tekelek: int = 500
    device_counts: tuple[int, ...] = (100, 1_000, 10_000, 100_000)
    datasource_counts: tuple[int, ...] = (1, 10, 100)
    integration_counts: tuple[int, ...] = (1, 10, 50)
    queue_depths: tuple[int, ...] = (0, 10_000, 100_000, 1_000_000)
    scaling_messages: int = 60_000


FULL = Plan()
SMOKE = Plan(
    rounds=1,
    seconds=1.0,
    warm_up=0.5,
    devices=100,
    window=32,
    outage=3.0,
    outage_rate=200,
    tail=4.0,
    rates=(100,),
    sessions=50,
    hold=0.5,
    tekelek=50,
    device_counts=(100, 1_000),
    datasource_counts=(1, 10),
    integration_counts=(1, 5),
    queue_depths=(0, 1_000),
    scaling_messages=1_500,
)

"""The end of a pipeline."""

from __future__ import annotations

from twisted.internet.task import deferLater

from iotgw.core.ports.reactor import IReactor
from iotgw.pipeline.pipeline import Pipeline

TICK = 0.05
"""Seconds between two looks, while stopping, whether the conversions under way are done."""


async def stop_and_drain(pipeline: Pipeline, reactor: IReactor, drain: float) -> None:
    """Accept no more messages, and give running conversions ``drain`` seconds."""
    await pipeline.stop()
    deadline = reactor.seconds() + drain
    while not pipeline.idle and reactor.seconds() < deadline:
        await deferLater(reactor, TICK, lambda: None)

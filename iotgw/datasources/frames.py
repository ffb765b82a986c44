"""One frame that a network delivers several times: held for a moment, so that it is one message with all gateways that heard
it. Nobody is answered before that message is durable."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from iotgw.core.model import Answer, Metadata
from iotgw.core.ports.intake import Reply

MOST = 1_000
"""Frames held at once; with more, the oldest goes on at once."""
MOST_GATEWAYS = 64

Receive = Callable[[bytes, Metadata, Reply, bool, str], None]
"""``receive(payload, metadata, answer, listens, key)``: hands a message to the gateway."""


class _Frame(Struct, eq=False):
    payload: bytes
    metadata: Metadata
    listens: bool
    answers: list[Reply]
    ends: float


class HeldFrames:
    """The frames of one datasource that may come again within ``window`` seconds."""

    def __init__(self, clock: IReactorTime, window: float, receive: Receive) -> None:
        self._clock = clock
        self._window = window
        self._receive = receive
        self._held: OrderedDict[str, _Frame] = OrderedDict()
        self._timer: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._held)

    def take(self, payload: bytes, metadata: Metadata, answer: Reply, listens: bool, key: str) -> None:
        """Take a message with its key."""
        known = self._held.get(key)
        if known is not None:
            known.answers.append(answer)
            if len(gateways(metadata)) > len(gateways(known.metadata)):
                known.payload, metadata, known.metadata = payload, known.metadata, metadata
            known.metadata = joined(known.metadata, metadata)
            known.listens = known.listens or listens
            return
        self._held[key] = _Frame(payload, metadata, listens, [answer], self._clock.seconds() + self._window)
        if len(self._held) > MOST:
            self._go_on(next(iter(self._held)))
        if self._timer is None:
            self._timer = self._clock.callLater(self._window, self._look)

    def flush(self) -> None:
        """Hand over everything now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for key in list(self._held):
            self._go_on(key)

    def _look(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        for key, frame in list(self._held.items()):
            if frame.ends > now:
                self._timer = self._clock.callLater(frame.ends - now, self._look)
                return
            self._go_on(key)

    def _go_on(self, key: str) -> None:
        frame = self._held.pop(key)

        def answered(answer: Answer) -> None:
            first, *others = frame.answers
            first(answer)
            for reply in others:
                reply(Answer(answer.status, answer.message_id, answer.retry_after))

        self._receive(frame.payload, frame.metadata, answered, frame.listens, key)


def gateways(metadata: Metadata) -> list[dict[str, Any]]:
    """The gateways that heard a message: ``gateways``, or the one that the metadata names."""
    found = metadata.get("gateways")
    if isinstance(found, list):
        return [each for each in found if isinstance(each, dict)]
    named: dict[str, Any] = {
        name: metadata[name] for name in ("gatewayId", "rssi", "snr") if name in metadata
    }
    return [named] if "gatewayId" in named else []


def joined(main: Metadata, other: Metadata) -> Metadata:
    """The metadata of a frame with the gateways of another delivery of it; the one with the best signal is told first."""
    known = {each.get("gatewayId"): each for each in gateways(other)} | {
        each.get("gatewayId"): each for each in gateways(main)
    }
    heard = sorted(known.values(), key=_strength, reverse=True)[:MOST_GATEWAYS]
    if len(heard) < 2:
        return {**other, **main}
    return {**other, **main, **heard[0], "gateways": heard}


def _strength(gateway: dict[str, Any]) -> float:
    rssi = gateway.get("rssi")
    return float(rssi) if isinstance(rssi, int | float) else float("-inf")

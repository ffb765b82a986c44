"""Tests a connection to a broker: connect once, report the result, disconnect."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from iotgw.connect.mqtt_client import BrokerAccess, MqttClient
from iotgw.connect.mqtt_owner import MqttOwner
from iotgw.wire import mqtt


class _Probe(MqttOwner):
    """Waits for the broker's first answer: ``first`` fires with an empty text, or with what is wrong."""

    def __init__(self) -> None:
        self.first: Deferred[str] = Deferred()

    def on_up(self, limits: mqtt.Connected) -> None:
        """It works."""
        self._say("")

    def on_lost(self, numbers: list[int], reason: str) -> None:
        """It doesn't."""
        self._say(reason)

    def _say(self, problem: str) -> None:
        if not self.first.called:
            self.first.callback(problem)


def knock(reactor: IReactorTime, way: BrokerAccess, patience: float) -> Deferred[str]:
    """Connect once and disconnect; fires with what is wrong, or an empty text. ``patience`` is in seconds."""
    probe = _Probe()
    client = MqttClient(reactor, way, probe)
    probe.first.addTimeout(patience, reactor, lambda result, timeout: "no answer")
    client.start()

    async def over(problem: str) -> str:
        """Stop in the next turn of the reactor: in this one, `ClientService` doesn't know yet how the attempt ended."""
        await deferLater(reactor, 0)
        await client.stop()
        return problem

    return probe.first.addCallback(lambda problem: Deferred.fromCoroutine(over(problem)))


def check(reactor: IReactorTime, way: BrokerAccess, patience: float) -> Deferred[dict[str, Any]]:
    """The answer of `iotgw.core.ports.integrations.IIntegration.check`."""
    knocked = knock(reactor, way, patience)
    return knocked.addCallback(
        lambda problem: {
            "ok": not problem,
            "detail": problem or "connected and logged in",
            "untried": [] if problem else ["whether it may publish"],
        }
    )

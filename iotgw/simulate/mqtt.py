"""A simulated device that publishes its readings to an MQTT broker, for gateways that subscribe there."""

from __future__ import annotations

import random

from iotgw.core.errors import ProtocolError
from iotgw.simulate.device import Reaction
from iotgw.simulate.plain import JsonSensor
from iotgw.wire import mqtt


class MqttSensor(JsonSensor):
    """`JsonSensor` with QoS 1. ``path`` is the topic; ``{id}`` in it becomes the device's name."""

    patience = 10.0

    def __init__(self, rng: random.Random, path: str = "devices/{id}/up") -> None:
        super().__init__(rng)
        self._topic = path.replace("{id}", self.identity)
        self._session = mqtt.MqttSession()
        self._reading = b""

    def uplink(self, now_ms: int) -> bytes:
        """The greeting; the reading follows when the broker says yes."""
        self._reading = super().uplink(now_ms).strip()
        self._session = mqtt.MqttSession()
        return self._session.connect(self.identity)

    def received(self, data: bytes, now_ms: int) -> Reaction:
        """Publish, and say goodbye when the broker has it."""
        try:
            events = self._session.receive(data)
        except ProtocolError:
            return Reaction(is_done=True)
        for event in events:
            if isinstance(event, mqtt.Connected):
                return Reaction(self._session.publish(self._topic.encode(), self._reading)[1])
            if isinstance(event, mqtt.Acknowledged):
                return Reaction(mqtt.BYE, is_done=True, is_answer=True)
            if isinstance(event, mqtt.Refused):
                return Reaction(is_done=True)
        return Reaction()

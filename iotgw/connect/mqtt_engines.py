"""The MQTT engines to choose from, and the factories that make one for each connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from iotgw.connect.mqtt_engine import Engine
from iotgw.wire import mqtt

EngineName = Literal["iotgw", "paho"]


def holding(version: int, received: set[int]) -> Callable[[], Engine]:
    """Factory of our own engine for receiving: it holds acknowledgements back until a message is durable.

    ``received`` are the identifiers of QoS 2 messages that were accepted; they outlive a connection.
    """
    return lambda: mqtt.MqttSession(version, hold=True, received=received)


def engine_maker(name: EngineName, version: int, most: int, hold: bool = False) -> Callable[[], Engine]:
    """Factory of an engine for each connection. Raises SettingsError when the installed paho-mqtt is
    unsuitable.

    ``most`` is how many messages may be unfinished; with our own engine its user enforces that. With ``hold``, what arrives is
    acknowledged by `Engine.acknowledge` only.
    """
    if name == "iotgw":
        return lambda: mqtt.MqttSession(version, hold=hold)
    from iotgw.connect import mqtt_paho  # noqa: PLC0415 - costs memory only where it is asked for

    mqtt_paho.require()
    return lambda: mqtt_paho.PahoSession(version, most, hold)

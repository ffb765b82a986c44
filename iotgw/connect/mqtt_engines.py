"""Which engines there are, and what makes one for each connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from iotgw.connect.mqtt_engine import Engine
from iotgw.wire import mqtt

EngineName = Literal["iotgw", "paho"]


def holding(version: int, received: set[int]) -> Callable[[], Engine]:
    """What makes our own engine that holds acknowledgements back until what arrived is durable.

    ``received`` are the identifiers of QoS 2 messages that were taken; they outlive a connection.
    """
    return lambda: mqtt.MqttSession(version, hold=True, received=received)


def engine_maker(name: EngineName, version: int, most: int) -> Callable[[], Engine]:
    """What makes an engine for each connection. Raises SettingsError when the installed paho won't do.

    ``most`` messages may be unfinished; our own engine leaves that to its user.
    """
    if name == "iotgw":
        return lambda: mqtt.MqttSession(version)
    from iotgw.connect import mqtt_paho  # noqa: PLC0415 - costs memory only where it is asked for

    mqtt_paho.require()
    return lambda: mqtt_paho.PahoSession(version, most)

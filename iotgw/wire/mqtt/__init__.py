"""An MQTT 3.1.1 and 5.0 client without I/O: calls give bytes to send, received bytes give events.

Sections are of MQTT 5.0 (OASIS, 2019-03-07); 3.1.1 differs only in that it has no properties.
"""

from iotgw.wire.mqtt.events import (
    REASONS,
    REASONS_311,
    Acknowledged,
    Arrived,
    Connected,
    Event,
    NotTaken,
    Pong,
    Refused,
    Subscribed,
    Unsubscribed,
)
from iotgw.wire.mqtt.packets import (
    BYE,
    MAX_PACKET,
    NO_PROPERTIES,
    PING,
    V5,
    V311,
    Properties,
    Will,
    content_type,
    user_property,
    varint,
)
from iotgw.wire.mqtt.session import MqttSession
from iotgw.wire.mqtt.topics import matches

__all__ = [
    "BYE", "MAX_PACKET", "NO_PROPERTIES", "PING", "REASONS", "REASONS_311", "V5", "V311", "Acknowledged", "Arrived", "Connected",
    "Event", "MqttSession", "NotTaken", "Pong", "Properties", "Refused", "Subscribed", "Unsubscribed", "Will", "content_type",
    "matches", "user_property", "varint",
]  # fmt: skip

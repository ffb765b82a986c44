"""Connection strings of Azure: how an Event Hub is reached as a Kafka cluster, and what an IoT hub's say."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated

from msgspec import Meta, Struct

from iotgw.connect.kafka_access import KafkaSasl
from iotgw.connect.tls import ClientTls, trust
from iotgw.core.secrets import Secret

PORT = 9093
EMULATOR_PORT = 9092
USER = "$ConnectionString"
DEVICE_ID = re.compile(r"[A-Za-z0-9\-:.+%_#*?!(),=@$'~]{1,128}")
"""What an IoT hub takes as a device's id ("Identity registry")."""
_HOST = re.compile(r"([A-Za-z0-9.-]{1,255})(?::(\d{1,5}))?")


class EventHubAccess(Struct, frozen=True):
    """An Event Hub as a topic: ``broker`` is ``host:port``; ``tls`` is None for the emulator only."""

    broker: str
    topic: str
    sasl: KafkaSasl
    tls: ClientTls | None


class EventHubPlace(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings that say which Event Hub, for a way in and a way out alike."""

    connection_string: Annotated[
        Secret,
        Meta(
            description="`Endpoint=sb://…;SharedAccessKeyName=…;SharedAccessKey=…`, with `EntityPath=…` or `eventHub`."
        ),
    ]
    event_hub: Annotated[
        str, Meta(description="Name of the Event Hub, if the connection string has none.")
    ] = ""
    tls: Annotated[ClientTls, Meta(description="TLS; the system's authorities if not given.")] = ClientTls()

    def destination(self) -> object:
        """See `iotgw.core.destination.Destined`."""
        return self.access().broker, trust(self.tls)

    def access(self) -> EventHubAccess:
        """Where the Event Hub is. Raises ValueError."""
        return event_hub(self.connection_string, self.event_hub, self.tls)


def event_hub(connection: str, name: str, tls: ClientTls) -> EventHubAccess:
    """The Event Hub of a connection string. ``name`` is for a string of a whole namespace, which has no ``EntityPath``.

    Raises ValueError, which repeats nothing of the string: it holds a key.
    """
    parts = connection_parts(connection)
    endpoint = parts.get("endpoint", "")
    if "sharedaccesskey" not in parts or not endpoint.startswith("sb://"):
        raise ValueError(
            "connectionString: expected Endpoint=sb://…;SharedAccessKeyName=…;SharedAccessKey=…"
            + (
                "; this one is of the IoT hub itself: take the Event Hub-compatible one"
                if "hostname" in parts
                else ""
            )
        )
    is_emulator = parts.get("usedevelopmentemulator", "").lower() == "true"
    place = endpoint[5:].rstrip("/").lower()
    host, _, port = place.partition(":")
    topic = name or parts.get("entitypath", "")
    if not topic:
        raise ValueError("eventHub: expected a name, since the connection string has no EntityPath")
    number = port or str(EMULATOR_PORT if is_emulator else PORT)
    sasl = KafkaSasl(mechanism="PLAIN", username=USER, password=connection.strip())
    return EventHubAccess(f"{host}:{number}", topic, sasl, None if is_emulator else tls)


def connection_parts(connection: str) -> dict[str, str]:
    """The parts of a connection string by their names in small letters."""
    parts = (part.partition("=") for part in connection.strip().split(";"))
    return {name.strip().lower(): value.strip() for name, equals, value in parts if equals}


class IotHub(Struct, frozen=True):
    """An IoT hub, and who we are there: a ``policy`` by its name, or the one ``device`` whose own key this is. ``port`` is 0 if none is said.
    ``is_emulated``: what is there isn't Azure, and speaks no TLS."""

    host: str
    port: int
    key: bytes
    policy: str = ""
    device: str = ""
    is_emulated: bool = False

    @property
    def netloc(self) -> str:
        """Host, and port if one is said."""
        return f"{self.host}:{self.port}" if self.port else self.host


def iot_hub(connection: str) -> IotHub:
    """The IoT hub of a connection string. Raises ValueError, which repeats nothing of the string: it holds a key."""
    parts = connection_parts(connection)
    place = _HOST.fullmatch(parts.get("hostname", ""))
    policy, device = parts.get("sharedaccesskeyname", ""), parts.get("deviceid", "")
    try:
        key = base64.b64decode(parts.get("sharedaccesskey", ""), validate=True)
    except binascii.Error:
        key = b""
    port = int(place[2] or 0) if place is not None else 0
    is_known = policy.isprintable() and bool(policy) is not bool(device)
    if place is None or port > 65535 or not key or not is_known:
        raise ValueError(
            "connectionString: expected HostName=…;SharedAccessKeyName=…;SharedAccessKey=… of the IoT hub itself"
        )
    if device and not DEVICE_ID.fullmatch(device):
        raise ValueError("connectionString: expected a DeviceId that an IoT hub takes")
    is_emulated = parts.get("usedevelopmentemulator", "").lower() == "true"
    return IotHub(place[1].lower(), port, key, policy, device, is_emulated)

"""Connection strings of Azure, and how an Event Hub is reached as a Kafka cluster."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from iotgw.connect.kafka_access import KafkaSasl
from iotgw.connect.tls import ClientTls, trust
from iotgw.core.secrets import Secret

PORT = 9093
EMULATOR_PORT = 9092
USER = "$ConnectionString"


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

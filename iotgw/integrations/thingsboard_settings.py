"""Settings of ``thingsboard`` targets."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from iotgw.connect.mqtt_broker import BrokerSettings
from iotgw.connect.mqtt_engines import EngineName
from iotgw.core.secrets import Secret
from iotgw.integrations.thingsboard_provision import ProvisionSettings


class ThingsBoardSettings(
    BrokerSettings, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """ThingsBoard: the credentials of a device there that is marked as a gateway."""

    token: Annotated[Secret, Meta(description="The gateway device's access token.")] = ""
    provision: Annotated[
        ProvisionSettings | None,
        Meta(
            description="Without `token`: have ThingsBoard make the gateway device, once. Its token is kept, encrypted, in the data directory."
        ),
    ] = None
    device_name: Annotated[
        str, Meta(min_length=1, description="With `provision`: the name of the gateway device.")
    ] = "iotgw"
    version: Annotated[
        Literal["3.1.1", "5"],
        Meta(
            description="Of MQTT. With 5, ThingsBoard from 4.2.1 on says why it refuses a message; otherwise it closes the connection."
        ),
    ] = "3.1.1"
    client_id: Annotated[str, Meta(description="`{RND}` becomes eight random characters.")] = "iotgw-{RND}"
    username: Annotated[str, Meta(description="With MQTT basic credentials, instead of `token`.")] = ""
    batch_size: Annotated[
        int, Meta(ge=1, le=5000, description="The most messages that are sent together.")
    ] = 100
    mixed: Annotated[
        bool,
        Meta(
            description="Put several devices into one PUBLISH. ThingsBoard before 4.2.1 acknowledges it when it has taken the data of one of them."
        ),
    ] = False
    max_payload: Annotated[
        int, Meta(ge=1024, description="Bytes of a PUBLISH; ThingsBoard's default limit is 65,536.")
    ] = 60_000
    window: Annotated[int, Meta(ge=1, le=1000, description="Batches in flight.")] = 10
    keepalive: Annotated[int, Meta(ge=0, le=65535, description="Seconds.")] = 60
    connect_timeout: Annotated[float, Meta(gt=0, description="Seconds to connect.")] = 10.0
    downlinks: Annotated[
        bool, Meta(description="Queue RPC and shared attributes for the device as downlinks.")
    ] = True
    rpc_answer: Annotated[
        str,
        Meta(
            description="The key of telemetry or attributes under which a converter puts a device's answer to RPC. Empty: RPC is answered when it is queued."
        ),
    ] = ""
    rpc_request: Annotated[
        str,
        Meta(
            description="The key of telemetry or attributes under which a converter puts what a device asks ThingsBoard: an object with `method` and "
            "`params`. The answer is queued as a downlink. Needs `downlinks`."
        ),
    ] = ""
    shared_keys: Annotated[
        list[Annotated[str, Meta(max_length=255)]],
        Meta(
            max_length=1000,
            description="Shared attributes to ask for when a device is announced. Those that changed meanwhile are queued as a downlink. Needs `downlinks`.",
        ),
    ] = []
    engine: Annotated[
        EngineName,
        Meta(description="MQTT implementation: `iotgw` is our own, `paho` is paho-mqtt; see `mqtt`."),
    ] = "iotgw"

"""Settings of ``thingsboard-http`` targets."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from iotgw.connect.proxy import ProxyUrl, goes_by
from iotgw.connect.tls import ClientTls, trust
from iotgw.core.destination import origin
from iotgw.core.secrets import Secret, SecretTemplate
from iotgw.integrations.thingsboard_provision import ProvisionSettings


class ThingsBoardHttpSettings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """ThingsBoard, with an access token for each device."""

    url: Annotated[str, Meta(description="The server, such as `https://thingsboard.cloud`.")]
    tokens: Annotated[dict[str, Secret], Meta(description="Access tokens by device name.")] = {}
    token: Annotated[
        SecretTemplate,
        Meta(
            description="A template of the token of any other device, such as `{{ attributes.token }}`, or `{{ deviceName }}`."
        ),
    ] = ""
    provision: Annotated[
        ProvisionSettings | None,
        Meta(
            description="Have ThingsBoard make a device that has no token yet. Its token is kept, encrypted, in the data directory."
        ),
    ] = None
    concurrency: Annotated[int, Meta(ge=1, le=256, description="Connections, and messages in flight.")] = 16
    connect_timeout: Annotated[float, Meta(gt=0, description="Seconds to connect.")] = 10.0
    timeout: Annotated[float, Meta(gt=0, description="Seconds for a whole exchange.")] = 30.0
    tls: Annotated[
        ClientTls | None, Meta(description="Whose certificates are trusted, and which one is shown.")
    ] = None
    proxy: ProxyUrl = ""
    downlinks: Annotated[
        bool, Meta(description="Queue RPC and shared attributes for the device as downlinks.")
    ] = True
    listeners: Annotated[
        int,
        Meta(
            ge=1,
            le=5000,
            description="For how many devices RPC and shared attributes are waited for: those that sent last. Each takes two connections.",
        ),
    ] = 100
    poll: Annotated[
        float, Meta(ge=1, le=300, description="Seconds that ThingsBoard may keep such a request open.")
    ] = 30.0
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

    def destination(self) -> object:
        """See `iotgw.core.destination.Destined`."""
        place = origin(self.url, "configuration.url")
        how = trust(self.tls or ClientTls()) if place[0] == "https" else None
        return place, how, goes_by(self.proxy)

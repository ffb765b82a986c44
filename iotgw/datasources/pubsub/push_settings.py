"""The settings of a subscription of Google Pub/Sub that pushes."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from iotgw.connect.pubsub import PROJECT, check_resource
from iotgw.connect.web_keys import KeyPlace
from iotgw.datasources.frames import GatherSeconds, GatherWith, check_gathering
from iotgw.datasources.http.listener import Listener, MaxBody, parse
from iotgw.datasources.http.server_tls import ServerTls
from iotgw.envelopes.envelope import Envelope
from iotgw.envelopes.presets.choices import (
    BrokerPresetName,
    ConverterGets,
    Custom,
    DeviceName,
    broker_envelope,
)
from iotgw.wire.jwt import Expected


class PubsubPushSettings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of a ``google-pubsub-push`` datasource."""

    project: Annotated[str, Meta(description="The project's id.")]
    subscription: Annotated[str, Meta(description="The subscription's name; it must be one that pushes.")]
    audience: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=2048,
            description="For whom the subscription's tokens are (`--push-auth-token-audience`). Google takes the push endpoint's URL if it is told nothing.",
        ),
    ]
    service_account: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=320,
            description="E-mail address of the account that the tokens are of (`--push-auth-service-account`).",
        ),
    ]
    issuer: Annotated[str, Meta(min_length=1, description="Who makes the tokens.")] = (
        "https://accounts.google.com"
    )
    keys: Annotated[KeyPlace, Meta(description="Where the issuer publishes its keys.")] = KeyPlace()
    unwrapped: Annotated[
        bool,
        Meta(
            description="Whether a request's body is the data itself (*payload unwrapping*, `--push-no-wrapper`)."
        ),
    ] = False
    endpoint: Annotated[
        str,
        Meta(description="A listener of its own, such as `tcp:8443` with `tls`; empty shares the API's."),
    ] = ""
    tls: Annotated[ServerTls | None, Meta(description="Certificate for `endpoint`.")] = None
    max_body: MaxBody = 1 << 20
    key_is_device: Annotated[bool, Meta(description="Whether a message's ordering key names its device.")] = (
        True
    )
    device_attribute: Annotated[
        str, Meta(description="The attribute that names the device; it outranks the ordering key.")
    ] = ""
    preset: BrokerPresetName = "none"
    custom: Custom = None
    converter_gets: ConverterGets = "auto"
    device_name: DeviceName = "name"
    gather_seconds: GatherSeconds = None
    gather_with: GatherWith = ""

    def __post_init__(self) -> None:
        """Refuse what can't be read, or reached."""
        if not PROJECT.fullmatch(self.project):
            raise ValueError("project: expected a project's id")
        check_resource("subscription", self.subscription)
        try:
            listener = self.listener
        except ValueError as error:
            raise ValueError(f"endpoint: {error}") from error
        if self.tls is not None and listener is None:
            raise ValueError("endpoint: expected an endpoint such as tcp:8443 for `tls`")
        if listener is not None and listener.key:
            raise ValueError("endpoint: expected tcp:PORT with `tls`")
        check_gathering(self, self.envelope())

    @property
    def listener(self) -> Listener | None:
        """The listener of its own; None for one that shares the API's."""
        return parse(self.endpoint) if self.endpoint else None

    @property
    def resource(self) -> str:
        """The subscription, as Google names it."""
        return f"projects/{self.project}/subscriptions/{self.subscription}"

    @property
    def expected(self) -> Expected:
        """What the tokens must say."""
        return Expected(self.issuer, self.audience, self.service_account)

    def destination(self) -> object:
        """See `iotgw.core.destination.Destined`."""
        return self.keys.destination()

    def envelope(self) -> Envelope:
        """What the messages are. Raises ValueError."""
        return broker_envelope(self.preset, self.custom, self.converter_gets, self.device_name)

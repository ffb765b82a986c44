"""Provisioning at ThingsBoard: a device profile's key and secret become the access token of a new device.

https://thingsboard.io/docs/user-guide/device-provisioning/
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from iotgw.connect.mqtt_client import BrokerAccess, MqttClient
from iotgw.connect.mqtt_owner import ArrivalSource, MqttOwner, Topics
from iotgw.core import plain_json
from iotgw.core.secrets import Secret
from iotgw.wire import mqtt

USER = "provision"
"""The user name of a connection that has no token yet."""
REQUEST = b"/provision/request"
RESPONSE = "/provision/response"
AGAIN = 300.0
"""Seconds after a refusal until it is asked again: somebody has to change something there first."""


class ProvisionSettings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Key and secret of a device profile in ThingsBoard, under *Device provisioning*."""

    key: Annotated[Secret, Meta(min_length=1, description="The provisioning key of the device profile.")]
    secret: Annotated[Secret, Meta(min_length=1, description="The secret that belongs to it.")]


class _Response(Struct):
    status: str = ""
    credentials_type: str = msgspec.field(name="credentialsType", default="")
    credentials_value: Any = msgspec.field(name="credentialsValue", default=None)
    error: str = msgspec.field(name="errorMsg", default="")


class NotProvisioned(Exception):
    """ThingsBoard gave no token; the text says why."""


def new_token() -> str:
    """A token that nobody has. It is kept before it is asked for: where the answer is lost, a second request for the device is refused, and the
    token counts all the same."""
    return secrets.token_hex(16)


def request(settings: ProvisionSettings, device: str, wanted: str, is_gateway: bool = False) -> bytes:
    """The request for a device with the token ``wanted``. A gateway is marked as one in ThingsBoard."""
    asked: dict[str, Any] = {
        "deviceName": device, "provisionDeviceKey": settings.key, "provisionDeviceSecret": settings.secret,
        "credentialsType": "ACCESS_TOKEN", "token": wanted,
    }  # fmt: skip
    return msgspec.json.encode(asked | ({"gateway": True} if is_gateway else {}))


def token(response: bytes) -> str:
    """The token in a response: the wanted one, or that of a device that was made beforehand. Raises `NotProvisioned`."""
    try:
        said = plain_json.decode(response, _Response)
    except plain_json.NotJson:
        raise NotProvisioned("expected JSON in the answer to provisioning") from None
    if said.status != "SUCCESS":
        raise NotProvisioned(
            f"{said.error or said.status or 'provisioning was refused'} It takes the key and secret of a device profile, and a name "
            "that no device has yet, or that waits there to be provisioned."
        )
    if said.credentials_type != "ACCESS_TOKEN" or not isinstance(said.credentials_value, str):
        raise NotProvisioned(f"expected an access token, got {said.credentials_type or 'nothing'}")
    return said.credentials_value


class Provisioner(MqttOwner):
    """Asks for the gateway device's own token over MQTT until there is one. ``got`` is called with it, ``refused`` with why there is none.

    ``own`` tells whether the token that was asked for counts, for which it fires with an empty text.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        way: BrokerAccess,
        asked: bytes,
        own: Callable[[], Deferred[str]],
        got: Callable[[str], None],
        refused: Callable[[str], None],
    ) -> None:
        self._reactor = reactor
        self._own = own
        self._way = way
        self._asked = asked
        self._got = got
        self._refused = refused
        self._client: MqttClient | None = None
        self._later: Any = None
        self._said = ""

    @property
    def last_error(self) -> str:
        """Why there is no token yet."""
        return self._said or (self._client.last_error if self._client is not None else "")

    def start(self) -> None:
        """Connect and ask."""
        self._later = None
        self._client = MqttClient(self._reactor, self._way, self)
        self._client.start()

    def stop(self) -> Deferred[None]:
        """Give up."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        client, self._client = self._client, None
        return client.stop() if client is not None else succeed(None)

    # --- MqttOwner

    def on_greeted(self, limits: mqtt.Connected, reader: ArrivalSource) -> Topics:
        """See `MqttOwner.on_greeted`."""
        return Topics([(RESPONSE, 1)])

    def on_up(self, limits: mqtt.Connected) -> None:
        """Ask."""
        if self._client is not None and self._client.up is not None:
            self._client.up.publish([(1, REQUEST, self._asked, b"")], 1, False)

    def on_message(self, message: mqtt.Arrived) -> None:
        """The answer."""
        if message.topic != RESPONSE or self._client is None:
            return
        self.stop()
        try:
            found = token(message.payload)
        except NotProvisioned as refused:
            self._doubted(str(refused))
        else:
            self._said = ""
            self._got(found)

    def _doubted(self, refused: str) -> None:
        """There is no new token. Perhaps an earlier answer was lost."""

        def tried(problem: str) -> None:
            if not problem:
                self._said = ""
                self._got("")
                return
            self._said = refused
            self._refused(refused)
            self._later = self._reactor.callLater(AGAIN, self.start)

        self._own().addCallback(tried)

"""Google Pub/Sub over its REST API: where it is, and what its methods answer, used by the datasource and the target alike."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from msgspec import Meta, Struct

from iotgw.connect.google import GoogleToken, explain
from iotgw.connect.json_api import JsonApi, Told
from iotgw.connect.proxy import ProxyUrl, goes_by
from iotgw.connect.tls import ClientTls, trust
from iotgw.core.destination import origin
from iotgw.core.errors import SettingsError
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.reactor import IReactor
from iotgw.core.secrets import Secret

URL = "https://pubsub.googleapis.com"
AUDIENCE = "https://pubsub.googleapis.com/"
LARGEST_ANSWER = 32 << 20
"""Bytes of an answer that is read: messages of 10 MB, as base64 (Pub/Sub, "Quotas and limits")."""
PROJECT = re.compile(r"[a-z0-9.:-]{1,100}")
RESOURCE = re.compile(r"[A-Za-z][A-Za-z0-9._~+%-]{2,254}")
"""A topic's or a subscription's name (Pub/Sub, "Guidelines to name a resource")."""


class PubsubPlace(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of who we are at Pub/Sub, and of the way there."""

    project: Annotated[str, Meta(description="The project's id.")]
    credentials: Annotated[
        Secret,
        Meta(description="A service account key: the text of its JSON file. Only an emulator needs none."),
    ] = ""
    endpoint: Annotated[
        str, Meta(description="URL of Pub/Sub, if not Google's own: a regional one, or an emulator.")
    ] = ""
    tls: Annotated[ClientTls | None, Meta(description="TLS, if not with the system's authorities.")] = None
    proxy: ProxyUrl = ""

    def __post_init__(self) -> None:
        """Refuse what is no place."""
        if not PROJECT.fullmatch(self.project):
            raise ValueError("project: expected a project's id")
        if not self.credentials and not self.endpoint:
            raise ValueError("credentials: expected the JSON of a service account key")
        try:
            origin(self.url, "configuration.endpoint")
        except SettingsError as error:
            raise ValueError(f"endpoint: {error}") from None

    @property
    def url(self) -> str:
        """Where Pub/Sub is."""
        return self.endpoint or URL

    def destination(self) -> object:
        """See `iotgw.core.destination.Destined`."""
        return origin(self.url, "configuration.endpoint"), trust(self.tls), goes_by(self.proxy)


def check_resource(setting: str, name: str) -> None:
    """Raises ValueError for what is no name of a topic or a subscription."""
    if not RESOURCE.fullmatch(name):
        raise ValueError(f"{setting}: expected a name of 3 to 255 characters that begins with a letter")


class PubsubMessage(Struct, frozen=True, rename="camel"):
    """A message. ``publish_time`` is RFC 3339."""

    message_id: str = ""
    data: bytes = b""
    attributes: dict[str, str] = {}
    publish_time: str = ""
    ordering_key: str = ""


class PubsubReceived(Struct, frozen=True, rename="camel"):
    """A message that is lent."""

    ack_id: str
    message: PubsubMessage = PubsubMessage()
    delivery_attempt: int = 0


class PubsubPulled(Struct, frozen=True, rename="camel"):
    """What ``pull`` answers."""

    received_messages: list[PubsubReceived] = []


class PubsubPublished(Struct, frozen=True, rename="camel"):
    """What ``publish`` answers: a name for each message, in order."""

    message_ids: list[str] = []


class PubsubApi(JsonApi):
    """The methods of one topic or subscription; ``resource`` is ``topics/…`` or ``subscriptions/…``. Raises SettingsError."""

    def __init__(
        self,
        reactor: IReactor,
        connector: IConnector,
        place: PubsubPlace,
        resource: str,
        date: Callable[[], float],
        *,
        connections: int,
        timeout: float,
    ) -> None:
        self._path = f"/v1/projects/{place.project}/{resource}"
        super().__init__(
            reactor, connector, place.url, GoogleToken(place.credentials, AUDIENCE, date), explain, tls=place.tls,
            proxy=place.proxy, date=date, connections=connections, timeout=timeout, kept=LARGEST_ANSWER,
        )  # fmt: skip

    def do(self, method: str, body: dict[str, Any], told: Told, form: Any = Any) -> None:
        """Call a method; ``form`` is the type of its answer."""
        self.call(f"{self._path}:{method}", body, told, form=form)

    def get(self, told: Told) -> None:
        """Ask for the topic or subscription itself."""
        self.call(self._path, None, told, method="GET")

"""How a RabbitMQ broker is reached: host, virtual host, user, TLS. Used by the datasource and the target alike."""

from __future__ import annotations

import logging
from typing import Annotated, Any
from urllib.parse import unquote

from msgspec import Meta, Struct

from iotgw.connect import broker_url
from iotgw.connect.proxy import ProxyUrl, goes_by
from iotgw.connect.tls import ClientTls, trust
from iotgw.core.errors import SettingsError
from iotgw.core.names import unfit
from iotgw.core.secrets import Secret, SecretUrl

EXTRA = "rabbitmq needs the package pika: pip install 'iotgw[rabbitmq]'"
LONGEST = 255
"""Bytes of a name or a routing key (AMQP 0-9-1 §4.2.5.3, short strings)."""


ROOT = "/"
"""The virtual host that each broker has."""
GUEST = "guest"
PORT, TLS_PORT = 5672, 5671


class RabbitPlace(Struct, frozen=True):
    """A broker, in one form, and who we are there."""

    host: str
    port: int
    tls: ClientTls | None
    virtual_host: str
    username: str
    password: str

    @property
    def address(self) -> str:
        """Its URL without any secret."""
        return f"{'amqps' if self.tls is not None else 'amqp'}://{self.host}:{self.port}"


class RabbitAccess(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of a RabbitMQ broker."""

    host: Annotated[
        SecretUrl,
        Meta(
            min_length=1,
            max_length=broker_url.LONGEST,
            description="The broker: a name or address, or a URL such as `amqps://user:password@host/vhost`. What the URL says is not said again in "
            "other settings. Its password is stored encrypted.",
        ),
    ]
    port: Annotated[
        Annotated[int, Meta(ge=1, le=65535)] | None, Meta(description="5672, with TLS 5671, if not given.")
    ] = None
    virtual_host: Annotated[str, Meta(description="The virtual host, such as `/`.")] = ROOT
    username: Annotated[
        str,
        Meta(
            description="Empty with a client certificate: the certificate says who the gateway is (EXTERNAL)."
        ),
    ] = GUEST
    password: Annotated[Secret, Meta(description="The user's password.")] = ""
    tls: Annotated[ClientTls | None, Meta(description="TLS, also with a client certificate.")] = None
    proxy: ProxyUrl = ""
    heartbeat: Annotated[
        int,
        Meta(
            ge=5,
            le=3600,
            description="Seconds; a connection that is silent for as long is given up. The broker may ask for less.",
        ),
    ] = 30

    def __post_init__(self) -> None:
        """Refuse what leads to no broker, and names that no broker takes."""
        place = self.place
        check_names(virtualHost=place.virtual_host, username=place.username)
        if not place.username and (place.tls is None or not place.tls.certificate):
            raise ValueError(
                "username: expected one, or a client certificate in tls that says who the gateway is"
            )

    def destination(self) -> object:
        """See `iotgw.core.destination.Destined`."""
        place = self.place
        return place.host.lower(), place.port, trust(place.tls), goes_by(self.proxy)

    @property
    def place(self) -> RabbitPlace:
        """What the settings mean. Raises ValueError, without any secret in it."""
        url = broker_url.pasted(self.host)
        if url is None:
            host, port = broker_url.named(self.host)
            if port is not None and self.port not in (None, port):
                raise ValueError("port: expected none beside a host that says one")
            port = port or self.port or (TLS_PORT if self.tls is not None else PORT)
            return RabbitPlace(host, port, self.tls, self.virtual_host, self.username, self.password)
        return self._pasted(url)

    def _pasted(self, url: broker_url.PastedUrl) -> RabbitPlace:
        """The place of a URL (RabbitMQ URI Specification). Its path is the virtual host; an empty one is `/`."""
        if url.scheme not in ("amqp", "amqps"):
            raise ValueError(f"host: expected a URL with amqp or amqps, got {url.scheme}://")
        is_tls = url.scheme == "amqps"
        url.check_beside(self.port, "" if self.username == GUEST else self.username, self.password)
        if self.tls is not None and not is_tls:
            raise ValueError("tls: expected none with amqp://, which is without TLS")
        named = url.path.removeprefix("/")
        if set(named) & set("/?#"):
            raise ValueError("host: expected a URL whose path is a virtual host, and nothing more")
        if named and self.virtual_host != ROOT:
            raise ValueError("virtualHost: expected none beside a URL that says one")
        return RabbitPlace(
            url.host,
            url.port or self.port or (TLS_PORT if is_tls else PORT),
            (self.tls or ClientTls()) if is_tls else None,
            unquote(named) or self.virtual_host,
            url.username if url.has_user else self.username,
            url.password if url.has_user else self.password,
        )  # fmt: skip


def check_names(**names: str) -> None:
    """Raises ValueError for what is too long for AMQP, or has control characters."""
    for setting, text in names.items():
        if unfit(text) or len(text.encode("utf-8", "replace")) > LONGEST:
            raise ValueError(f"{setting}: expected at most {LONGEST} bytes without control characters")


def library() -> Any:
    """The package pika; raises SettingsError with the command that installs it."""
    try:
        import pika  # noqa: PLC0415 - an extra
        import pika.adapters.twisted_connection  # noqa: PLC0415
    except ImportError:
        raise SettingsError("type", EXTRA) from None
    # what it logs comes as an exception, too
    logger = logging.getLogger("pika")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return pika


def parameters(access: RabbitAccess) -> Any:
    """The library's settings of a connection."""
    pika = library()
    place = access.place
    if not place.username and place.tls is not None and place.tls.certificate:
        credentials = pika.credentials.ExternalCredentials()
    else:
        credentials = pika.PlainCredentials(place.username, place.password)
    return pika.ConnectionParameters(
        virtual_host=place.virtual_host,
        credentials=credentials,
        heartbeat=access.heartbeat,
        client_properties={"connection_name": "iotgw"},
    )


def in_words(error: BaseException) -> str:
    """Why a broker closed a connection or a channel, in one line."""
    for each in (error, error.__cause__, *error.args):
        text = getattr(each, "reply_text", "")
        if text:
            return str(text)[:300]
        if isinstance(each, BaseException) and each is not error and str(each):
            return in_words(each)
    said = " ".join(str(error).split())
    return (said or type(error).__name__)[:300]

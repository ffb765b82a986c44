"""How a RabbitMQ broker is reached: host, virtual host, user, TLS. Used by the datasource and the target alike."""

from __future__ import annotations

import logging
from typing import Annotated, Any

from msgspec import Meta, Struct

from iotgw.connect.proxy import ProxyUrl, goes_by
from iotgw.connect.tls import ClientTls, trust
from iotgw.core.errors import SettingsError
from iotgw.core.names import unfit
from iotgw.core.secrets import Secret

EXTRA = "rabbitmq needs the package pika: pip install 'iotgw[rabbitmq]'"
LONGEST = 255
"""Bytes of a name or a routing key (AMQP 0-9-1 §4.2.5.3, short strings)."""


class RabbitAccess(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of a RabbitMQ broker."""

    host: Annotated[str, Meta(min_length=1, description="The broker.")]
    port: Annotated[
        Annotated[int, Meta(ge=1, le=65535)] | None, Meta(description="5672, with TLS 5671, if not given.")
    ] = None
    virtual_host: str = "/"
    username: Annotated[
        str,
        Meta(
            description="Empty with a client certificate: the certificate says who the gateway is (EXTERNAL)."
        ),
    ] = "guest"
    password: Secret = ""
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
        """Refuse names that no broker takes."""
        check_names(virtualHost=self.virtual_host, username=self.username)
        if not self.username and (self.tls is None or not self.tls.certificate):
            raise ValueError(
                "username: expected one, or a client certificate in tls that says who the gateway is"
            )

    def destination(self) -> object:
        """See `iotgw.core.destination.Destined`."""
        return self.host.lower(), self.broker_port, trust(self.tls), goes_by(self.proxy)

    @property
    def broker_port(self) -> int:
        """Where the broker listens."""
        return self.port or (5671 if self.tls else 5672)

    @property
    def broker(self) -> str:
        """The broker's host and port."""
        return f"{self.host}:{self.broker_port}"


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
    if not access.username and access.tls is not None and access.tls.certificate:
        credentials = pika.credentials.ExternalCredentials()
    else:
        credentials = pika.PlainCredentials(access.username, access.password)
    return pika.ConnectionParameters(
        virtual_host=access.virtual_host,
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

"""How a Kafka cluster is reached: brokers, TLS, SASL. Used by the datasource and the target alike.

The library is aiokafka, in the gateway's asyncio thread. Its connections are asyncio's own, so that the operator's forbidden
networks hold for every broker that a cluster names; librdkafka (confluent-kafka) opens sockets that nobody can ask about.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import os
import ssl
from collections.abc import Callable
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from iotgw.connect.http_auth import AccessToken, OAuth2
from iotgw.connect.tls import PROBLEMS, ClientTls, connection_creator, trust
from iotgw.core.destination import origin
from iotgw.core.errors import SettingsError, Unavailable
from iotgw.core.names import unfit
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.core.redaction import hidden
from iotgw.core.secrets import Secret

EXTRA = "kafka needs the package aiokafka: pip install 'iotgw[kafka]'"
PORT = 9092
MOST_BROKERS = 100
TLS, PLAIN, ANY = ("ssl", "sasl_ssl"), ("plaintext", "sasl_plaintext"), "kafka"
"""What stands before ``://``: Kafka's names of security protocols, and what says nothing of them."""
REQUEST = 20.0
"""Seconds that a broker may take for one request."""
BEARER = b"Authorization: Bearer "
WRONG_NAME = 62
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH."""
WRONG_ADDRESS = 64
"""OpenSSL's X509_V_ERR_IP_ADDRESS_MISMATCH."""


class KafkaSasl(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How the gateway authenticates to the brokers (SASL)."""

    mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"],
        Meta(description="How the password is proved."),
    ]
    username: Annotated[str, Meta(description="The user's name.")] = ""
    password: Annotated[Secret, Meta(description="The user's password.")] = ""
    oauth2: Annotated[
        OAuth2 | None,
        Meta(
            description="For `OAUTHBEARER`: where the token comes from (client credentials), as of an `http` target."
        ),
    ] = None

    def __post_init__(self) -> None:
        """Refuse what the mechanism doesn't take."""
        if (self.oauth2 is not None) is not (self.mechanism == "OAUTHBEARER"):
            raise ValueError('oauth2: expected together with mechanism = "OAUTHBEARER", and only with it')
        if self.oauth2 is None and not (self.username and self.password):
            raise ValueError("expected a username and a password")


class KafkaAccess(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of a Kafka cluster."""

    brokers: Annotated[
        list[str],
        Meta(
            min_length=1,
            description="Brokers to begin with, as `host:port` or `host` (port 9092), also several in one text, as in `bootstrap.servers`; they name the "
            "others. `SSL://` or `SASL_SSL://` before one is TLS.",
        ),
    ]
    tls: Annotated[ClientTls | None, Meta(description="TLS, also with a client certificate.")] = None
    sasl: Annotated[KafkaSasl | None, Meta(description="User and password, or OAuth 2.")] = None

    def destination(self) -> object:
        """See `iotgw.core.destination.Destined`."""
        token = self.sasl.oauth2 if self.sasl is not None else None
        place = origin(token.token_url, "configuration.sasl.oauth2.tokenUrl") if token is not None else None
        return sorted(self.bootstrap), trust(self.way_of_tls), place

    def check_brokers(self) -> None:
        """Raises ValueError for what is no broker, or says two things about TLS."""
        said = {scheme in TLS for scheme, _ in self._written() if scheme not in ("", ANY)}
        if len(said) > 1:
            raise ValueError("brokers: expected TLS for all of them or for none")
        if self.tls is not None and False in said:
            raise ValueError("tls: expected none with brokers that are written without TLS")

    @property
    def bootstrap(self) -> list[str]:
        """The brokers as ``host:port``; raises ValueError."""
        return [broker for _, broker in self._written()]

    @property
    def way_of_tls(self) -> ClientTls | None:
        """TLS, if the brokers are reached so."""
        is_said = any(scheme in TLS for scheme, _ in self._written())
        return self.tls if self.tls is not None or not is_said else ClientTls()

    def _written(self) -> list[tuple[str, str]]:
        """Scheme, empty if there is none, and ``host:port`` of each broker; raises ValueError."""
        if (count := len(self.brokers) + sum(text.count(",") for text in self.brokers)) > MOST_BROKERS:
            raise ValueError(f"brokers: expected at most {MOST_BROKERS} to begin with, got {count}")
        return [_broker(each) for text in self.brokers for each in text.split(",")]


def _broker(text: str) -> tuple[str, str]:
    """Scheme and ``host:port`` of a broker, also of a URL-like one; raises ValueError."""
    scheme, colon, rest = text.strip().lower().partition("://")
    scheme, text = (scheme, rest) if colon else ("", scheme)
    if scheme not in ("", ANY, *TLS, *PLAIN):
        known = ", ".join(f"{each}://".upper() for each in (*TLS, *PLAIN))
        raise ValueError(f"brokers: expected host:port, or {known} before it")
    if "@" in text:  # a password may stand there
        raise ValueError("brokers: expected host:port; user and password belong to sasl")
    host, colon, port = text.rpartition(":")
    if not colon or (":" in host and not host.startswith("[")) or text.endswith("]"):
        host, port = text, str(PORT)
    if (
        not host
        or unfit(host)
        or set(host) & set("/@, ;")
        or not port.isdecimal()
        or not 0 < int(port) < 65536
    ):
        raise ValueError(f"brokers: expected host:port, got {text!r}")
    return scheme, f"{host}:{port}"


def library() -> Any:
    """The package aiokafka; raises SettingsError with the command that installs it."""
    try:
        import aiokafka  # noqa: PLC0415 - an extra

        from iotgw.connect.kafka_limits import impose  # noqa: PLC0415 - which imports it, too
    except ImportError:
        raise SettingsError("type", EXTRA) from None
    impose()
    _listen()
    return aiokafka


class KafkaClient:
    """What both directions need to make a client of the library: its arguments, tokens, and the reasons of its troubles.

    ``trouble(reason)`` is called in the reactor's thread for what the library logs as a warning or an error; it goes on
    by itself. Raises SettingsError.
    """

    def __init__(
        self,
        access: KafkaAccess,
        reactor: IThreadedClock,
        connector: IConnector,
        trouble: Callable[[str], None],
    ) -> None:
        self.library = library()
        self._access = access
        self._reactor = reactor
        self._trouble = trouble
        tls = access.way_of_tls
        if tls is not None:
            connection_creator(
                tls, tls.server_name or "host", "configuration.tls"
            )  # says what is wrong with it
        self._tls = tls
        self._context: ssl.SSLContext | None = None
        sasl = access.sasl
        self._secrets = [sasl.password] if sasl is not None and sasl.password else []
        self._token: AccessToken | None = None
        if sasl is not None and sasl.oauth2 is not None:
            self._token = AccessToken(sasl.oauth2, reactor, None, connector)
            self._secrets += self._token.secrets

    def close(self) -> None:
        """Ask for no token any more."""
        if self._token is not None:
            self._token.close()

    def arguments(self, told: Callable[[str], None] | None = None) -> dict[str, Any]:
        """The arguments of a consumer or a producer; to be called in the loop. What the library logs from now on in this
        task, and in those that it starts, goes to ``told`` there, or else it is a trouble."""
        access, sasl = self._access, self._access.sasl
        if self._tls is not None and self._context is None:
            self._context = _tls_context(
                self._tls
            )  # reading all trusted certificates takes long, and here it holds up the loop only
        _trouble_of.set(self._told if told is None else lambda reason: told(self._plain(reason)))
        made: dict[str, Any] = {
            "bootstrap_servers": access.bootstrap,
            "ssl_context": self._context,
            "security_protocol": ("SASL_" if sasl else "") + ("SSL" if self._context else "PLAINTEXT"),
            "request_timeout_ms": int(REQUEST * 1000),
        }
        if sasl is not None:
            made["sasl_mechanism"] = sasl.mechanism
            if self._token is None:
                made |= {"sasl_plain_username": sasl.username, "sasl_plain_password": sasl.password}
            else:
                made["sasl_oauth_token_provider"] = self._provider(self._token)
        return made

    def compresses(self, codec: str) -> bool:
        """Whether the library can use a codec: ``gzip``, ``snappy``, ``lz4`` or ``zstd``."""
        from aiokafka import codec as codecs  # noqa: PLC0415 - an extra

        return bool(getattr(codecs, f"has_{codec}")())

    async def check(self) -> str:
        """Connect, authenticate and disconnect, in the loop; returns what was found. Raises Unavailable."""
        from aiokafka.client import AIOKafkaClient  # noqa: PLC0415 - an extra

        said: list[str] = []
        client = AIOKafkaClient(**self.arguments(said.append))
        try:
            await client.bootstrap()
            return f"connected to a cluster of {len(client.cluster.brokers())} brokers"
        except Exception as error:
            raise Unavailable(said[-1] if said else self.in_words(error)) from None
        finally:
            with contextlib.suppress(Exception):
                await client.close()

    def in_words(self, error: BaseException) -> str:
        """Why something failed, in one line without a secret."""
        return self._plain(tls_words(error) or str(error) or type(error).__name__)

    def _plain(self, text: str) -> str:
        return hidden(" ".join(text.split()), self._secrets)[:300]

    def _told(self, reason: str) -> None:
        self._reactor.callFromThread(self._trouble, self._plain(reason))

    def _provider(self, token: AccessToken) -> Any:
        from aiokafka.abc import AbstractTokenProvider  # noqa: PLC0415 - an extra

        reactor = self._reactor

        class _Provider(AbstractTokenProvider):  # type: ignore[misc]
            """Asks in the reactor's thread."""

            async def token(self) -> str:
                loop = asyncio.get_running_loop()
                asked: asyncio.Future[str] = loop.create_future()

                def answer(problem: str) -> None:
                    if asked.done():
                        return
                    if problem:
                        asked.set_exception(Unavailable(problem))
                    else:
                        asked.set_result(token.header.removeprefix(BEARER).strip().decode())

                def ask() -> None:
                    def told(problem: str) -> None:
                        loop.call_soon_threadsafe(answer, problem)

                    if token.ready():
                        told("")
                    else:
                        token.refresh(told)

                reactor.callFromThread(ask)
                return await asked

        return _Provider()


class _NamedContext(ssl.SSLContext):
    """Expects another name in the servers' certificates than the host's."""

    name: str

    def wrap_bio(
        self,
        incoming: Any,
        outgoing: Any,
        server_side: bool = False,
        server_hostname: Any = None,
        session: Any = None,
    ) -> Any:
        """See `ssl.SSLContext.wrap_bio`."""
        return super().wrap_bio(incoming, outgoing, server_side, self.name or server_hostname, session)


def _tls_context(tls: ClientTls) -> ssl.SSLContext:
    """TLS in asyncio's terms."""
    made = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    made.name = tls.server_name
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.ca:
        made.load_verify_locations(cadata=tls.ca)
    else:
        made.load_default_certs()
    if tls.certificate:
        # a key never lies in a file; OpenSSL's own function takes nothing but files
        with open(os.memfd_create("tls"), "w+", encoding="utf-8") as memory:
            memory.write(f"{tls.certificate}\n{tls.key}\n")
            memory.flush()
            made.load_cert_chain(f"/proc/self/fd/{memory.fileno()}")
    return made


def tls_words(error: BaseException) -> str:
    """What is wrong with a certificate, in words that a person can act on; empty if it isn't that."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return ""
    if error.verify_code in (WRONG_NAME, WRONG_ADDRESS):
        return "TLS: the certificate is for another name"
    return f"TLS: the certificate {PROBLEMS.get(error.verify_code, f'is refused (code {error.verify_code})')}"


_trouble_of: contextvars.ContextVar[Callable[[str], None] | None] = contextvars.ContextVar(
    "trouble", default=None
)
"""Whose tasks these are: the library's tasks inherit it."""
NOISE = ("is rebalancing", "Sending username and password in the clear", "because it is rebalancing")
"""Warnings about what is usual."""


class _ToOwner(logging.Handler):
    """Gives each client's warnings to its owner; nothing is printed."""

    def emit(self, record: logging.LogRecord) -> None:
        """One log entry."""
        told = _trouble_of.get()
        if told is None:
            return
        words = next((text for each in _arguments(record) if (text := tls_words(each))), "")
        text = words or record.getMessage()
        if not any(noise in text for noise in NOISE):
            told(text)


def _arguments(record: logging.LogRecord) -> list[BaseException]:
    arguments = record.args if isinstance(record.args, tuple) else ()
    found = [each for each in arguments if isinstance(each, BaseException)]
    return found + [each.__cause__ for each in found if each.__cause__ is not None]


def _listen() -> None:
    logger = logging.getLogger("aiokafka")
    if not any(isinstance(handler, _ToOwner) for handler in logger.handlers):
        logger.addHandler(_ToOwner(logging.WARNING))
        logger.setLevel(logging.WARNING)
        logger.propagate = False

"""Settings of ``http`` datasources, and the check of who may upload."""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Callable
from typing import Annotated, Literal

from msgspec import Meta, Struct, field
from twisted.web.server import Request

from iotgw.core.ports.intake import Reason
from iotgw.core.secrets import Secret
from iotgw.datasources.api_settings import DownlinkApi
from iotgw.datasources.frames import GatherSeconds, GatherWith, check_gathering
from iotgw.datasources.http.bodies import Fields
from iotgw.datasources.http.listener import Listener, MaxBody, parse
from iotgw.datasources.http.server_tls import ServerTls
from iotgw.envelopes.envelope import Envelope
from iotgw.envelopes.presets.choices import (
    ConverterGets,
    Custom,
    DeviceName,
    HttpPresetName,
    HttpProfile,
    http_envelope,
)

_SEGMENT = re.compile(r"[A-Za-z0-9_.~-]{1,64}")


class UploadSecurity(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How a client proves that it may upload."""

    mode: Annotated[
        Literal["none", "basic", "bearer"], Meta(description="How a client proves that it may upload.")
    ] = "none"
    username: Annotated[str, Meta(description="The user's name, for `basic`.")] = ""
    password: Annotated[Secret, Meta(description="The user's password, for `basic`.")] = ""
    token: Annotated[Secret, Meta(description="The token, for `bearer`.")] = ""


Method = Literal["POST", "PUT", "GET"]


def usual_methods() -> list[Method]:
    """What uploads come by unless their sender can do no better."""
    return ["POST", "PUT"]


class HttpAnswer(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The answer to an upload that is stored, where there is nothing else to say."""

    status: Annotated[int, Meta(ge=200, le=299, description="The status of the answer.")] = 200
    body: Annotated[str, Meta(description="The text of the answer.")] = ""
    content_type: Annotated[str, Meta(description="The media type of that text.")] = (
        "text/plain; charset=utf-8"
    )

    def __post_init__(self) -> None:
        """Refuse a body where HTTP has none, and what is no header."""
        if self.body and self.status in (204, 205):
            raise ValueError(f"expected no body with status {self.status}")
        if not self.content_type.isprintable():
            raise ValueError("expected printable characters in contentType")


class HttpSourceSettings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of an ``http`` datasource."""

    endpoint: Annotated[
        str,
        Meta(
            description="A listener of its own, `tcp:8443` or `tcp:8443:interface=127.0.0.1`; empty shares the API's. "
            "`ssl:8443:privateKey=key.pem:certKey=cert.pem` is `tcp:8443` with `tls`."
        ),
    ] = ""
    tls: Annotated[
        ServerTls | None,
        Meta(
            description="Certificate for an `endpoint` such as `tcp:8443`; its files are read again when they change."
        ),
    ] = None
    path: Annotated[
        str,
        Meta(
            description="A path at which it is served too, such as `/api/ttn/data`, where what sends can't be given another one. "
            "Whoever knows the gateway can guess it, so it takes `security`, `headersFilter` or a signature."
        ),
    ] = ""
    security: Annotated[UploadSecurity, Meta(description="none, basic or bearer.")] = UploadSecurity()
    headers_filter: Annotated[
        dict[str, Secret],
        Meta(max_length=100, description="Every header must be there and equal, or the answer is 401."),
    ] = {}
    parameters_filter: Annotated[
        dict[str, Secret],
        Meta(
            max_length=100,
            description="Every parameter, of the query or of a form, must be there and equal, or the answer is 401. They aren't in the message.",
        ),
    ] = {}
    methods: Annotated[
        list[Method],
        Meta(description="Methods of uploads. The message of a GET is its query, as an object."),
    ] = field(default_factory=usual_methods)
    bodies: Annotated[
        Literal["auto", "raw"],
        Meta(
            description="`auto`: a form (`application/x-www-form-urlencoded` or `multipart/form-data`) becomes an object. `raw`: all bodies stay as "
            "they are."
        ),
    ] = "auto"
    answer: Annotated[
        HttpAnswer | None,
        Meta(
            description="What a stored upload is answered where there is no downlink or reply; 204 if not given."
        ),
    ] = None
    cross_site: Annotated[
        bool,
        Meta(
            description="Take the requests of web pages of other sites (an `Origin` or, over loopback, a `Host` that isn't the "
            "gateway's); otherwise the answer is 403."
        ),
    ] = False
    replace_no_content_to_ok: Annotated[
        bool, Meta(description="Answer 200 instead of 204 when there is no downlink.")
    ] = False
    split: Annotated[
        Literal["none", "array", "lines"],
        Meta(description="One request is one message, a JSON array of messages, or one message per line."),
    ] = "none"
    profile: HttpProfile = "none"
    preset: HttpPresetName = "none"
    custom: Custom = None
    converter_gets: ConverterGets = "auto"
    device_name: DeviceName = "name"
    secret: Annotated[
        Secret,
        Meta(
            description="The key with which a platform signs its requests, where its preset checks that.",
            extra_json_schema={"x-advanced": True},
        ),
    ] = ""
    gather_seconds: GatherSeconds = None
    gather_with: GatherWith = ""
    answers_reach_device: Annotated[
        bool | None,
        Meta(
            description="Whether the answer to an upload reaches the device, so that it can carry a downlink. If not given: "
            "as the preset says, and true without one."
        ),
    ] = None
    downlink_api: Annotated[
        DownlinkApi | None,
        Meta(
            description="The platform's API, by which downlinks are sent; the preset's page says what it needs."
        ),
    ] = None
    longest_ttd: Annotated[
        float,
        Meta(
            ge=0,
            le=600,
            description="Most seconds that an answer is held back for a downlink when a device says that it "
            "listens (`hono-ttd`, in a header or the query, or `?ttd=`); 0 never.",
        ),
    ] = 60.0
    max_body: MaxBody = 1 << 20

    def __post_init__(self) -> None:
        """Refuse a preset that can't be used, what names no TCP port, and two certificates."""
        envelope = self.envelope()
        if self.downlink_api is not None:
            self.downlink_api.check(envelope.api)
        check_gathering(self, envelope)
        if self.path:
            self._check_path()
        if not self.methods:
            raise ValueError("methods: expected at least one")
        if self.answer is not None and self.replace_no_content_to_ok:
            raise ValueError("answer: expected either `answer` or `replaceNoContentToOk`, got both")
        try:
            listener = self.listener
        except ValueError as error:
            raise ValueError(f"endpoint: {error}") from error
        if self.tls is not None and listener is None:
            raise ValueError("endpoint: expected an endpoint such as tcp:8443 for `tls`")
        if self.tls is not None and listener is not None and listener.key:
            raise ValueError("endpoint: expected either ssl:… or `tls`, got both")

    def _check_path(self) -> None:
        parts = self.path.split("/")
        if parts[0] or len(parts) < 3 or not all(_SEGMENT.fullmatch(part) for part in parts[1:]):
            raise ValueError(f"path: expected two or more segments such as /api/ttn/data, got {self.path!r}")
        if not self.is_proved:
            raise ValueError("path: expected `security` or `headersFilter`, since anybody can guess a path")

    @property
    def is_proved(self) -> bool:
        """Whether a request must prove who sends it: by the platform's signature, or by what only the platform was told."""
        is_signed = bool(self.secret) and self.envelope().needs_secret
        return (
            is_signed or self.security.mode != "none" or bool(self.headers_filter or self.parameters_filter)
        )

    @property
    def served_at(self) -> tuple[str, ...]:
        """The segments of ``path``; none without one."""
        return tuple(self.path.split("/")[1:]) if self.path else ()

    def destination(self) -> object:
        """See `iotgw.core.destination.Destined`."""
        return self.downlink_api.destination() if self.downlink_api is not None else None

    @property
    def listener(self) -> Listener | None:
        """The listener of its own; None for one that shares the API's."""
        return parse(self.endpoint) if self.endpoint else None

    @property
    def server_tls(self) -> ServerTls | None:
        """The certificate of its own listener, if it speaks TLS."""
        listener = self.listener
        if listener is None or not listener.key:
            return self.tls
        return ServerTls(certificate=listener.certificate, key=listener.key)

    def envelope(self) -> Envelope:
        """What the requests' bodies are. Raises ValueError."""
        return http_envelope(self.preset, self.custom, self.converter_gets, self.profile, self.device_name)


Objection = tuple[Reason, str]
"""Why a request may not upload: the reason's name, and a text without any secret."""


def lacks(settings: HttpSourceSettings, fields: Fields) -> Objection | None:
    """What is wrong with the parameters that prove who sends; None if nothing is."""
    for name, value in settings.parameters_filter.items():
        brought = fields.get(name)
        said = brought.encode() if isinstance(brought, str) else b""
        if not hmac.compare_digest(said, value.encode()):
            return "credentials", f"{'a wrong value of' if name in fields else 'no'} parameter {name}"
    return None


def authenticator(settings: HttpSourceSettings) -> Callable[[Request], Objection | None]:
    """What is wrong with a request's proof; None if it may upload. Secrets are compared in constant time."""
    security = settings.security
    expected = b""
    if security.mode == "basic":
        credentials = f"{security.username}:{security.password}".encode()
        expected = b"Basic " + base64.b64encode(credentials)
    elif security.mode == "bearer":
        expected = b"Bearer " + security.token.encode()
    wanted = [(name.encode(), value.encode()) for name, value in settings.headers_filter.items()]

    def object_to(request: Request) -> Objection | None:
        objections: list[Objection] = []
        brought = request.getHeader(b"authorization")
        if expected and not hmac.compare_digest(brought or b"", expected):
            objections.append(("credentials", "wrong credentials" if brought else "no credentials"))
        for name, value in wanted:
            brought = request.getHeader(name)
            if not hmac.compare_digest(brought or b"", value):
                what = "a wrong value of" if brought is not None else "no"
                objections.append(("header", f"{what} header {name.decode()}"))
        return objections[0] if objections else None

    return object_to

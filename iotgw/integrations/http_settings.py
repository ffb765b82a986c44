"""Settings of ``http`` targets."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from iotgw.connect.http_auth import Auth, OAuth2
from iotgw.connect.proxy import ProxyUrl, goes_by
from iotgw.connect.tls import ClientTls, trust
from iotgw.core.destination import origin
from iotgw.core.secrets import Secret, SecretTemplate, SecretUrl
from iotgw.integrations.http_judge import AnswerSettings
from iotgw.integrations.template import MOST_TOGETHER


class FilePart(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A file in a multipart body."""

    name: Annotated[str, Meta(min_length=1, description="Of its field.")] = "file"
    filename: Annotated[str, Meta(description="A template. Constant where `batch` is.")] = "{{ key }}.json"


class BodySignature(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """An HMAC (RFC 2104) of the body as it is sent, in a header. The defaults are those of GitHub's webhooks."""

    secret: Annotated[Secret, Meta(description="What both sides know, of which the signature is made.")]
    algorithm: Annotated[
        Literal["sha256", "sha384", "sha512", "sha1"], Meta(description="How the body is signed.")
    ] = "sha256"
    header: Annotated[str, Meta(description="The header that has the signature.")] = "X-Hub-Signature-256"
    prefix: Annotated[
        str, Meta(description="What stands before it; `{algorithm}` becomes the algorithm's name.")
    ] = "{algorithm}="
    encoding: Annotated[Literal["hex", "base64"], Meta(description="How the signature is written.")] = "hex"


class HttpSettings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """HTTP push."""

    url: Annotated[
        SecretUrl,
        Meta(
            description="A template after the host; values that are inserted are percent-encoded. Constant where `batch` is. Stored encrypted; the values of its query are shown as `***`."
        ),
    ]
    method: Annotated[
        Literal["GET", "POST", "PUT", "PATCH"], Meta(description="The method of a request.")
    ] = "POST"
    query: Annotated[
        dict[str, SecretTemplate],
        Meta(
            max_length=100,
            description="Parameters that are added to the URL's. Their values are templates, stored encrypted, and shown where they only "
            "insert what a message says. One that turns out empty is left out.",
        ),
    ] = {}
    headers: Annotated[
        dict[str, Secret], Meta(max_length=100, description="Values are templates, and secret.")
    ] = {}
    body: Annotated[
        Literal["document", "form", "multipart", "none"] | None,
        Meta(
            description="`document`: what `format` makes. `form` and `multipart`: `fields` as "
            "`application/x-www-form-urlencoded` or `multipart/form-data`. If not given: `none` for GET, otherwise `document`."
        ),
    ] = None
    fields: Annotated[
        dict[str, SecretTemplate],
        Meta(max_length=100, description="Fields of a `form` or `multipart` body, as those of `query`."),
    ] = {}
    file: Annotated[
        FilePart | None,
        Meta(description="A further part of a `multipart` body: what `format` makes, as a file."),
    ] = None
    content_type: Annotated[
        str,
        Meta(
            description="Of the document. Empty: that of the format, such as `application/json`, or `application/x-ndjson` for NDJSON."
        ),
    ] = ""
    auth: Annotated[Auth | None, Meta(description="How requests prove who they are.")] = None
    signature: Annotated[BodySignature | None, Meta(description="Signs each body in a header.")] = None
    tls: Annotated[
        ClientTls | None, Meta(description="Whose certificates are trusted, and which one is shown.")
    ] = None
    proxy: ProxyUrl = ""
    connect_timeout: Annotated[float, Meta(gt=0, description="Seconds to connect.")] = 10.0
    timeout: Annotated[
        float, Meta(gt=0, description="Seconds for a whole exchange, with the response's body.")
    ] = 30.0
    concurrency: Annotated[
        int, Meta(ge=1, le=256, description="Requests under way at once; each needs a connection.")
    ] = 16
    batch: Annotated[
        Literal["none", "array", "ndjson"], Meta(description="How several messages go into one request.")
    ] = "none"
    batch_size: Annotated[
        int,
        Meta(
            ge=1,
            le=10000,
            description="Maximum number of messages in a request. It takes what is queued and doesn't wait for more.",
        ),
    ] = 100
    compress: Annotated[
        Literal["none", "gzip", "zstd"],
        Meta(description="How bodies are compressed; `zstd` needs the extra `iotgw[zstd]`."),
    ] = "none"
    gzip: Annotated[bool, Meta(description="The same as `compress` = `gzip`.")] = False
    success_codes: Annotated[
        list[int],
        Meta(max_length=500, description="Status codes that mean delivered; any 2xx when empty."),
    ] = []
    answer: Annotated[
        AnswerSettings | None,
        Meta(description="What an answer means, where the status isn't all; see below."),
    ] = None
    keep_response: Annotated[
        bool, Meta(description="Keep the last response for a person to look at (`lastResponse`).")
    ] = False
    downlinks: Annotated[
        bool,
        Meta(
            description="A response that is a downlink (an object with `msg` or `data`) is queued for the device."
        ),
    ] = False

    def __post_init__(self) -> None:
        """Refuse more templates than can be used."""
        texts = (*self.query.values(), *self.headers.values(), *self.fields.values())
        if (size := sum(map(len, texts))) > MOST_TOGETHER:
            raise ValueError(
                f"expected at most {MOST_TOGETHER} characters in query, headers and fields, got {size}"
            )

    def destination(self) -> object:
        """See `iotgw.core.destination.Destined`: both servers, as the token of the one goes to the other, and the proxy."""
        places = [origin(self.url, "configuration.url")]
        if isinstance(self.auth, OAuth2):
            places.append(origin(self.auth.token_url, "configuration.auth.tokenUrl"))
        is_secure = any(scheme == "https" for scheme, _, _ in places)
        return places, trust(self.tls or ClientTls()) if is_secure else None, goes_by(self.proxy)

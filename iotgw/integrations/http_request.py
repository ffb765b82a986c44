"""The requests of an ``http`` target: where they go, what they carry, how they are compressed and signed."""

from __future__ import annotations

import base64
import hmac
import re
import secrets
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from urllib.parse import quote, quote_plus, urlsplit

from msgspec import Struct

from iotgw import __version__
from iotgw.connect.http_auth import Authenticator
from iotgw.core.destination import origin
from iotgw.core.errors import SettingsError
from iotgw.core.model import TelemetryRecord
from iotgw.core.secret_url import url_secrets
from iotgw.core.specs import IntegrationSpec
from iotgw.integrations import payload
from iotgw.integrations.facts import RecordNames
from iotgw.integrations.formats.table import bodies_of
from iotgw.integrations.http_settings import BodySignature, HttpSettings
from iotgw.integrations.template import Template, TemplateFailed, for_header, for_url
from iotgw.wire import http_bodies
from iotgw.wire.http1 import request_head

OURS = {"host", "content-length", "transfer-encoding", "connection", "content-encoding", "idempotency-key"}
"""Headers that the gateway sets itself."""
SAFE = "/?&=%:@!$'()*+,;~-._"
"""What may stand in a target as it is."""
DOTS = {".", ".."}
"""Segments of a path that servers resolve (RFC 3986 §3.3): a device may have one as its name."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]+")
NO_TEMPLATE = "expected no template where messages go in batches"


class HttpServer(Struct, frozen=True):
    """Where the requests go: ``netloc`` as it stands in the URL, and the template of path and query."""

    is_secure: bool
    host: str
    port: int
    netloc: str
    target: str


def server(url: str) -> HttpServer:
    """The parts of a URL template; raises SettingsError."""
    scheme, host, port = origin(url, "configuration.url")
    rest = url.partition("://")[2]
    netloc = re.split(r"[/?#]", rest, maxsplit=1)[0]
    path = rest[len(netloc) :] or "/"
    try:
        ascii_ = netloc if netloc.isascii() else netloc.encode("idna").decode()
    except UnicodeError:
        raise SettingsError("configuration.url", "expected the name of a host") from None
    return HttpServer(scheme == "https", host, port, ascii_, path if path[0] == "/" else f"/{path}")


def texts_with_secrets(settings: HttpSettings) -> list[str]:
    """What no text for people may repeat of these settings, also as it stands in a request."""
    words = [value.split()[-1] for value in settings.headers.values() if value.strip()]
    plain = [*settings.query.values(), *settings.fields.values(), *url_secrets(settings.url)]
    encoded = [form(text) for text in plain for form in (quote, quote_plus) if form(text) != text]
    signing = [settings.signature.secret] if settings.signature is not None else []
    return [*settings.headers.values(), *words, *plain, *encoded, *signing]


class RequestMaker:
    """Makes the bytes of requests. Raises SettingsError. ``warn`` is told what a user should know of the settings.

    ``goes_to_one_place`` is whether all requests have the same target and headers.
    """

    def __init__(
        self,
        settings: HttpSettings,
        spec: IntegrationSpec,
        names: RecordNames,
        auth: Authenticator,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._settings = settings
        self._auth = auth
        self._key = names.key
        self._is_batch = settings.batch != "none"
        made = payload.formatter(spec, names, warn, is_alone=not self._is_batch)
        self._bodies = bodies_of(spec.format)
        self._netloc = server(settings.url).netloc
        self._body = settings.body or ("none" if settings.method == "GET" else "document")
        self._is_document = self._body == "document"
        has_document = self._is_document or settings.file is not None
        self.document: payload.Format = made if has_document else lambda record: b""
        """What a message adds to a request's body; raises TemplateFailed, and NothingToSay."""
        self._boundary = secrets.token_hex(16)
        self._path = Template(server(settings.url).target, "configuration.url", names, for_url)
        self._query = _templates(settings.query, "configuration.query", names)
        self._fields = _templates(settings.fields, "configuration.fields", names)
        self._headers = _templates(settings.headers, "configuration.headers", names, for_header)
        file = settings.file
        place = "configuration.file.filename"
        self._filename = Template(file.filename, place, names) if file is not None else None
        self._compress = _compressor("gzip" if settings.gzip else settings.compress)
        self._sign = _signer(settings.signature) if settings.signature is not None else None
        self._check()
        self.goes_to_one_place = all(
            each.constant is not None for each in (self._path, *self._query.values(), *self._headers.values())
        )
        try:
            self._fixed = self._head(None) if self.goes_to_one_place else b""
        except TemplateFailed as error:
            raise SettingsError("configuration", str(error)) from error

    @property
    def path(self) -> str:
        """The target's path if it is the same for every message; otherwise empty."""
        return quote(self._path.constant or "", safe=SAFE)

    def _check(self) -> None:
        settings = self._settings
        self._check_headers()
        if settings.signature is not None:
            name = settings.signature.header
            if (
                name.lower() in OURS
                or not _TOKEN.fullmatch(name)
                or not settings.signature.prefix.isprintable()
            ):
                raise SettingsError(
                    "configuration.signature", "expected the name of a header, and printable text"
                )
        if settings.method == "GET" and self._body != "none":
            raise SettingsError("configuration.body", "expected none for GET")
        if self._body in ("form", "none") and self._is_batch:
            raise SettingsError("configuration.batch", f"expected none with the body {self._body!r}")
        if settings.fields and self._body not in ("form", "multipart"):
            raise SettingsError("configuration.fields", "expected none without a body of form or multipart")
        if settings.file is not None and self._body != "multipart":
            raise SettingsError("configuration.file", "expected none without a body of multipart")
        if self._body in ("form", "multipart") and not settings.fields and settings.file is None:
            raise SettingsError("configuration.fields", f"expected fields for a {self._body} body")
        if self._is_batch and self._body == "multipart" and settings.file is None:
            raise SettingsError("configuration.file", "expected a file for batches, which holds the messages")
        if self._is_batch:
            places = {"url": self._path} | ({"file.filename": self._filename} if self._filename else {})
            for kind, templates in (
                ("query", self._query),
                ("headers", self._headers),
                ("fields", self._fields),
            ):
                places |= {f"{kind}.{name}": each for name, each in templates.items()}
            for place, template in places.items():
                if template.constant is None:
                    raise SettingsError(f"configuration.{place}", NO_TEMPLATE)

    def _check_headers(self) -> None:
        for name in self._settings.headers:
            if name.lower() in OURS or not _TOKEN.fullmatch(name):
                raise SettingsError(f"configuration.headers.{name}", "this header is set by the gateway")
            try:
                request_head(self._settings.method, "/", [(name, self._headers[name].constant or "")])
            except ValueError as error:
                raise SettingsError(f"configuration.headers.{name}", str(error), True) from None

    # --- what a request says

    def single(self, record: TelemetryRecord) -> tuple[bytes, bytes]:
        """The header lines of one message's request, and its body before compression; raises as `document`."""
        document = self.document(record)
        body = document if self._is_document else self._content(record, document)
        head = self._fixed or self._head(record)
        return head + b"Idempotency-Key: %b\r\n" % self._key(record).encode(), body

    def batch(self, documents: Sequence[bytes]) -> tuple[bytes, bytes]:
        """The same of a request for several messages."""
        return self._fixed, self._content(None, self._bodies.joined(documents, self._settings.batch))

    def on_wire(self, head: bytes, body: bytes) -> bytes:
        """The bytes of a request: its body compressed, signed and measured."""
        if self._compress is not None and self._body != "none":
            body = self._compress(body)
        if self._sign is not None:
            head += self._sign(body)
        if self._body == "none":
            return b"%b%b%b\r\n" % (head, self._auth.sign(head, b""), self._length_of_nothing)
        return b"%b%bContent-Length: %d\r\n\r\n%b" % (head, self._auth.sign(head, body), len(body), body)

    @property
    def _length_of_nothing(self) -> bytes:
        """A GET without a body says nothing about it (RFC 9110 §8.6)."""
        return b"" if self._settings.method == "GET" else b"Content-Length: 0\r\n"

    def _content(self, record: TelemetryRecord | None, document: bytes) -> bytes:
        if self._is_document:
            return document
        if self._body == "none":
            return b""
        fields = list(_filled(self._fields, record))
        if self._body == "form":
            return http_bodies.form(fields)
        parts = [http_bodies.FormPart(name, value.encode()) for name, value in fields]
        if self._settings.file is not None and self._filename is not None:
            name = _text(self._filename, record)
            parts.append(
                http_bodies.FormPart(self._settings.file.name, document, name, self._kind_of_document)
            )
        return http_bodies.multipart(parts, self._boundary)

    @property
    def _kind_of_document(self) -> str:
        return self._settings.content_type or self._bodies.media_type(self._settings.batch)

    def _head(self, record: TelemetryRecord | None) -> bytes:
        """Request line and headers; ``record`` is None when nothing depends on it. Raises TemplateFailed."""
        settings = self._settings
        headers = [("Host", self._netloc), ("User-Agent", f"iotgw/{__version__}")]
        kinds = {
            "document": self._kind_of_document, "form": http_bodies.FORM,
            "multipart": f"{http_bodies.MULTIPART}; boundary={self._boundary}",
        }  # fmt: skip
        if self._body in kinds:
            headers.append(("Content-Type", kinds[self._body]))
        headers += [(name, _text(value, record)) for name, value in self._headers.items()]
        if self._compress is not None and self._body != "none":
            headers.append(("Content-Encoding", "gzip" if settings.gzip else settings.compress))
        target = quote(_text(self._path, record), safe=SAFE)
        if self._path.constant is None and not DOTS.isdisjoint(target.partition("?")[0].split("/")):
            raise TemplateFailed(
                "configuration.url: expected no '.' and '..' between slashes, which lead elsewhere"
            )
        query = "&".join(
            f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in _filled(self._query, record)
        )
        if query:
            target += ("&" if urlsplit(target).query else "" if target.endswith("?") else "?") + query
        try:
            return request_head(settings.method, target, headers)
        except ValueError as error:
            raise TemplateFailed(str(error)) from error


def _text(template: Template, record: TelemetryRecord | None) -> str:
    return template.constant or "" if record is None else template.text(record)


def _filled(templates: Mapping[str, Template], record: TelemetryRecord | None) -> Iterable[tuple[str, str]]:
    """The names and values that aren't empty."""
    for name, template in templates.items():
        if value := _text(template, record):
            yield name, value


def _templates(
    texts: Mapping[str, str], place: str, names: RecordNames, escape: Callable[[object], str] | None = None
) -> dict[str, Template]:
    return {name: Template(text, f"{place}.{name}", names, escape) for name, text in texts.items()}


def _compressor(kind: str) -> Callable[[bytes], bytes] | None:
    if kind == "gzip":

        def gzip(body: bytes) -> bytes:
            packer = zlib.compressobj(5, zlib.DEFLATED, 31)
            return packer.compress(body) + packer.flush()

        return gzip
    if kind == "zstd":
        try:
            import zstandard  # noqa: PLC0415 - an extra
        except ImportError:
            raise SettingsError(
                "configuration.compress",
                "expected the extra iotgw[zstd] to be installed: pip install 'iotgw[zstd]'",
            ) from None
        return zstandard.ZstdCompressor().compress
    return None


def _signer(signature: BodySignature) -> Callable[[bytes], bytes]:
    key, algorithm = signature.secret.encode(), signature.algorithm
    start = f"{signature.header}: {signature.prefix.replace('{algorithm}', algorithm)}".encode()

    def sign(body: bytes) -> bytes:
        mac = hmac.digest(key, body, algorithm)
        said = mac.hex().encode() if signature.encoding == "hex" else base64.b64encode(mac)
        return b"%b%b\r\n" % (start, said)

    return sign

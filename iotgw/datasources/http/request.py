"""Reads an HTTP request (its messages, its metadata, how long its sender listens) and writes its error
response."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from http import HTTPStatus

import msgspec
from twisted.web.server import Request

from iotgw.core import plain_json
from iotgw.core.model import Metadata
from iotgw.datasources import ttd
from iotgw.datasources.secret_names import is_secret_header, is_secret_parameter
from iotgw.envelopes.envelope import Asked, Envelope, Happened, Ignored, Malformed, Reading, Receipt
from iotgw.wire.charsets import BOM, text_of

MESSAGES = 10_000
"""The most messages of one request: each gets the whole request's metadata."""

Told = Reading | Receipt | Happened | Ignored | Asked
"""What a request says."""


def payloads(body: bytes, split: str) -> list[bytes]:
    """The messages of one upload; raises ValueError."""
    if split == "none":
        return [body]
    body = body.removeprefix(BOM)
    if split == "lines":
        found = [line for line in (line.strip() for line in body.split(b"\n")) if line]
    else:
        try:
            found = [bytes(item) for item in plain_json.decode(body, list[msgspec.Raw])]
        except plain_json.NotJson as error:
            raise ValueError(f"expected a JSON array: {error}") from error
    if len(found) > MESSAGES:
        raise ValueError(f"expected at most {MESSAGES} messages in one request, got {len(found)}")
    return found


def read_in_turn(
    envelope: Envelope, messages: Iterable[bytes], facts: Metadata, now_ms: int
) -> Iterator[Told]:
    """What messages say, as each is read; raises ValueError for one that is invalid, and for more than `MESSAGES`: each of them may be several."""
    left = MESSAGES
    for message in messages:
        for event in envelope.read(message, facts, now_ms):
            if isinstance(event, Malformed):
                raise ValueError(event.reason)
            left -= 1
            if left < 0:
                raise ValueError(f"expected at most {MESSAGES} messages in one request, got more")
            yield event


def listens(request: Request, longest: float) -> float:
    """For how many seconds the answer may be held back."""
    header = request.getHeader(ttd.NAMES[0].encode())  # as bytes: Twisted fails on text that is no UTF-8
    said = header.decode("latin-1") if header is not None else None
    if said is None and request.args:
        said = ttd.in_query({name.decode("latin-1"): values[-1] for name, values in request.args.items()})
    return ttd.seconds(said, longest)


def peer_of(request: Request) -> str:
    """The sender's address; empty where there is none, as for a UNIX socket."""
    return str(getattr(request.getClientAddress(), "host", ""))


class SecretNames:
    """Headers and query parameters that carry secrets, by name: these, and those of `iotgw.datasources.secret_names`."""

    def __init__(self, headers: Iterable[str] = (), parameters: Iterable[str] = ()) -> None:
        self.headers = frozenset(header.lower() for header in headers)
        self.parameters = frozenset(parameter.lower() for parameter in parameters)

    def is_header(self, name: str) -> bool:
        """Whether a header carries a secret."""
        return name.lower() in self.headers or is_secret_header(name)

    def is_parameter(self, name: str) -> bool:
        """Whether a query parameter carries a secret."""
        return name.lower() in self.parameters or is_secret_parameter(name)


def metadata(request: Request, name: str, secret: SecretNames) -> Metadata:
    """ThingsBoard's metadata of an HTTP uplink: ``Header:<name>``, ``integrationName``; and the request's, without what
    is ``secret``."""
    facts: Metadata = {
        "integrationName": name,
        "protocol": "http",
        "remoteIp": peer_of(request),
        "method": request.method.decode("latin-1"),
    }
    if request.postpath:
        facts["path"] = "/".join(part.decode("utf-8", "replace") for part in request.postpath)
    if request.args:
        facts["query"] = {
            name: text_of(values[-1])
            for key, values in request.args.items()
            if not secret.is_parameter(name := text_of(key))
        }
    for header, values in request.requestHeaders.getAllRawHeaders():
        called = header.decode("latin-1")
        if not secret.is_header(called):
            facts[f"Header:{called}"] = values[-1].decode("latin-1")
    return facts


def send(request: Request, content: bytes) -> None:
    """Write a body as a whole, with its length: not every modem reads chunks."""
    request.setHeader(b"content-length", b"%d" % len(content))
    request.write(content)


def problem(request: Request, status: int, detail: str) -> bytes:
    """An `application/problem+json` body (RFC 9457)."""
    request.setResponseCode(status, HTTPStatus(status).phrase.encode())  # Twisted knows no 429
    request.setHeader(b"content-type", b"application/problem+json")
    return msgspec.json.encode({"status": status, "detail": detail})

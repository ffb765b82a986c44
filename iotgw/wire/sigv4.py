"""AWS Signature Version 4 of a request's headers.

Source: "Create a signed AWS API request" in the AWS IAM User Guide.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import quote, unquote

from msgspec import Struct

ALGORITHM = "AWS4-HMAC-SHA256"
_SIGNED = ("host", "content-type", "content-md5")
"""Headers that are signed where they are there, beside those that begin with ``x-amz-``."""


class AwsScope(Struct, frozen=True):
    """Who signs, and for what: the service's own name, such as ``execute-api``, in a region."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    region: str
    service: str


def signature_headers(
    method: str, target: str, headers: Sequence[tuple[str, str]], body: bytes, scope: AwsScope, date: float
) -> list[tuple[str, str]]:
    """The headers that sign a request, to be added to ``headers``, which have ``Host``.

    ``target`` is the path with its query as it is sent, ``date`` the time in seconds since 1970 UTC.
    """
    moment = f"{datetime.fromtimestamp(date, UTC):%Y%m%dT%H%M%SZ}"
    digest = hashlib.sha256(body).hexdigest()
    added = [("X-Amz-Date", moment)]
    if scope.session_token:
        added.append(("X-Amz-Security-Token", scope.session_token))
    if scope.service == "s3":
        added.append(("X-Amz-Content-Sha256", digest))
    canonical, names = _canonical(method, target, [*headers, *added], digest, scope.service)
    day = moment[:8]
    where = f"{day}/{scope.region}/{scope.service}/aws4_request"
    to_sign = "\n".join((ALGORITHM, moment, where, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{scope.secret_access_key}".encode()
    for step in (day, scope.region, scope.service, "aws4_request"):
        key = hmac.digest(key, step.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    said = (
        f"{ALGORITHM} Credential={scope.access_key_id}/{where}, SignedHeaders={names}, Signature={signature}"
    )
    return [*added, ("Authorization", said)]


def _canonical(
    method: str, target: str, headers: Sequence[tuple[str, str]], digest: str, service: str
) -> tuple[str, str]:
    """The canonical request, and the names of the headers in it."""
    path, _, query = target.partition("?")
    values: dict[str, list[str]] = {}
    for name, value in headers:
        low = name.lower()
        if low in _SIGNED or low.startswith("x-amz-"):
            values.setdefault(low, []).append(" ".join(value.split()))
    lines = "".join(f"{name}:{','.join(values[name])}\n" for name in sorted(values))
    names = ";".join(sorted(values))
    return "\n".join((method, _path(path, service), _query(query), lines, names, digest)), names


def _path(path: str, service: str) -> str:
    """S3 takes the path as it is sent; the others without dots and empty segments, and encoded once more."""
    if service == "s3":
        return path or "/"
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            kept[-1:] = []
        elif segment not in ("", "."):
            kept.append(segment)
    end = "/" if kept and path.endswith("/") else ""
    return quote("/" + "/".join(kept) + end, safe="/~")


def _query(query: str) -> str:
    pairs = [each.partition("=") for each in query.split("&") if each]
    return "&".join(f"{name}={value}" for name, value in sorted((_again(n), _again(v)) for n, _, v in pairs))


def _again(text: str) -> str:
    """A name or value as the canonical form encodes it, whatever the sender left as it was."""
    return quote(unquote(text, errors="surrogateescape"), safe="-_.~", errors="surrogateescape")

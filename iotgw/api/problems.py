"""Errors as ``application/problem+json`` (RFC 9457). Whatever goes wrong, a client sees this and no traceback."""

from __future__ import annotations

import errno
import re
import secrets
from typing import Any

import msgspec
from twisted.logger import Logger
from twisted.python.failure import Failure
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from iotgw.core.errors import (
    Conflict,
    NoSpace,
    NotFound,
    SettingsError,
    StillReferenced,
    TooMany,
    Unavailable,
)
from iotgw.core.numbers import whole
from iotgw.core.redaction import problem_text
from iotgw.core.secrets import SECRET_NAME

_log = Logger(namespace="iotgw.api")

TITLES = {
    400: "The request is malformed",
    401: "Authentication is required",
    403: "The token's role does not allow this",
    404: "There is no such thing",
    405: "The method is not allowed here",
    409: "The state does not allow this",
    412: "The resource has changed meanwhile",
    413: "The body is too large",
    414: "The target is too long",
    415: "The body's type is not supported",
    422: "A value is wrong",
    429: "Too many requests",
    431: "The headers are too long",
    500: "The gateway failed",
    501: "This gateway has no such part",
    503: "Not now",
    507: "There is no room on the disk",
}


class Problem(Exception):
    """An answer other than success.

    ``detail`` is one line for a person, ``headers`` go into the response, ``more`` are further members.
    """

    def __init__(
        self, status: int, detail: str = "", headers: dict[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.more = more

    def body(self) -> bytes:
        """The JSON text."""
        title = TITLES.get(self.status, "The request failed")
        members = {"type": "about:blank", "title": title, "status": self.status}
        if self.detail:
            members["detail"] = self.detail
        return msgspec.json.encode({**members, **self.more}) + b"\n"


_SECRET_PLACE = re.compile(rf"{SECRET_NAME.pattern}|^headers|url$|uri$", re.IGNORECASE)
"""Names of fields whose values are not repeated here: secrets, and what often holds one."""


def wrong_value(path: str, problem: str, body: Any = None, is_secret: bool = False) -> Problem:
    """422 that names the field, what was expected, and the value that came, where it is short, plain and no secret."""
    error: dict[str, Any] = {"path": path, "problem": problem}
    value = _at(body, path)
    is_secret = is_secret or any(_SECRET_PLACE.search(part) for part in re.split(r"[.\[]", path))
    is_plain = isinstance(value, str | int | float | bool) and len(str(value)) <= 100
    if not is_secret and is_plain and problem_text(str(value)) == str(value):
        error["value"] = value
    return Problem(422, f"{path}: {problem}" if path else problem, errors=[error])


def from_failure(failure: Failure, body: Any = None) -> Problem:
    """The problem that a client sees for a failure. An unforeseen failure is logged, and gets a reference."""
    problem = _foreseen(failure.value, body)
    if problem is None:
        reference = secrets.token_hex(4)
        _log.failure("a request failed (reference {reference})", failure, reference=reference)
        problem = Problem(500, f"the log has the reason under reference {reference}", reference=reference)
    return problem


def _foreseen(error: BaseException | None, body: Any) -> Problem | None:  # noqa: PLR0911
    match error:
        case Problem():
            return error
        case SettingsError():
            return wrong_value(error.path, error.problem, body, error.is_secret)
        case NotFound():
            return Problem(404, str(error))
        case StillReferenced():
            return Problem(409, str(error))
        case Conflict():
            return Problem(409, str(error))
        case Unavailable():
            seconds = max(1, round(error.retry_after))
            return Problem(503, str(error), {"Retry-After": str(seconds)})
        case TooMany():
            seconds = max(1, round(error.retry_after))
            return Problem(429, str(error), {"Retry-After": str(seconds)})
        case MethodNotAllowed():
            allowed = ", ".join(sorted(error.valid_methods or ()))
            return Problem(405, f"allowed here: {allowed}", {"Allow": allowed})
        case HTTPException():
            return Problem(error.code or 400, "no such path" if error.code == 404 else error.name)
        case NoSpace():
            return Problem(507, str(error))
        case OSError() if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return Problem(507, f"nothing was changed: {error.strerror}")
        case OSError() if error.errno in (errno.EMFILE, errno.ENFILE):
            return Problem(
                503, f"too many files and connections are open: {error.strerror}", {"Retry-After": "5"}
            )
        case NotImplementedError():
            return Problem(501, str(error))
    return None


def _at(body: Any, path: str) -> Any:
    """The value at a path like ``configuration.headers[0]``; None when there is none."""
    for part in path.replace("[", ".").replace("]", "").split(".") if path else ():
        if isinstance(body, dict):
            body = body.get(part)
        elif isinstance(body, list) and (place := whole(part, 0, len(body) - 1)) is not None:
            body = body[place]
        else:
            return None
    return body

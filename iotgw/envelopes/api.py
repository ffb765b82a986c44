"""A platform's API for downlinks, without I/O: what to call, and what its answers mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from iotgw.core.model import Downlink, Metadata

Means = Literal["accepted", "refused", "lost", "later", "denied"]
"""What an answer says of a downlink. ``accepted``: the network has it. ``refused``: it would refuse it again. ``lost``: this
try failed, and counts. ``later``: the platform takes nothing now, which is not the item's fault. ``denied``: it doesn't know
who calls."""


class ApiCall(Struct, frozen=True):
    """A request. ``url`` is absolute, ``headers`` are without Host and Content-Length."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class ApiAnswer(Struct, frozen=True):
    """A response; header names are in lower case."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Ruling(Struct, frozen=True):
    """What an answer says of a downlink, why in one line, and what the network calls the downlink, if it said so."""

    means: Means
    reason: str = ""
    network: str = ""


class ApiToken(Struct, frozen=True):
    """What a login gave: a header that goes with each call, and for how many seconds it counts."""

    header: str
    value: str
    seconds: float


ApiSettings = Mapping[str, str]
"""What a user said of the API, by the names that the platform's preset has."""


class PlatformApi:
    """Base of a platform's API."""

    needs: tuple[str, ...] = ()
    """What a user must say."""
    logs_in = False
    """Whether calls need a token from `login`."""

    def call(self, item: Downlink, uplink: Metadata, settings: ApiSettings, now_ms: int) -> ApiCall:
        """The call that hands a downlink to the network, for the device whose last uplink had the metadata ``uplink``; raises
        ValueError, with a reason in one line, for one that it never takes."""
        raise NotImplementedError

    def judge(self, answer: ApiAnswer, uplink: Metadata) -> Ruling:
        """What an answer means, to a call for the device whose last uplink had the metadata ``uplink``. Never raises."""
        raise NotImplementedError

    def login(self, settings: ApiSettings) -> ApiCall:
        """The call that gives a token; raises ValueError."""
        raise NotImplementedError

    def token(self, answer: ApiAnswer, now_ms: int) -> ApiToken | str:
        """The token in a login's answer, or why there is none. Never raises."""
        raise NotImplementedError


def usual(status: int) -> Means:
    """What a status means where a platform says nothing else."""
    if 200 <= status < 300:
        return "accepted"
    if status in (401, 403, 407):
        return "denied"
    if status in (408, 425, 429, 502, 503, 504):
        return "later"
    return "lost" if status >= 500 and status != 501 else "refused"


def is_error(body: Any) -> bool:
    """Whether the body of an answer says that the call failed, whatever the status says: it has an ``error``, or no ``success``."""
    return isinstance(body, dict) and (
        bool(body.get("error") or body.get("errors")) or False in (body.get("success"), body.get("ok"))
    )


def said(body: Any) -> str:
    """What the body of a refusal says to people, as far as one can tell; empty if it says nothing."""
    for name in (
        "message",
        "error_msg",
        "errorMessage",
        "error_description",
        "detail",
        "error",
        "errors",
        "description",
        "title",
        "code",
    ):
        found = body.get(name) if isinstance(body, dict) else None
        while isinstance(found, list) and found:
            found = found[0]
        if isinstance(found, dict):
            found = said(found)
        if isinstance(found, str | int) and not isinstance(found, bool) and str(found).strip():
            return " ".join(str(found).split())[:200]
    return " ".join(body.split())[:200] if isinstance(body, str) else ""

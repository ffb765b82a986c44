"""Headers and query parameters of a request that carry secrets. They never enter a message's metadata, which is stored
and shown."""

from __future__ import annotations

import re

_HEADER = re.compile(
    r"pass(word|phrase|wd)?$|secret|token$|auth|cookie|psk$|key$|credential|jwt|session|signature|^x-forwarded-client-cert$",
    re.IGNORECASE,
)
_PARAMETER = re.compile(
    r"pass(word|phrase|wd)?$|secret|token$|authorization|credential|(^|[_-])(api|access|private|shared)?[_-]?key$"
    r"|(api|access|private|shared)key$|signature|^sig$|^jwt$|session",
    re.IGNORECASE,
)


def is_secret_header(name: str) -> bool:
    """Whether a header by this name carries a secret: ``X-Downlink-Apikey``, ``X-Auth-Token``, ``Cookie``, …"""
    return _HEADER.search(name) is not None


def is_secret_parameter(name: str) -> bool:
    """Whether a query parameter by this name carries a secret: ``access_token``, ``apikey``, ``sig``, …"""
    return _PARAMETER.search(name) is not None

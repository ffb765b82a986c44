"""What a check of an HTTP target says: how far a request that delivers nothing came, and what could not be tried by it."""

from __future__ import annotations

from typing import Any

from iotgw.connect.http_probe import Probed

UNKNOWN = {400, 404, 405, 406, 411, 415, 500, 501}
"""How servers answer that don't know OPTIONS, at least there (RFC 9110 §9.3.7)."""
ASKS = {401, 407}
"""The credentials were looked at, and are refused or missing."""


def judged(probed: Probed, brings: str, method: str, is_constant: bool) -> dict[str, Any]:
    """The answer of `iotgw.core.ports.integrations.IIntegration.check`. ``brings`` are the credentials in words, empty where there
    are none; ``is_constant`` is whether all messages have one URL."""
    if not probed.connection:
        return {"ok": False, "detail": probed.reason, "untried": []}
    untried = [f"delivering by {method}"]
    if not is_constant:
        untried.append("the URL, which is another for each message")
    response = probed.response
    if response is None and not probed.is_over:
        return {"ok": False, "detail": f"{probed.connection}, but {probed.reason}", "untried": untried}
    if response is None:
        said = "the server closes the connection on OPTIONS"
    else:
        said = f"HTTP {response.status} to OPTIONS"
    status = response.status if response is not None else 0
    is_good = status < 500 or status in UNKNOWN
    if status in ASKS:
        is_good, said = False, f"{said}: {brings} refused" if brings else f"{said}: it asks for credentials"
    elif status == 403:
        said = f"{said}, which it may forbid to everybody"
    elif status in UNKNOWN or not status:
        said = f"{said}, which it seems not to know"
    if brings and is_good:
        untried.append("whether the credentials are accepted")
    return {"ok": is_good, "detail": f"{probed.connection}; {said}", "untried": untried}

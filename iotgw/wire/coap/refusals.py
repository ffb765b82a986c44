"""Which error responses are final: the same request would get them again. The others may be gone later."""

from __future__ import annotations

from typing import Final

from iotgw.wire.coap import numbers as n

CONFLICT: Final = 137
BAD_GATEWAY: Final = 162
GATEWAY_TIMEOUT: Final = 164

TEMPORARY: dict[int, str] = {
    n.REQUEST_ENTITY_INCOMPLETE: "blocks were lost, or forgotten too early (RFC 7959 §2.9.2)",
    CONFLICT: "the state of the resource forbids it now (RFC 8132 §2.4)",
    n.TOO_MANY_REQUESTS: "later (RFC 8516)",
    n.INTERNAL_SERVER_ERROR: "a fault of the peer (RFC 7252 §5.9.3.1)",
    BAD_GATEWAY: "a fault behind the peer (RFC 7252 §5.9.3.3)",
    n.SERVICE_UNAVAILABLE: "later (RFC 7252 §5.9.3.4)",
    GATEWAY_TIMEOUT: "nobody answered behind the peer (RFC 7252 §5.9.3.5)",
}
"""Error codes after which a request may be repeated as it is, and why."""

_KNOWN_SERVER_ERRORS = frozenset((n.NOT_IMPLEMENTED, n.PROXYING_NOT_SUPPORTED, 168))  # 5.08 Hop Limit Reached


def is_final(code: int) -> bool:
    """Whether an error would come again: that of class 4 unless it is `TEMPORARY`, and of class 5 only what names
    something that the peer doesn't have. Unknown codes count as the first of their class (RFC 7252 §5.9)."""
    if code in TEMPORARY:
        return False
    return code < n.INTERNAL_SERVER_ERROR or code in _KNOWN_SERVER_ERRORS

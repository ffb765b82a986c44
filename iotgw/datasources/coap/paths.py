"""The paths that a CoAP datasource serves without a routing key: those that a device's firmware has burnt in.

A path is written as in a URI: ``m``, ``api/v1/*/telemetry`` where ``*`` is any one segment, ``data/**`` with all below
it, and ``/`` for requests without a path.
"""

from __future__ import annotations

from iotgw.core.needs import ANY_SEGMENT, REST
from iotgw.wire.coap.site import Path

_MOST_SEGMENTS = 16
_MOST_BYTES = 255
"""Of a segment (RFC 7252 §5.10)."""


def parse_fixed(text: str) -> Path:
    """A fixed path as segments, of which the last may be ``**``; raises ValueError for what can't be served."""
    path = tuple(text.removeprefix("/").split("/")) if text != "/" else ()
    if text in ("", "//") or "" in path:
        raise ValueError(
            f"path {text!r}: expected segments between slashes, or '/' for requests without a path"
        )
    if len(path) > _MOST_SEGMENTS or any(len(segment.encode()) > _MOST_BYTES for segment in path):
        raise ValueError(
            f"path {text!r}: expected at most {_MOST_SEGMENTS} segments of at most {_MOST_BYTES} bytes"
        )
    if {".", ".."} & set(path):
        raise ValueError(f"path {text!r}: '.' and '..' are no segments (RFC 7252 §5.10.1)")
    if REST in path[:-1] or (path[-1:] == (REST,) and ANY_SEGMENT in path):
        raise ValueError(f"path {text!r}: expected '**' at the end only, and no '*' beside it")
    if path[:1] in ((ANY_SEGMENT,), (REST,)):
        raise ValueError(f"path {text!r}: expected a first segment without '*'")
    if path[:1] == ("i",) and len(path) > 1:
        raise ValueError(f"path {text!r}: what is below 'i' belongs to routing keys")
    if path[:1] == (".well-known",):
        raise ValueError(f"path {text!r}: '.well-known' belongs to discovery")
    return path

"""The numbers of CoAP by name: message types, codes, options, content formats (IANA CoRE parameters)."""

from __future__ import annotations

from typing import Final, NamedTuple

# --- message types (RFC 7252 §3) ------------------------------------------------------------------
CON: Final = 0
NON: Final = 1
ACK: Final = 2
RST: Final = 3
TYPE_NAMES = ("CON", "NON", "ACK", "RST")

# --- codes (RFC 7252 §12.1, RFC 8132, RFC 7959 §6, RFC 8516) --------------------------------------
EMPTY: Final = 0
GET: Final = 1
POST: Final = 2
PUT: Final = 3
DELETE: Final = 4
FETCH: Final = 5
PATCH: Final = 6
IPATCH: Final = 7
METHOD_NAMES = {
    GET: "GET",
    POST: "POST",
    PUT: "PUT",
    DELETE: "DELETE",
    FETCH: "FETCH",
    PATCH: "PATCH",
    IPATCH: "iPATCH",
}

CREATED: Final = 65
DELETED: Final = 66
VALID: Final = 67
CHANGED: Final = 68
CONTENT: Final = 69
CONTINUE: Final = 95

BAD_REQUEST: Final = 128
UNAUTHORIZED: Final = 129
BAD_OPTION: Final = 130
FORBIDDEN: Final = 131
NOT_FOUND: Final = 132
METHOD_NOT_ALLOWED: Final = 133
NOT_ACCEPTABLE: Final = 134
REQUEST_ENTITY_INCOMPLETE: Final = 136
PRECONDITION_FAILED: Final = 140
REQUEST_ENTITY_TOO_LARGE: Final = 141
UNSUPPORTED_CONTENT_FORMAT: Final = 143
TOO_MANY_REQUESTS: Final = 157

INTERNAL_SERVER_ERROR: Final = 160
NOT_IMPLEMENTED: Final = 161
SERVICE_UNAVAILABLE: Final = 163
PROXYING_NOT_SUPPORTED: Final = 165


def dotted(code: int) -> str:
    """A code as people write it: ``69`` is ``"2.05"``."""
    return f"{code >> 5}.{code & 31:02d}"


# --- options (RFC 7252 §5.10, RFC 7641, 7959, 7967, 8768, 9175) -----------------------------------
IF_MATCH: Final = 1
URI_HOST: Final = 3
ETAG: Final = 4
IF_NONE_MATCH: Final = 5
OBSERVE: Final = 6
URI_PORT: Final = 7
LOCATION_PATH: Final = 8
URI_PATH: Final = 11
CONTENT_FORMAT: Final = 12
MAX_AGE: Final = 14
URI_QUERY: Final = 15
HOP_LIMIT: Final = 16
ACCEPT: Final = 17
LOCATION_QUERY: Final = 20
BLOCK2: Final = 23
BLOCK1: Final = 27
SIZE2: Final = 28
PROXY_URI: Final = 35
PROXY_SCHEME: Final = 39
SIZE1: Final = 60
ECHO: Final = 252
NO_RESPONSE: Final = 258
REQUEST_TAG: Final = 292


class OptionFormat(NamedTuple):
    """What the registry says of an option: its name, how it is written, and its length in bytes."""

    name: str
    kind: str  # "uint", "string", "opaque" or "empty"
    shortest: int
    longest: int
    repeatable: bool = False


OPTIONS: dict[int, OptionFormat] = {
    IF_MATCH: OptionFormat("If-Match", "opaque", 0, 8, True),
    URI_HOST: OptionFormat("Uri-Host", "string", 1, 255),
    ETAG: OptionFormat("ETag", "opaque", 1, 8, True),
    IF_NONE_MATCH: OptionFormat("If-None-Match", "empty", 0, 0),
    OBSERVE: OptionFormat("Observe", "uint", 0, 3),
    URI_PORT: OptionFormat("Uri-Port", "uint", 0, 2),
    LOCATION_PATH: OptionFormat("Location-Path", "string", 0, 255, True),
    URI_PATH: OptionFormat("Uri-Path", "string", 0, 255, True),
    CONTENT_FORMAT: OptionFormat("Content-Format", "uint", 0, 2),
    MAX_AGE: OptionFormat("Max-Age", "uint", 0, 4),
    URI_QUERY: OptionFormat("Uri-Query", "string", 0, 255, True),
    HOP_LIMIT: OptionFormat("Hop-Limit", "uint", 0, 1),
    ACCEPT: OptionFormat("Accept", "uint", 0, 2),
    LOCATION_QUERY: OptionFormat("Location-Query", "string", 0, 255, True),
    BLOCK2: OptionFormat("Block2", "uint", 0, 3),
    BLOCK1: OptionFormat("Block1", "uint", 0, 3),
    SIZE2: OptionFormat("Size2", "uint", 0, 4),
    PROXY_URI: OptionFormat("Proxy-Uri", "string", 1, 1034),
    PROXY_SCHEME: OptionFormat("Proxy-Scheme", "string", 1, 255),
    SIZE1: OptionFormat("Size1", "uint", 0, 4),
    ECHO: OptionFormat("Echo", "opaque", 1, 40),
    NO_RESPONSE: OptionFormat("No-Response", "uint", 0, 1),
    REQUEST_TAG: OptionFormat("Request-Tag", "opaque", 0, 8, True),
}


LOCATIONS: Final = frozenset((LOCATION_PATH, LOCATION_QUERY))
RESERVED_LOCATIONS: Final = frozenset((128, 132, 136, 140))
"""Reserved for parts of a location that are yet to be defined. They are elective by number, but beside Location-Path or
Location-Query a server that doesn't know them refuses the message (RFC 7252 §5.10.7)."""


def is_critical(option: int) -> bool:
    """Whether a receiver that does not know the option must refuse the message (RFC 7252 §5.4.6)."""
    return bool(option & 1)


def is_no_cache_key(option: int) -> bool:
    """Whether the option is left out when two requests are compared (RFC 7252 §5.4.6)."""
    return option & 0x1E == 0x1C


# --- content formats (RFC 7252 §12.3 and the registry) --------------------------------------------
TEXT_PLAIN: Final = 0
LINK_FORMAT: Final = 40
OCTET_STREAM: Final = 42
JSON: Final = 50
CBOR: Final = 60

CONTENT_FORMATS: dict[int, str] = {
    TEXT_PLAIN: "text/plain;charset=utf-8",
    LINK_FORMAT: "application/link-format",
    41: "application/xml",
    OCTET_STREAM: "application/octet-stream",
    47: "application/exi",
    JSON: "application/json",
    51: "application/json-patch+json",
    52: "application/merge-patch+json",
    CBOR: "application/cbor",
    61: "application/cwt",
    62: "application/multipart-core",
    63: "application/cbor-seq",
    110: "application/senml+json",
    111: "application/sensml+json",
    112: "application/senml+cbor",
    113: "application/sensml+cbor",
    310: "application/senml+xml",
    11542: "application/vnd.oma.lwm2m+tlv",
    11543: "application/vnd.oma.lwm2m+json",
    11544: "application/vnd.oma.lwm2m+cbor",
}

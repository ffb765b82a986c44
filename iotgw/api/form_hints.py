"""What a form needs to know of a setting beside its type: a title, a unit, a group, whether it is for the advanced, an example.

A setting says it itself, in its `msgspec.Meta`: ``title``, ``examples``, and ``x-unit``, ``x-group``, ``x-advanced`` in ``extra_json_schema``. What it doesn't say follows from how settings are
named and described here: durations are seconds, sizes bytes, a name is words, and limits and times have good defaults.
"""

from __future__ import annotations

import re
from typing import Any

_WORD = re.compile(r"(?i:lwm2m|x509|oauth2|s26)|[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_SHORT = {
    "tls": "TLS", "dtls": "DTLS", "url": "URL", "id": "ID", "qos": "QoS", "ca": "CA", "mqtt": "MQTT", "http": "HTTP", "udp": "UDP", "tcp": "TCP",
    "mtu": "MTU", "ttd": "TTD", "pem": "PEM", "csv": "CSV", "ip": "IP", "aws": "AWS", "sasl": "SASL", "rpc": "RPC", "api": "API", "pgp": "PGP",
    "edrx": "eDRX", "psm": "PSM", "lwm2m": "LwM2M", "fport": "FPort", "cid": "CID", "json": "JSON", "x509": "X.509", "oauth2": "OAuth 2",
    "s26": "S26", "rssi": "RSSI", "snr": "SNR", "psk": "PSK", "uri": "URI", "bom": "BOM", "alpn": "ALPN", "crc": "CRC", "crlf": "CRLF", "ack": "ACK",
}  # fmt: skip
_SAID_UNIT = (
    (re.compile(r"^milliseconds", re.IGNORECASE), "ms"),
    (re.compile(r"^(most |the )?seconds", re.IGNORECASE), "s"),
    (re.compile(r"^(the |most |longest |largest )?(\w+ )?(in )?bytes|\bin bytes\b", re.IGNORECASE), "B"),
    (re.compile(r"^bytes", re.IGNORECASE), "B"),
)
_SIZE = re.compile(r"^(largest|maxBody|maxBytes|maxPayload|maxDatagram|mtu)$")
_ACCESS = re.compile(
    r"^(auth|sasl|tls|dtls|security|username|password|token|secret\w*|\w*Secret|\w*Key|\w*Token|access\w*|pem|keystore|x509|certificate\w*|credentials?"
    r"|identity\w*|proof|allow|speaksFor|headersFilter|hostKeys?|trusted\w*|ca\w*)$"
)
_LIMIT = re.compile(r"^(max\w*|least\w*|largest|longest\w*|limit|\w*Limit|rate\w*|window|\w*Window\w*|concurrency|connections|batch\w*|cache\w*|queue\w*|prefetch|requests"
                    r"|receiveMaximum|atOnce|beyondLimit|overflow|deadLetters|retry)$")  # fmt: skip
_RARE = re.compile(
    r"^(query|fields|file|signature|proxy|compress|gzip|successCodes|answer|keepResponse|headersFilter|parametersFilter|methods|bodies|crossSite|replaceNoContentToOk|split"
    r"|profile|preset|custom|converterGets|gatherWith|answersReachDevice|downlinkApi|proxyProtocol|trustedProxies|heartbeat)$"
)
"""What most do without; it stands among what is for the advanced."""
_PEOPLE = ("name", "type", "description", "enabled")
_EXAMPLE = re.compile(r"(?:such as|for example) `([^`]+)`")


def title(name: str) -> str:
    """A setting's name in words: ``maxConnectionsPerAddress`` is "Max connections per address"."""
    words = [_SHORT.get(word.lower(), word.lower()) for word in _WORD.findall(name)]
    text = " ".join(words) or name
    return text[:1].upper() + text[1:] if words and words[0] != "eDRX" else text


def describe(components: dict[str, Any]) -> None:
    """Complete the properties of all schemas in place."""
    for component in components.values():
        for name, schema in component.get("properties", {}).items():
            _complete(name, schema, name in component.get("required", ()))


def _complete(name: str, schema: dict[str, Any], is_required: bool) -> None:
    schema.setdefault("title", title(name))
    if (
        "enum" in schema and len(schema["enum"]) == 1 and "description" not in schema
    ):  # what tells kinds apart
        schema["description"] = f"Which kind this is: `{schema['enum'][0]}`."
    text = schema.get("description", "")
    unit = schema.get("x-unit")
    if unit is None and (unit := _unit(name, schema, text)):
        schema["x-unit"] = unit
    group = schema.setdefault("x-group", _group(name, unit or ""))
    is_rare = group in ("limits", "times") or _RARE.match(name) is not None
    schema.setdefault("x-advanced", is_rare and not is_required)
    if "examples" not in schema and (found := _EXAMPLE.search(text)) and "string" in _types(schema):
        schema["examples"] = [found[1]]


def _types(schema: dict[str, Any]) -> set[str]:
    said = schema.get("type")
    return {said} if said else {each.get("type", "") for each in schema.get("anyOf", ())}


def _unit(name: str, schema: dict[str, Any], text: str) -> str:
    types = _types(schema)
    if not types & {"number", "integer"}:
        return ""
    if _SIZE.match(name):
        return "B"
    said = next((unit for form, unit in _SAID_UNIT if form.search(text)), "")
    return said or ("s" if "number" in types else "")


def _group(name: str, unit: str) -> str:
    if name in _PEOPLE:
        return "general"
    if _ACCESS.match(name):
        return "access"
    if unit in ("s", "ms"):
        return "times"
    return "limits" if _LIMIT.match(name) else "settings"

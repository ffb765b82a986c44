"""A network server's JSON where a device's bytes should be: which network's it is, and which preset opens it.

A decoder for LoRaWAN reads any bytes. Given the text of an envelope, it makes values of it that look like measurements,
so a message of this kind has to fail. Each network is told by keys that no device sends together.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Struct

_decode = msgspec.json.Decoder().decode
LONGEST = 1 << 20
"""Bytes of the longest envelope that is looked at."""


class Network(Struct, frozen=True):
    """A network server: ``keys`` are paths that its uplinks have, all of them."""

    title: str
    preset: str
    keys: tuple[str, ...]


NETWORKS = (
    Network("The Things Stack", "the-things-stack", ("end_device_ids", "uplink_message")),
    Network("ChirpStack v4", "chirpstack", ("deviceInfo.devEui", "fCnt")),
    Network("ChirpStack v4", "chirpstack", ("deviceInfo.devEui", "data")),
    Network("ChirpStack v3", "chirpstack-v3", ("applicationID", "devEUI", "data")),
    Network("ChirpStack v3", "chirpstack-v3", ("applicationID", "devEUI", "objectJSON")),
    Network("LORIOT", "loriot", ("cmd", "EUI")),
    Network("ThingPark", "thingpark", ("DevEUI_uplink",)),
    Network("Helium", "helium", ("dev_eui", "fcnt", "reported_at")),
    Network("Everynet", "everynet", ("meta.device", "params.payload")),
    Network("Netmore", "netmore", ("devEui", "fPort", "payload")),
    Network("The Things Network v2", "the-things-stack", ("hardware_serial", "payload_raw")),
)
_KPN = Network("KPN Things", "kpn-things", ())

_READS = re.compile(
    r"\bJSON\s*\.\s*parse\s*\(\s*(?!JSON\b)|\bdecodeToJson\b|\bconsume\s*\((?![\s\S]*\bpayloadHex\b)"
)


def reads_documents(script: str) -> bool:
    """Whether a script may open an envelope by itself: it parses JSON, or takes what akenza has parsed."""
    return _READS.search(script) is not None


def network_of(payload: bytes) -> Network | None:
    """The network whose uplink a payload is; None for a device's own bytes, whatever they look like."""
    if payload[:1] not in (b"{", b"[") or len(payload) > LONGEST:
        return None
    try:
        document = _decode(payload)
    except (msgspec.DecodeError, RecursionError):
        return None
    if isinstance(document, list):
        first = document[0] if document else None
        if not isinstance(first, dict):
            return None
        if isinstance(first.get("bn"), str) and first["bn"].startswith("urn:dev:DEVEUI:"):
            return _KPN
        document = first
    return next((network for network in NETWORKS if all(_has(document, key) for key in network.keys)), None)


def _has(document: Any, path: str) -> bool:
    for name in path.split("."):
        if not isinstance(document, dict) or name not in document:
            return False
        document = document[name]
    return True


def advice(network: Network) -> str:
    """What its owner should do about a message in an envelope."""
    return (
        f"the payload is an uplink of {network.title} as JSON, not what the device sent: set `preset` to {network.preset} "
        "at the datasource, which opens it, or use a converter that reads this JSON"
    )

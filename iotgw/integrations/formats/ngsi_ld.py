"""NGSI-LD (ETSI GS CIM 009), FIWARE's: an entity per device, with a property per key. An entity has one value of each; for all times of a message there
is ``split: reading``.
"""

from __future__ import annotations

from itertools import chain
from typing import Any
from urllib.parse import quote

import msgspec

from iotgw.core.model import TelemetryRecord
from iotgw.integrations.formats.readings import NothingToSay, is_number, iso, names_of, only, readings

CONTENT_TYPE = "application/ld+json"
CONTEXT = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context.jsonld"
NAME = r"A-Za-z0-9_"
RESERVED = frozenset(("id", "type", "scope", "location", "observationSpace", "operationSpace"))
"""Members of an entity that are no properties of ours."""
_encode = msgspec.json.Encoder().encode


def ngsi_ld(record: TelemetryRecord) -> bytes:
    """An entity. Raises NothingToSay."""
    found, attributes = readings(record)
    kind = _name(record.device_type or "Device", "T_")
    entity: dict[str, Any] = {"id": f"urn:ngsi-ld:{kind}:{quote(record.device_name, safe='')}", "type": kind}
    names = names_of(chain(attributes, *(values for _, values in found)), _property)
    for key, value in attributes.items():
        entity[names[key]] = {"type": "Property", "value": value}
    for ts, values in found:
        at = iso(ts)
        for key, value in values.items():
            entity[names[key]] = {"type": "Property", "value": value, "observedAt": at}
        place = values.get("longitude"), values.get("latitude")
        if all(map(is_number, place)):
            entity["location"] = {
                "type": "GeoProperty", "value": {"type": "Point", "coordinates": list(place)}, "observedAt": at,
            }  # fmt: skip
    if len(entity) == 2:
        raise NothingToSay("it has no values")
    entity["@context"] = CONTEXT
    return _encode(entity)


def _name(text: str, front: str = "p_") -> str:
    """A name: letters, digits and ``_``, beginning with a letter (§4.6.2), with ``front`` if it has to be."""
    made = only(NAME, text)
    return made if made[:1].isalpha() else front + made


def _property(key: str) -> str:
    made = _name(key)
    return f"{made}_" if made in RESERVED else made

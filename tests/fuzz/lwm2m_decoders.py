"""What LwM2M devices send, and the models that users save for them."""

from __future__ import annotations

import json
from pathlib import Path

from iotgw.datasources.lwm2m import shaping
from iotgw.datasources.lwm2m.profile import Lwm2mProfile, ProfilePlan
from iotgw.datasources.lwm2m.registering import LONGEST_LINKS
from iotgw.datasources.lwm2m.registration import said
from iotgw.wire.lwm2m import formats, links, model_xml, senml
from iotgw.wire.lwm2m.links import Objects
from iotgw.wire.lwm2m.models import Models
from iotgw.wire.lwm2m.paths import ROOT
from iotgw.wire.lwm2m.paths import Path as LwmPath
from iotgw.wire.lwm2m.values import CodecError
from tests.fuzz.decoders import Decoder

DATA = Path(__file__).parents[1] / "data"
NOW = 1_780_000_000.0
LARGEST_BODY = 8 << 10
"""Bytes of a device's notification that are still read within the time of one input; block-wise ones may be longer."""
PLAN = ProfilePlan(Lwm2mProfile(), Models())
OBJECTS = Objects({3: [0], 3303: [0, 1], 3442: [0]}, {3: "1.2"})


def lwm2m_decoders() -> list[Decoder]:
    """All of them."""
    return [
        Decoder("lwm2m links", lambda data: links.objects_of(links.parse(data)), _recorded("40"), (CodecError,), longest=LONGEST_LINKS),
        Decoder("lwm2m registration", _queries, [b"ep=urn:imei:1&lt=300&lwm2m=1.1&b=UQ&Q", b"lt=86400"], (CodecError,), longest=4096),
        _format(formats.TLV, (3, 0)),
        _format(formats.OLD_TLV, (3,)),
        _format(formats.OMA_JSON, (3, 0)),
        _format(formats.SENML_JSON, ROOT),
        _format(formats.SENML_CBOR, ROOT),
        _format(formats.TEXT, (3303, 0, 5700)),
        _format(formats.CBOR, (3, 0, 9)),
        Decoder("lwm2m senml paths", lambda data: senml.decode_paths(data, is_cbor=data[:1] != b"["), [b'[{"n":"/3/0"},{"n":"/3303"}]'], (CodecError,)),
        Decoder("lwm2m model", model_xml.models_of, [(DATA / "lwm2m_3442.xml").read_bytes()], (CodecError,), weight=20),
    ]  # fmt: skip


def _recorded(form: str) -> list[bytes]:
    """What real devices sent in a format."""
    cases = json.loads((DATA / "lwm2m_payloads.json").read_text())
    return [bytes.fromhex(case["hex"]) for case in cases[form]]


def _format(form: int, base: LwmPath) -> Decoder:
    """Values in a Content-Format, as the message that is stored of them."""
    recorded = _recorded(str({formats.OLD_TLV: formats.TLV}.get(form, form)))

    def decode(data: bytes) -> None:
        nodes, why = shaping.read(form, data, base, PLAN, OBJECTS, NOW)
        if why:
            raise CodecError(why)
        body: shaping.Body = {}
        shaping.add_values(body, nodes, PLAN, OBJECTS, NOW)
        shaping.encode(body)

    return Decoder(f"lwm2m format {form}", decode, recorded, (CodecError,), longest=LARGEST_BODY, weight=4)


def _queries(data: bytes) -> object:
    return said(data.decode("utf-8", "replace").split("&"))

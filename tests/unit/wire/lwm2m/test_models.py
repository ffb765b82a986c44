"""Object models: the bundled table, versions, OMA's XML, and XML that nobody may send."""

from __future__ import annotations

from pathlib import Path

import pytest

from iotgw.wire.lwm2m import links
from iotgw.wire.lwm2m.model_xml import MOST_BYTES, models_of
from iotgw.wire.lwm2m.models import Models, ObjectModel, ResourceModel, bundled, number_of, table_of
from iotgw.wire.lwm2m.values import CodecError

DATA = Path(__file__).parents[3] / "data"


def test_the_table_has_the_core_objects_and_ipso_s() -> None:
    models = bundled()
    assert len(models) == 122
    device = models.object(3, "1.2")
    assert device is not None and device.name == "Device"
    assert device.resources[9] == ResourceModel("Battery Level", "integer", "R", False, "/100")
    assert device.resources[4] == ResourceModel("Reboot", None, "E", False, "")
    sensor = models.resource((3303, 0, 5700))
    assert sensor is not None and (sensor.name, sensor.type) == ("Sensor Value", "float")
    assert models.resource((3303, 0)) is None and models.resource((31024, 0, 1)) is None


def test_a_version_that_is_not_known_is_read_by_the_nearest_older_one() -> None:
    models = Models(ObjectModel(9999, version, version, False, {}) for version in ("1.0", "1.1", "1.10"))
    assert [models.object(9999, wanted).version for wanted in ("1.1", "1.2", "1.11", "0.9", "x")] == [  # type: ignore[union-attr]
        "1.1",
        "1.1",
        "1.10",
        "1.0",
        "1.0",
    ]
    assert number_of("1.10") > number_of("1.9")


def test_a_users_model_stands_in_place_of_the_same_version() -> None:
    mine = ObjectModel(3303, "1.1", "Mine", True, {})
    both = bundled().with_these([mine])
    assert both.object(3303, "1.1") == mine
    assert bundled().object(3303, "1.1") != mine
    assert both.object(3303, "1.0") == bundled().object(3303, "1.0")


def test_omas_xml_is_read() -> None:
    (model,) = models_of((DATA / "lwm2m_3442.xml").read_bytes())
    assert (model.id, model.version, model.is_multiple) == (3442, "1.0", True)
    assert model.resources[125].type == "unsigned"
    assert model.resources[1170] == ResourceModel("Multiple ObjLink Value", "objlnk", "RW", True, "")
    again = Models([model])
    assert table_of([model]) == table_of(list(again))  # type: ignore[call-overload]


XML = "<LWM2M><Object><ObjectID>9</ObjectID>{}</Object></LWM2M>"
REFUSED = {
    "no XML": b"{}",
    "cut": b"<LWM2M><Object>",
    "no object": b"<LWM2M/>",
    "an entity": b'<!DOCTYPE a [<!ENTITY b "c">]><LWM2M><Object><Name>&b;</Name></Object></LWM2M>',
    "an outside entity": b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><LWM2M/>',
    "a billion laughs": b'<!DOCTYPE a [<!ENTITY b "' + b"x" * 100 + b'"><!ENTITY c "' + b"&b;" * 100 + b'">]><LWM2M>&c;</LWM2M>',
    "no id": b"<LWM2M><Object><Name>x</Name></Object></LWM2M>",
    "an id of 65536": b"<LWM2M><Object><ObjectID>65536</ObjectID></Object></LWM2M>",
    "an item without id": XML.format("<Resources><Item><Name>x</Name></Item></Resources>").encode(),
    "a type of nobody": XML.format('<Resources><Item ID="1"><Type>Quaternion</Type></Item></Resources>').encode(),
    "many items": XML.format('<Item ID="1"/>' * 4097).encode(),
    "many objects": b"<LWM2M>" + b"<Object><ObjectID>1</ObjectID></Object>" * 101 + b"</LWM2M>",
    "deep": b"<a>" * 1000,
    "large": b" " * (MOST_BYTES + 1),
    "an encoding of nobody": b'<?xml version="1.0" encoding="x-none"?><LWM2M/>',
}  # fmt: skip


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_xml_that_nobody_may_send_is_refused(data: bytes) -> None:
    with pytest.raises(CodecError):
        models_of(data)


def test_a_long_name_is_cut() -> None:
    (model,) = models_of(XML.format(f"<Name>{'x' * 10_000}</Name>").encode())
    assert len(model.name) == 256


@pytest.mark.parametrize(
    ("text", "instances", "versions", "root", "formats"),
    [
        ("</1/0>,</3/0>;ver=1.1", {1: [0], 3: [0]}, {3: "1.1"}, "", []),
        ('</3>;ver="1.1",</3/0>', {3: [0]}, {3: "1.1"}, "", []),
        ("</>;ct=110;ct=112,</3/0>", {3: [0]}, {}, "", [110, 112]),
        ('</lwm2m>;rt="oma.lwm2m";ct=112,</lwm2m/3/0>,</other/5/0>', {3: [0]}, {}, "lwm2m", [112]),
        ("</3/0/9/1>;dim=2,</x/y>,</3/0>", {3: [0]}, {}, "", []),
        (" </3/0> , </3/1>\0", {3: [0, 1]}, {}, "", []),
        ("</3/65535>,</65536/0>,</3/0>", {3: [0]}, {}, "", []),
        ("", {}, {}, "", []),
        ("</3/0>,", {3: [0]}, {}, "", []),
        ('</3/0>;title="a,b;c\\"d";hb,</5/0>', {3: [0], 5: [0]}, {}, "", []),
    ],
)
def test_links_are_read_as_devices_write_them(text, instances, versions, root, formats) -> None:  # type: ignore[no-untyped-def]
    found = links.objects_of(links.parse(text.encode()))
    assert (found.instances, found.versions, found.root, found.formats) == (
        instances,
        versions,
        root,
        formats,
    )


@pytest.mark.parametrize(
    "data",
    [b"3/0", b"</3/0", b"</3/0> </5/0>", b"\xff", b"</3/0>;;", b"</1/0>," * 10_001,
     b"</1>" + b"".join(b";a%d" % number for number in range(40))],
)  # fmt: skip
def test_what_are_no_links_is_refused(data: bytes) -> None:
    with pytest.raises(CodecError):
        links.parse(data)

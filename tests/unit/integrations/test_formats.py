"""The ready formats, against files that were checked by hand, and for whatever a device may send.

`python -m tests.unit.integrations.test_formats` writes the files anew.
"""

import contextlib
import json
import re
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.core.epochs import Epochs
from iotgw.core.model import Kind
from iotgw.core.specs import IntegrationSpec
from iotgw.integrations.facts import RecordNames
from iotgw.integrations.formats import parquet
from iotgw.integrations.formats.readings import NothingToSay, names_of
from iotgw.integrations.formats.table import BODIES, bodies_of
from iotgw.integrations.payload import formatter
from iotgw.testing import telemetry
from iotgw.wire.parquet import UNCOMPRESSED, write

from .http_world import HttpWorld

FOLDER = Path(__file__).parents[2] / "data" / "formats"
NAMES = RecordNames(Epochs("E"), lambda id_: "my source")


def record(seq, *readings, attributes=None, name="tank 3, hall=A", type_="tank level", **more):
    body = {
        "deviceName": name, "deviceType": type_, "attributes": attributes or {},
        "telemetry": [{"ts": ts, "values": values} for ts, values in readings],
    }  # fmt: skip
    return telemetry(seq, name, type_, 1700000000000, json.dumps(body).encode(), **more)


RECORDS = [
    record(
        1, (1700000060500, {"temp C": 21, "label": 'low "oil"', "alarm": False}),
        (1700000000123, {"temp C": 20.5, "none": None, "raw": {"a": [1]}, "latitude": 52.5, "longitude": 13.4}),
        attributes={"fw": "1.2", "9th": True, "type": "x"},
    ),
    record(2, attributes={"fw": "1.3"}, name="SN-2", type_="default"),
    record(3, (1700000000123, {"temp C": -1e-7, "größe": 10**17}), name="übergabe\\", type_="tank level"),
]  # fmt: skip


def made(format_, records, batch):
    is_alone = batch == "none"
    make = formatter(IntegrationSpec(name="i", type="http", format=format_), NAMES, is_alone=is_alone)
    bodies = [make(each) for each in records]
    if batch == "none":
        (body,) = bodies
        return body
    return bodies_of(format_).joined(bodies, batch)


def files():
    for format_ in BODIES:
        yield f"{format_}.one", format_, RECORDS[:1], "none"
        yield (
            f"{format_}.batch",
            format_,
            [RECORDS[0], RECORDS[2]] if format_ == "openmetrics" else RECORDS,
            "array",
        )


@pytest.fixture
def unpacked(monkeypatch):
    """Files of Parquet without compression, whose bytes differ between versions of zlib."""
    monkeypatch.setattr(parquet, "write", partial(write, codec=UNCOMPRESSED))


@pytest.mark.parametrize(("name", "format_", "records", "batch"), [*files()])
def test_a_body_is_that_of_its_file(unpacked, name, format_, records, batch):
    assert made(format_, records, batch) == (FOLDER / name).read_bytes()


@pytest.mark.parametrize("format_", ["line-protocol", "senml", "ngsi-ld", "openmetrics", "parquet"])
def test_a_message_without_values_has_nothing_to_say(format_):
    with pytest.raises(NothingToSay):
        made(format_, [record(1)], "none")


@pytest.mark.parametrize("batch", ["none", "array"])
def test_what_has_nothing_to_say_is_delivered_without_being_sent(batch):
    world = HttpWorld(format="openmetrics", configuration={"batch": batch})
    world.store({"text": "x"}, {"t": 1})
    assert world.accounts() == {"delivered": 2, "waiting": 0, "dead": 0}
    assert len(world.requests) == 1


@pytest.mark.parametrize(
    ("format_", "batch", "media"),
    [
        ("line-protocol", "none", "text/plain; charset=utf-8"),
        ("line-protocol", "ndjson", "text/plain; charset=utf-8"),
        ("senml", "array", "application/senml+json"),
        ("ngsi-ld", "array", "application/ld+json"),
        ("cloudevents", "none", "application/cloudevents+json; charset=utf-8"),
        ("cloudevents", "array", "application/cloudevents-batch+json; charset=utf-8"),
        ("cloudevents", "ndjson", "application/x-ndjson"),
        ("openmetrics", "array", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("parquet", "array", "application/vnd.apache.parquet"),
        ("standard", "array", "application/json"),
        ("standard", "ndjson", "application/x-ndjson"),
    ],
)
def test_the_media_type_is_that_of_the_format(format_, batch, media):
    world = HttpWorld(format=format_, configuration={"batch": batch})
    world.store({"t": 1})
    assert f"Content-Type: {media}\r\n" in world.requests[0][0]


def test_an_event_as_a_cloud_event_has_a_type_of_its_own():
    event = telemetry(1, "", "", 0, b'{"event":"x"}', kind=Kind.EVENT)
    found = json.loads(made("cloudevents", [event], "none"))
    assert found["type"] == "iotgw.event"
    assert "subject" not in found


def test_a_format_that_says_the_latest_only_is_warned_of():
    assert "split: reading" in HttpWorld(format="ngsi-ld").stats()["warnings"][0]
    assert HttpWorld(format="ngsi-ld", split="reading").stats()["warnings"] == []


_text = st.text(max_size=8)
_value = st.one_of(
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
    _text,
    st.just([1]),
)
_readings = st.lists(
    st.tuples(st.integers(-(10**14), 10**16), st.dictionaries(_text, _value, max_size=3)), max_size=3
)
_records = st.lists(
    st.builds(lambda name, type_, readings, attributes: record(1, *readings, attributes=attributes, name=name, type_=type_),
              _text, _text, _readings, st.dictionaries(_text, _value, max_size=2)), min_size=1, max_size=3)  # fmt: skip


def said(format_, records):
    """The bodies of those that have something to say."""
    make = formatter(IntegrationSpec(name="i", type="http", format=format_), NAMES)
    bodies = []
    for each in records:
        with contextlib.suppress(NothingToSay):
            bodies.append(make(each))
    return bodies


_SAMPLE = re.compile(
    r'[a-zA-Z_:][a-zA-Z0-9_:]*\{device="(?:[^"\\\n]|\\.)*",type="(?:[^"\\\n]|\\.)*"\} (\S+) (-?[0-9.e+]+)'
)


@given(_records)
def test_whatever_devices_send_is_openmetrics(records):
    bodies = said("openmetrics", records)
    if not bodies:
        return
    lines = bodies_of("openmetrics").joined(bodies, "array").decode().split("\n")
    assert lines[-2:] == ["# EOF", ""]
    families = [line for line in lines if line.startswith("# TYPE")]
    assert len(families) == len(set(families))
    for line in lines[:-2]:
        if not line.startswith("# TYPE "):
            match = _SAMPLE.fullmatch(line)
            assert match, line
            float(match[1]), float(match[2])


def test_the_samples_of_a_series_stand_together_in_order_whatever_a_device_is_called():
    """As OpenMetrics wants them; a parser that is strict refuses the whole body else."""
    odd = "a\r# TYPE b gauge"
    later, earlier, between = ((ts, {"t": ts}) for ts in (5000, 1000, 3000))
    bodies = said("openmetrics", [record(1, later), record(2, between, name=odd), record(3, earlier)])
    series = '{device="%s",type="tank level"}'
    assert bodies_of("openmetrics").joined(bodies, "array").decode().split("\n") == [
        "# TYPE t gauge",
        f"t{series % 'tank 3, hall=A'} 1000 1",
        f"t{series % 'tank 3, hall=A'} 5000 5",
        f"t{series % odd} 3000 3",
        "# EOF",
        "",
    ]


@given(_records)
def test_whatever_devices_send_is_senml(records):
    bodies = said("senml", records)
    if not bodies:
        return
    base = ""
    for entry in json.loads(bodies_of("senml").joined(bodies, "array")):
        base = entry.get("bn", base)
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9\-:./_]*", base + entry["n"]) or base == ":"
        assert len({"v", "vs", "vb"} & entry.keys()) == 1
        assert all(abs(entry.get(key, 0)) < 2**60 for key in ("t", "bt"))


@given(_records)
def test_whatever_devices_send_is_ngsi_ld(records):
    for body in said("ngsi-ld", records):
        entity = json.loads(body)
        assert re.fullmatch(r"urn:ngsi-ld:[A-Za-z]\w*:[A-Za-z0-9_.~%-]*", entity.pop("id"), re.ASCII)
        assert re.fullmatch(r"[A-Za-z]\w*", entity.pop("type"), re.ASCII)
        entity.pop("@context")
        for name, member in entity.items():
            assert re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII), name
            assert member["type"] in ("Property", "GeoProperty")
            assert member["value"] is not None


def lines_of(text):
    """The lines of a text in line protocol, as InfluxDB 1.8 finds them (`models.scanLine`): a quote counts in a field's value only."""
    lines, at, start, quoted, fields, equals, commas = [], 0, 0, False, False, 0, 0
    while at < len(text):
        c = text[at]
        if c == "\\" and at + 2 < len(text):
            at += 2
            continue
        fields = fields or c == " "
        if fields and not quoted and c in "=,":
            equals, commas = equals + (c == "="), commas + (c == ",")
        elif fields and c == '"' and equals > commas:
            quoted = not quoted
        elif c == "\n" and not quoted:
            lines.append(text[start:at])
            start, fields, equals, commas = at + 1, False, 0, 0
        at += 1
    return [*lines, text[start:]]


@given(_records)
def test_whatever_devices_send_is_line_protocol(records):
    times = 0
    for each in records:
        body = json.loads(each.body)
        kept = {e["ts"] for e in body["telemetry"] if any(v is not None for v in e["values"].values())}
        times += len(kept) or any(v is not None for v in body["attributes"].values())
    bodies = said("line-protocol", records)
    lines = lines_of(b"\n".join(bodies).decode()) if bodies else []
    assert len(lines) == times
    for line in lines:
        assert re.fullmatch(
            r"(?:[^ ,\n\\#]|\\.)(?:[^ ,\n\\]|\\.)*(?:,device=(?:[^ ,=\n\\]|\\.)+)? "
            r'(?:(?:[^ ,=\n\\]|\\.)+=(?:"(?:[^"\\]|\\.)*"|-?[0-9.e+-]+|true|false),?)+ -?\d+',
            line, re.DOTALL,
        ), line  # fmt: skip


@pytest.mark.parametrize("batch", ["none", "ndjson"])
def test_a_body_of_parquet_is_a_whole_file_alone_and_in_a_batch(batch):
    world = HttpWorld(format="parquet", configuration={"batch": batch})
    world.store({"t": 1}, {"t": 2})
    for _, body in world.requests:
        assert body[:4] == body[-4:] == b"PAR1" and body.count(b"PAR1") == 2


@given(_records)
def test_whatever_devices_send_is_parquet(records):
    for body in said("parquet", records):
        assert body[:4] == body[-4:] == b"PAR1"


if __name__ == "__main__":
    parquet.write = partial(write, codec=UNCOMPRESSED)
    for name, *how in files():
        (FOLDER / name).write_bytes(made(*how))


SIMILAR = {"a b": 1, "a.b": 2, "a_b_2": 3, "a_b": 4, "a/b": 5, "ä": 6, "ö": 7}


def numbers(format_):
    """The numbers that a body has, by their names."""
    body = made(format_, [record(1, (1700000000123, SIMILAR))], "none")
    if format_ == "openmetrics":
        lines = body.decode().splitlines()
        return [
            (line.partition("{")[0], int(line.rsplit(" ", 2)[1]))
            for line in lines
            if not line.startswith("#")
        ]
    if format_ == "senml":
        return [(entry["n"], entry["v"]) for entry in json.loads(body)]
    return [(key, each["value"]) for key, each in json.loads(body).items() if isinstance(each, dict)]


@pytest.mark.parametrize("format_", ["ngsi-ld", "openmetrics", "senml"])
def test_no_two_keys_have_one_name_and_those_that_need_no_other_keep_theirs(format_):
    found = numbers(format_)
    assert sorted(value for _, value in found) == sorted(SIMILAR.values())
    names = dict(found)
    assert len(names) == len(SIMILAR)
    assert (names["a_b"], names["a_b_2"]) == (4, 3)


def test_no_two_keys_are_one_field_of_line_protocol():
    keys = {"a\nb": 1, "a b": 2, "a\\ b": 3, "time": 4, "time_": 5, "t\\": 6, "t": 7}
    body = made("line-protocol", [record(1, (1700000000123, keys))], "none").decode()
    fields = dict(
        field.split("=") for field in re.findall(r"(?:[^ ,\\]|\\.)+=[0-9]", body.partition("hall\\=A ")[2])
    )
    assert sorted(fields.values()) == list("1234567")
    assert (fields["a\\ b"], fields["time_"], fields["t"]) == ("2", "5", "7")


def test_as_many_keys_of_one_name_as_a_message_can_have_are_told_apart():
    names = names_of((f"{chr(0x4E00 + n)}" for n in range(20_000)), lambda key: "_")
    assert len(set(names.values())) == 20_000

"""Templates write values as their target reads them, and name what a message lacks."""

import csv
import io
import json
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.core.epochs import Epochs
from iotgw.core.errors import SettingsError
from iotgw.integrations.facts import RecordNames
from iotgw.integrations.template import Template, TemplateFailed, for_topic, for_url
from iotgw.integrations.template_data import influx_field, influx_name
from iotgw.testing import telemetry

NAMES = RecordNames(Epochs("E"), lambda id_: id_)


def made(text, values=None, attributes=None, ts=1700000000123, escape=None):
    body = {
        "deviceName": "d", "deviceType": "t", "attributes": attributes or {},
        "telemetry": [{"ts": ts, "values": values or {}}],
    }  # fmt: skip
    template = Template(text, "template", NAMES, escape)
    return template.text(telemetry(1, "d", "t", body=json.dumps(body).encode()))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{{ ts | isoformat }}", "2023-11-14T22:13:20.123Z"),
        ("{{ ts | isoformat('seconds') }}", "2023-11-14T22:13:20Z"),
        ("{{ ts | isoformat('minutes') }}", "2023-11-14T22:13Z"),
        ("{{ ts | isoformat('microseconds') }}", "2023-11-14T22:13:20.123000Z"),
        ("{{ ts | isoformat(zone='Europe/Berlin') }}", "2023-11-14T23:13:20.123+01:00"),
        ("{{ ts | isoformat('seconds', 'America/New_York') }}", "2023-11-14T17:13:20-05:00"),
        ("{{ -1 | isoformat }}", "1969-12-31T23:59:59.999Z"),
        ("{{ ts | unix }}", "1700000000"),
        ("{{ ts | unix('s', 3) }}", "1700000000.123"),
        ("{{ ts | unix(digits=1) }}", "1700000000.1"),
        ("{{ ts | unix('ms') }}", "1700000000123"),
        ("{{ ts | unix('us') }}", "1700000000123000"),
        ("{{ ts | unix('ns') }}", "1700000000123000000"),
        ("{{ (ts + 0.5) | unix('us') }}", "1700000000123500"),
    ],
)
def test_times(text, wanted):
    assert made(text) == wanted


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ ts | isoformat('days') }}", "expected one of minutes, seconds"),
        ("{{ ts | isoformat(zone='Mars/Olympus') }}", "expected a time zone such as Europe/Berlin"),
        ("{{ ts | isoformat(zone='../../etc/passwd') }}", "expected a time zone"),
        ("{{ ts | isoformat(1, 2, 3) }}", "expected other arguments"),
        ("{{ ts | unix('h') }}", "expected one of s, ms, us, ns"),
        ("{{ ts | unix('ms', 3) }}", "decimals, of seconds"),
        ("{{ deviceName | influx('tags') }}", "expected one of field, tag, measurement"),
        ("{{ deviceName | csv(';;') }}", "expected one character"),
        ("\n{{ deviceName | csv('') }}", r"\(line 2\)"),
    ],
)
def test_wrong_arguments_are_refused_when_they_are_saved(text, reason):
    with pytest.raises(SettingsError, match=reason):
        Template(text, "template", NAMES)


@pytest.mark.parametrize(
    ("text", "values", "reason"),
    [
        ("{{ values.t | isoformat }}", {"t": "now"}, "expected a time in milliseconds since 1970, got now"),
        ("{{ values.t | isoformat }}", {"t": True}, "got true"),
        ("{{ values.t | isoformat }}", {"t": 1e300}, "years 1 and 9999"),
        ("{{ values.t | unix }}", {"t": None}, "got null"),
        ("t={{ values.t | influx }}", {"t": None}, "influx: expected a value, got null"),
        ("{{ values.t | influx('tag') }}", {"t": None}, "influx: expected a value, got null"),
        ("{{ ts | isoformat(values.p) }}", {"p": "days"}, "expected one of minutes"),
    ],
)
def test_what_is_no_time_is_named(text, values, reason):
    with pytest.raises(TemplateFailed, match=reason):
        made(text, values)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('{"ok":{{ values.ok }},"no":{{ values.no }}}', '{"ok":true,"no":null}'),
        ("{{ values }}", '{"ok":true,"no":null,"n":1.5,"s":"x"}'),
        ("{{ values.ok ~ values.no }}", "truenull"),
        ("{{ values.ok | string }}", "true"),
        ("{{ values.ok | upper }}", "TRUE"),
        ("{{ [values.ok, values.no, 1] | join(',') }}", "true,null,1"),
        ("{{ values.ok | replace('true', '1') }}", "1"),
        ("{{ values.ok | urlencode }}", "true"),
        ("{{ 1 == 1 }}", "true"),
        ("{{ values.n }} {{ values.s }}", "1.5 x"),
        ("{{ values.no | default(0) }}", "0"),
        ("{% if values.ok %}yes{% endif %}", "yes"),
    ],
)
def test_truths_and_nothing_are_written_as_json_has_them(text, wanted):
    assert made(text, {"ok": True, "no": None, "n": 1.5, "s": "x"}) == wanted


@pytest.mark.parametrize("escape", [for_url, for_topic])
def test_so_they_are_in_urls_and_topics(escape):
    assert made("x/{{ values.ok }}", {"ok": True}, escape=escape) == "x/true"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ attributes.site | tojson }}", "template: attributes.site is missing"),
        ("{{ attributes.site }}", "template: attributes.site is missing"),
        ("{{ attributes.site.city }}", "template: attributes.site.city is missing"),
        ("{{ attributes['site'] ~ '' }}", "template: attributes.site is missing"),
        ("{{ values.t + 1 }}", "template: values.t is missing"),
        ("{{ values.t > 1 }}", "template: values.t is missing"),
        ("{{ values.t | round }}", "template: values.t is missing"),
        ("{{ values.t | isoformat }}", "template: values.t is missing"),
        ("{{ values.t | influx }}", "template: values.t is missing"),
        ("{{ values.t | xml }}{{ values.t | csv }}", "template: values.t is missing"),
        ("{{ {'a': values.t} | tojson }}", "template: values.t is missing"),
        ("{{ telemetry[7].ts }}", "template: telemetry[7].ts is missing"),
        ("{% for e in telemetry %}{{ e.values.t }}{% endfor %}", "template: t is missing"),
        ("a\nb\n{{ values.t }}", "template: values.t is missing (line 3)"),
        (
            "a\n{% if values.x %}\n{{ values.t | tojson }}{% endif %}\n",
            "template: values.t is missing (line 3)",
        ),
        (
            "a\n{{ values.x | isoformat }}",
            "template: isoformat: expected a time in milliseconds since 1970, got x (line 2)",
        ),
    ],
)
def test_an_error_names_what_is_missing_and_the_line(text, reason):
    with pytest.raises(TemplateFailed) as caught:
        made(text, {"x": "x"})
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{{ attributes.site.city.name | default('?') }}", "?"),
        ("{{ attributes.site['city'] | default('?') }}", "?"),
        ("{{ telemetry[9].values.t | default(0) }}", "0"),
        ("{{ values.t | default(values.x) }}", "x"),
        ("{% if attributes.site is defined %}a{% else %}b{% endif %}", "b"),
        ("{% for e in telemetry %}{{ e.values.x }}{% endfor %}", "x"),
    ],
)
def test_a_default_helps_however_deep_something_is_missing(text, wanted):
    assert made(text, {"x": "x"}) == wanted


def test_a_missing_name_is_shown_in_short():
    with pytest.raises(TemplateFailed) as caught:
        made("{{ values[deviceName] }}{{ values[attributes.a] }}", {"d": 1}, {"a": "k" * 500})
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        # https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference/#special-characters
        ("{{ 'my measurement, one' | influx('measurement') }}", r"my\ measurement\,\ one"),
        ("{{ 'tank 3, hall=A' | influx('tag') }}", r"tank\ 3\,\ hall\=A"),
        ("{{ 'low \"oil\" \\\\x' | influx }}", r'"low \"oil\" \\x"'),
        ("{{ values.f | influx }}", "21.5"),
        ("{{ values.i | influx }}", "21"),
        ("{{ values.b | influx }}", "true"),
        ("{{ 'a\\\\' | influx('tag') }}", "a"),
        ("{{ '' | influx('tag') }}", "_"),
        ("{{ 'a\nb' | influx('tag') }}", r"a\ b"),
        ("{{ 'a,b' | csv }};{{ 'a' | csv }};{{ 'a;\"' | csv(';') }};{{ values.n | csv }}", '"a,b";a;"a;""";'),
        ("{{ '<a b=\"c\">&\x00' | xml }}", "&lt;a b=&quot;c&quot;&gt;&amp;\ufffd"),
        ("{{ 'a\"b\nc\\\\' | sparql }}", r"a\"b\nc\\"),
    ],
)
def test_escapes(text, wanted):
    assert made(text, {"f": 21.5, "i": 21, "b": True, "n": None}) == wanted


@given(st.text(max_size=30))
def test_any_text_is_one_csv_field(value):
    line = made("{{ values.v | csv }},{{ 1 | csv }}", {"v": value})
    assert next(iter(csv.reader(io.StringIO(line, newline=""), strict=True)), ["", "1"]) == [value, "1"]


def test_what_is_called_alike_but_for_its_special_characters_keeps_apart_in_a_distinct_slug():
    names = ["SN-1", "SN 1", "SN.1", "SN_1", "ä", "ö", "", "_"]
    slugs = [made("{{ values.v | slug(true) }}", {"v": name}) for name in names]
    assert len(set(slugs)) == len(names)
    assert all(re.fullmatch("[A-Za-z0-9_-]+", each) for each in slugs)
    assert (slugs[0], slugs[3]) == ("SN-1", "SN_1")
    assert [made("{{ values.v | slug }}", {"v": name}) for name in names[:4]] == [
        "SN-1",
        "SN_1",
        "SN_1",
        "SN_1",
    ]


@given(st.text(max_size=30))
def test_any_text_is_one_text_in_xml(value):
    element = ET.fromstring(made("<a b='{{ values.v | xml }}'>{{ values.v | xml }}</a>", {"v": value}))
    shown = "".join(
        c if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff" else "\ufffd"
        for c in value
    )
    assert (element.text or "") == shown
    assert element.attrib["b"] == shown.replace("\n", " ").replace("\t", " ")


def pieces(line):
    """The fields of a line in line protocol, read as its grammar has it: ``(measurement, tags, fields, time)``."""
    at, parts, quoted, part = 0, [], False, ""
    while at < len(line):
        c = line[at]
        if c == "\\" and at + 1 < len(line):
            part += line[at : at + 2]
            at += 2
            continue
        if c == '"' and len(parts) == 1:
            quoted = not quoted
        if c == " " and not quoted:
            parts.append(part)
            part = ""
        else:
            part += c
        at += 1
    return [*parts, part]


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_any_name_and_text_is_one_point_in_line_protocol(measurement, tag, value):
    line = f"{influx_name(measurement, 'measurement')},t={influx_name(tag)} f={influx_field(value)} 1"
    assert "\n" not in influx_name(tag) and "\n" not in influx_name(measurement, "measurement")
    _, fields, time = pieces(line)
    assert time == "1"
    text = fields.removeprefix("f=")
    assert text[0] == text[-1] == '"'
    assert text[1:-1].replace('\\"', '"').replace("\\\\", "\\") == value or "\\" in value

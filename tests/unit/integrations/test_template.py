import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from iotgw.core.epochs import Epochs
from iotgw.core.errors import SettingsError
from iotgw.core.model import TelemetryRecord
from iotgw.integrations.facts import RecordNames
from iotgw.integrations.template import Template, TemplateFailed, for_header, for_path, for_topic, for_url

NAMES = RecordNames(Epochs("E"), lambda id_: f"name-of-{id_}")
BODY = (
    b'{"deviceName":"a/b","deviceType":"t","attributes":{"fw":"1.2"},'
    b'"telemetry":[{"ts":20,"values":{"x":2,"y":"q"}},{"ts":10,"values":{"x":1,"z":null}}]}'
)
RECORD = TelemetryRecord(7, 5, "default", "ds", 1_700_000_000_000, "a/b", "t", BODY)


def made(text, escape=None):
    return Template(text, "topic", NAMES, escape).text(RECORD)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("{{ id }} {{ key }} {{ datasource }} {{ receivedAt }}", "E-5 E-5.7 name-of-ds 1700000000000"),
        ("{{ values.x }}/{{ ts }}/{{ attributes.fw }}", "2/20/1.2"),
        ("{{ telemetry | tojson }}", '[{"ts":20,"values":{"x":2,"y":"q"}},{"ts":10,"values":{"x":1,"z":null}}]'),
        ("{% for e in telemetry %}{{ e.ts }};{% endfor %}", "20;10;"),
        ("{% for k, v in values | dictsort %}{{ k }}={{ v }} {% endfor %}", "x=2 y=q z=null "),
        ("{{ values.x * 1.8 + 32 }}", "35.6"),
        ("{{ values.nothing | default('-') }}", "-"),
        ("{{ deviceName | replace('/', '-') | upper }}", "A-B"),
        ("{{ date }}_{{ time }}", "2023-11-14_22-13-20"),
    ],
)  # fmt: skip
def test_what_a_template_makes(text, expected):
    assert made(text) == expected


@pytest.mark.parametrize(
    ("escape", "value", "expected"),
    [
        (for_topic, "a/b+c#d\0", "a_b_c_d_"),
        (for_url, "a/b c?&é", "a%2Fb%20c%3F%26%C3%A9"),
        (for_path, "../../etc", "_._.._etc"),
        (for_path, "", "_"),
        (for_path, "a\x01\x7f\ufffe", "a___"),
        (for_header, "a\r\nEvil: 1", "aEvil: 1"),
    ],
)
def test_inserted_values_can_not_leave_their_place(escape, value, expected):
    assert escape(value) == expected


@pytest.mark.parametrize("bad", ["\x01", "\x7f", "\ufffe", "\ud800"])
@pytest.mark.parametrize("text", ["up/{{ deviceName }}", "up/{{ body.deviceName | default(deviceName) }}"])
def test_a_topic_that_a_broker_may_close_the_connection_for_is_not_made(bad, text):
    record = replace(RECORD, device_name=f"a{bad}", body=b"{}")
    with pytest.raises(TemplateFailed, match=f"got U\\+{ord(bad):04X}"):
        Template(text, "topic", NAMES, for_topic).text(record)


def test_what_is_written_in_the_template_itself_is_not_escaped():
    assert made("iotgw/{{ deviceName }}/up", for_topic) == "iotgw/a_b/up"


PIECE = st.sampled_from(
    ["{{ deviceName }}", "{{deviceType}}", "{{ datasource }}", "a/", "{", "}", "{}", " #\n", "é"]
)


@given(st.lists(PIECE, min_size=1, max_size=8).map("".join))
def test_texts_and_names_alone_make_what_jinja_makes_of_them(text):
    jinja = text.replace("Name }}", "Name | string }}").replace("Type}}", "Type | string }}")
    try:
        expected = made(jinja, for_topic)
    except SettingsError:  # pieces may meet as {{ or {#
        return
    assert made(text, for_topic) == expected


@pytest.mark.parametrize(
    "text",
    [
        "{{ deviceName",
        "{{ nobody }}",
        "{{ ''.__class__.__mro__ }}{{ deviceName.upper() }}",
        "{{ range(10) }}",
        "{% set a = 'x' %}",
        "{% include 'x' %}",
        "{% macro m() %}{% endmacro %}",
        "{{ 9 ** 9 }}",
        "{{ deviceName | center(10) }}",
        "{% for a in telemetry %}{% for b in telemetry %}{% for c in telemetry %}{% endfor %}{% endfor %}{% endfor %}",
        "{{ 1 / 0 }}",
    ],
)  # fmt: skip
def test_what_a_template_may_not_do_is_said_when_it_is_saved(text):
    with pytest.raises(SettingsError) as caught:
        made(text)
    assert caught.value.path == "topic"


@pytest.mark.parametrize(
    "text",
    [
        "{{ deviceName * 1000000 }}",
        "{{ values.nothing }}",
        "{{ deviceName.__class__ }}",
        "{{ deviceName | replace('', deviceName | string) | replace('', '" + "x" * 1000 + "') | replace('', '"
        + "y" * 10000 + "') }}",
        "{{ deviceName % 3 }}",
    ],
)  # fmt: skip
def test_what_fails_for_a_message_says_where(text):
    template = Template(text, "topic", NAMES)
    with pytest.raises(TemplateFailed, match="topic"):
        template.text(RECORD)


def test_names_of_devices_are_rendered_once():
    template = Template("iotgw/{{ deviceName | lower }}", "topic", NAMES, for_topic)
    assert template.text(RECORD) is template.text(RECORD)


@pytest.mark.parametrize("text", ["{{ datasource }}", "{{ datasource | string }}"])
def test_a_datasource_that_was_renamed_is_told_by_its_new_name(text):
    names = {"ds": "old"}
    template = Template(text, "topic", RecordNames(Epochs("E"), names.get))
    assert template.text(RECORD) == "old"
    names["ds"] = "new"
    assert template.text(RECORD) == "new"

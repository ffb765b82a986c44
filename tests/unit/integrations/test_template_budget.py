"""No template that can be saved takes more than a few milliseconds on a record, and none freezes while it is saved."""

import contextlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from iotgw import testing
from iotgw.core.epochs import Epochs
from iotgw.core.errors import SettingsError
from iotgw.core.specs import IntegrationSpec
from iotgw.core.types import Types
from iotgw.core.verdict import Rejected
from iotgw.integrations.facts import RecordNames
from iotgw.integrations.http import HttpSettings, HttpTarget
from iotgw.integrations.template import Template, TemplateFailed, for_header, for_path, for_topic, for_url
from iotgw.integrations.template_budget import STEPS
from iotgw.integrations.template_check import DEPTH, LONGEST
from iotgw.testing import telemetry
from tests.unit.counting import at_most

NAMES = RecordNames(Epochs("E"), lambda id_: f"name-of-{id_}")
FAR_TOO_MUCH = 2_000_000
"""Calls, of Python's and of C's functions. What the budget keeps out takes from some millions of them to no end."""


def record(entries=10, keys=10, size=10):
    values = {f"k{key}": key * 1.5 if key % 2 else "v" * size for key in range(keys)}
    body = {
        "deviceName": "d", "deviceType": "t", "attributes": values,
        "telemetry": [{"ts": ts, "values": values} for ts in range(entries)],
    }  # fmt: skip
    return telemetry(1, "d" * 200, body=msgspec.json.encode(body))


SMALL = record()
LARGE = record(1000, 40)
RECORDS = [SMALL, record(300, 10), record(2, 300), record(2, 4, 60_000)]


def saved(text, escape=None):
    return Template(text, "template", NAMES, escape)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{{ 1|round(3000000,'floor') }}", "expected an argument of -36 to 36"),
        ("{{ " + "+".join(["1"] * 20_000) + " }}", f"at most {LONGEST} characters"),
        ("{{ " + "+".join(["1"] * 1500) + " }}", "words and signs"),
        ("{{ " + "+".join(["1"] * 300) + " }}", f"at most {DEPTH} levels"),
        ("{% if ts %}" * 400 + "x" + "{% endif %}" * 400, "words and signs"),
        ("{% if ts %}" * 200 + "x" + "{% endif %}" * 200, f"at most {DEPTH} levels"),
        ("{% if ts %}x" + "{% elif ts %}y" * 350 + "{% endif %}", "parts of expressions"),
        ("{{ " + "9" * 5000 + " }}", "at most 20 digits, got one of 5000"),
        ("{{ 0x" + "f" * 5000 + " }}", "at most 20 digits"),
        ("{{ 1e999 }}", "smaller number"),
        ("{{ 1." + "0" * 5000 + " }}", "shorter or smaller number"),
        ("{{ " + "(" * 900 + "1" + ")" * 900 + " }}", f"at most {DEPTH} levels"),
        ("{{ " + "[" * 900 + "]" * 900 + " }}", f"at most {DEPTH} levels"),
        ("{{ " + "not " * 1900 + "1 }}", f"at most {DEPTH} levels"),
        ("{{ " + "-" * 1900 + "1 }}", f"at most {DEPTH} levels"),
        ("{{ ts" + "|abs" * 900 + " }}", f"at most {DEPTH} levels"),
        ("{{ values" + ".a" * 900 + " }}", f"at most {DEPTH} levels"),
        ("{{ " + "1 if ts else " * 300 + "2 }}", f"at most {DEPTH} levels"),
        ("{% for a in [" + "1," * 300 + "] %}{% for b in [" + "1," * 300 + "] %}x{% endfor %}{% endfor %}", "steps"),
        ("{% for a in telemetry recursive %}{% endfor %}", "recursive loops"),
        ("{{ 2 ** 1000 }}", "may not use pow"),
        ("{{ 'a' * 1000000000 }}", "takes numbers, got str"),
        ("{{ [1] * 1000000000 }}", "takes numbers, got list"),
        ("{{ '%999999999d' % 1 }}", "takes numbers, got str"),
        ("{{ " + "*".join(["99999999999999999999"] * 30) + " }}", "too large"),
        ("{{ range(1000000000)|list }}", "may not use call"),
        ("{{ '{:>999999999}'.format(1) }}", "may not use call"),
        ("{% set x = 'a' %}{{ x }}", "may not use assign"),
        ("{% with a = body %}{{ a }}{% endwith %}", "may not use with"),
        ("{% macro m() %}{% endmacro %}", "may not use macro"),
        ("{{ ts|abs(*[1]) }}", "lists of arguments"),
        ("{{ telemetry|_each(-1000000) }}", "there is no filter '_each'"),
        *[
            (f"{{{{ deviceName|{name} }}}}", "there is no filter")
            for name in (
                "center(99999999)", "indent(99999999)", "wordwrap(1)", "format(1)", "urlize", "batch(2)|list",
                "slice(99999999)|list", "filesizeformat", "pprint", "xmlattr", "attr('x')", "groupby('x')",
                "striptags", "truncate(9)", "random", "reverse", "select|list",
            )
        ],
    ],
)  # fmt: skip
def test_what_could_freeze_the_gateway_can_not_be_saved(text, problem):
    with pytest.raises(SettingsError, match=r"^template: ") as refused, at_most(FAR_TOO_MUCH):
        saved(text)
    assert problem in refused.value.problem


@pytest.mark.parametrize(
    "nest",
    ["({} + ts)", "({}|abs)", "[{}]", "{{'a': {}}}", "({} if ts else 1)", "(ts if {} else 1)", "({} is eq 1)", "({} < 1)",
     "({} ~ 1)", "({} and 1)", "(not {})", "(-{})", "ts[{}]", "ts[{}:{{}}]", "values.get[{}]", "(1|default({}))", "({}).a"],
)  # fmt: skip
@pytest.mark.parametrize("depth", [1, 5, 10, 20, 30, 40, 41])
def test_any_part_of_the_language_may_be_nested_as_deeply_as_is_said_or_is_refused(nest, depth):
    text = "ts"
    for _ in range(depth):
        text = (
            nest.replace("{{", "<")
            .replace("}}", ">")
            .replace("{}", text)
            .replace("<>", "1")
            .replace("<", "{")
            .replace(">", "}")
        )
    with contextlib.suppress(SettingsError):
        saved(f"{{{{ {text} }}}}")
    with contextlib.suppress(SettingsError):
        saved("{% if ts %}" * depth + text + "{% endif %}" * depth)


EXPENSIVE = [
    "{% for a in telemetry %}{% for b in telemetry %}{% endfor %}{% endfor %}",
    "{% for a in telemetry %}{% for b in telemetry %}{{ a }}{{ b }}{% endfor %}{% endfor %}",
    "{% for a in telemetry %}{{ body|tojson|length }}{% endfor %}",
    "{% for a in telemetry %}{{ telemetry|sort(attribute='ts')|length }}{% endfor %}",
    "{% for a in telemetry %}{% if telemetry == body.telemetry %}x{% endif %}{% endfor %}",
    "{% for a in telemetry if a in telemetry %}{{ loop.length }}{% endfor %}",
    "{% for a in telemetry %}{{ body is mapping and body is eq body }}{% endfor %}",
    "{% for a in telemetry %}" + "{{ a.ts * 2 + 1 }}" * 90 + "{% endfor %}",
    "{% for a in body|string %}{{ a }}{% endfor %}",
    "{{ " + " ~ ".join(["body|tojson"] * 150) + " }}",
    "{{ [" + ",".join(["body"] * 300) + "]|tojson }}",
    "{{ [" + ",".join(["body"] * 300) + "] }}",
    "{{ telemetry|sort(attribute='ts,ts,ts,ts,ts,ts,ts,ts')|list }}",
    "{{ (body|string)|list|sort|unique|join('x') }}",
    "{{ (body|string)|replace('v', 'vvvvvvvv')|replace('v', 'vvvvvvvv') }}",
    "{{ body|string|upper|lower|urlencode }}",
    "{{ telemetry|map('tojson')|map('upper')|join(',') }}",
]


@pytest.mark.parametrize("text", EXPENSIVE)
@pytest.mark.parametrize("escape", [None, for_url])
def test_a_record_that_is_too_much_for_a_template_fails_with_the_reason(text, escape):
    template = saved(text, escape)
    reason = rf"^template: it takes more than {STEPS} steps"
    with pytest.raises(TemplateFailed, match=reason), at_most(FAR_TOO_MUCH):
        template.text(LARGE)


@pytest.mark.parametrize(
    "text",
    [
        "{{ ts|round(400000,'ceil') }}",
        "{{ deviceName|trim(deviceName) }}",
        "{{ telemetry|map(attribute=deviceName)|list }}",
        "{{ telemetry|map('_each', -1000000)|list }}",
        "{{ telemetry|sum(start=[]) }}",
        "{{ values[body] }}",
        "{{ deviceName * 1000000000 }}",
        "{{ deviceName % 1 }}",
    ],
)
def test_an_argument_that_would_take_too_long_fails_for_the_record(text):
    with pytest.raises(TemplateFailed) as failed:
        saved(text).text(SMALL)
    assert len(str(failed.value)) < 400


@pytest.mark.parametrize(
    "text",
    [
        "{{ body | tojson }}",
        "{{ {'device': deviceName, 'values': values, 'at': ts} | tojson }}",
        "{% for e in telemetry %}{{ e.ts }};{{ e['values'].k1 }}\n{% endfor %}",
        "{% for key, value in values | dictsort %}{{ key }}={{ value }} {% endfor %}",
        "{{ telemetry | map(attribute='ts') | sort | join(',') }}",
        "{{ telemetry | sum(attribute='ts') / telemetry | length }}",
    ],
)
def test_ordinary_templates_have_room_to_spare(text):
    template = saved(text)
    template.text(record(100, 10))
    assert template.steps < STEPS / 3


def test_a_template_that_took_too_long_works_for_the_next_record():
    template = saved("{% for a in telemetry %}{% for b in telemetry %}{% endfor %}{% endfor %}ok")
    for _ in range(2):
        with pytest.raises(TemplateFailed):
            template.text(LARGE)
        assert template.text(SMALL) == "ok"


def test_a_target_refuses_the_record_that_is_too_much_and_goes_on():
    spec = IntegrationSpec(name="i", type="http", format="template", template=EXPENSIVE[0])
    context = testing.integration_context(spec)
    target = HttpTarget(HttpSettings(url="http://h/"), context, testing.FakeConnector())
    verdicts = testing.Verdicts()
    target.send([replace(LARGE, seq=1)], verdicts)
    target.send([replace(SMALL, seq=2)], verdicts)
    assert isinstance(verdicts.of[1], Rejected)
    assert "it takes more than" in verdicts.of[1].reason
    assert 2 not in verdicts.of  # it is on its way


NAME = st.sampled_from(
    [
        "ts",
        "values",
        "telemetry",
        "body",
        "attributes",
        "deviceName",
        "key",
        "values.k1",
        "telemetry[0]",
        "loop",
        "x",
    ]
)
CONSTANT = st.sampled_from(
    ["0", "1", "-1", "36", "999999999999", "1e300", "'v'", "''", "'k1'", "true", "none", "[]", "{}"]
)
ARGUMENT = st.sampled_from(
    ["", "(2)", "(3000000)", "('v','vvvv')", "(attribute='ts')", "('tojson')", "(deviceName)", "(body)"]
)
FILTER = st.sampled_from(
    ["abs", "default", "dictsort", "first", "float", "int", "items", "join", "last", "length", "list", "lower", "map", "max",
     "min", "replace", "round", "sort", "string", "sum", "tojson", "trim", "unique", "upper", "urlencode"]
)  # fmt: skip
OPERATOR = st.sampled_from(
    [" + ", " - ", " * ", " / ", " // ", " % ", " ~ ", " == ", " < ", " in ", " and ", " or "]
)


def larger(inner):
    return st.one_of(
        st.tuples(inner, OPERATOR, inner).map(lambda parts: f"({''.join(parts)})"),
        st.tuples(inner, FILTER, ARGUMENT).map(lambda parts: f"({parts[0]}|{parts[1]}{parts[2]})"),
        st.tuples(inner, inner).map(lambda parts: f"[{parts[0]}, {parts[1]}, {parts[0]}]"),
        st.tuples(inner, inner).map(lambda parts: f"({parts[0]})[{parts[1]}:]"),
        st.tuples(inner, inner, inner).map(lambda parts: f"({parts[0]} if {parts[1]} else {parts[2]})"),
        st.tuples(inner, st.sampled_from(["defined", "mapping", "string", "even", "lower"]))
        .map(" is ".join)
        .map("({})".format),
    )


EXPRESSION = st.recursive(NAME | CONSTANT, larger, max_leaves=12)
OUTPUT = EXPRESSION.map(lambda text: f"{{{{ {text} }}}}")
BLOCK = st.recursive(
    OUTPUT,
    lambda inner: st.one_of(
        st.tuples(EXPRESSION, inner).map(
            lambda parts: f"{{% for x in {parts[0]} %}}{parts[1]}{{% endfor %}}"
        ),
        st.tuples(EXPRESSION, inner).map(lambda parts: f"{{% if {parts[0]} %}}{parts[1]}{{% endif %}}"),
        st.tuples(inner, inner).map("".join),
    ),
    max_leaves=5,
)


@settings(max_examples=100, deadline=None)
@given(BLOCK, st.sampled_from([None, for_url, for_topic, for_path, for_header]))
def test_whatever_can_be_saved_ends_soon_with_a_text_or_a_reason(text, escape):
    try:
        with at_most(FAR_TOO_MUCH):
            template = saved(text, escape)
    except SettingsError:
        template = None
    for each in RECORDS if template else ():
        with contextlib.suppress(TemplateFailed), at_most(FAR_TOO_MUCH):
            template.text(each)


def test_every_template_of_every_type_is_checked_when_they_are_saved():
    from twisted.internet import reactor

    from iotgw.app.parts import INTEGRATIONS
    from iotgw.connect.endpoint import Connector
    from iotgw.delivery.service import DeliveryService

    types = Types("iotgw.none", reactor, INTEGRATIONS, Connector(reactor))
    service = DeliveryService(testing.MemoryJournal(), types, reactor, testing.MemoryEvents(), str)
    bomb = "{{ 1|round(3000000,'floor') }}"
    for type_, configuration in (
        ("http", {"url": f"http://h/{bomb}"}),
        ("http", {"url": "http://h/", "headers": {"X": bomb}}),
        ("mqtt", {"host": "h", "topic": f"a/{bomb}"}),
        ("sftp", {"host": "h", "username": "u", "hostKeys": ["SHA256:abc"], "path": bomb}),
    ):
        with pytest.raises(SettingsError, match="expected an argument"):
            service.validate(IntegrationSpec(name="i", type=type_, configuration=configuration))
    spec = IntegrationSpec(
        name="i", type="http", configuration={"url": "http://h/"}, format="template", template=bomb
    )
    with pytest.raises(SettingsError, match="expected an argument"):
        service.validate(spec)

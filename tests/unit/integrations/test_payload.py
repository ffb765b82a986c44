import json

import msgspec
import pytest

from iotgw.core.epochs import Epochs
from iotgw.core.model import TelemetryRecord
from iotgw.core.specs import IntegrationSpec, RouteSpec
from iotgw.integrations import payload
from iotgw.integrations.facts import RecordNames

NAMES = RecordNames(Epochs("E"), lambda id_: 'the "source"')
BODY = (
    b'{"deviceName":"d","deviceType":"t","attributes":{"fw":1},"telemetry":[{"ts":1,"values":{"x":1}},'
    b'{"ts":2,"values":{"x":2}}]}'
)
RECORD = TelemetryRecord(7, 5, "default", "ds", 1000, "d", "t", BODY)


def formatted(format_="standard", record=RECORD, **spec):
    spec = IntegrationSpec(name="i", type="http", format=format_, **spec)
    return json.loads(payload.formatter(spec, NAMES)(record))


def test_the_standard_document():
    assert formatted() == {
        "id": "E-5", "key": "E-5.7", "receivedAt": 1000, "datasource": 'the "source"', **json.loads(BODY)
    }  # fmt: skip


def test_the_standard_document_is_what_its_schema_says():
    document = msgspec.convert(formatted(), payload.Document)
    assert document.telemetry[1].values == {"x": 2}


def test_the_published_schema_is_the_codes():
    from importlib.resources import files

    published = json.loads((files("iotgw.integrations") / "schema" / "document.json").read_text())
    assert published == payload.schema()


def test_thingsboard_is_the_converters_output_to_the_letter():
    assert formatted("thingsboard") == json.loads(BODY)


def test_values_are_flat():
    assert formatted("values") == [{"ts": 1, "x": 1}, {"ts": 2, "x": 2}]
    one = msgspec.structs.replace(RECORD, body=BODY.replace(b',{"ts":2,"values":{"x":2}}', b""))
    assert formatted("values", one) == {"ts": 1, "x": 1}


def test_a_template_makes_the_body():
    assert formatted("template", template='{"n":{{ values.x }}}') == {"n": 2}


@pytest.mark.parametrize(("wants", "left_out"), [("telemetry", "attributes"), ("attributes", "telemetry")])
def test_what_the_route_does_not_want_is_left_out(wants, left_out):
    found = formatted(route=RouteSpec(wants=[wants]))
    assert found[wants]
    assert not found[left_out]

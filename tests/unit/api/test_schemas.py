"""Whatever users save is described, so that a form can be made of the schema."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from twisted.internet.task import Clock

from iotgw.api.app import routes
from iotgw.api.auth import Permission
from iotgw.api.form_hints import describe, title
from iotgw.api.openapi import OpenApiRoutes
from iotgw.api.routes import Route
from iotgw.app import parts
from iotgw.connect.endpoint import Connector
from iotgw.core import specs
from iotgw.core.types import Types
from tests.unit.api.conftest import Bench

SPECS = ("DatasourceSpec", "IntegrationSpec", "ConverterSpec")


@pytest.fixture(scope="module")
def document() -> Any:
    """The description of the API, with the gateway's own types."""
    clock: Any = Clock()
    connector = Connector(clock)
    datasources: Any = Types("none", clock, parts.DATASOURCES, connector)
    integrations: Any = Types("none", clock, parts.INTEGRATIONS, connector)
    saving = [
        Route("POST", f"/{name}", Permission.WRITE, nothing, "", body=getattr(specs, name)) for name in SPECS
    ]
    found = OpenApiRoutes(datasources, integrations, saving).document()
    return msgspec.json.decode(msgspec.json.encode(found))


async def nothing(call: Any) -> None: ...


@pytest.fixture(scope="module")
def whole() -> Any:
    """The description of all operations; their types are small ones of the tests'."""
    bench = Bench().parts
    found = OpenApiRoutes(bench.datasource_types, bench.integration_types, routes(bench)).document()
    return msgspec.json.decode(msgspec.json.encode(found))


def test_all_that_can_be_sent_has_a_title_and_a_description(whole: Any) -> None:
    sent: set[str] = set()
    waiting = [
        operation["requestBody"]
        for path in whole["paths"].values()
        for operation in path.values()
        if isinstance(operation, dict) and "requestBody" in operation
    ]
    schemas = whole["components"]["schemas"]
    while waiting:
        names = re.findall(r'"#/components/schemas/(\w+)"', msgspec.json.encode(waiting.pop()).decode())
        waiting += [schemas[name] for name in names if name not in sent]
        sent |= {*names}
    assert {"DeviceSpec", "CredentialSpec", "NewBatch", "TenantSpec"} <= sent
    of_tests = {"CoapSettings", "HttpSettings"}
    assert [
        f"{name}.{key}"
        for name in sorted(sent - of_tests)
        for key, value in schemas[name].get("properties", {}).items()
        if not value.get("title") or len(value.get("description", "")) < 3
    ] == []


def reached(document: Any) -> dict[str, Any]:
    """The schemas that what users save leads to, by name."""
    schemas = document["components"]["schemas"]
    found: dict[str, Any] = {}
    waiting = list(SPECS)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = schemas[name]
        text = msgspec.json.encode(schemas[name]).decode()
        waiting += re.findall(r'"#/components/schemas/(\w+)"', text)
    return found


def offenders(document: Any, is_wrong: Any) -> list[str]:
    return sorted(
        f"{name}.{key}"
        for name, schema in reached(document).items()
        for key, value in schema.get("properties", {}).items()
        if is_wrong(value)
    )


def test_every_setting_has_a_title_and_a_description(document: Any) -> None:
    assert len(reached(document)) > 80
    assert offenders(document, lambda each: not each.get("title")) == []
    assert offenders(document, lambda each: len(each.get("description", "")) < 3) == []


def test_every_setting_is_in_a_group(document: Any) -> None:
    groups = {"general", "access", "times", "limits", "settings"}
    assert offenders(document, lambda each: each.get("x-group") not in groups) == []
    assert offenders(document, lambda each: not isinstance(each.get("x-advanced"), bool)) == []


def test_every_number_with_a_fraction_has_a_unit(document: Any) -> None:
    def is_wrong(schema: Any) -> bool:
        types = {schema.get("type"), *(each.get("type") for each in schema.get("anyOf", ()))}
        return "number" in types and "x-unit" not in schema

    assert offenders(document, is_wrong) == []


def test_what_must_be_given_is_not_for_the_advanced(document: Any) -> None:
    schemas = reached(document)
    wrong = [
        f"{name}.{key}"
        for name, schema in schemas.items()
        for key in schema.get("required", ())
        if schema["properties"][key]["x-advanced"]
    ]
    assert wrong == []


def test_a_type_leads_to_its_settings(document: Any) -> None:
    schemas = document["components"]["schemas"]
    for spec in ("DatasourceSpec", "IntegrationSpec"):
        properties = schemas[spec]["properties"]
        by_type = properties["configuration"]["x-by-type"]
        assert sorted(by_type) == properties["type"]["enum"]
        assert all(reference.rpartition("/")[2] in schemas for reference in by_type.values())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("maxConnectionsPerAddress", "Max connections per address"),
        ("clientId", "Client ID"),
        ("tls", "TLS"),
        ("downlinkQos", "Downlink QoS"),
        ("edrxCycle", "eDRX cycle"),
    ],
)
def test_a_name_is_words(name: str, words: str) -> None:
    assert title(name) == words


def test_what_a_setting_says_itself_holds() -> None:
    said = {
        "title": "T",
        "x-unit": "1/s",
        "x-group": "access",
        "x-advanced": True,
        "type": "number",
        "examples": [3],
    }
    components = {"It": {"properties": {"rate": {**said, "description": "Messages, such as `7`."}}}}
    describe(components)
    assert components["It"]["properties"]["rate"] == {**said, "description": "Messages, such as `7`."}


def test_what_most_do_without_is_for_the_advanced() -> None:
    components: dict[str, Any] = {
        "It": {
            "properties": {name: {"type": "string"} for name in ("gzip", "proxyProtocol", "url")},
            "required": ["url"],
        }
    }
    describe(components)
    found = components["It"]["properties"]
    assert [found[name]["x-advanced"] for name in ("gzip", "proxyProtocol", "url")] == [True, True, False]

"""Whatever is sent and answered is described, so that a form can be made of the schema, and a client can say what it shows."""

from __future__ import annotations

from typing import Any

import pytest

from iotgw.api.app import routes
from iotgw.api.form_hints import describe, title
from iotgw.api.openapi import OpenApiRoutes
from iotgw.core import specs
from tests.unit.api import schemas
from tests.unit.api.conftest import Bench

SPECS = (specs.DatasourceSpec, specs.IntegrationSpec, specs.ConverterSpec)


@pytest.fixture(scope="module")
def saved() -> dict[str, Any]:
    """The schemas of what users save, with the gateway's own types."""
    found = schemas.of_types(SPECS)
    return schemas.reached(found, [schemas.reference(each.__name__) for each in SPECS])


@pytest.fixture(scope="module")
def whole() -> Any:
    """The description of all operations; their types are small ones of the tests'."""
    bench = Bench().parts
    return schemas.plain(
        OpenApiRoutes(bench.datasource_types, bench.integration_types, routes(bench)).document()
    )


@pytest.mark.parametrize(
    ("part", "some"),
    [
        ("requestBody", {"DeviceSpec", "CredentialSpec", "NewBatch", "TenantSpec"}),
        ("responses", {"MessageView", "DeviceView", "ReplayResult", "Problem", "StoredFile"}),
    ],
)
def test_all_that_is_sent_and_answered_has_a_title_and_a_description(
    whole: Any, part: str, some: set[str]
) -> None:
    there = [operation.get(part) for path in whole["paths"].values() for operation in path.values()]
    found = schemas.reached(whole["components"]["schemas"], there)
    assert some <= {*found}
    of_tests = {"CoapSettings", "HttpSettings"}
    assert [
        name
        for name, said in schemas.properties({name: found[name] for name in {*found} - of_tests})
        if not said.get("title") or len(said.get("description", "")) < 3
    ] == []


def offenders(saved: dict[str, Any], is_wrong: Any) -> list[str]:
    return [name for name, said in schemas.properties(saved) if is_wrong(said)]


def test_every_setting_has_a_title_and_a_description(saved: dict[str, Any]) -> None:
    assert len(saved) > 80
    assert offenders(saved, lambda each: not each.get("title")) == []
    assert offenders(saved, lambda each: len(each.get("description", "")) < 3) == []


def test_every_setting_is_in_a_group(saved: dict[str, Any]) -> None:
    groups = {"general", "access", "times", "limits", "settings"}
    assert offenders(saved, lambda each: each.get("x-group") not in groups) == []
    assert offenders(saved, lambda each: not isinstance(each.get("x-advanced"), bool)) == []


def test_every_number_with_a_fraction_has_a_unit(saved: dict[str, Any]) -> None:
    def is_wrong(schema: Any) -> bool:
        types = {schema.get("type"), *(each.get("type") for each in schema.get("anyOf", ()))}
        return "number" in types and "x-unit" not in schema

    assert offenders(saved, is_wrong) == []


def test_what_must_be_given_is_not_for_the_advanced(saved: dict[str, Any]) -> None:
    wrong = [
        f"{name}.{key}"
        for name, schema in saved.items()
        for key in schema.get("required", ())
        if schema["properties"][key]["x-advanced"]
    ]
    assert wrong == []


def test_a_type_leads_to_its_settings(saved: dict[str, Any]) -> None:
    for spec in ("DatasourceSpec", "IntegrationSpec"):
        properties = saved[spec]["properties"]
        by_type = properties["configuration"]["x-by-type"]
        assert sorted(by_type) == properties["type"]["enum"]
        assert all(reference.rpartition("/")[2] in saved for reference in by_type.values())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("maxConnectionsPerAddress", "Max connections per address"),
        ("clientId", "Client ID"),
        ("tls", "TLS"),
        ("downlinkQos", "Downlink QoS"),
        ("edrxCycle", "eDRX cycle"),
        ("attributeLwm2m", "Attribute LwM2M"),
        ("clientLwM2mSettings", "Client LwM2M settings"),
        ("x509", "X.509"),
        ("commandCrc", "Command CRC"),
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

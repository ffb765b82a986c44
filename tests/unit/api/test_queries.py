"""Queries and bodies: a call does what it says, or nothing."""

from __future__ import annotations

import re
from typing import Any

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st

from iotgw.api.app import routes
from iotgw.api.openapi import OpenApiRoutes
from iotgw.api.problems import Problem
from iotgw.api.queries import MOST, Query, read
from iotgw.core.errors import SettingsError
from iotgw.core.model import State


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


DECLARED = (
    Query("limit", int, 100, range=(1, 1000)),
    Query("dryRun", bool, False),
    Query("state", choices=("failed", "converted")),
    Query("device", longest=5),
    Query("before", int, 0),
)
DEFAULTS = {"limit": 100, "dryRun": False, "state": None, "device": None, "before": 0}


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("", {}),
        ("limit=1", {"limit": 1}),
        ("limit=1000&dryRun=true", {"limit": 1000, "dryRun": True}),
        ("dryRun=false&state=failed", {"dryRun": False, "state": "failed"}),
        ("device=a%26b+c", {"device": "a&b c"}),
        ("device=%C3%BC&before=007", {"device": "ü", "before": 7}),
        (f"before={MOST}", {"before": MOST}),
    ],
)
def test_values_are_read_as_declared(query: str, values: dict[str, Any]) -> None:
    assert read(DECLARED, query.encode()) == DEFAULTS | values


@pytest.mark.parametrize(
    ("query", "name", "problem"),
    [
        ("limit=0", "limit", "expected a whole number, 1 to 1000, got '0'"),
        ("limit=1001", "limit", "expected a whole number, 1 to 1000, got '1001'"),
        ("limit=", "limit", "expected a whole number, 1 to 1000, got nothing"),
        ("limit", "limit", "expected a whole number, 1 to 1000, got nothing"),
        ("limit=-1", "limit", "got '-1'"), ("limit=%2B1", "limit", "got '+1'"), ("limit=1_0", "limit", "got '1_0'"),
        ("limit=+1", "limit", "got ' 1'"), ("limit=1e2", "limit", "got '1e2'"), ("limit=1.0", "limit", "got '1.0'"),
        ("limit=%D9%A3", "limit", "got '٣'"), ("limit=%C2%B2", "limit", "got '²'"),
        ("limit=" + "1" * 10_000, "limit", f"got '{'1' * 32}'… (10000 characters)"),
        (f"before={MOST + 1}", "before", f"got '{MOST + 1}'"),
        ("dryRun=on", "dryRun", "expected one of true, false, got 'on'"), ("dryRun=1", "dryRun", "got '1'"),
        ("dryRun=True", "dryRun", "got 'True'"), ("dryRun", "dryRun", "got nothing"),
        ("state=bogus", "state", "expected one of failed, converted, got 'bogus'"), ("state=", "state", "got nothing"),
        ("state=FAILED", "state", "got 'FAILED'"), ("device=", "device", "expected 1 to 5 characters, got nothing"),
        ("device=abcdef", "device", "got 'abcdef'"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_what_was_expected_and_what_came(
    query: str, name: str, problem: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        read(DECLARED, query.encode())
    assert caught.value.path == name
    assert caught.value.problem.endswith(problem)


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        (b"since=1", "query parameter 'since': expected one of limit, dryRun, state, device, before"),
        (b"since=", "'since'"), (b"Limit=1", "'Limit'"), (b"limit%20=1", "'limit '"), (b"=1", "''"),
        (b"limit=1&limit=1", "query parameter 'limit': expected it only once"),
        (b"x" * 100, f"'{'x' * 32}'… (100 characters)"),
        (b"device=%ff", "UTF-8"), (b"device=\xff", "UTF-8"), (b"&".join([b"limit=1"] * 51), "at most 50"),
    ],
)  # fmt: skip
def test_what_is_not_declared_or_comes_again_is_refused(query: bytes, problem: str) -> None:
    with pytest.raises(Problem) as caught:
        read(DECLARED, query)
    assert caught.value.status == 400
    assert problem in caught.value.detail


@given(st.binary(max_size=100) | st.from_regex(rb"(limit|dryRun|state|device|since)=[%0-9a-f&=]*"))
def test_any_query_gives_values_or_a_problem(query: bytes) -> None:
    try:
        values = read(DECLARED, query)
    except (Problem, SettingsError):
        return
    assert values.keys() == DEFAULTS.keys()
    assert 1 <= values["limit"] <= 1000 and values["dryRun"] in (True, False)


# --- every operation ---


def operations(bench: Any) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path with its variables filled, and the description of each operation."""
    document = OpenApiRoutes(
        bench.parts.datasource_types, bench.parts.integration_types, routes(bench.parts)
    ).document()
    return [
        (method.upper(), re.sub(r"\{\w+\}", "nothing", path), operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


LIKELY = ("x", "1", "1,1,2,2")
"""Texts, of which each pattern lets one through."""


def in_query(operation: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in operation.get("parameters", []) if each["in"] == "query"]


@inline
async def test_every_operation_refuses_a_query_parameter_that_it_does_not_describe(
    bench: Any, connect: Any
) -> None:
    client = connect()
    for method, path, _ in operations(bench):
        answer = await client(method, f"{path}?bogus=1")
        assert answer.status == 400, (method, path, answer.text)
        assert answer.json["errors"][0]["path"] == "bogus", (method, path)


@inline
async def test_every_operation_refuses_a_parameter_twice_and_a_value_that_is_not_as_described(
    bench: Any, connect: Any
) -> None:
    client = connect()
    tried = 0
    for method, path, operation in operations(bench):
        for parameter in in_query(operation):
            name, schema = parameter["name"], parameter["schema"]
            text = next(
                each
                for each in LIKELY
                if re.fullmatch(schema.get("pattern", ""), each) or "pattern" not in schema
            )
            good = {"integer": "1", "boolean": "true"}.get(schema["type"]) or schema.get("enum", [text])[0]
            twice = await client(method, f"{path}?{name}={good}&{name}={good}")
            assert (twice.status, twice.json["errors"][0]["path"]) == (400, name), (method, path)
            wrong = ["", "x" * (schema.get("maxLength", 255) + 1)]
            if schema["type"] == "integer":
                wrong += [str(schema["minimum"] - 1), str(schema["maximum"] + 1), "1.0", "%D9%A3"]
            if schema["type"] == "boolean":
                wrong += ["on", "1", "TRUE"]
            if "enum" in schema or "pattern" in schema:
                wrong += ["?!"]
            for value in wrong:
                answer = await client(method, f"{path}?{name}={value}")
                assert (answer.status, answer.json["errors"][0]["path"]) == (422, name), (method, path, value)
                assert "expected" in answer.json["detail"] and "got" in answer.json["detail"]
                tried += 1
    assert tried > 100


@inline
async def test_every_operation_of_one_tenant_takes_the_tenant_of_a_token_of_all(
    bench: Any, connect: Any
) -> None:
    await connect()("GET", "/status")
    for _, path, operation in operations(bench):
        names = [parameter["name"] for parameter in in_query(operation)]
        is_whole = (
            path.endswith(
                (
                    "/metrics",
                    "/library",
                    "/presets",
                    "/openapi.json",
                    "/backups",
                    "/v1/resume",
                    "/v1/session",
                )
            )
            or "/health/" in path
            or "/v1/tenants" in path
            or "/v1/nodes" in path
        )
        is_tokens = path.endswith("/tokens") and operation["summary"] == "List tokens"
        assert ("tenant" in names) is not (is_whole or is_tokens), path


@inline
async def test_every_operation_without_a_body_refuses_one(bench: Any, connect: Any) -> None:
    client = connect()
    for method, path, operation in operations(bench):
        if "requestBody" not in operation and method != "GET":
            answer = await client(method, path, {"olderThan": 3600})
            assert answer.status == 400, (method, path, answer.text)
            assert "no body" in answer.json["detail"]


# --- what was seen ---


@inline
async def test_a_dry_run_is_true_or_false_and_nothing_is_applied_for_anything_else(
    bench: Any, connect: Any
) -> None:
    client = connect()
    document = {"datasource": [{"name": "field", "type": "coap"}]}
    for value in ("on", "1", "yes", "True", ""):
        answer = await client("POST", f"/apply?dryRun={value}", document)
        assert (answer.status, answer.json["errors"][0]["path"]) == (422, "dryRun"), value
    assert (await client("POST", "/apply?dryrun=true", document)).status == 400
    assert bench.registry.list("datasource") == []
    assert (await client.ok("POST", "/apply?dryRun=false", document))["items"][0]["outcome"] == "created"


@inline
async def test_a_cursor_of_another_journal_is_a_wrong_value(connect: Any) -> None:
    client = connect()
    for before in ("e2-1", "bogus", "e1-²", "1"):
        answer = await client("GET", f"/messages?before={before}")
        assert (answer.status, answer.json["errors"][0]["path"]) == (422, "before"), before


@inline
async def test_a_token_of_one_tenant_is_not_answered_for_another(connect: Any) -> None:
    north = connect(tenant="north")
    assert (await north("GET", "/datasources?tenant=north")).status == 200
    answer = await north("GET", "/datasources?tenant=south")
    assert (answer.status, "'north', got 'south'" in answer.json["detail"]) == (403, True)


@pytest.mark.parametrize(
    ("selection", "path"),
    [
        ({"state": "bogus"}, "state"), ({"state": ""}, "state"), ({"state": "FAILED"}, "state"),
        ({"datasource": ""}, "datasource"), ({"device": ""}, "device"), ({"limit": 0}, "limit"),
        ({"limit": 10_001}, "limit"), ({"limit": "1"}, "limit"), ({"ids": [""] * 10_001}, "ids"),
        ({"ids": ["e1-1", 5]}, "ids[1]"), ({"ids": ["e1-1"], "state": "failed"}, ""), ({"ids": [], "limit": 1}, ""),
        ({"since": -1}, "since"), ({"after": 0}, ""), ({"states": "failed"}, ""),
    ],
)  # fmt: skip
@inline
async def test_a_wrong_selection_converts_nothing_again(
    bench: Any, connect: Any, selection: dict[str, Any], path: str
) -> None:
    for state in (State.FAILED, State.CONVERTED, State.FILTERED):
        bench.add("here", b"x", state)
    before = list(bench.messages)
    answer = await connect()("POST", "/messages/reprocess", selection)
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, path)
    assert bench.messages == before


@inline
async def test_an_empty_selection_is_what_failed_and_ids_that_are_gone_are_counted(
    bench: Any, connect: Any
) -> None:
    client = connect()
    bench.add("here", b"x", State.CONVERTED)
    bench.add("here", b"x", State.FAILED)
    assert await client.ok("POST", "/messages/reprocess", {}) == {
        "count": 1, "states": {"converted": 1}, "missing": 0, "waiting": 0, "elsewhere": 0,
    }  # fmt: skip
    assert await client.ok("POST", "/messages/reprocess", {"ids": ["e1-1", "e1-1", "e1-9"]}) == {
        "count": 1, "states": {"converted": 1}, "missing": 1, "waiting": 0, "elsewhere": 0,
    }  # fmt: skip


@inline
async def test_no_positions_are_no_dead_letters_and_none_given_are_all(bench: Any, connect: Any) -> None:
    client = connect()
    target = {"name": "out", "type": "http", "configuration": {"url": "http://x"}}
    id = (await client.ok("POST", "/integrations", target))["id"]
    for body, tried in [({"positions": []}, []), ({"positions": [3]}, [3]), ({}, [None]), (None, [None])]:
        bench.delivery.calls.clear()
        await client.ok("POST", "/integrations/out/retry", body)
        assert [call for call in bench.delivery.calls if call[0] == "retry"] == [
            ("retry", id, position) for position in tried
        ], body
    for body in ({"position": 3}, {"positions": 3}, {"positions": [-1]}):
        assert (await client("POST", "/integrations/out/retry", body)).status == 422, body
    for body in ({}, {"since": "now"}, {"since": -1}, {"since": 0, "until": 5}):
        assert (await client("POST", "/integrations/out/seek", body)).status == 422, body


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/converters/test", {"script": "function f() {}", "text": "a", "hex": "61"}),
        ("/converters/test", {"script": "function f() {}", "decoder": "function g() {}", "text": "a"}),
        ("/converters/test", {"script": "function f() {}", "version": 1, "text": "a"}),
        ("/converters/test", {"script": "function f() {}", "engine": "bogus", "text": "a"}),
        ("/converters/test", {"script": "function f() {}", "type": "uplink", "text": "a"}),
        ("/converters/test", {"script": "function f() {}", "text": "a", "recievedAt": 5}),
        ("/converters/mine/test", {"version": 0, "text": "a"}),
        ("/converters/mine/replay", {"script": "function f() {}", "version": 1}),
        ("/converters/mine/replay", {"script": "function f() {}", "engine": "bogus"}),
        ("/converters/mine/replay", {"version": 1, "since": 5, "until": 5}),
        ("/converters/mine/replay", {"version": 1, "datasource": ""}),
        ("/converters/mine/replay", {"version": 1, "state": "failed"}),
        ("/datasources/field/inject", {}),
        ("/datasources/field/inject", {"payload": "AA==", "text": "a"}),
        ("/datasources/field/inject", {"text": "a", "simulated": False}),
        ("/datasources/field/inject", {"text": "a", "metadata": {"identity": 5}}),
        ("/datasources/field/inject", {"text": "a", "metadata": {"deviceModel": ["TEK822"]}}),
        ("/datasources/field/inject", {"text": "a", "metadata": {"query": "ttd=5"}}),
    ],
)
@inline
async def test_an_action_with_a_field_that_it_would_pass_over_is_refused(
    connect: Any, path: str, body: dict[str, Any]
) -> None:
    client = connect()
    await client.ok("POST", "/converters", {"name": "mine", "script": "function f() {}"})
    await client.ok("POST", "/datasources", {"name": "field", "type": "coap"})
    answer = await client("POST", path, body)
    assert answer.status == 422, answer.text
    assert any(words in answer.json["detail"] for words in ("expected", "unknown field"))


@pytest.mark.parametrize(
    "data", [b"[" * 50_000, b'{"a":' * 65 + b"1" + b"}" * 65, b'{"name": "\xff"}', b'{"limit": 1e400}', b"1" * 10_000]
)  # fmt: skip
@inline
async def test_a_body_that_is_no_json_or_too_deep_is_400(connect: Any, data: bytes) -> None:
    client = connect()
    await client.ok("POST", "/datasources", {"name": "field", "type": "coap"})
    for method, path in [
        ("POST", "/messages/reprocess"),
        ("PATCH", "/datasources/field"),
        ("POST", "/apply"),
    ]:
        answer = await client(method, path, data=data, headers={"Content-Type": "application/json"})
        assert (answer.status, answer.json["detail"][:13]) == (400, "expected JSON"), path

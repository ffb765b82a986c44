"""Datasources, converters and integrations over the API: what is saved, shown, refused."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted

COAP = {"name": "field", "type": "coap", "configuration": {"port": 5683, "preSharedKey": "hush"}}
HTTP = {"name": "out", "type": "http", "configuration": {"url": "http://x", "headers": {"X-Key": "hush"}}}


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


@inline
async def test_a_datasource_is_created_read_listed_and_deleted(bench: Any, connect: Any) -> None:
    client = connect()
    made = await client("POST", "/datasources", COAP)
    assert made.status == 201
    assert made.headers["etag"] == '"1"'
    assert made.json["status"]["state"] == "listening"
    assert made.headers["location"] == f"/api/v1/datasources/{made.json['id']}"
    by_id = await client.ok("GET", f"/datasources/{made.json['id']}")
    by_name = await client.ok("GET", "/datasources/field")
    assert by_id == by_name == made.json
    assert [each["name"] for each in (await client.ok("GET", "/datasources"))["items"]] == ["field"]
    gone = await client("DELETE", "/datasources/field")
    assert (gone.status, gone.json["state"], gone.json["backlog"]) == (200, "deleted", "drain")
    assert bench.pipeline.awaited == [made.json["id"]] * 2  # opened, and closed, before the answers
    assert (await client("GET", "/datasources/field")).status == 404


@inline
async def test_a_datasource_gets_a_routing_key_of_its_own_and_keeps_it(connect: Any) -> None:
    client = connect()
    key = (await client.ok("POST", "/datasources", COAP))["routingKey"]
    assert len(key) == 16
    assert (await client.ok("PUT", "/datasources/field", COAP))["routingKey"] == key
    second = await client("POST", "/datasources", {**COAP, "name": "second", "routingKey": key})
    assert second.status == 422
    assert second.json["errors"][0]["path"] == "routingKey"


@inline
async def test_secrets_are_stored_sealed_and_never_shown(bench: Any, connect: Any) -> None:
    client = connect()
    made = await client("POST", "/integrations", HTTP)
    assert "hush" not in made.text
    assert made.json["configuration"]["headers"] == {"X-Key": "***"}
    stored = bench.registry.get("integration", "out").body["configuration"]
    assert stored["headers"] == {"X-Key": "sealed:hsuh"}
    changed = {**made.json, "description": "edited"}
    shown = await client.ok("PUT", "/integrations/out", changed)
    assert shown["description"] == "edited"
    assert bench.registry.get("integration", "out").body["configuration"] == stored


@inline
async def test_a_wrong_value_is_named_with_its_place_and_what_was_expected(connect: Any) -> None:
    client = connect()
    answer = await client("POST", "/datasources", {**COAP, "configuration": {"port": "many"}})
    assert answer.status == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["errors"] == [
        {"path": "configuration.port", "problem": "expected `int`, got `str`", "value": "many"}
    ]
    assert answer.json["detail"] == "configuration.port: expected `int`, got `str`"


@inline
async def test_unknown_fields_types_and_converters_are_refused(connect: Any) -> None:
    client = connect()
    for change, path in [
        ({"colour": "red"}, ""),
        ({"type": "carrier-pigeon"}, "type"),
        ({"converter": "nobody"}, "converter"),
        ({"name": "a/b"}, "name"),
    ]:
        answer = await client("POST", "/datasources", {**COAP, **change})
        assert (answer.status, answer.json["errors"][0]["path"]) == (422, path), answer.text


@inline
async def test_a_datasource_that_cannot_be_opened_is_not_saved(bench: Any, connect: Any) -> None:
    client = connect()
    answer = await client("POST", "/datasources", {**COAP, "configuration": {"port": 1}})
    assert answer.status == 409
    assert "port 1: permission denied" in answer.json["detail"]
    assert bench.registry.list("datasource") == []
    await client.ok("POST", "/datasources", COAP)
    answer = await client("PATCH", "/datasources/field", {"configuration": {"port": 1}})
    assert answer.status == 409
    assert (await client.ok("GET", "/datasources/field"))["configuration"]["port"] == 5683


@inline
async def test_a_patch_changes_only_what_it_names(connect: Any) -> None:
    client = connect()
    await client.ok("POST", "/datasources", COAP)
    patched = await client.ok(
        "PATCH", "/datasources/field", {"configuration": {"port": 5700}, "description": "x"}
    )
    assert patched["configuration"] == {"port": 5700, "preSharedKey": "***"}
    assert patched["description"] == "x"
    removed = await client.ok("PATCH", "/datasources/field", {"description": None})
    assert removed["description"] == ""


@inline
async def test_an_old_entity_tag_is_refused(connect: Any) -> None:
    client = connect()
    await client.ok("POST", "/datasources", COAP)
    first = {"If-Match": '"1"'}
    assert (await client("PUT", "/datasources/field", COAP, headers=first)).status == 200
    late = await client("PUT", "/datasources/field", COAP, headers=first)
    assert (late.status, late.headers["etag"]) == (412, '"2"')
    assert (await client("DELETE", "/datasources/field", headers=first)).status == 412
    unchanged = await client("GET", "/datasources/field", headers={"If-None-Match": '"2"'})
    assert (unchanged.status, unchanged.text) == (304, "")


@inline
async def test_a_put_to_a_new_name_creates_it(connect: Any) -> None:
    client = connect()
    answer = await client("PUT", "/integrations/out", {key: HTTP[key] for key in ("type", "configuration")})
    assert answer.status == 201
    assert answer.json["name"] == "out"


@inline
async def test_a_taken_name_is_a_conflict(connect: Any) -> None:
    client = connect()
    await client.ok("POST", "/integrations", HTTP)
    assert (await client("POST", "/integrations", HTTP)).status == 409


@inline
async def test_lists_go_on_behind_a_name(connect: Any) -> None:
    client = connect()
    for name in ("a", "b", "c"):
        await client.ok("POST", "/integrations", {**HTTP, "name": name})
    first = await client.ok("GET", "/integrations?limit=2")
    assert ([each["name"] for each in first["items"]], first["next"]) == (["a", "b"], "b")
    second = await client.ok("GET", "/integrations?limit=2&after=b")
    assert ([each["name"] for each in second["items"]], second["next"]) == (["c"], None)


@inline
async def test_a_saved_script_becomes_a_version_and_an_older_one_can_be_activated(connect: Any) -> None:
    client = connect()
    script = {"name": "mine", "script": "function one() {}"}
    made = await client.ok("POST", "/converters", script)
    assert (made["version"], made["detected"]) == (1, {"dialect": "thingsboard", "engine": "duktape"})
    second = await client.ok("PUT", "/converters/mine", {**made, "script": "function two() {}"})
    assert second["version"] == 2
    back = await client.ok("POST", "/converters/mine/versions/1/activate")
    assert (back["version"], back["script"]) == (1, "function one() {}")
    versions = (await client.ok("GET", "/converters/mine/versions"))["items"]
    assert [(each["version"], each["active"]) for each in versions] == [(1, True), (2, False)]
    assert (await client("POST", "/converters/mine/versions/3/activate")).status == 404


@inline
async def test_a_script_that_does_not_compile_is_refused_with_its_reason(connect: Any) -> None:
    answer = await connect()("POST", "/converters", {"name": "bad", "script": "nonsense"})
    assert answer.status == 422
    assert answer.json["errors"][0]["path"] == "script"


@inline
async def test_a_converter_in_use_is_neither_deleted_nor_renamed(connect: Any) -> None:
    client = connect()
    await client.ok("POST", "/converters", {"name": "mine", "script": "function one() {}"})
    await client.ok("POST", "/datasources", {**COAP, "converter": "mine"})
    refused = await client("DELETE", "/converters/mine")
    assert (refused.status, "field" in refused.json["detail"]) == (409, True)
    assert (await client("PATCH", "/converters/mine", {"name": "other"})).status == 409
    assert (await client.ok("GET", "/converters/mine"))["status"] == {"usedBy": ["field"]}
    await client.ok("DELETE", "/datasources/field")
    assert (await client("DELETE", "/converters/mine")).status == 204


@inline
async def test_a_converter_of_the_wrong_direction_is_refused(connect: Any) -> None:
    client = connect()
    await client.ok("POST", "/converters", {"name": "down", "type": "DOWNLINK", "script": "function e() {}"})
    for change, path in [({"converter": "down"}, "converter"), ({"downlinkConverter": "json"}, "downlinkConverter"),
                         ({"converters": {"TEK586": "down"}}, "converters.TEK586")]:  # fmt: skip
        answer = await client("POST", "/datasources", {**COAP, **change})
        assert (answer.status, answer.json["errors"][0]["path"]) == (422, path)
    await client.ok("POST", "/datasources", {**COAP, "converter": "json", "downlinkConverter": "down"})


@inline
async def test_a_bundled_converter_is_listed_used_and_installed(connect: Any) -> None:
    client = connect()
    assert [each["name"] for each in (await client.ok("GET", "/library"))["items"]] == [
        "json",
        "tekelek/logger",
    ]
    found = await client.ok("GET", "/library?profile=Tekelek%20Logger%203")
    assert found["items"] == []  # a name without a model says nothing
    await client.ok("POST", "/datasources", {**COAP, "converter": "json"})
    installed = await client("POST", "/library/json/install", {"name": "my-json"})
    assert (installed.status, installed.json["name"]) == (201, "my-json")
    assert (await client("POST", "/library/json/install")).json["name"] == "json"
    assert (await client("POST", "/library/tekelek/logger/install")).json["name"] == "tekelek-logger"


@inline
async def test_queues_are_paused_resumed_and_sought_over_the_api(bench: Any, connect: Any) -> None:
    client = connect()
    id = (await client.ok("POST", "/integrations", HTTP))["id"]
    for action in ("pause", "resume", "drain", "purge"):
        assert (await client.ok("POST", f"/integrations/out/{action}"))["queued"] == 3
    await client.ok("POST", "/integrations/out/seek", {"since": 5})
    await client.ok("POST", "/integrations/out/retry", {"positions": [7]})
    await client.ok("POST", "/integrations/out/retry")
    assert bench.delivery.calls == [
        ("pause", id), ("resume", id), ("drain", id), ("purge", id), ("seek", id, 5), ("retry", id, 7),
        ("retry", id, None),
    ]  # fmt: skip
    letters = await client.ok("GET", "/integrations/out/dead-letters")
    assert letters["items"][0]["error"] == "400 Bad Request"
    assert letters["items"][0]["id"] == "e1-3"
    bench.delivery.calls.clear()
    assert (await client.ok("DELETE", "/integrations/out/dead-letters/7"))["dismissed"] == 1
    assert (await client.ok("DELETE", "/integrations/out/dead-letters"))["dismissed"] == 1
    await client.ok("DELETE", "/integrations/out/dead-letters?device=d&before=9&error=400")
    assert bench.delivery.calls == [
        ("dismiss", id, 7, "", 0, ""), ("dismiss", id, None, "", 0, ""), ("dismiss", id, None, "d", 9, "400")
    ]  # fmt: skip
    for position in ("8", "%C2%B2", "x"):
        assert (await client("DELETE", f"/integrations/out/dead-letters/{position}")).status == 404
    assert await client.ok("POST", "/integrations/out/check") == {"ok": True, "detail": "connected"}


@inline
async def test_an_uplink_can_be_sent_by_hand(connect: Any) -> None:
    client = connect()
    await client.ok("POST", "/datasources", COAP)
    assert await client.ok("POST", "/datasources/field/inject", {"text": "abc"}) == {
        "status": "stored",
        "id": "e1-3",
    }
    busy = await client("POST", "/datasources/field/inject", {"text": "full"})
    assert (busy.status, busy.headers["retry-after"]) == (503, "5")
    bad = await client("POST", "/datasources/field/inject", {"payload": "%%%"})
    assert (bad.status, bad.json["errors"][0]["path"]) == (422, "payload")


@inline
async def test_who_changed_what_is_recorded(bench: Any, connect: Any) -> None:
    client = connect()
    name = (await client.ok("GET", "/tokens"))["items"][0]["name"]
    await client.ok("POST", "/integrations", HTTP)
    await client.ok("PATCH", "/integrations/out", {"enabled": False})
    await client.ok("DELETE", "/integrations/out")
    noted = [(event.source, event.name, event.type, event.detail) for event in bench.events.emitted]
    assert noted == [
        ("integration", "out", "created", {"by": name}),
        ("integration", "out", "changed", {"by": name}),
        ("integration", "out", "deleted", {"by": name, "backlog": "drain"}),
    ]


@inline
async def test_what_waits_for_an_integration_that_is_paused_is_not_drained_and_may_be_dropped(
    bench: Any, connect: Any
) -> None:
    client = connect()
    await client.ok("POST", "/integrations", HTTP)
    bench.delivery.stats = lambda id: {"state": "paused", "waiting": 3}
    refused = await client("DELETE", "/integrations/out")
    assert refused.status == 409
    assert "backlog=drop" in refused.json["detail"]
    assert (await client("DELETE", "/integrations/out?backlog=burn")).status == 422
    gone = await client("DELETE", "/integrations/out?backlog=drop")
    assert (gone.status, gone.json["backlog"]) == (200, "drop")


@pytest.mark.parametrize("name", [".", "..", "a\x01", "a\x7f", "a\ufffe", "a/b", " "])
@inline
async def test_a_name_that_would_break_a_path_or_a_line_is_refused(connect: Any, name: str) -> None:
    client = connect()
    for path, value in (
        ("/datasources", {**COAP, "name": name}),
        ("/integrations", {**HTTP, "name": name}),
        ("/converters", {"name": name, "script": "x"}),
        ("/credentials", {"name": name, "identity": "i", "secrets": [{"value": "hush"}]}),
        ("/tokens", {"name": name, "role": "viewer"}),
    ):
        answer = await client("POST", path, value)
        assert (answer.status, answer.json["errors"][0]["path"]) == (422, "name"), (path, answer.text)


@pytest.mark.parametrize("key", [".", "..", "a\x01"])
@inline
async def test_a_routing_key_that_would_break_a_path_is_refused(connect: Any, key: str) -> None:
    answer = await connect()("POST", "/datasources", {**COAP, "routingKey": key})
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, "routingKey")

"""Messages, trials, devices and events over the API."""

from __future__ import annotations

import base64
from typing import Any

import pytest_twisted

from iotgw.core.model import Event, State


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


@inline
async def test_a_message_shows_all_that_became_of_it(bench: Any, connect: Any) -> None:
    client = connect()
    id = (await client.ok("POST", "/datasources", {"name": "field", "type": "coap"}))["id"]
    bench.add(id, b"hello")
    assert (await client.ok("GET", "/messages/e1-1")) == {
        "id": "e1-1",
        "receivedAt": 1000,
        "datasource": "field",
        "state": "converted",
        "payload": base64.b64encode(b"hello").decode(),
        "metadata": {"protocol": "http"},
        "output": [
            {
                "deviceName": "dev-1",
                "deviceType": "default",
                "attributes": {},
                "telemetry": [{"ts": 1000, "values": {"n": 1}}],
            }
        ],
        "error": None,
        "deliveries": [
            {
                "integration": "out",
                "state": "delivered",
                "attempts": 1,
                "error": None,
                "nextTryAt": None,
                "tries": [],
            },
        ],
        "converter": "id1/1",
    }


@inline
async def test_a_failed_message_names_line_and_column(bench: Any, connect: Any) -> None:
    bench.add("gone", b"x", State.FAILED)
    message = (await connect().ok("GET", "/messages"))["items"][0]
    assert message["state"] == "failed"
    assert message["error"] == {"message": "boom", "line": 3, "column": 7}
    assert message["datasource"] == "gone"


@inline
async def test_messages_are_listed_newest_first_by_pages(bench: Any, connect: Any) -> None:
    for number in range(5):
        bench.add("gone", b"%d" % number)
    client = connect()
    first = await client.ok("GET", "/messages?limit=2")
    assert [each["id"] for each in first["items"]] == ["e1-5", "e1-4"]
    second = await client.ok("GET", f"/messages?limit=2&before={first['next']}")
    assert [each["id"] for each in second["items"]] == ["e1-3", "e1-2"]
    last = await client.ok("GET", f"/messages?limit=2&before={second['next']}")
    assert ([each["id"] for each in last["items"]], last["next"]) == (["e1-1"], None)


@inline
async def test_messages_are_filtered_by_datasource_state_and_device(bench: Any, connect: Any) -> None:
    client = connect()
    id = (await client.ok("POST", "/datasources", {"name": "field", "type": "coap"}))["id"]
    bench.add(id, b"1", device="a")
    bench.add("other", b"2", device="b")
    bench.add(id, b"3", State.FAILED)
    for query, ids in [
        ("datasource=field", ["e1-3", "e1-1"]),
        (f"datasource={id}", ["e1-3", "e1-1"]),
        ("datasource=other", ["e1-2"]),
        ("state=failed", ["e1-3"]),
        ("device=b", ["e1-2"]),
        ("tenant=nobody", []),
    ]:
        found = await client.ok("GET", f"/messages?{query}")
        assert [each["id"] for each in found["items"]] == ids, query


@inline
async def test_wrong_queries_and_unknown_messages_are_refused(connect: Any) -> None:
    client = connect()
    for query, path in [("state=lost", "state"), ("limit=0", "limit"), ("limit=many", "limit")]:
        answer = await client("GET", f"/messages?{query}")
        assert (answer.status, answer.json["errors"][0]["path"]) == (422, path), query
    for id in ("e1-99", "other-1", "e1-x", "e1", "e1-" + "9" * 30):
        assert (await client("GET", f"/messages/{id}")).status == 404, id


@inline
async def test_failed_messages_are_converted_again_one_or_many(bench: Any, connect: Any) -> None:
    client = connect()
    for _ in range(3):
        bench.add("here", b"x", State.FAILED)
    bench.add("gone", b"x", State.FAILED)
    assert (await client.ok("POST", "/messages/e1-1/reprocess"))["state"] == "converted"
    assert await client.ok("POST", "/messages/reprocess", {"ids": ["e1-2"]}) == {
        "count": 1, "states": {"converted": 1}, "missing": 0, "waiting": 0, "elsewhere": 0,
    }  # fmt: skip
    assert await client.ok("POST", "/messages/reprocess", {"state": "failed"}) == {
        "count": 1, "states": {"converted": 1}, "missing": 1, "waiting": 0, "elsewhere": 0,
    }  # fmt: skip


@inline
async def test_a_draft_is_tried_on_bytes_text_or_a_stored_message(bench: Any, connect: Any) -> None:
    client = connect()
    bench.add("here", b"stored")
    draft = {"script": "function f() {}"}
    for given, name in [
        ({"payload": base64.b64encode(b"bytes").decode()}, "bytes"),
        ({"text": "text"}, "text"),
        ({"hex": "686578"}, "hex"),
        ({"messageId": "e1-1"}, "stored"),
    ]:
        result = await client.ok("POST", "/converters/test", {**draft, **given})
        assert (result["telemetry"][0]["deviceName"], result["logs"]) == (name, ["hello"])
    by_thingsboard = {"decoder": "function f() {}", "payload": "", "metadata": {"a": 1}}
    assert (await client.ok("POST", "/converters/test", by_thingsboard))["result"]["metadata"] == {"a": 1}


@inline
async def test_the_input_decides_of_which_dialect_a_draft_is(connect: Any) -> None:
    trial = {"script": "function undecided() {}", "text": "d"}
    assert (await connect().ok("POST", "/converters/test", trial))["error"] is None


@inline
async def test_a_scripts_error_is_a_result(connect: Any) -> None:
    client = connect()
    failed = await client.ok("POST", "/converters/test", {"script": "function fail() {}", "text": ""})
    assert (failed["error"]["line"], failed["error"]["column"]) == (1, 2)
    broken = await client.ok("POST", "/converters/test", {"script": "nonsense", "text": ""})
    assert (broken["error"]["stage"], broken["error"]["line"]) == ("compile", 1)
    assert (await client("POST", "/converters/test", {"text": ""})).status == 422


@inline
async def test_saved_bundled_and_older_versions_can_be_tried(connect: Any) -> None:
    client = connect()
    await client.ok("POST", "/converters", {"name": "mine", "script": "function fail() {}"})
    await client.ok("PATCH", "/converters/mine", {"script": "function fine() {}"})
    assert (await client.ok("POST", "/converters/mine/test", {"text": "x"}))["error"] is None
    assert (await client.ok("POST", "/converters/mine/test", {"text": "x", "version": 1}))[
        "error"
    ] is not None
    assert (await client("POST", "/converters/mine/test", {"text": "x", "version": 9})).status == 404
    for bundled in ("json", "tekelek/logger", "tekelek%2Flogger"):
        assert (await client.ok("POST", f"/converters/{bundled}/test", {"text": "x"}))["error"] is None


@inline
async def test_a_downlink_converter_is_tried_with_its_own_arguments(connect: Any) -> None:
    client = connect()
    await client.ok("POST", "/converters", {"name": "down", "type": "DOWNLINK", "script": "function e() {}"})
    result = await client.ok("POST", "/converters/down/test", {"msg": "on", "msgType": "RPC"})
    assert result["result"]["data"] == "on"


@inline
async def test_the_vectors_of_a_converter_are_run(connect: Any) -> None:
    client = connect()
    good = {"name": "good", "text": "x", "output": [{"deviceName": "x", "metadata": {}, "ts": 0}]}
    bad = {"name": "bad", "text": "x", "output": []}
    await client.ok(
        "POST", "/converters", {"name": "mine", "script": "function f() {}", "tests": [good, bad]}
    )
    result = await client.ok("POST", "/converters/mine/test-suite")
    assert (result["passed"], result["failed"]) == (1, 1)
    assert [(case["name"], case["passed"]) for case in result["cases"]] == [("good", True), ("bad", False)]
    for tests, path in [([{"output": 1, "hex": "x"}], "tests[0].hex"), ([good, {"text": "x"}], "tests[1]")]:
        answer = await client("PATCH", "/converters/mine", {"tests": tests})
        assert (answer.status, answer.json["errors"][0]["path"]) == (422, path)


@inline
async def test_a_replay_says_what_a_draft_would_change(bench: Any, connect: Any) -> None:
    client = connect()
    id = (await client.ok("POST", "/converters", {"name": "mine", "script": "function f() {}"}))["id"]
    for number in range(4):
        bench.add("here", b'{"n":%d}' % number, converter=f"{id}/1")
    bench.add("here", b"{}", converter="another/1")
    same = await client.ok("POST", "/converters/mine/replay", {"script": "function g() {}"})
    assert (same["count"], same["same"], same["samples"]) == (4, 4, [])
    changed = await client.ok("POST", "/converters/mine/replay", {"script": "function mark() {}", "limit": 3})
    assert (changed["count"], changed["changed"], len(changed["samples"])) == (3, 3, 3)
    assert [sample["id"] for sample in changed["samples"]] == ["e1-2", "e1-3", "e1-4"]
    odd = await client.ok("POST", "/converters/mine/replay", {"script": "function odd() {}"})
    assert (odd["same"], odd["newlyFailing"]) == (2, 2)
    late = await client.ok("POST", "/converters/mine/replay", {"script": "function g() {}", "since": 3000})
    assert late["count"] == 2
    undecided = await client.ok("POST", "/converters/mine/replay", {"script": "function undecided() {}"})
    assert undecided["count"] == 4, "the messages decide of which dialect it is"
    none = {"script": "function undecided() {}", "since": 99_000}
    assert (await client("POST", "/converters/mine/replay", none)).status == 422
    tried = {job.converter.id for job in bench.converters.seen}
    assert all(name.startswith("replay:") for name in tried), "no script's state is touched"


@inline
async def test_devices_are_listed_and_read(connect: Any) -> None:
    client = connect()
    assert [each["name"] for each in (await client.ok("GET", "/devices"))["items"]] == ["dev-1", "dev-2"]
    assert (await client.ok("GET", "/devices?limit=1"))["next"] == "dev-1"
    assert (await client.ok("GET", "/devices/dev-1"))["type"] == "default"
    assert (await client("GET", "/devices/nobody")).status == 404


@inline
async def test_a_device_belongs_to_a_datasource_and_is_handed_over_to_another(connect: Any) -> None:
    client = connect()
    made = await client.ok("POST", "/datasources", {"name": "new", "type": "coap", "routingKey": "k"})
    assert (await client.ok("GET", "/devices/dev-1"))["owner"] == "lobby"
    for name in ("new", made["id"]):
        answer = await client.ok("PUT", "/devices/dev-1/owner", {"datasource": name})
        assert answer == {"name": "dev-1", "owner": made["id"]}
    shown = (await client.ok("GET", "/devices"))["items"]
    assert [each["owner"] for each in shown] == [made["id"], "lobby"]
    assert (await client("PUT", "/devices/dev-1/owner", {"datasource": "nobody"})).status == 404
    assert (await client("PUT", "/devices/a%01b/owner", {"datasource": "new"})).status == 422


@inline
async def test_events_are_listed_newest_first_and_filtered(bench: Any, connect: Any) -> None:
    for number, source in enumerate(("datasource", "integration", "datasource")):
        bench.events.emit(Event(number, "started", source, f"n{number}", "open"))
    client = connect()
    listed = await client.ok("GET", "/events?source=datasource")
    assert [(each["id"], each["name"]) for each in listed["items"]] == [(3, "n2"), (1, "n0")]
    assert (await client.ok("GET", "/events?limit=1"))["next"] == "3"
    assert [each["id"] for each in (await client.ok("GET", "/events?before=2"))["items"]] == [1]

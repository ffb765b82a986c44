"""Devices over the API."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted

from iotgw import testing


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


@inline
async def test_a_device_is_created_read_changed_and_deleted(bench: Any, connect: Any) -> None:
    client = connect()
    said = {
        "name": "k 1/ü", "label": "Kitchen", "groups": ["home"], "latitude": 47.5, "longitude": 8.5, "tags": {"floor": "1"},
    }  # fmt: skip
    made = await client("POST", "/devices", said)
    assert (made.status, made.headers["etag"]) == (201, '"1"')
    path = made.headers["location"]
    assert path == "/api/v1/devices/k%201%2F%C3%BC"
    assert {key: made.json[key] for key in said} == said
    shown = await client("GET", path)
    assert shown.headers["etag"] == '"1"'
    assert (shown.json["lastSeen"], shown.json["credentials"], shown.json["downlinks"]) == (
        None,
        [],
        {"waiting": 0},
    )
    changed = await client(
        "PATCH", path, {"label": "Bath", "latitude": None, "longitude": None}, {"If-Match": '"1"'}
    )
    assert (changed.status, changed.json["label"], changed.json["groups"]) == (200, "Bath", ["home"])
    assert changed.json["latitude"] is None
    stale = await client("PUT", path, {"label": "x"}, {"If-Match": '"1"'})
    assert (stale.status, stale.headers["etag"]) == (412, '"2"')
    assert (await client("DELETE", path, headers={"If-Match": '"1"'})).status == 412
    assert (await client("DELETE", path)).status == 204
    assert (await client("GET", path)).status == 404
    assert (await client("DELETE", path)).status == 404
    events = [(each.type, each.name) for each in bench.events.emitted if each.source == "device"]
    assert events == [("created", "k 1/ü"), ("changed", "k 1/ü"), ("deleted", "k 1/ü")]


@inline
async def test_what_is_shown_can_be_sent_back(bench: Any, connect: Any) -> None:
    client = connect()
    shown = (await client("GET", "/devices/dev-1")).json
    assert shown["type"] == "default"
    assert (await client("PUT", "/devices/dev-1", {**shown, "notes": "n"})).status == 200
    assert bench.fleet.get("default", "dev-1").spec.type == "", (
        "the type of its messages is no word of the operator"
    )
    assert (await client("PUT", "/devices/dev-1", {**shown, "type": "mine"})).json["type"] == "mine"


@inline
async def test_a_put_creates_what_is_not_there_but_not_under_another_name(connect: Any) -> None:
    client = connect()
    assert (await client("PUT", "/devices/new", {"label": "x"})).status == 201
    assert (await client("PUT", "/devices/new", {"name": "other"})).status == 422
    assert (await client("PUT", "/devices/none", {}, {"If-Match": '"1"'})).status == 404
    assert (await client("PATCH", "/devices/none", {"label": "x"})).status == 404
    assert (await client("POST", "/devices", {"name": "new"})).status == 409


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ({"latitude": 91, "longitude": 0}, "latitude"), ({"latitude": 1}, ""), ({"longitude": "8"}, "longitude"),
        ({"tags": {"a": 1}}, "tags"), ({"groups": ["a", "a"]}, ""), ({"groups": [""]}, "groups"), ({"groups": ["a|b"]}, ""),
        ({"label": "x" * 201}, "label"), ({"label": "a\u0007"}, ""), ({"tags": {"a\n": ""}}, ""), ({"reportEvery": -1}, "reportEvery"),
        ({"reportEvery": 1e13}, "reportEvery"), ({"colour": "red"}, ""), ({"name": " "}, ""), ({"name": "\ud800"}, ""),
        ({"name": ".."}, ""), ({"name": ""}, "name"),
    ],
)  # fmt: skip
@inline
async def test_what_is_wrong_is_refused_with_its_place(connect: Any, said: Any, path: str) -> None:
    answer = await connect()("POST", "/devices", {"name": "d", **said})
    assert answer.status in (400, 422), answer.text
    assert path in answer.text
    assert (await connect()("GET", "/devices/d")).status == 404


@inline
async def test_numbers_that_are_none_do_not_come_in(connect: Any) -> None:
    answer = await connect()(
        "POST", "/devices", headers={"Content-Type": "application/json"}, data=b'{"name": "d", "latitude": NaN, "longitude": 1}'
    )  # fmt: skip
    assert answer.status == 400


@inline
async def test_devices_are_listed_by_what_is_said_of_them_a_page_at_a_time(connect: Any) -> None:
    client = connect()
    for number in range(3):
        await client.ok(
            "POST", "/devices", {"name": f"m-{number}", "groups": ["g"], "tags": {"n": str(number)}}
        )
    page = await client.ok("GET", "/devices?group=g&limit=2")
    assert ([each["name"] for each in page["items"]], page["next"]) == (["m-0", "m-1"], "m-1")
    page = await client.ok("GET", "/devices?group=g&limit=2&after=m-1")
    assert ([each["name"] for each in page["items"]], page["next"]) == (["m-2"], None)
    assert [each["name"] for each in (await client.ok("GET", "/devices?tag=n%3D1"))["items"]] == ["m-1"]
    assert [each["name"] for each in (await client.ok("GET", "/devices?type=default"))["items"]] == [
        "dev-1",
        "dev-2",
    ]
    assert (await client("GET", "/devices?trouble=bored")).status == 422


@inline
async def test_credentials_and_what_waits_are_shown_with_their_device(connect: Any) -> None:
    client = connect()
    await client.ok(
        "POST", "/devices/dev-1/credentials", {"identity": "i", "secrets": [{"value": "hidden-key"}]}
    )
    await client.ok("POST", "/datasources", {
        "name": "web", "type": "coap", "downlinkWindow": 30, "downlinkWindows": {"dev-1": 5},
    })  # fmt: skip
    await client.ok("PUT", "/devices/dev-1/owner", {"datasource": "web"})
    await client.ok("POST", "/devices/dev-1/downlinks", {"data": "x", "contentType": "TEXT"})
    shown = await client("GET", "/devices/dev-1")
    assert "hidden-key" not in shown.text
    assert [each["identity"] for each in shown.json["credentials"]] == ["i"]
    assert shown.json["downlinks"] in (
        {"waiting": 1}, {"waiting": 1, "datasource": "web", "converter": "", "window": 5.0},
    )  # fmt: skip


@inline
async def test_types_and_groups_have_settings_and_say_how_many_devices_they_are_about(
    bench: Any, connect: Any
) -> None:
    client = connect()
    made = await client.ok("POST", "/device-types", {"name": "default", "reportEvery": 60})
    assert made["status"] == {"devices": 2}
    assert (await client.ok("GET", "/devices/dev-1"))["health"] == {
        "state": "well", "reportEvery": 60.0, "silentSince": 0, "batteryBelow": None, "batteryLowSince": 0,
        "signalBelow": None, "signalWeakSince": 0,
    }  # fmt: skip
    bench.clock.pump([1.0] * 61)
    found = (await client.ok("GET", "/devices?trouble=silent"))["items"]
    assert [each["name"] for each in found] == ["dev-1", "dev-2"]
    await client.ok("POST", "/device-groups", {"name": "g", "reportEvery": 0})
    await client.ok("PATCH", "/devices/dev-1", {"reportEvery": 0})
    assert (await client.ok("GET", "/devices/dev-1"))["health"]["state"] == "unwatched"
    assert (await client("POST", "/device-groups", {"name": "a/b"})).status == 422


@inline
async def test_a_device_of_another_tenant_is_nobodys(bench: Any, connect: Any) -> None:
    acme, chief = connect("admin", "acme"), connect()
    await acme.ok("POST", "/devices", {"name": "dev-1", "label": "Acme's"})
    assert (await chief.ok("GET", "/devices/dev-1"))["label"] == ""
    assert (await acme("DELETE", "/devices/dev-2")).status == 404
    assert [each["name"] for each in (await acme.ok("GET", "/devices"))["items"]] == ["dev-1"]
    assert (await acme("DELETE", "/devices/dev-1")).status == 204
    assert testing.fired(bench.devices.get("default", "dev-1")) is not None


@inline
async def test_who_may_only_read_changes_nothing(connect: Any) -> None:
    viewer = connect("viewer")
    assert (await viewer("GET", "/devices")).status == 200
    for method, path in (
        ("POST", "/devices"),
        ("PUT", "/devices/dev-1"),
        ("PATCH", "/devices/dev-1"),
        ("DELETE", "/devices/dev-1"),
    ):
        assert (await viewer(method, path, {"name": "dev-1"} if method != "DELETE" else None)).status == 403


@inline
async def test_a_downlink_to_a_device_that_nobody_knows_is_an_error_unless_it_is_meant(connect: Any) -> None:
    client = connect()
    item = {"data": "x", "contentType": "TEXT"}
    for method, body in (("POST", item), ("PUT", [item])):
        answer = await client(method, "/devices/Dev-1/downlinks", body)
        assert (answer.status, "did you mean 'dev-1'?" in answer.text) == (404, True)
        answer = await client(method, "/devices/nobody/downlinks", body)
        assert (answer.status, "allowUnknown" in answer.text) == (404, True)
        assert (await client(method, "/devices/nobody/downlinks?allowUnknown=true", body)).status in (
            200,
            201,
        )
    await client.ok("PUT", "/devices/nobody/downlinks", [])
    await client.ok("POST", "/devices", {"name": "meter", "identity": "urn:imei:1"})
    await client.ok("POST", "/devices/urn:imei:1/downlinks", item)
    await client.ok(
        "POST", "/devices/keyed/credentials", {"identity": "i", "secrets": [{"value": "hidden-key"}]}
    )
    await client.ok("POST", "/devices/keyed/downlinks", item)


NEW = "sent-once"
"""A device whose first message was answered, and isn't converted yet."""


@pytest.mark.parametrize(
    ("method", "path", "body", "wanted"),
    [
        ("POST", f"/devices/{NEW}/downlinks", {"data": "x", "contentType": "TEXT"}, 201),
        ("PUT", f"/devices/{NEW}/downlinks", [{"data": "x", "contentType": "TEXT"}], 200),
        ("POST", "/downlinks", {"downlink": {"data": "x", "contentType": "TEXT"}, "devices": ["dev-1", NEW]}, 201),
        ("GET", f"/devices/{NEW}", None, 200),
        ("PATCH", f"/devices/{NEW}", {"label": "hall"}, 200),
        ("POST", "/debug", {"name": NEW}, 201),
    ],
    ids=["downlink", "downlinks", "batch", "read", "change", "debug"],
)  # fmt: skip
@inline
async def test_a_device_may_be_asked_for_as_soon_as_it_was_answered(
    bench: Any, connect: Any, method: str, path: str, body: Any, wanted: int
) -> None:
    asked: list[str] = []

    def settles(tenant: str) -> None:
        asked.append(tenant)
        record = testing.telemetry(9, NEW)
        bench.devices.saw([record])
        bench.fleet.settled([], [record])

    bench.arrivals.settles = settles
    assert (await connect()(method, path, body)).status == wanted
    assert asked == ["default"]


@inline
async def test_who_asks_for_a_known_device_waits_for_nothing(bench: Any, connect: Any) -> None:
    client, asked = connect(), []
    bench.arrivals.settles = asked.append
    await client.ok("POST", "/datasources", {"name": "field", "type": "coap"})
    await client.ok("POST", "/devices/dev-1/downlinks", {"data": "x", "contentType": "TEXT"})
    await client.ok("PATCH", "/devices/dev-1", {"label": "hall"})
    await client.ok("GET", "/devices/dev-1")
    await client.ok("POST", "/debug", {"name": "field"})
    assert asked == []


@inline
async def test_a_device_in_quarantine_is_listed_released_and_dropped(bench: Any, connect: Any) -> None:
    client = connect()
    for number, name in enumerate(("a/1", "b"), 1):
        bench.add("ds1", b"x", device=name)
        bench.quarantine.hold("default", name, "ds1", number, 1000 * number, b'{"deviceName": "x"}')
    page = await client.ok("GET", "/quarantine?limit=1")
    assert page == {
        "items": [
            {
                "name": "a/1", "datasource": "ds1", "firstSeen": 1000, "lastSeen": 1000, "messages": 1, "isLeaving": False,
                "output": {"deviceName": "x"},
            }
        ],
        "next": "a/1",
    }  # fmt: skip
    assert await client.ok("GET", "/quarantine/a%2F1") == page["items"][0]
    assert await client.ok("POST", "/quarantine/a%2F1/release") == {"name": "a/1", "messages": 1}
    assert await client.ok("DELETE", "/quarantine/b") == {"name": "b", "messages": 1}
    assert bench.pipeline.released == [(1, "a/1", False), (2, "b", True)]
    assert (await client.ok("GET", "/quarantine"))["items"] == []
    assert (await client.ok("GET", "/devices/a%2F1"))["revision"] == 1
    assert (await client("GET", "/devices/b")).status == 404
    for method, path in (
        ("GET", "/quarantine/b"),
        ("POST", "/quarantine/b/release"),
        ("DELETE", "/quarantine/b"),
    ):
        assert (await client(method, path)).status == 404
    assert (await connect("viewer")("POST", "/quarantine/b/release")).status == 403


@inline
async def test_a_datasource_stays_while_what_came_by_it_waits_in_quarantine(bench: Any, connect: Any) -> None:
    client = connect()
    made = await client.ok("POST", "/datasources", {"name": "strict", "type": "coap"})
    for number, name in enumerate(("a", "b", "c", "d"), 1):
        bench.quarantine.hold("default", name, made["id"], number, 1000, b"{}")
    refused = await client("DELETE", "/datasources/strict")
    assert refused.status == 409
    assert "4 messages" in refused.json["detail"] and "(a, b, c, …)" in refused.json["detail"]
    pruned = await client("POST", "/apply?whole=true&prune=true", {})
    assert (pruned.status, "wait in quarantine" in str(pruned.json)) == (422, True)
    assert (await client("DELETE", "/datasources/strict?backlog=drop")).status == 200

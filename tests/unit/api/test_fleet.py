"""Lists of devices over the API, in and out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import pytest_twisted
from twisted.internet import reactor

from iotgw.api.fleet import LINES

CSV = {"Content-Type": "text/csv; charset=utf-8"}


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


async def send(client: Any, text: str, query: str = "") -> Any:
    return await client.ok("POST", f"/fleet/import{query}", data=text.encode(), headers=CSV)


@pytest.mark.parametrize("table", ['name,"label\na,b\n', '"', "name\na\n" + "\n" * LINES])
@inline
async def test_what_is_no_table_or_too_long_is_refused(bench: Any, connect: Any, table: str) -> None:
    bench.parts = msgspec.structs.replace(bench.parts, clock=reactor, calendar=bench.parts.dates)
    answer = await connect()("POST", "/fleet/import", data=table.encode(), headers=CSV)
    assert answer.status in (413, 422)


@inline
async def test_the_description_says_that_lists_come_and_go_as_csv(connect: Any) -> None:
    paths = (await connect().ok("GET", "/openapi.json"))["paths"]
    assert "text/csv" in paths["/api/v1/fleet/import"]["post"]["requestBody"]["content"]
    for path in ("export", "export-with-keys"):
        assert "text/csv" in paths[f"/api/v1/fleet/{path}"]["get"]["responses"]["200"]["content"]


@inline
async def test_a_csv_file_makes_and_changes_devices_and_says_which_rows_it_refused(
    bench: Any, connect: Any
) -> None:
    client = connect()
    text = "name,label,latitude,longitude,tag.a\na,A,1,2,x\ndev-1,One,,,\na,again,,,\nb,B,91,0,\n,nobody,,,\nc,C,NaN,,\n"
    for query in ("?dryRun=true", ""):
        answer = await send(client, text, query)
        assert (answer["created"], answer["changed"], answer["unchanged"]) == (1, 1, 0)
        refused = {each["line"]: each["error"] for each in answer["refused"]}
        assert set(refused) == {4, 5, 6, 7}
        assert refused[4] == "name: row 2 is about the same device"
        assert "latitude" in refused[5]
        assert "name" in refused[6]
        assert refused[7] == "latitude: expected a number, got 'NaN'"
        assert (bench.fleet.get("default", "a") is None) == bool(query)
    assert (await client.ok("GET", "/devices/a"))["tags"] == {"a": "x"}
    assert (await send(client, text))["unchanged"] == 2
    assert [each.type for each in bench.events.emitted if each.name == "devices"] == ["imported"]


@inline
async def test_a_column_that_is_not_there_changes_nothing_and_an_empty_cell_does(connect: Any) -> None:
    client = connect()
    await client.ok(
        "POST", "/devices", {"name": "a", "label": "A", "groups": ["g"], "tags": {"x": "1", "y": "2"}}
    )
    await send(client, "name,groups,tag.x\na,,\n")
    device = await client.ok("GET", "/devices/a")
    assert (device["label"], device["groups"], device["tags"]) == ("A", [], {"y": "2"})


@inline
async def test_keys_come_in_and_only_an_admin_who_asks_gets_them_out(bench: Any, connect: Any) -> None:
    client = connect()
    answer = await send(client, "name,psk.key,psk.identity\na/1,hush-key-1,i1\nb,abc,\nc,hush-key-3,i1\n")
    assert (answer["created"], [each["line"] for each in answer["refused"]]) == (1, [3, 4])
    assert "got 3" in answer["refused"][0]["error"]
    assert "hush" not in str(answer)
    (held,) = (await client.ok("GET", "/devices/a%2F1/credentials"))["items"]
    assert (held["name"], held["identity"], held["device"]) == ("a-1", "i1", "a/1")
    plain = await client("GET", "/fleet/export")
    assert "hush" not in plain.text
    assert (await connect("editor")("GET", "/fleet/export-with-keys")).status == 403
    shown = await client("GET", "/fleet/export-with-keys?format=csv&text=a/1")
    assert "hush-key-1" in shown.text
    assert [each.type for each in bench.events.emitted if each.type == "exported"] == ["exported"]
    await client.ok("DELETE", "/credentials/a-1")
    await client.ok("DELETE", "/devices/a%2F1")
    await send(client, shown.text)
    again = await client("GET", "/fleet/export-with-keys?format=csv&text=a/1")
    assert again.text == shown.text
    revision = (await client.ok("GET", "/credentials/a-1"))["revision"]
    await send(client, shown.text)
    assert (await client.ok("GET", "/credentials/a-1"))["revision"] == revision, "the same key is no change"
    await send(client, shown.text.replace("hush-key-1", "hush-key-2"))
    assert "hush-key-2" in (await client("GET", "/fleet/export-with-keys")).text


@inline
async def test_what_is_exported_makes_the_same_devices_elsewhere(bench: Any, connect: Any) -> None:
    client, acme = connect(), connect("admin", "acme")
    said = {
        "name": "=d,1", "label": "'=x", "groups": ["g", "h"], "latitude": -1.5, "longitude": 2, "notes": "a\nb", "tags": {"k": "v"},
        "reportEvery": 60, "batteryBelow": 2.5, "signalKey": "rsrp",
    }  # fmt: skip
    await client.ok("POST", "/devices", said)
    listed = await client.ok("GET", "/fleet/export")
    table = await client("GET", "/fleet/export?format=csv")
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    await send(acme, table.text)
    assert await acme.ok("GET", "/fleet/export") == listed
    for device in listed["items"]:
        await acme.ok("DELETE", f"/devices/{device['name'].replace('=', '%3D')}")
    await acme.ok("POST", "/fleet/import", {"devices": listed["items"]})
    assert await acme.ok("GET", "/fleet/export") == listed


@inline
async def test_a_list_is_exported_a_page_at_a_time(connect: Any) -> None:
    client = connect()
    await send(client, "name,type\n" + "".join(f"x{number},t\n" for number in range(5)))
    page = await client.ok("GET", "/fleet/export?type=t&limit=3")
    assert ([each["name"] for each in page["items"]], page["next"]) == (["x0", "x1", "x2"], "x2")
    rest = await client("GET", "/fleet/export?type=t&limit=3&after=x2&format=csv")
    assert (len(rest.text.splitlines()), "x-next" in rest.headers) == (3, False)


@inline
async def test_a_table_has_no_more_columns_than_one_that_can_be_read_again(bench: Any, connect: Any) -> None:
    bench.parts = msgspec.structs.replace(bench.parts, clock=reactor, calendar=bench.parts.dates)
    client = connect()
    rows = [
        {"name": f"x{number:02}", "tags": {f"t{number}-{tag}": "v" for tag in range(30)}}
        for number in range(7)
    ]
    await client.ok("POST", "/fleet/import", {"devices": rows})
    answer = await client("GET", "/fleet/export?format=csv&text=x")
    assert answer.status == 413 and "there are 210: take format=json" in answer.text
    assert len((await client.ok("GET", "/fleet/export?text=x"))["items"]) == 7
    table = (await client("GET", "/fleet/export?format=csv&limit=6&text=x")).text
    assert table.splitlines()[0].count(",") == 16 + 180 - 1
    assert (await send(client, table))["unchanged"] == 6


@inline
async def test_a_large_table_is_written_some_rows_at_a_time(bench: Any, connect: Any) -> None:
    bench.parts = msgspec.structs.replace(bench.parts, clock=reactor, calendar=bench.parts.dates)
    client = connect()
    await send(client, "name,tag.a\n" + "".join(f"x{number},{number}\n" for number in range(250)))
    table = (await client("GET", "/fleet/export?format=csv&text=x")).text
    assert sorted(line.partition(",")[0] for line in table.splitlines()) == sorted(
        ["name", *(f"x{n}" for n in range(250))]
    )
    assert (await send(client, table))["unchanged"] == 250


@inline
async def test_a_row_has_a_few_credentials(bench: Any, connect: Any) -> None:
    bench.parts = msgspec.structs.replace(bench.parts, clock=reactor, calendar=bench.parts.dates)
    rows = [
        {"name": name, "credentials": [{"name": f"{name}-{number}", "identity": f"{name}-{number}", "secrets": [{"value": "x" * 16}]} for number in range(count)]}
        for name, count in (("few", 8), ("many", 9), *((f"x{number}", 2) for number in range(30)))
    ]  # fmt: skip
    answer = await connect().ok("POST", "/fleet/import", {"devices": rows})
    assert (answer["created"], [each["name"] for each in answer["refused"]]) == (31, ["many"])
    assert answer["refused"][0]["error"] == "credentials: expected at most 8, got 9"


@inline
async def test_credentials_of_a_list_get_names_of_their_own_and_one_that_is_taken_refuses_its_row_alone(
    connect: Any,
) -> None:
    def key(identity: str, **more: str) -> dict[str, Any]:
        return {"identity": identity, "secrets": [{"value": "x" * 16}], **more}

    client = connect()
    rows = [
        {"name": "two", "credentials": [key("i1"), key("i2")]},
        {"name": "first", "credentials": [key("i3", name="same")]},
        {"name": "second", "credentials": [key("i4", name="same")]},
    ]
    answer = await client.ok("POST", "/fleet/import", {"devices": rows})
    (refused,) = answer["refused"]
    assert (refused["name"], "already a credential 'same'" in refused["error"]) == ("second", True)
    held = (await client.ok("GET", "/credentials"))["items"]
    assert [(each["name"], each["identity"]) for each in held] == [
        ("same", "i3"),
        ("two", "i1"),
        ("two-2", "i2"),
    ]
    rows = [
        {"name": "two", "credentials": [key("i1"), key("i5")]},
        {"name": "third", "credentials": [key("i6")]},
    ]
    answer = await client.ok("POST", "/fleet/import", {"devices": rows})
    assert answer["refused"] == []
    names = [each["name"] for each in (await client.ok("GET", "/credentials"))["items"]]
    assert names == ["same", "third", "two", "two-2", "two-3"]


@inline
async def test_many_rows_are_worked_on_some_at_a_time(bench: Any, connect: Any) -> None:
    bench.parts = msgspec.structs.replace(bench.parts, clock=reactor, calendar=bench.parts.dates)
    client = connect()
    writes = bench.entries.writes
    answer = await send(client, "name\n" + "".join(f"{number}\n" for number in range(250)))
    assert (answer["created"], bench.entries.writes - writes) == (250, 5)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"colour\nred\n", 422), (b"", 422), (b"name\n\xff\n", 422), (b"name\n" + b"x\n" * 10_001, 413),
    ],
)  # fmt: skip
@inline
async def test_what_is_no_list_is_refused(bench: Any, connect: Any, body: bytes, status: int) -> None:
    bench.parts = msgspec.structs.replace(bench.parts, clock=reactor, calendar=bench.parts.dates)
    answer = await connect()("POST", "/fleet/import", data=body, headers=CSV)
    assert answer.status == status, answer.text


@inline
async def test_json_rows_of_any_kind_are_refused_one_by_one(connect: Any) -> None:
    rows: list[Any] = [
        1, None, [], {}, {"name": 7}, {"name": "a", "credentials": 1}, {"name": "a2", "credentials": [1]},
        {"name": "b", "tenant": "acme"}, {"name": "c", "tags": 1}, {"name": "70B3D57ED0001A2B"}, {"name": "70b3d57ed0001a2b"},
    ]  # fmt: skip
    answer = await connect().ok("POST", "/fleet/import", {"devices": rows})
    assert answer["created"] == 1
    assert [each["line"] for each in answer["refused"]] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 11]


@inline
async def test_a_list_of_groups_says_how_many_devices_are_in_each(connect: Any) -> None:
    client = connect()
    await send(client, "name,groups\na,g|h\nb,g\n")
    assert await client.ok("GET", "/fleet/groups") == {"g": 2, "h": 1}

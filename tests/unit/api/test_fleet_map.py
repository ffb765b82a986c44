"""Where devices stand, gathered for a map."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import pytest_twisted
from twisted.internet import reactor

from iotgw.api import fleet_map


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


async def stand(client: Any, **places: tuple[float, float]) -> None:
    """Create devices at these places."""
    rows = [{"name": name, "latitude": south, "longitude": east} for name, (south, east) in places.items()]
    answer = await client.ok("POST", "/fleet/import", {"devices": rows})
    assert answer["refused"] == []


@inline
async def test_what_is_close_together_is_one_place_and_parts_as_one_comes_nearer(connect: Any) -> None:
    client = connect()
    await stand(client, a=(47.0, 8.0), b=(47.2, 8.2), c=(-30.0, 100.0))
    await client.ok("POST", "/devices", {"name": "nowhere"})
    world = await client.ok("GET", "/fleet/map?across=8")
    assert world["count"] == 3
    alone, pair = world["items"]
    assert (alone["name"], alone["count"], alone["latitude"], alone["longitude"]) == ("c", 1, -30, 100)
    assert (pair["name"], pair["count"], pair["latitude"], pair["longitude"]) == ("", 2, 47.1, 8.1)
    near = await client.ok("GET", f"/fleet/map?box={pair['box']}")
    assert [each["name"] for each in near["items"]] == ["a", "b"]
    listed = await client.ok("GET", f"/devices?box={pair['box']}")
    assert [each["name"] for each in listed["items"]] == ["a", "b"], (
        "the box of a place has just its devices in it"
    )


@inline
async def test_both_sides_of_the_date_line_are_seen_together(connect: Any) -> None:
    client = connect()
    await stand(client, a=(-17.0, 179.9), b=(-17.0, -179.9), c=(-17.0, -179.8), d=(10.0, 0.0))
    found = await client.ok("GET", "/fleet/map?box=-30,170,0,-170&across=1")
    assert [(each["count"], each["longitude"]) for each in found["items"]] == [(1, 179.9), (2, -179.85)]
    listed = await client.ok("GET", f"/devices?box={found['items'][1]['box']}")
    assert [each["name"] for each in listed["items"]] == ["b", "c"]


@inline
async def test_places_stay_where_they_are_while_one_moves_the_map(connect: Any) -> None:
    client = connect()
    await stand(client, **{f"d{n}": (40 + n % 7 / 3, 5 + n % 11 / 3) for n in range(50)})
    wide, moved = [await client.ok("GET", f"/fleet/map?box={box}") for box in ("38,3,46,12", "37,2,45,11")]
    assert wide == moved
    assert 1 < len(wide["items"]) < 50


@inline
async def test_the_filters_of_devices_hold_and_troubles_are_counted(bench: Any, connect: Any) -> None:
    client = connect()
    await stand(client, a=(1.0, 1.0), b=(1.0, 1.0))
    await client.ok("PATCH", "/devices/a", {"groups": ["g"], "label": "Ä", "reportEvery": 1})
    bench.clock.advance(3600)
    found = await client.ok("GET", "/fleet/map?group=g")
    assert [(each["name"], each["label"], each["troubled"]) for each in found["items"]] == [("a", "Ä", 1)]
    (both,) = (await client.ok("GET", "/fleet/map"))["items"]
    assert (both["count"], both["troubled"]) == (2, 1)


@pytest.mark.parametrize("box", ["1,2,3", "2,0,1,0", "0,0,0,200", "x"])
@inline
async def test_a_wrong_box_is_refused_at_its_name(connect: Any, box: str) -> None:
    for path in ("/fleet/map", "/devices"):
        answer = await connect()("GET", f"{path}?box={box}")
        assert answer.status == 422
        assert "box" in answer.text


@inline
async def test_thousands_are_gathered_between_which_others_have_their_turn(
    bench: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_map, "PIECE", 10)
    bench.parts = msgspec.structs.replace(bench.parts, clock=reactor, calendar=bench.parts.dates)
    client = connect()
    await stand(client, **{f"d{n}": (n / 25 - 40, n / 12.5 - 80) for n in range(500)})
    found = await client.ok("GET", "/fleet/map")
    assert found["count"] == sum(each["count"] for each in found["items"]) == 500
    assert len(found["items"]) < 200

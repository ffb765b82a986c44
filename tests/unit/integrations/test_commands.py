"""Downlinks from targets: whatever they send is an item, or none."""

from __future__ import annotations

import pytest

from iotgw.integrations.commands import MOST_ITEMS, item_of, items_of

BOMBS = [b"[" * 100_000, b"[" * 2000 + b"]" * 2000, b'"\xff"', b"1e400", b"1" * 10_000, b"\xff"]


def test_what_targets_send_becomes_items() -> None:
    assert item_of(b'{"msg": 1}') == {"msg": 1}
    assert item_of(b"[1]") == {"msg": [1]}
    assert items_of(b'[{"data": "AA==", "deviceName": "a"}, {"msg": 1}, 3]', "b") == (
        [("a", {"data": "AA=="}), ("b", {"msg": 1})], 0,
    )  # fmt: skip


@pytest.mark.parametrize("data", BOMBS, ids=lambda data: data[:4].hex())
def test_what_is_no_json_goes_as_bytes_or_not_at_all(data: bytes) -> None:
    assert item_of(data)["contentType"] == "BINARY"
    assert items_of(data, "b") == ([], 0)


def test_a_response_carries_no_more_items_than_it_may_and_the_first_ones_count() -> None:
    many = b"[" + b",".join(b'{"msg": %d}' % number for number in range(MOST_ITEMS + 5)) + b"]"
    items, more = items_of(many, "b")
    assert [item["msg"] for _, item in items] == list(range(MOST_ITEMS))
    assert more == 5
    assert [len(items_of(many, "b", most)[0]) for most in (1, 1000)] == [1, MOST_ITEMS + 5]

"""What is known of shared attributes: what changed, and no more than has room."""

from __future__ import annotations

from iotgw.integrations.thingsboard_shared import MOST_KEYS, KnownAttributes


def test_only_what_differs_from_what_was_queued_is_changed():
    known = KnownAttributes(None)
    assert known.changed("meter-7", {"a": 1, "b": 2}) == {"a": 1, "b": 2}
    known.learn("meter-7", {"a": 1, "b": 2})
    assert known.changed("meter-7", {"a": 1, "b": 3}) == {"b": 3}
    assert known.changed("meter-8", {"a": 1}) == {"a": 1}


def test_a_server_that_makes_keys_up_pushes_out_those_that_changed_longest_ago():
    known = KnownAttributes(None)
    known.learn("meter-7", {"first": 1, "second": 1})
    known.learn("meter-7", {"first": 2})
    for number in range(MOST_KEYS - 1):
        known.learn("meter-7", {f"made-up-{number}": number})
    assert len(known.digests["meter-7"]) == MOST_KEYS
    assert known.changed("meter-7", {"first": 2, "second": 1}) == {"second": 1}


def test_what_could_not_be_queued_is_still_to_be():
    known = KnownAttributes(None)
    known.learn("meter-7", {"a": 1})
    assert known.changed("meter-7", {"a": 2}) == known.changed("meter-7", {"a": 2}) == {"a": 2}

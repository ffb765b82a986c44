"""Which shards are read when: parents before children."""

from __future__ import annotations

from iotgw.connect.kinesis import KinesisShard
from iotgw.datasources.kinesis.lineage import DONE, STARTED, Lineage


def shard(name, *parents):
    return KinesisShard(name, *parents)


def test_a_new_stream_s_shards_are_all_read():
    lineage = Lineage({})
    lineage.listed([shard("a"), shard("b")])
    assert lineage.due() == ["a", "b"]
    assert lineage.due() == []


def test_the_shards_of_a_split_wait_for_their_parent():
    lineage = Lineage({})
    shards = [shard("a"), shard("b", "a"), shard("c", "a")]
    lineage.listed(shards)
    assert lineage.due() == ["a"]
    lineage.ended("a")
    assert lineage.due() == ["b", "c"]


def test_the_shard_of_a_merge_waits_for_both():
    lineage = Lineage({})
    lineage.listed([shard("a"), shard("b"), shard("c", "a", "b")])
    assert lineage.due() == ["a", "b"]
    lineage.ended("b")
    assert lineage.due() == []
    lineage.ended("a")
    assert lineage.due() == ["c"]


def test_grandchildren_wait_too():
    lineage = Lineage({})
    lineage.listed([shard("c", "b"), shard("b", "a"), shard("a")])
    for name in "abc":
        assert lineage.due() == [name]
        lineage.ended(name)


def test_a_parent_that_is_not_kept_any_more_is_no_reason_to_wait():
    lineage = Lineage({})
    lineage.listed([shard("b", "a")])
    assert lineage.due() == ["b"]


def test_after_a_restart_what_was_done_is_done():
    lineage = Lineage({"a": DONE, "b": "17"})
    lineage.listed([shard("a"), shard("b", "a"), shard("c", "a")])
    assert lineage.due() == ["b", "c"]
    assert lineage.positions["b"] == "17"


def test_what_is_known_of_shards_that_are_gone_is_forgotten_unless_they_are_being_read():
    lineage = Lineage({"a": DONE, "b": "17", STARTED: "5"})
    lineage.listed([shard("b")])
    assert lineage.due() == ["b"]
    lineage.listed([])
    assert lineage.positions == {"b": "17", STARTED: "5"}

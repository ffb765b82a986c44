"""A bucket whose service is hostile: its listings end, whatever it says."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred, maybeDeferred

from iotgw import testing
from iotgw.connect import s3
from iotgw.connect.s3 import S3Access, S3Bucket
from iotgw.core.errors import Unavailable
from tests.unit.json_server import JsonServer


class Bench:
    def __init__(self) -> None:
        connector, reactor = testing.FakeConnector(), testing.MemoryReactor()
        access = S3Access(
            bucket="b",
            region="r",
            access_key_id="a",
            secret_access_key="s",
            endpoint="http://s3.example:9000",
        )
        self.bucket = S3Bucket(reactor, connector, access, maybeDeferred, lambda: 0.0)
        self.server = JsonServer(connector, "s3.example", 9000)

    def page(self, *keys: str, token: str = "") -> None:
        found = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in keys)
        more = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
        self.server.answer(f"<ListBucketResult>{found}{more}</ListBucketResult>".encode())

    @property
    def asked(self) -> list[str]:
        return [head.split(" ")[1] for head, _, _ in self.server.look()]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_listing_is_read_page_by_page(bench):
    listed = Deferred.fromCoroutine(bench.bucket.keys("p/"))
    bench.page("p/1", token="t 1")
    assert "continuation-token=t%201" in bench.asked[0]
    bench.page()  # a page may have none
    assert testing.fired(listed) == ["p/1"]


def test_keys_that_were_not_asked_for_are_none(bench):
    listed = Deferred.fromCoroutine(bench.bucket.keys("p/"))
    bench.page("p/1", "q/1", "p/" + "x" * 2000)
    assert testing.fired(listed) == ["p/1"]


@pytest.mark.parametrize("keys", [[], ["p/1"]])
def test_a_listing_without_an_end_is_refused(bench, monkeypatch, keys):
    monkeypatch.setattr(s3, "MOST_PAGES", 20)
    listed = Deferred.fromCoroutine(bench.bucket.keys("p/"))
    for _ in range(20):
        bench.page(*keys, token="again")
    with pytest.raises(Unavailable, match="at most 20 pages"):
        testing.fired(listed)
    assert bench.asked == []


def test_a_listing_of_too_many_keys_is_refused(bench, monkeypatch):
    monkeypatch.setattr(s3, "MOST_KEYS", 100)
    listed = Deferred.fromCoroutine(bench.bucket.keys("p/"))
    bench.page(*(f"p/{number}" for number in range(101)), token="more")
    with pytest.raises(Unavailable, match="100 keys"):
        testing.fired(listed)

"""A gateway whose journal is small, and a target that is away: who gives up what, and what is said."""

import time

import pytest

from tests.peers.gateway import Gateway
from tests.peers.http_sink import HttpSink
from tests.peers.process import wait_until

pytestmark = pytest.mark.interop

SIZE = 300_000
"""Bytes of the journal."""
SMALL = f"[store]\nmax-bytes = {SIZE}\n[converters]\ntime-limit = 20.0\n"


@pytest.fixture
def small(tmp_path):
    with Gateway(tmp_path / "gateway", settings=SMALL).start() as running:
        running.create("datasources", name="http", type="http", routingKey="key", converter="json")
        yield running


@pytest.fixture
def target(tmp_path):
    """A target that isn't there until it is started."""
    sink = HttpSink(tmp_path / "http-sink")
    yield sink
    sink.stop()


def integration(gateway, target, **how):
    configuration = {"url": f"{target.url}/in"}
    return gateway.create("integrations", name="sink", type="http", configuration=configuration, **how)


def send(gateway, number):
    return gateway.post("key", b'{"deviceName": "d", "n": %d, "pad": "%s"}' % (number, b"x" * 900)).status


def stats(gateway):
    found = gateway.api("GET", "/integrations/sink/stats").json
    assert found["balanced"], found
    return found


def wait_for_conversions(gateway, count):
    wait_until(lambda: stats(gateway)["queued"] == count, 60, "the conversions")


def drops_no_more(gateway):
    before = stats(gateway)["dropped"]
    time.sleep(0.5)
    return stats(gateway)["dropped"] == before


def fill(gateway):
    """Send until nothing more is taken, also when old messages have been trimmed; how many were taken."""
    number = refused = 0
    while refused < 10:
        status = send(gateway, number)
        if status == 204:
            number, refused = number + 1, 0
            assert number < 20_000, "everything is taken"
        else:
            assert status == 503
            refused += 1
            time.sleep(0.2)
    return number


def arrived(target):
    return [document["telemetry"][0]["values"]["n"] for document in target.documents]


UNDER_WAY = 8
"""Messages that a target may have before it, at most, while older ones than the rest are dropped."""


def events(gateway, type):
    return [event for event in gateway.api("GET", "/events?limit=200").json["items"] if event["type"] == type]


def back(gateway, target):
    target.start()
    gateway.api("POST", "/integrations/sink/drain")
    wait_until(lambda: not stats(gateway)["waiting"] and not stats(gateway)["inflight"], 60, "all that waits")


def test_a_target_that_is_away_never_stops_intake_and_the_newest_is_kept(small, target):
    integration(small, target)
    number = 0
    while stats(small)["dropped"].get("store full", 0) < 500:
        for _ in range(50):
            assert send(small, number) == 204
            number += 1
        wait_for_conversions(small, number)
        assert number < 10_000, "nothing is dropped"
        assert small.ready()
    wait_until(lambda: small.api("GET", "/status").json["journal"]["bytes"] < 1.1 * SIZE, what="the limit")
    wait_until(lambda: drops_no_more(small), 60, "the last drop")
    (event,) = events(small, "delivery.dropped")[-1:]
    assert event["severity"] == "warning"
    assert event["detail"]["reason"] == "store full"
    found = stats(small)
    assert found["queued"] == number
    assert set(found["dropped"]) == {"store full"}
    back(small, target)
    found = stats(small)
    found_there = arrived(target)
    assert found_there == sorted(set(found_there))
    newest = [n for at, n in enumerate(found_there) if n == number - len(found_there) + at]
    assert len(found_there) - len(newest) <= UNDER_WAY  # older than what was dropped, but under way then
    assert found["delivered"] + found["dropped"]["store full"] == number


def test_with_reject_new_intake_stops_in_time_nothing_is_lost_and_it_is_said_why(small, target):
    integration(small, target, queue={"overflow": "rejectNew"})
    number = fill(small)
    status = small.api("GET", "/status").json
    assert status["ready"] is False
    assert status["notReadyBecause"] == "an integration set to rejectNew can take no more"
    assert 'iotgw_no_room{cause="integrations"} 1' in small.api("GET", "/metrics").body.decode()
    assert not small.ready()
    (event,) = events(small, "delivery.holds-up")
    assert event["severity"] == "error"
    assert stats(small)["dropped"] == {}
    back(small, target)
    wait_until(small.ready, what="room")
    assert send(small, number) == 204
    wait_until(lambda: arrived(target) == list(range(number + 1)), what="everything in order")


def test_limits_that_the_journal_has_no_room_for_are_refused_or_warned_of(small, target):
    body = {"name": "sink", "type": "http", "configuration": {"url": f"{target.url}/in"}}
    refused = small.api("POST", "/integrations", {**body, "queue": {"maxBytes": SIZE + 1}})
    assert refused.status == 422
    assert "queue.maxBytes" in refused.json["detail"]
    assert "store.max-bytes" in refused.json["detail"]
    assert small.api("GET", "/integrations/sink").status == 404
    made = integration(small, target, queue={"maxBytes": SIZE})
    assert "always there for queues" in made["status"]["warnings"][0]
    assert [event["message"] for event in events(small, "limits")] == made["status"]["warnings"]
    changed = small.api("PATCH", "/integrations/sink", {"queue": {"maxBytes": SIZE // 2}})
    assert changed.json["status"]["warnings"] == []
    applied = small.api("POST", "/apply", {"integration": [{**body, "deadLetters": {"maxBytes": SIZE}}]}).json
    assert applied["refused"] == 1
    assert "deadLetters.maxBytes" in applied["items"][0]["error"]


def test_a_journal_that_was_made_smaller_warns_of_what_fits_no_more(tmp_path, target):
    gateway = Gateway(tmp_path / "gateway")
    with gateway.start():
        made = integration(gateway, target, queue={"maxBytes": 10 * SIZE})
        assert made["status"]["warnings"] == []
        gateway.stop()
    gateway.config.write_text(gateway.config.read_text() + SMALL)
    with gateway.start():
        (warning,) = stats(gateway)["warnings"]
        assert f"queue.maxBytes is {10 * SIZE}, but store.max-bytes leaves {SIZE}" in warning
        assert events(gateway, "limits")[0]["severity"] == "warning"

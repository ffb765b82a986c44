import json

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.threads import deferToThread

from iotgw.core.specs import RetrySpec
from tests.peers.http_sink import HttpSink

from .delivering import Delivering, numbers, per_device, until


@pytest.fixture
def sink(tmp_path):
    with HttpSink(tmp_path / "sink") as sink:
        yield sink


async def received(sink):
    return await deferToThread(lambda: sink.received)


@ensureDeferred
async def test_each_message_is_one_post(sink):
    configuration = {
        "url": sink.url + "/in/{{ deviceName }}?t={{ deviceType }}",
        "headers": {"X-Device": "{{ deviceName }}"},
        "auth": {"type": "bearer", "token": "secret"},
    }
    async with Delivering("http", configuration=configuration) as world:
        world.store(*["a b", "c"] * 25)
        stats = await world.settled()
        assert stats["delivered"] == 50
        requests = await received(sink)
        assert len(requests) == 50
        first = next(r for r in requests if json.loads(r["body"])["id"] == "E-1")
        assert (first["method"], first["path"]) == ("POST", "/in/a%20b?t=default")
        assert first["headers"]["x-device"] == "a b"
        assert first["headers"]["authorization"] == "Bearer secret"
        assert first["headers"]["idempotency-key"] == "E-1.1" == json.loads(first["body"])["key"]
        arrived = per_device(numbers(json.loads(r["body"]) for r in requests))
        assert all(line == sorted(line) for line in arrived.values())


@pytest.mark.parametrize("batch", ["array", "ndjson"])
@ensureDeferred
async def test_batches(sink, batch):
    configuration = {"url": sink.url, "batch": batch, "batchSize": 10, "gzip": True, "concurrency": 2}
    async with Delivering("http", configuration=configuration) as world:
        world.service.pause("i1")
        world.store(*["a", "b"] * 50)
        world.service.resume("i1")
        await world.settled()
        requests = await received(sink)
        assert len(requests) <= 20
        documents = []
        for request in requests:
            lines = request["body"].splitlines()
            documents += json.loads(request["body"]) if batch == "array" else map(json.loads, lines)
        assert len(documents) == 100
        assert all(line == sorted(line) for line in per_device(numbers(documents)).values())


@pytest.mark.parametrize("batch", ["none", "array"])
@ensureDeferred
async def test_faults_lose_nothing_and_keep_order(sink, batch):
    await deferToThread(
        sink.script,
        {"status": 500}, {"reset": True}, {"drop": True}, {"status": 503, "headers": {"Retry-After": "1"}},
        {}, {"status": 429}, {"delay": 300}, {"reset": True}, {"status": 502}, {}, {"drop": True}, {"status": 500},
    )  # fmt: skip
    most = {"none": 1, "array": 10}[batch]
    configuration = {"url": sink.url, "batch": batch, "batchSize": most}
    async with Delivering("http", configuration=configuration) as world:
        world.store(*["a", "b", "c", "d"] * 50)
        stats = await world.settled()
        assert (stats["delivered"], stats["dead"]) == (200, 0)
        bodies = [json.loads(r["body"]) for r in await received(sink)]
        arrived = numbers(bodies if batch == "none" else [each for body in bodies for each in body])
        lines = per_device(arrived)
        assert sum(map(len, lines.values())) == 200
        assert all(line == sorted(line) for line in lines.values())
        assert len(arrived) <= 200 + 2 * most  # the answer was lost twice


@ensureDeferred
async def test_a_400_for_one_message_of_a_batch_is_dead_alone(sink):
    template = '{"n":{{ values.n }}}'
    configuration = {"url": sink.url, "batch": "array", "batchSize": 10}
    async with Delivering("http", configuration=configuration, format="template", template=template) as world:
        await deferToThread(sink.refuse, '"n":7}')
        world.store(*"abcdefghij")
        stats = await world.settled()
        assert (stats["delivered"], stats["dead"]) == (9, 1)
        (letter,) = await world.service.dead_letters("i1")
        assert letter.record.seq == 7
        assert letter.error.startswith("HTTP 400")


@ensureDeferred
async def test_a_server_that_is_down_is_waited_for(sink):
    sink.kill()
    async with Delivering("http", configuration={"url": sink.url}) as world:
        world.store(*"abc")
        await until(lambda: world.stats()["state"] == "unavailable")
        assert "refused" in world.stats()["lastError"]
        await deferToThread(sink.start)
        stats = await world.settled()
        assert stats["delivered"] == 3
        assert len(await received(sink)) == 3


@ensureDeferred
async def test_a_silent_server_is_given_up_on_in_time(sink):
    await deferToThread(sink.script, {"silent": True})
    async with Delivering("http", configuration={"url": sink.url, "timeout": 1.0}) as world:
        world.store("a")
        await world.settled()
        assert "no complete response within 1 s" in world.stats()["lastError"]


@ensureDeferred
async def test_a_response_may_carry_a_downlink(sink):
    await deferToThread(sink.script, {"body": '{"msg":{"interval":60}}'}, {"body": "thanks"})
    async with Delivering("http", configuration={"url": sink.url, "downlinks": True}) as world:
        world.store("a")
        await world.settled()
        world.store("a")
        await world.settled()
        ((tenant, device, item),) = world.downlinks
        assert (tenant, device, item.msg) == ("default", "a", {"interval": 60})


@ensureDeferred
async def test_of_too_many_downlinks_in_a_response_the_first_are_queued_and_the_rest_is_said(sink):
    many = ",".join(f'{{"msg": {number}}}' for number in range(2000))
    await deferToThread(sink.script, {"body": f"[{many}]"})
    async with Delivering("http", configuration={"url": sink.url, "downlinks": True}) as world:
        world.store("a")
        await world.settled()
        assert [item.msg for _, _, item in world.downlinks] == list(range(100))
        refused = [event for event in world.events.emitted if event.type == "downlink.refused"]
        assert [(event.message, event.detail) for event in refused] == [
            ("expected at most 100 downlinks in a response, got 2000", {"refused": 1900})
        ]
        assert "got 2000" in world.stats()["target"]["lastError"]


@pytest.mark.parametrize("status", [401, 403])
@ensureDeferred
async def test_a_wrong_password_is_said_and_costs_no_message(sink, status):
    await deferToThread(sink.always, {"status": status, "body": "who are you?"})
    async with Delivering("http", configuration={"url": sink.url}) as world:
        world.store(*"abc" * 10)
        await until(lambda: world.stats()["state"] == "unavailable")
        assert world.stats()["lastError"] == f"HTTP {status}: who are you?"
        assert (await world.service.check("i1")) == {"ok": False, "detail": f"HTTP {status} to OPTIONS"}
        await deferToThread(sink.always, None)
        stats = await world.settled()
        assert (stats["delivered"], stats["dead"]) == (30, 0)


@ensureDeferred
async def test_a_400_for_one_device_costs_only_that_one(sink):
    await deferToThread(sink.refuse, '"deviceName":"bad"')
    async with Delivering("http", configuration={"url": sink.url}) as world:
        world.store(*["good", "bad", "fine"] * 10)
        stats = await world.settled()
        assert (stats["delivered"], stats["dead"]) == (20, 10)
        arrived = per_device(numbers(json.loads(r["body"]) for r in await received(sink)))
        assert set(arrived) == {"good", "fine"}
        assert all(line == sorted(line) for line in arrived.values())
        await deferToThread(sink.refuse, "nobody says this")
        await world.service.retry("i1")
        await until(lambda: world.stats()["delivered"] == 30)


@ensureDeferred
async def test_a_server_that_repeats_what_it_got_does_not_show_our_secrets(sink):
    configuration = {
        "url": sink.url + "/in?code=hush-code",
        "headers": {"X-Key": "Key hush-header"},
        "auth": {"type": "basic", "username": "me", "password": "hush-password"},
    }
    echo = "hush-code, Key hush-header, hush-header, hush-password, bWU6aHVzaC1wYXNzd29yZA=="
    sink.always({"status": 400, "body": echo})
    async with Delivering("http", configuration=configuration, retry=RetrySpec(max_attempts=1)) as world:
        world.store("a")
        await until(lambda: world.stats()["dead"] == 1)
        assert world.stats()["lastError"] == "HTTP 400: ***, ***, ***, ***, ***"


@ensureDeferred
async def test_a_get_has_the_message_in_its_query_and_a_put_a_form(sink):
    query = {"id": "{{ deviceName }}", "n": "{{ values.n }}", "key": "hush"}
    async with Delivering(
        "http", configuration={"url": sink.url + "/u?a=b", "method": "GET", "query": query}
    ) as world:
        world.store("x y")
        assert (await world.settled())["delivered"] == 1
    form = {"url": sink.url, "method": "PUT", "body": "form", "fields": query}
    async with Delivering("http", configuration=form) as world:
        world.store("x y")
        assert (await world.settled())["delivered"] == 1
    got, put = await received(sink)
    assert (got["method"], got["path"], got["body"]) == ("GET", "/u?a=b&id=x%20y&n=1&key=hush", "")
    assert (put["method"], put["body"]) == ("PUT", "id=x+y&n=1&key=hush")


@ensureDeferred
async def test_a_cookie_is_never_sent_back(sink):
    await deferToThread(sink.always, {"headers": {"Set-Cookie": "session=1; Path=/"}})
    async with Delivering("http", configuration={"url": sink.url, "concurrency": 1}) as world:
        world.store(*"aaa")
        await world.settled()
        assert not any("cookie" in request["headers"] for request in await received(sink))

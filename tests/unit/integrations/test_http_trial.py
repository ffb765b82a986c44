"""A test message shows what was sent and what came back, in full and without secrets."""

from __future__ import annotations

import pytest

from iotgw.testing import telemetry

from .http_world import HttpWorld

KEYS = {"type": "aws", "accessKeyId": "AKIDEXAMPLE", "secretAccessKey": "hush", "region": "r", "service": "s"}


def tried(world, record=None):
    found = []
    world.service.test("i1", record).addCallback(found.append)
    world.go()
    (result,) = found
    return result


def exchange(world, record=None):
    (shown,) = tried(world, record)["exchanges"]
    return shown["request"], shown["answer"]


def test_a_request_and_its_answer_are_shown_in_full():
    world = HttpWorld(lambda head, body: (400, {"error": "no such device"}), format="values")
    result = tried(
        world,
        telemetry(
            5, "probe", received_ms=7, body=b'{"deviceName":"probe","telemetry":[{"ts":7,"values":{"t":1}}]}'
        ),
    )
    assert (result["ok"], result["detail"]) == (False, 'HTTP 400: {"error": "no such device"}')
    ((head, body),) = world.requests
    (shown,) = result["exchanges"]
    assert shown["request"] == head.replace("\r\n", "\n") + "\n\n" + body.decode()
    assert '{"ts":7,"t":1}' in shown["request"]
    assert shown["answer"] == 'HTTP 400\ncontent-length: 27\n\n{"error": "no such device"}'
    assert world.stats()["delivered"] == world.stats()["dead"] == 0


SECRETS = {
    "url": "http://h/in?code=ab&device={{ deviceName }}",
    "query": {"key": "cd", "t": "{{ values.temperature }}"},
    "headers": {"X-Key": "ef", "X-Device": "{{ deviceName }}", "X-Both": "hush {{ deviceName }}"},
}


def test_secrets_are_masked_however_short_they_are():
    request, _ = exchange(HttpWorld(configuration=SECRETS))
    assert request.startswith("POST /in?code=***&device=iotgw-test&key=***&t=25.7 HTTP/1.1\n")
    assert "\nX-Key: ***\nX-Device: iotgw-test\nX-Both: ***\n" in request


def test_fields_of_a_form_are_masked_unless_they_are_the_message_s():
    form = {"body": "form", "fields": {"pin": "12", "t": "{{ values.temperature }}"}}
    request, _ = exchange(HttpWorld(configuration=form))
    assert request.endswith("\n\npin=***&t=25.7")


@pytest.mark.parametrize(
    ("auth", "shown"),
    [
        ({"type": "basic", "username": "u", "password": "p"}, "Authorization: Basic ***"),
        ({"type": "bearer", "token": "hush"}, "Authorization: Bearer ***"),
        (KEYS, "Authorization: AWS4-HMAC-SHA256 ***"),
        ({**KEYS, "sessionToken": "hush-hush"}, "X-Amz-Security-Token: ***"),
    ],
)
def test_what_authenticates_a_request_is_masked(auth, shown):
    request, _ = exchange(HttpWorld(configuration={"auth": auth}))
    assert f"\n{shown}\n" in request and "hush" not in request


def test_a_signature_is_masked():
    request, _ = exchange(HttpWorld(configuration={"signature": {"secret": "hush"}}))
    assert "\nX-Hub-Signature-256: ***\n" in request


def test_a_server_that_repeats_secrets_or_sets_cookies_shows_none():
    world = HttpWorld(lambda head, body: (500, head), configuration={"headers": {"X-Key": "Key hush-hush"}})
    _, answer = exchange(world)
    assert "hush" not in answer and "\\r\\nX-Key: ***" in answer


def test_a_compressed_body_is_shown_as_it_was_before():
    request, _ = exchange(HttpWorld(configuration={"compress": "gzip"}))
    assert "\nContent-Encoding: gzip\n" in request and '"temperature":25.7' in request


def test_a_batch_shows_the_one_message_as_it_goes_in_a_batch():
    request, _ = exchange(HttpWorld(configuration={"batch": "array"}))
    assert request.partition("\n\n")[2][0] == "["


def test_each_part_of_a_message_that_is_split_is_shown():
    world = HttpWorld(
        lambda head, body: 200 if b'"n":1' in body else (400, "no"), format="values", split="reading"
    )
    body = b'{"deviceName":"d","telemetry":[{"ts":1,"values":{"n":1}},{"ts":2,"values":{"n":2}}]}'
    result = tried(world, telemetry(5, "d", body=body))
    assert [each["answer"][:8] for each in result["exchanges"]] == ["HTTP 200", "HTTP 400"]
    assert '"n":1' in result["exchanges"][0]["request"] and not result["ok"]


def test_a_server_that_is_away_shows_what_was_tried():
    world = HttpWorld()
    found = []
    world.service.test("i1").addCallback(found.append)
    next(iter(world.connector.endpoints.values())).refuse(ConnectionRefusedError("nobody listens"))
    ((shown,),) = [each["exchanges"] for each in found]
    assert shown["request"].startswith("POST / HTTP/1.1\n")
    assert shown["answer"] == "none: nobody listens"


def test_a_message_without_what_the_template_needs_says_so_and_shows_nothing():
    result = tried(HttpWorld(configuration={"url": "http://h/{{ values.nothing }}"}))
    assert not result["ok"] and "nothing" in result["detail"] and result["exchanges"] == []


def test_only_what_can_be_read_is_shown_of_what_is_enormous():
    record = telemetry(
        5, "d", body=b'{"deviceName":"d","telemetry":[{"ts":1,"values":{"n":"%b"}}]}' % (b"x" * 200_000)
    )
    request, _ = exchange(HttpWorld(), record)
    assert 60_000 < len(request) < 70_000 and request.endswith("characters more)")


def test_other_messages_are_not_shown():
    world = HttpWorld()
    world.store({"n": 1})
    assert world.service._trials._open == {}
    assert world.stats()["delivered"] == 1


class Debug:
    """Keeps what is exchanged for one device."""

    def __init__(self):
        self.kept = []

    def shown(self, tenant, integration, records):
        assert (tenant, integration) == ("default", "i1")
        return next((record for record in records if record.device_name == "dev-2"), None)

    def exchanged(self, tenant, integration, record, request, answer):
        self.kept.append((tenant, integration, record.device_name, request, answer))


def test_what_is_debugged_is_shown_as_test_messages_are():
    debug = Debug()
    world = HttpWorld(lambda head, body: (200, {"ok": True}), debug=debug, configuration=SECRETS)
    world.store({"temperature": 1}, device="dev-1")
    world.store({"temperature": 2}, device="dev-2")
    [(tenant, integration, device, request, answer)] = debug.kept
    assert (tenant, integration, device) == ("default", "one", "dev-2")
    assert request.startswith("POST /in?code=***&device=dev-2&key=***")
    assert answer == 'HTTP 200\ncontent-length: 12\n\n{"ok": true}'
    assert world.stats()["delivered"] == 2
    assert len(tried(world)["exchanges"]) == 1
    assert len(debug.kept) == 1


def test_of_a_message_that_is_debugged_and_split_each_part_is_shown():
    debug = Debug()
    world = HttpWorld(debug=debug, split="value")
    body = b'{"deviceName":"dev-2","telemetry":[{"ts":1,"values":{"a":1,"b":2}}]}'
    world.store(body, device="dev-2")
    assert [device for _, _, device, _, _ in debug.kept] == ["dev-2"] * len(world.requests)
    assert len(debug.kept) == 2

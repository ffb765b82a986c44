"""What an HTTP target's answer means for the messages of its request."""

import json

import pytest

from iotgw.core.errors import SettingsError
from iotgw.core.validate import convert
from iotgw.core.verdict import DELIVERED, Apart, Rejected, Retry, Unavailable
from iotgw.integrations.http_answers import excerpt
from iotgw.integrations.http_judge import AnswerJudge, AnswerSettings
from iotgw.testing import telemetry
from iotgw.wire.http1 import Response

from .http_world import HttpWorld

BULK = {
    "success": "body.errors == `false`",
    "items": "body.items[*].* | []",
    "item": {
        "success": "status < `300`",
        "reason": "error.reason",
        "final": "status >= `400` && status < `500` && status != `429`",
        "busy": "status == `429` || status == `503`",
    },
}
"""Elasticsearch's `_bulk`."""


def judge(settings, *, successes=(), fixed=True):
    answer = convert(settings, AnswerSettings) if settings is not None else None
    return AnswerJudge(answer, successes, fixed, lambda body: excerpt(body, ()), lambda: 0.0)


def verdicts(settings, status, body, count=1, headers=None):
    """By position, what the answer means."""
    records = [telemetry(n) for n in range(1, count + 1)]
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = {}
    for some, verdict in judge(settings).outcomes(Response(status, headers or {}, body, True), records):
        for record in some:
            assert record.seq not in found
            found[record.seq] = verdict
    assert len(found) == count
    return found


def verdict(*args, **more):
    (only,) = set(verdicts(*args, **more).values())
    return only


@pytest.mark.parametrize(
    ("success", "status", "body", "wanted"),
    [
        ("body.status", 200, {"status": True}, DELIVERED),
        ("body.status", 200, {"status": False, "msg": "no"}, Retry('HTTP 200: {"status": false, "msg": "no"}')),
        ("!(body.errors)", 200, {"data": {"x": 1}}, DELIVERED),
        ("!(body.errors)", 200, {"data": None, "errors": [{"message": "bad"}]},
         Retry('HTTP 200: {"data": null, "errors": [{"message": "bad"}]}')),
        ("!(body.errors)", 200, b"<html>log in</html>", Retry("HTTP 200: expected JSON in the answer, got <html>log in</html>")),
        ("!(body.errors)", 204, b"", Retry("HTTP 204: expected JSON in the answer, got nothing")),
        ("!contains(text, 'Fault')", 200, b"<Envelope><Fault>x</Fault></Envelope>",
         Retry("HTTP 200: <Envelope><Fault>x</Fault></Envelope>")),
        ("!contains(text, 'Fault')", 200, b"<Envelope>ok</Envelope>", DELIVERED),
        ("status != `207`", 207, {"a": 1}, Retry('HTTP 207: {"a": 1}')),
        ('headers."x-result" == \'ok\'', 200, b"", Retry("HTTP 200")),
        ("body.ok", 500, {"ok": True}, Unavailable('HTTP 500: {"ok": true}')),
        ("body.ok", 404, {"ok": True}, Unavailable('HTTP 404: {"ok": true}')),
    ],
)  # fmt: skip
def test_a_status_of_success_counts_only_with_its_condition(success, status, body, wanted):
    assert verdict({"success": success}, status, body) == wanted


@pytest.mark.parametrize(
    ("status", "body", "wanted"),
    [
        (200, {"error": {"code": 1, "text": "bad"}}, Rejected("HTTP 200: bad")),
        (200, {"error": {"code": 2, "text": "later"}}, Retry("HTTP 200: later")),
        (200, {"error": {"code": 3, "text": "full"}}, Unavailable("HTTP 200: full", 7.0)),
        (400, {"error": {"code": 1, "text": "bad"}}, Rejected("HTTP 400: bad")),
        (400, {"error": {"code": 2, "text": "later"}}, Retry("HTTP 400: later", 7.0)),
        (422, b"", Retry("HTTP 422", 7.0)),
        (503, b"", Unavailable("HTTP 503", 7.0)),
    ],
)  # fmt: skip
def test_what_is_final_and_what_is_the_targets_fault_can_be_said(status, body, wanted):
    settings = {
        "success": "!(body.error)", "reason": "body.error.text", "final": "body.error.code == `1`", "busy": "body.error.code == `3`",
    }  # fmt: skip
    found = verdict(settings, status, body, headers={b"retry-after": b"7"})
    if isinstance(found, Retry) and status == 200:
        found = Retry(found.reason)
    assert found == wanted


def test_a_final_refusal_of_a_batch_is_taken_apart_first():
    assert verdict({"success": "!(body.e)", "final": "body.e"}, 200, {"e": "x"}, count=2) == Apart(
        'HTTP 200: {"e": "x"}'
    )


def test_each_document_of_a_bulk_request_has_its_own_verdict():
    answer = {"errors": True, "items": [
        {"index": {"_id": "1", "status": 201}},
        {"index": {"_id": "2", "status": 400, "error": {"type": "x", "reason": "failed to parse field [t]"}}},
        {"create": {"_id": "3", "status": 429, "error": {"reason": "queue is full"}}},
        {"index": {"_id": "4", "status": 503}},
        {"index": {"_id": "5", "status": 200}},
        {"index": {"_id": "6", "status": 500, "error": {"reason": "odd"}}},
    ]}  # fmt: skip
    assert verdicts(BULK, 200, answer, count=6) == {
        1: DELIVERED,
        2: Rejected("HTTP 200: failed to parse field [t]"),
        3: Unavailable("HTTP 200: queue is full"),
        4: Unavailable('HTTP 200: {"_id":"4","status":503}'),
        5: DELIVERED,
        6: Retry("HTTP 200: odd"),
    }


def test_a_list_of_refusals_names_its_messages_by_index():
    settings = {"items": "body.failed", "index": "n", "item": {"reason": "why", "final": "why == 'bad'"}}
    answer = {"failed": [{"n": 2, "why": "bad"}, {"n": "0", "why": "later"}]}
    assert verdicts(settings, 207, answer, count=3) == {
        1: Retry("HTTP 207: later"), 2: DELIVERED, 3: Rejected("HTTP 207: bad"),
    }  # fmt: skip


@pytest.mark.parametrize(
    "answer",
    [
        {"errors": True, "items": [{"index": {"status": 201}}]},
        {"errors": True, "items": []},
        {"errors": True, "items": 7},
        {"errors": True},
        b"",
        b"{",
        b"[" * 1000,
        b" " * (1 << 20),
    ],
)
def test_an_answer_that_does_not_speak_of_all_messages_takes_the_batch_apart(answer):
    assert isinstance(verdict(BULK, 200, answer, count=2), Apart)
    assert isinstance(verdict(BULK, 200, answer), (Retry, type(DELIVERED)))


@pytest.mark.parametrize("place", [-1, 2, "x", None, 1.0, True, [0], "9" * 5000])
def test_an_index_that_names_no_message_is_no_verdict_on_the_others(place):
    settings = {"items": "body.failed", "index": "n"}
    assert isinstance(verdict(settings, 200, {"failed": [{"n": place}]}, count=2), Apart)


def test_an_answer_to_the_largest_batch_is_read():
    items = [{"index": {"status": 201 if n % 2 else 400}} for n in range(10_000)]
    found = verdicts(BULK, 200, {"errors": True, "items": items}, count=10_000)
    assert sum(each is DELIVERED for each in found.values()) == 5000


def test_no_conditions_mean_what_the_status_means():
    assert verdict(None, 200, b'{"errors":true}') is DELIVERED
    assert verdict(None, 409, b"no") == Retry("HTTP 409: no")
    assert verdict(None, 400, b"no", count=2) == Apart("HTTP 400: no")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'\xef\xbb\xbf{"said": "f\xc3\xbcr"}', b"application/json"),
        (b'{"said": "f\xfcr"}', b"application/json;charset=ISO-8859-1"),
        (b'{"said": "f\xfcr"}', b""),
        ('{"said": "für", "也": "中"}'.encode("gbk"), b'text/json; charset="GBK"'),
        (b'{"said": "f\xc3\xbcr"}', b"application/json; charset=no-such-one"),
    ],
)
def test_an_answer_is_read_in_the_letters_that_its_server_writes(body, kind):
    headers = {b"content-type": kind}
    assert verdict({"success": "body.said == 'für'"}, 200, body, headers=headers) is DELIVERED
    assert verdict({"success": "contains(text, 'für')"}, 200, body, headers=headers) is DELIVERED


@pytest.mark.parametrize("status", [400, 413, 414, 415, 422, 431])
def test_a_request_that_is_wrong_is_refused_for_good_unless_the_server_says_otherwise(status):
    assert verdict(None, status, b"no") == Rejected(f"HTTP {status}: no")
    assert verdict({"success": "body.ok"}, status, b"no") == Rejected(f"HTTP {status}: no")
    assert verdict(None, status, b"no", headers={b"retry-after": b"7"}) == Retry(f"HTTP {status}: no", 7.0)
    assert verdict({"final": "text == 'never'"}, status, b"no") == Retry(f"HTTP {status}: no")
    assert verdict({"final": "text == 'never'"}, 409, b"never") == Rejected("HTTP 409: never")


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"success": "body."}, "configuration.answer.success"),
        ({"success": "!body.errors"}, "configuration.answer.success"),
        ({"item": {"final": "]"}, "items": "body", "index": "n"}, "configuration.answer.item.final"),
        ({"items": "body.items"}, "configuration.answer.item.success"),
        ({"index": "n"}, "configuration.answer.items"),
        ({"item": {"reason": "x"}}, "configuration.answer.items"),
    ],
)
def test_what_could_not_be_judged_is_refused_when_it_is_saved(settings, path):
    with pytest.raises(SettingsError) as caught:
        convert(settings, AnswerSettings)
    assert caught.value.path == path


# --- with the delivery machine


def bulk(refused):
    """A stand-in for Elasticsearch that gives ``refused(document)``, a status, for each document."""

    def says(head, body):
        documents = [json.loads(line) for line in body.splitlines()[1::2]]
        items = []
        for document in documents:
            status = refused(document)
            item = {"status": status}
            if status >= 300:
                item["error"] = {"type": "t", "reason": f"no {document}"}
            items.append({"index": item})
        return 200, {"errors": any(each["index"]["status"] >= 300 for each in items), "items": items}

    return says


def elastic(says, **more):
    return HttpWorld(
        says,
        configuration={"url": "http://h/_bulk", "batch": "ndjson", "answer": BULK, "concurrency": 1},
        format="template",
        template='{"index":{}}\n{{ values | tojson }}',
        **more,
    )


def test_only_the_documents_that_elasticsearch_refused_are_dead_letters():
    world = elastic(bulk(lambda document: 400 if document["t"] == "n/a" else 201))
    world.store(*[{"t": n if n % 2 else "n/a"} for n in range(6)])
    assert world.accounts() == {"delivered": 3, "waiting": 0, "dead": 3}
    assert set(world.dead().values()) == {"HTTP 200: no {'t': 'n/a'}"}
    assert world.stats()["state"] == "running"


def test_a_document_that_found_elasticsearch_busy_is_sent_again_without_the_others():
    seen = []

    def status(document):
        seen.append(document["n"])
        return 429 if document["n"] == 2 and seen.count(2) <= 5 else 201

    world = elastic(bulk(status))
    world.store(*[{"n": n} for n in range(4)])
    world.go(seconds=400)
    assert world.accounts() == {"delivered": 4, "waiting": 0, "dead": 0}
    assert [seen.count(n) for n in range(4)] == [1, 1, 6, 1]


def test_a_refused_document_of_one_device_holds_up_no_other():
    world = elastic(bulk(lambda document: 500 if document["n"] == "bad" else 201))
    world.store({"n": "bad"}, device="a")
    world.store({"n": 1}, device="b")
    assert world.accounts() == {"delivered": 1, "waiting": 1, "dead": 0}
    world.go(seconds=5)
    assert world.accounts() == {"delivered": 1, "waiting": 0, "dead": 1}


def test_a_status_of_false_in_a_200_is_no_delivery():
    world = HttpWorld(
        lambda head, body: (200, {"status": False, "why": "unknown device"}),
        configuration={
            "answer": {
                "success": "body.status",
                "reason": "body.why",
                "final": "body.why == 'unknown device'",
            }
        },
    )
    world.store({"t": 1})
    assert world.dead() == {1: "HTTP 200: unknown device"}


def test_a_reason_is_shown_without_our_secrets():
    world = HttpWorld(
        lambda head, body: (200, {"status": False, "why": "token s3cr3t-token is wrong"}),
        configuration={
            "headers": {"X-Token": "s3cr3t-token"},
            "answer": {"success": "body.status", "reason": "body.why", "final": "`true`"},
        },
    )
    world.store({"t": 1})
    (error,) = world.dead().values()
    assert "s3cr3t" not in error

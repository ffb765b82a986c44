"""What holds for every request: who may, what a body may be, and that nobody sees a traceback."""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import quote

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread
from twisted.logger import globalLogPublisher
from twisted.web.resource import Resource

from iotgw.api.auth import FailedAttempts, Tokens, mint
from iotgw.core.model import State
from iotgw.core.ports.pipeline import Room
from iotgw.datasources.http.mounts import HttpMounts


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


@inline
async def test_probes_need_no_token_and_everything_else_does(connect: Any) -> None:
    nobody = connect("")
    for path in ("/health/live", "/health/ready", "/api/v1/health/live", "/api/v1/openapi.json"):
        assert (await nobody("GET", path)).status == 200, path
    for path in ("/datasources", "/messages", "/tokens", "/status", "/metrics", "/events", "/devices"):
        answer = await nobody("GET", path)
        assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Bearer realm="iotgw"'), path


@inline
async def test_not_ready_is_said_with_when_to_ask_again(bench: Any, connect: Any) -> None:
    bench.pipeline.has_room = Room(False, "journal", "the journal takes none: full")
    answer = await connect("")("GET", "/health/ready")
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert answer.json["detail"] == "no uplinks are taken: the journal takes none: full"
    assert (await connect("")("GET", "/health/live")).status == 200


@inline
async def test_ready_status_and_metrics_say_of_room_what_devices_are_told(bench: Any, connect: Any) -> None:
    reason = "an integration set to rejectNew can take no more"
    for room, ready in [(Room(False, "integrations", reason), False), (Room(), True)]:
        bench.pipeline.has_room = room
        assert (await connect("")("GET", "/health/ready")).status == (200 if ready else 503)
        status = await connect().ok("GET", "/status")
        assert (status["ready"], status["notReadyBecause"]) == (ready, room.reason or None)
        metrics = (await connect()("GET", "/metrics")).text
        assert f"iotgw_journal_room {int(ready)}" in metrics
        assert f'iotgw_no_room{{cause="integrations"}} {int(not ready)}' in metrics
        assert 'iotgw_no_room{cause="journal"} 0' in metrics


@inline
async def test_damage_to_what_is_stored_is_said_by_a_ready_gateway(bench: Any, connect: Any) -> None:
    assert await connect("").ok("GET", "/health/ready") == {"status": "ready"}
    bench.journal.faults = ["3 rows of telemetry can't be read"]
    assert await connect("").ok("GET", "/health/ready") == {"status": "ready", "faults": bench.journal.faults}


@inline
async def test_a_role_may_do_what_it_is_for(connect: Any) -> None:
    table = [
        ("viewer", "GET", "/datasources", 200),
        ("viewer", "POST", "/datasources", 403),
        ("editor", "POST", "/datasources", 422),
        ("editor", "GET", "/tokens", 403),
        ("network-server", "GET", "/messages", 403),
        ("network-server", "POST", "/datasources/gone/inject", 404),
        ("viewer", "POST", "/datasources/gone/inject", 403),
        ("downlink", "GET", "/messages", 403),
        ("admin", "GET", "/tokens", 200),
    ]
    for role, method, path, status in table:
        answer = await connect(role)(method, path, {} if method == "POST" else None)
        assert answer.status == status, (role, method, path, answer.text)


@inline
async def test_a_token_is_shown_once_and_ends_when_deleted_or_expired(bench: Any, connect: Any) -> None:
    admin = connect()
    made = await admin.ok("POST", "/tokens", {"name": "app", "role": "viewer", "expiresAt": 2_000_000_000})
    app = connect("")
    app.token = made["token"]
    assert (await app("GET", "/datasources")).status == 200
    listed = await admin("GET", "/tokens")
    assert made["token"] not in listed.text
    assert "hash" not in listed.text
    assert made["token"].split("_", 2)[2] not in str(bench.registry.list("token"))
    bench.clock.advance(1_000_000)
    assert (await app("GET", "/datasources")).status == 401
    assert (await admin("DELETE", "/tokens/app")).status == 204
    assert (await admin("DELETE", "/tokens/app")).status == 404


@inline
async def test_a_token_of_one_tenant_sees_nothing_of_another(connect: Any) -> None:
    north, south = connect("admin", "north"), connect("admin", "south")
    await north.ok("POST", "/datasources", {"name": "field", "type": "coap"})
    assert (await south("GET", "/datasources/field")).status == 404
    assert (await south.ok("GET", "/datasources"))["items"] == []
    assert (await south("POST", "/tokens", {"name": "x", "role": "admin", "tenant": "north"})).status == 403
    everybody = connect()
    for path in ("/metrics", "/status"):
        assert "field" in (await north("GET", path)).text
        assert "field" in (await everybody("GET", path)).text
        assert "field" not in (await south("GET", path)).text
    assert len((await everybody.ok("GET", "/datasources?tenant=north"))["items"]) == 1


@inline
async def test_too_many_wrong_tokens_are_told_to_wait_and_the_right_one_still_passes(connect: Any) -> None:
    stranger, owner = connect(""), connect()
    stranger.token = "iotgw_000000000000_guess"
    statuses = [(await stranger("GET", "/datasources")).status for _ in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    (event,) = (await owner.ok("GET", "/events?type=refused"))["items"]
    assert (event["name"], event["message"]) == ("api", "127.0.0.1: a wrong token"), "without the token"
    assert (await owner("GET", "/datasources")).status == 200


def test_failed_attempts_are_forgotten_after_their_window_and_the_table_is_bounded() -> None:
    attempts = FailedAttempts(limit=2, window=60.0, addresses=3)
    assert [attempts.note("a", 0.0), attempts.note("a", 1.0), attempts.note("a", 2.0)] == [0.0, 0.0, 58.0]
    assert attempts.note("a", 61.0) == 0.0
    for number in range(100):
        attempts.note(f"address {number}", 61.0)
    assert len(attempts._table) == 3


def test_a_token_is_known_by_its_whole_text_only(bench: Any) -> None:
    text, body = mint("viewer", "default")
    tokens = Tokens(bench.registry)
    bench.registry.create("token", "default", "t", body)
    assert tokens.recognise(text, 0) is not None
    for wrong in (
        text + "x",
        text[:-1],
        text.replace("iotgw_", ""),
        "",
        "iotgw__",
        text.upper(),
        "iotgw_\x00_\ud7ff",
    ):
        assert tokens.recognise(wrong, 0) is None, wrong


@inline
async def test_a_path_or_method_that_does_not_exist_is_a_problem(connect: Any) -> None:
    client = connect()
    assert (await client("GET", "/nothing")).json["status"] == 404
    wrong = await client("DELETE", "/messages")
    assert (wrong.status, wrong.headers["allow"]) == (405, "GET, HEAD")
    assert (await client("GET", "/datasources/%ff")).status == 400
    assert (await client("GET", "//")).status == 404
    assert (await client("HEAD", "/datasources")).text == ""


@pytest.mark.parametrize(
    "path",
    [
        "/api%2Fv1/datasources", "/api/v1%2Fdatasources", "/api%2fv1%2fdatasources", "//api/v1/datasources",
        "/api//v1/datasources", "/api/v1//datasources", "/api/v1/datasources%2Ffield", "/health%2Flive", "//health/live",
    ],
)  # fmt: skip
@inline
async def test_another_spelling_of_a_path_leads_nowhere(connect: Any, path: str) -> None:
    client = connect()
    await client.ok("POST", "/datasources", {"name": "field", "type": "coap"})
    answer = await client("GET", path)
    assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("device", ["a/b", "a%2Fb", "50%", "a b?c#d", "ü"])
@inline
async def test_a_device_of_any_name_is_reached_by_the_location_of_its_downlink(
    connect: Any, device: str
) -> None:
    client = connect()
    path = f"/devices/{quote(device, safe='')}/downlinks"
    made = await client("POST", f"{path}?allowUnknown=true", {"data": "AQ=="})
    assert made.status == 201, made.text
    item = await client.ok("GET", made.headers["location"])
    assert (item["device"], item["id"]) == (device, made.json["id"])


@inline
async def test_a_bundled_converter_is_reached_with_and_without_an_encoded_slash(connect: Any) -> None:
    for name, path in (("one", "tekelek/logger"), ("two", "tekelek%2Flogger")):
        await connect().ok("POST", f"/library/{path}/install", {"name": name})


@inline
async def test_a_body_that_is_no_json_is_refused(connect: Any) -> None:
    client = connect()
    typed = {"Content-Type": "application/json"}
    assert (await client("POST", "/datasources", data=b"{", headers=typed)).status == 400
    assert (await client("POST", "/datasources", data=b"[" * 60000, headers=typed)).status == 400
    assert (await client("POST", "/datasources", data=b"\xff\xfe", headers=typed)).status == 400
    form = await client("POST", "/datasources", data=b"a=b", headers={"Content-Type": "text/plain"})
    assert form.status == 415
    assert (await client("POST", "/datasources", [])).status == 422


@inline
async def test_a_body_beyond_the_cap_is_refused_whether_its_length_is_told_or_not(connect: Any) -> None:
    client = connect()
    typed = {"Content-Type": "application/json"}
    large = await client("POST", "/datasources", data=b"x" * 70_000, headers=typed)
    assert (large.status, large.headers["content-type"]) == (413, "application/problem+json")
    port = int(client.base.rpartition(":")[2])
    chunks = b"POST /api/v1/datasources HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks += b"10000\r\n" + b"x" * 65536 + b"\r\n" + b"10\r\n" + b"x" * 16 + b"\r\n0\r\n\r\n"
    assert b" 413 " in (await deferToThread(_exchange, port, chunks)).split(b"\r\n")[0]


def _exchange(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
        connection.sendall(data)
        return connection.recv(65536)


@inline
async def test_what_nobody_foresaw_is_a_500_with_a_reference_and_no_traceback(
    bench: Any, connect: Any
) -> None:
    seen: list[Any] = []
    globalLogPublisher.addObserver(seen.append)
    try:
        bench.journal.search = None
        answer = await connect()("GET", "/messages")
    finally:
        globalLogPublisher.removeObserver(seen.append)
    assert answer.status == 500
    assert "Traceback" not in answer.text
    assert "NoneType" not in answer.text
    reference = answer.json["reference"]
    assert [event for event in seen if event.get("reference") == reference and event["log_failure"]]


@inline
async def test_uploads_stand_beside_the_api_on_one_listener(bench: Any, connect: Any) -> None:
    class Uploads(Resource):
        isLeaf = True

        def render(self, request: Any) -> bytes:
            return b"/".join(request.postpath) + b" " + request.content.read()

    bench.mounts = HttpMounts()
    bench.mounts.add(("i", "key"), Uploads())
    client = connect("")
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    assert (await client("POST", "/i/key/more", data=b"a=b&c=d", headers=form)).text == "more a=b&c=d"


@inline
async def test_the_description_names_every_route_and_every_settings_struct(connect: Any) -> None:
    document = await connect("").ok("GET", "/openapi.json")
    assert document["openapi"] == "3.1.0"
    assert "post" in document["paths"]["/api/v1/converters/{name}/test"]
    schemas = document["components"]["schemas"]
    kinds = schemas["DatasourceSpec"]["properties"]["type"]
    assert (kinds["type"], kinds["enum"], kinds["title"]) == ("string", ["coap"], "Type")
    secret = schemas["CoapSettings"]["properties"]["preSharedKey"]
    assert secret["format"] == "password"
    assert "writeOnly" not in secret, "an answer has a mask in its place"
    shown = schemas["DatasourceView"]
    assert {"routingKey", "configuration", "id", "createdAt", "status"} <= shown["properties"].keys()
    assert {"name", "id", "revision"} <= set(shown["required"])
    assert "additionalProperties" not in shown
    answers = document["paths"]["/api/v1/datasources/{name}"]["put"]["responses"]
    assert answers.keys() == {"200", "201", "default"}
    assert answers["201"] == answers["200"]
    ids = [each["operationId"] for path in document["paths"].values() for each in path.values()]
    assert len(ids) == len(set(ids)) > 40


@inline
async def test_metrics_show_the_accounts_by_name(bench: Any, connect: Any) -> None:
    client = connect()
    id = (await client.ok("POST", "/datasources", {"name": "field", "type": "coap"}))["id"]
    for _ in range(2):
        bench.add(id, b"x", State.FAILED)
    await client.ok(
        "POST", "/integrations", {"name": "out", "type": "http", "configuration": {"url": "http://x"}}
    )
    await client.ok("POST", "/devices/dev-1/downlinks", {"msg": {"interval": 900}})
    for path in ("/metrics", "/api/v1/metrics"):
        answer = await client("GET", path)
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        for line in (
            'iotgw_datasource_up{tenant="default",datasource="field",type="coap"} 1',
            'iotgw_datasources{tenant="default",up="1"} 1',
            'iotgw_uplinks{tenant="default",datasource="field",state="failed"} 2',
            'iotgw_deliveries{tenant="default",integration="out",state="delivered"} 2',
            'iotgw_deliveries{tenant="default",integration="out",state="queued"} 3',
            "iotgw_downlinks_open 1",
        ):
            assert line in answer.text.splitlines()


@inline
async def test_refusals_are_counted_by_listener_and_by_datasource_and_only_the_operator_sees_the_former(
    bench: Any, connect: Any
) -> None:
    client, tenant, stranger = connect(), connect("viewer", "acme"), connect("")
    made = await client.ok("POST", "/datasources?tenant=acme", {"name": "field", "type": "coap"})
    bench.pipeline.statuses[made["id"]]["refusals"] = {"credentials": 3}
    stranger.token = "wrong"
    await stranger("GET", "/datasources")
    await connect("")("GET", "/datasources")
    assert (await client.ok("GET", "/status"))["refusals"] == {"api": {"token": 1}}
    assert (await tenant.ok("GET", "/status"))["refusals"] == {}
    own = 'iotgw_refusals_total{tenant="acme",datasource="field",reason="credentials"} 3'
    for reader, expected in (
        (client, {own, 'iotgw_refusals_total{listener="api",reason="token"} 1'}),
        (tenant, {own}),
    ):
        lines = (await reader("GET", "/metrics")).text.splitlines()
        assert {line for line in lines if line.startswith("iotgw_refusals_total")} == expected
        assert not [line for line in lines if 'protocol="refusals"' in line]


@inline
async def test_the_status_shows_the_whole_gateway(connect: Any) -> None:
    client = connect()
    await client.ok("POST", "/datasources", {"name": "field", "type": "coap"})
    status = await client.ok("GET", "/status")
    assert status["ready"] is True
    assert status["datasources"][0]["state"] == "listening"
    assert status["journal"]["received"] == 0

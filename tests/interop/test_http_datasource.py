"""HTTP devices against a running gateway."""

import base64
import contextlib
import gzip
import http.client
import ssl
import urllib.request

import pytest

from tests.certificates import Authority
from tests.peers.gateway import request
from tests.peers.patience import HANGS
from tests.peers.process import free_port, wait_until


def datasource(gateway, name="http", **configuration):
    return gateway.create(
        "datasources", name=name, type="http", routingKey=name, converter="json", configuration=configuration
    )


def test_an_upload_is_answered_204_and_keeps_its_headers_as_metadata(gateway):
    datasource(gateway)
    answer = gateway.post(
        "http", b'{"deviceName": "d", "t": 1}', {"X-Meter": "7", "Authorization": "x"}, "/a/b?q=1"
    )
    assert answer.status == 204
    message = gateway.message_when("converted")
    metadata = message["metadata"]
    assert metadata["Header:X-Meter"] == "7"
    assert metadata["integrationName"] == "http"
    assert metadata["path"] == "a/b"
    assert metadata["query"] == {"q": "1"}
    assert "Header:Authorization" not in metadata
    assert answer.headers["X-Message-Id"] == message["id"]


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://localhost/i/http", 204),
        ("HTTP://[::1]:8080/i/http?q=1", 204),
        ("http://localhost", 404),
        ("http://led-here.example/i/http", 403),
    ],
)
def test_a_target_may_be_a_whole_url(gateway, target, status):
    datasource(gateway)
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=HANGS)
    with contextlib.closing(connection):
        connection.request("POST", target, b'{"deviceName": "d", "t": 1}')
        assert connection.getresponse().status == status


def test_who_is_turned_away_is_seen_in_events_status_and_metrics(gateway):
    datasource(gateway, security={"mode": "bearer", "token": "s3cret-of-the-field"})
    assert gateway.post("http", b"{}", {"Authorization": "Bearer s3cret-of-the-fields"}).status == 401
    assert gateway.post("nobody-has-this", b"{}").status == 404
    assert gateway.post("http", b"{}", {"Origin": "https://evil.example"}).status == 403
    events = gateway.api("GET", "/events?type=refused").json["items"]
    assert {(each["name"], each["detail"]["reason"]) for each in events} == {
        ("http", "credentials"),
        ("api", "key"),
        ("http", "site"),
    }
    assert "s3cret" not in str(events) and "nobody-has" not in str(events)
    status = gateway.api("GET", "/status").json
    assert status["refusals"] == {"api": {"key": 1}}
    assert status["datasources"][0]["refusals"] == {"credentials": 1, "site": 1}


def test_an_unknown_routing_key_is_404_and_a_wrong_method_405(gateway):
    datasource(gateway)
    assert gateway.post("nobody", b"{}").status == 404
    assert gateway.api("GET", "/../../i/http").status in (404, 405)


def test_a_body_over_the_limit_is_413(gateway):
    datasource(gateway, maxBody=10)
    assert gateway.post("http", b"x" * 11).status == 413
    assert gateway.messages() == []


@pytest.mark.parametrize(
    ("security", "header"),
    [
        ({"mode": "basic", "username": "u", "password": "p"}, "Basic " + base64.b64encode(b"u:p").decode()),
        ({"mode": "bearer", "token": "secret"}, "Bearer secret"),
    ],
)
def test_only_the_right_credentials_are_taken(gateway, security, header):
    created = datasource(gateway, security=security)
    assert "secret" not in str(created)
    body = b'{"deviceName": "d"}'
    assert gateway.post("http", body).status == 401
    assert gateway.post("http", body, {"Authorization": header + "x"}).status == 401
    assert gateway.post("http", body, {"Authorization": header}).status == 204


def test_every_header_of_the_filter_must_match(gateway):
    datasource(gateway, headersFilter={"X-Key": "a", "X-Other": "b"})
    assert gateway.post("http", b"{}", {"X-Key": "a"}).status == 401
    assert gateway.post("http", b"{}", {"X-Key": "a", "X-Other": "b"}).status == 204
    assert "Header:X-Key" not in gateway.messages()[0]["metadata"]


def test_an_empty_answer_is_200_where_it_must_be(gateway):
    datasource(gateway, replaceNoContentToOk=True)
    assert gateway.post("http", b'{"deviceName": "d"}').status == 200


@pytest.mark.parametrize(
    ("split", "body"),
    [
        ("array", b'[{"deviceName": "a", "t": 1}, {"deviceName": "b", "t": 2}]'),
        ("lines", b'{"deviceName": "a", "t": 1}\r\n\n{"deviceName": "b", "t": 2}\n'),
    ],
)
def test_one_request_can_carry_several_messages(gateway, split, body):
    datasource(gateway, split=split)
    assert gateway.post("http", body).status == 204

    def names():
        return {each["deviceName"] for item in gateway.messages() for each in item["output"]} == {"a", "b"}

    wait_until(names)


def test_what_is_no_array_is_kept_as_a_failed_message_with_its_bytes(gateway):
    datasource(gateway, split="array")
    assert gateway.post("http", b'{"not": "an array"}').status == 400
    message = gateway.message_when("failed")
    assert base64.b64decode(message["payload"]) == b'{"not": "an array"}'
    assert "expected a JSON array" in message["error"]["message"]


def test_a_datasource_can_have_a_listener_of_its_own(gateway):
    port = free_port()
    datasource(gateway, endpoint=f"tcp:{port}:interface=127.0.0.1")
    assert gateway.post("http", b"{}").status == 404
    gateway.port, api = port, gateway.port
    assert gateway.post("http", b'{"deviceName": "d"}').status == 204
    gateway.port = api
    assert gateway.message_when("converted")


def test_the_answer_can_wait_for_the_conversion(gateway):
    gateway.create(
        "converters", name="picky", script="function Decoder(payload, metadata) { throw new Error('no'); }"
    )
    gateway.create(
        "datasources", name="strict", type="http", routingKey="strict", converter="picky", reply="converted"
    )
    assert gateway.post("strict", b"x").status == 422


def https(port, ca, body):
    context = ssl.create_default_context(cadata=ca.pem().decode())
    context.check_hostname = False
    ask = urllib.request.Request(f"https://127.0.0.1:{port}/i/https", data=body, method="POST")
    with urllib.request.urlopen(ask, context=context, timeout=HANGS) as answer:
        return answer.status


def shown(port):
    """The certificate that a new client is shown, as PEM."""
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=HANGS).strip()


def test_a_renewed_certificate_is_shown_to_the_next_client_and_a_broken_one_is_not(gateway):
    ca = Authority()
    first, second = (ca.issue("gateway", hosts=["127.0.0.1"]) for _ in range(2))
    folder = gateway.data / "certificates"
    folder.mkdir()
    first.write(folder, "https")
    port = free_port()
    datasource(
        gateway,
        "https",
        endpoint=f"tcp:{port}:interface=127.0.0.1",
        tls={"certificate": "https.pem", "key": "https.key"},
    )
    assert https(port, ca, b'{"deviceName": "d", "t": 1}') == 204
    assert shown(port) == first.pem().decode().strip()
    second.write(folder, "https")
    wait_until(lambda: shown(port) == second.pem().decode().strip())
    assert https(port, ca, b'{"deviceName": "d", "t": 2}') == 204
    (folder / "https.key").write_text("rubbish")
    wait_until(
        lambda: (
            gateway.api("GET", "/events?type=certificate").json["items"][0]["message"].startswith("the old")
        )
    )
    assert shown(port) == second.pem().decode().strip()


def test_of_several_messages_in_one_request_one_item_goes_and_the_others_only_wait(gateway):
    datasource(gateway, split="lines")
    item = {"data": "go", "contentType": "TEXT", "maxAttempts": 1}
    gateway.api("PUT", "/devices/d/downlinks?allowUnknown=true", [item] * 4)
    lines = b'{"deviceName": "d", "t": 1}\n' * 3
    for left in (3, 2, 1, 0):
        assert gateway.post("http", lines).body == b"go"
        items = gateway.api("GET", "/devices/d/downlinks").json["items"]
        assert [(each["state"], each["attempts"]) for each in items if each["state"] != "DELIVERED"] == [
            ("QUEUED", 0)
        ] * left
    assert gateway.post("http", lines).status == 204


@pytest.mark.parametrize(
    "text", ["unix:/etc/x", "stdio:", "haproxy:tcp:1", "systemd:domain=INET:index=0", "nonsense"]
)
def test_an_endpoint_that_is_no_tcp_port_is_refused_with_its_setting(gateway, text):
    answer = gateway.api(
        "POST", "/datasources",
        {"name": "x", "type": "http", "routingKey": "x", "configuration": {"endpoint": text}},
    )  # fmt: skip
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, "configuration")
    assert answer.json["detail"].startswith("configuration: endpoint: expected tcp:PORT")


def test_no_answer_tells_which_files_exist(gateway, tmp_path):
    (tmp_path / "here.pem").write_text("no certificate")
    (gateway.data / "certificates").mkdir()
    (gateway.data / "certificates" / "junk.pem").write_text("no certificate either")
    said = set()
    for name in (
        "junk.pem",
        "none.pem",
        str(tmp_path / "here.pem"),
        "/etc/passwd",
        "/dev/zero",
        "../secret.key",
    ):
        answer = gateway.api(
            "POST", "/datasources",
            {"name": "https", "type": "http", "routingKey": "https",
             "configuration": {"endpoint": "tcp:0:interface=127.0.0.1", "tls": {"certificate": name, "key": name}}},
        )  # fmt: skip
        said.add((answer.status, answer.json["detail"]))
    ((status, detail),) = said
    assert status == 409
    assert (
        "configuration.tls.certificate: expected certificates, as PEM text, or by the name of a file"
        in detail
    )


def test_certificate_and_key_may_be_text_and_the_key_is_not_shown(gateway):
    ca, port = Authority(), free_port()
    issued = ca.issue("gateway", hosts=["127.0.0.1"])
    tls = {"certificate": issued.pem().decode(), "key": issued.key_pem().decode()}
    datasource(gateway, "https", endpoint=f"tcp:{port}:interface=127.0.0.1", tls=tls)
    assert https(port, ca, b'{"deviceName": "d", "t": 1}') == 204
    assert gateway.api("GET", "/datasources/https").json["configuration"]["tls"]["key"] == "***"


def test_a_station_that_can_only_get_and_send_forms_is_understood(gateway):
    datasource(
        gateway,
        "station",
        methods=["GET", "POST"],
        parametersFilter={"PASSKEY": "hush-hush"},
        answer={"body": "success"},
    )
    said = request("GET", f"{gateway.url}/i/station?PASSKEY=hush-hush&deviceName=d&tempf=91.8")
    assert (said.status, said.body) == (200, b"success")
    assert gateway.message_when("converted")["metadata"]["query"] == {"deviceName": "d", "tempf": "91.8"}
    boundary = {"Content-Type": "multipart/form-data; boundary=x"}
    part = b'--x\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
    whole = part % (b"PASSKEY", b"hush-hush") + part % (b"deviceName", b"d") + b"--x--\r\n"
    assert gateway.post("station", whole, boundary).status == 200
    assert gateway.post("station", whole[:-9], boundary).status == 401  # nothing of it proves who sends
    packed = {"Content-Encoding": "gzip", "Content-Type": "application/x-www-form-urlencoded"}
    assert (
        gateway.post("station", gzip.compress(b"PASSKEY=hush-hush&deviceName=d&tempf=1"), packed).status
        == 200
    )
    assert (
        gateway.post(
            "station", b"PASSKEY=guess&deviceName=d", {"Content-Type": packed["Content-Type"]}
        ).status
        == 401
    )
    assert gateway.api("GET", "/messages?state=failed").json["items"] == []
    kept = gateway.api("GET", "/messages").json["items"]
    assert len(kept) == 3 and "hush" not in str([each["metadata"] for each in kept])

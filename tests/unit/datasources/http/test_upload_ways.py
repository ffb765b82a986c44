"""The ways in which devices send over HTTP: by GET, as forms, compressed, from a browser; and what they are answered."""

from __future__ import annotations

import gzip
import json

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransport

from iotgw.api.site import ApiSite
from iotgw.core.errors import SettingsError
from iotgw.core.model import Answer, Status
from iotgw.core.validate import convert
from iotgw.datasources.http.datasource import HttpSourceType
from iotgw.datasources.http.settings import HttpSourceSettings
from tests.unit.datasources.fakes import FakeIntake, clock, context
from tests.unit.datasources.http import test_uploads
from tests.unit.datasources.http.test_uploads import body, status

FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
GET = {"methods": ["POST", "PUT", "GET"]}


def open_field(monkeypatch, **settings) -> test_uploads.Field:
    return test_uploads.Field(monkeypatch, **{"profile": "none", **settings})


def received(field):
    """The only message."""
    ((payload, facts),) = field.intake.received
    return json.loads(payload), facts


def get(field, query: str, headers: bytes = b""):
    return field.post(b"", f"/i/key{query}", headers, "GET")


def test_a_weather_station_sends_by_get(monkeypatch):
    field = open_field(monkeypatch, **GET)
    assert status(get(field, "?PASSKEY=AABB&tempf=91.8&humidity=26&note=a%20b")) == 204
    message, facts = received(field)
    assert message == {"PASSKEY": "AABB", "tempf": "91.8", "humidity": "26", "note": "a b"}
    assert facts["method"] == "GET"


def test_get_is_not_taken_unless_it_is_wanted(monkeypatch):
    answer = get(open_field(monkeypatch), "?a=1")
    assert status(answer) == 405 and b"\r\nAllow: POST, PUT, OPTIONS\r\n" in answer.value()


@pytest.mark.parametrize("query", ["", "?", "?password=x"])
def test_a_get_that_says_nothing_is_no_message(monkeypatch, query):
    field = open_field(monkeypatch, **GET)
    assert status(get(field, query)) == 400
    assert field.intake.received == field.intake.rejected == []


@pytest.mark.parametrize("site", [b"cross-site", b"same-site"])
def test_an_image_of_another_site_is_no_upload(monkeypatch, site):
    header = b"Sec-Fetch-Site: %b\r\n" % site
    field = open_field(monkeypatch, **GET)
    assert status(get(field, "?a=1", header)) == 403
    assert field.intake.refusals == [("site", "192.0.2.7", "a page of another site, by GET")]
    assert status(get(open_field(monkeypatch, crossSite=True, **GET), "?a=1", header)) == 204
    assert status(get(field, "?a=1", b"Sec-Fetch-Site: none\r\n")) == 204


READINGS = (
    b'[{"ID":"2500.1","t":1596650675,"T1":108},{"ID":"2500.1","t":1596650735,"T1":109},'
    b'{"ID":"2500.2","t":1596650675,"T1":7}]'
)


def test_an_array_of_readings_is_a_message_each(monkeypatch):
    field = open_field(monkeypatch, split="array")
    assert status(field.post(READINGS)) == 204
    found = [json.loads(payload) for payload, _ in field.intake.received]
    assert found == json.loads(READINGS)


@pytest.mark.parametrize("split", ["array", "lines"])
def test_a_byte_order_mark_is_no_part_of_the_first_message(monkeypatch, split):
    field = open_field(monkeypatch, split=split)
    body = b'[{"t":1},{"t":2}]' if split == "array" else b'{"t":1}\r\n\r\n{"t":2}\r\n'
    assert status(field.post(b"\xef\xbb\xbf" + body)) == 204
    assert [payload for payload, _ in field.intake.received] == [b'{"t":1}', b'{"t":2}']


SAID = b'{"t": 21.5}\n'


@pytest.mark.parametrize(
    "request_",
    [
        b"POST /i/key HTTP/1.0\r\nContent-Length: 12\r\n\r\n" + SAID,
        b"POST /i/key HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n"
        + SAID[:5]
        + b"\r\n7\r\n"
        + SAID[5:]
        + b"\r\n0\r\n\r\n",
        b"POST http://x/i/key HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n" + SAID,
        b"POST /i/key HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 12\r\n\r\n" + SAID,
    ],
    ids=["HTTP/1.0 without Host", "chunked", "absolute URI", "Expect"],
)
def test_however_http_says_it_the_body_is_taken(monkeypatch, request_):
    field = open_field(monkeypatch)
    site = ApiSite(field.site.resource, reactor=field.clock)
    channel = site.buildProtocol(IPv4Address("TCP", "192.0.2.7", 4000))
    transport = StringTransport(peerAddress=IPv4Address("TCP", "192.0.2.7", 4000))
    channel.makeConnection(transport)
    channel.dataReceived(request_)
    answer = transport.value().removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert answer.split(b" ", 2)[1] == b"204"
    assert received(field)[0] == {"t": 21.5}


def test_a_form_is_an_object_for_the_converter(monkeypatch):
    field = open_field(monkeypatch)
    data = b"PASSKEY=AABB&dateutc=2023-05-20+19%3A40%3A43&tempf=91.8&password=hush"
    assert status(field.post(data, headers=FORM)) == 204
    message, _ = received(field)
    assert message == {"PASSKEY": "AABB", "dateutc": "2023-05-20 19:40:43", "tempf": "91.8"}


def test_a_form_stays_as_it_is_where_bodies_are_raw(monkeypatch):
    field = open_field(monkeypatch, bodies="raw")
    assert status(field.post(b"a=1&b=2", headers=FORM)) == 204
    assert field.intake.received[0][0] == b"a=1&b=2"


def test_json_that_is_called_a_form_is_json(monkeypatch):
    field = open_field(monkeypatch)
    assert status(field.post(b'{"a": "b=c"}', headers=FORM)) == 204
    assert field.intake.received[0][0] == b'{"a": "b=c"}'


def test_a_multipart_body_is_an_object(monkeypatch):
    field = open_field(monkeypatch)
    data = b'--x\r\nContent-Disposition: form-data; name="t"\r\n\r\n21.5\r\n--x--\r\n'
    assert status(field.post(data, headers=b"Content-Type: multipart/form-data; boundary=x\r\n")) == 204
    assert received(field)[0] == {"t": "21.5"}


def test_a_broken_form_is_kept_as_it_came(monkeypatch):
    field = open_field(monkeypatch)
    data = b"&".join(b"a=1" for _ in range(1001))
    assert status(field.post(data, headers=FORM)) == 400
    ((kept, _, reason),) = field.intake.rejected
    assert kept == data and reason.startswith("expected a form: ")


def test_a_compressed_body_is_read(monkeypatch):
    field = open_field(monkeypatch)
    assert status(field.post(gzip.compress(b'{"a":1}'), headers=b"Content-Encoding: gzip\r\n")) == 204
    assert received(field)[0] == {"a": 1}


def test_a_compressed_form_is_read(monkeypatch):
    field = open_field(monkeypatch)
    field.post(gzip.compress(b"a=1"), headers=b"Content-Encoding: gzip\r\n" + FORM)
    assert received(field)[0] == {"a": "1"}


def test_a_coding_that_nobody_knows_is_answered_with_those_that_are_read(monkeypatch):
    field = open_field(monkeypatch)
    answer = field.post(b"x", headers=b"Content-Encoding: br\r\n")
    assert status(answer) == 415 and b"\r\nAccept-Encoding: gzip, x-gzip, deflate\r\n" in answer.value()
    assert field.intake.received == field.intake.rejected == []


def test_a_body_that_is_compressed_twice_is_not_half_read(monkeypatch):
    field = open_field(monkeypatch)
    twice = gzip.compress(gzip.compress(b"{}"))
    for headers in (b"Content-Encoding: gzip\r\n" * 2, b"Content-Encoding: gzip, gzip\r\n"):
        assert status(field.post(twice, headers=headers)) == 415
    assert field.intake.received == field.intake.rejected == []


def test_degrees_in_a_query_are_degrees_in_the_metadata_too(monkeypatch):
    field = open_field(monkeypatch, **GET)
    for query in ("?unit=%C2%B0C", "?unit=%B0C"):
        assert status(get(field, query)) == 204
    for payload, facts in field.intake.received:
        assert json.loads(payload) == facts["query"] == {"unit": "°C"}


def test_a_bomb_is_too_large(monkeypatch):
    field = open_field(monkeypatch, maxBody=1000)
    assert status(field.post(gzip.compress(bytes(500_000)), headers=b"Content-Encoding: gzip\r\n")) == 413
    assert field.intake.received == []


PROVED = {"parametersFilter": {"ID": "st1", "PASSWORD": "hush-hush"}, **GET}


@pytest.mark.parametrize("way", ["query", "form", "both"])
def test_parameters_prove_who_sends_and_are_not_in_the_message(monkeypatch, way):
    field = open_field(monkeypatch, **PROVED)
    if way == "query":
        answer = get(field, "?ID=st1&PASSWORD=hush-hush&t=1")
    elif way == "form":
        answer = field.post(b"ID=st1&PASSWORD=hush-hush&t=1", headers=FORM)
    else:
        answer = field.post(b"PASSWORD=hush-hush&t=1", "/i/key?ID=st1", FORM)
    assert status(answer) == 204
    message, facts = received(field)
    assert message == {"t": "1"}
    assert "hush" not in str(facts) and "st1" not in str(facts)


def test_a_json_body_is_proved_by_the_query(monkeypatch):
    field = open_field(monkeypatch, **PROVED)
    assert status(field.post({"t": 1}, "/i/key?ID=st1&PASSWORD=hush-hush")) == 204
    assert received(field)[0] == {"t": 1}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("?t=1", "no parameter ID"),
        ("?ID=st1&t=1", "no parameter PASSWORD"),
        ("?ID=st1&PASSWORD=guess&t=1", "a wrong value of parameter PASSWORD"),
        ("?ID=st1&PASSWORD=hush-hush&PASSWORD=guess", "a wrong value of parameter PASSWORD"),
    ],
)
def test_without_the_right_parameters_nothing_is_taken(monkeypatch, query, said):
    field = open_field(monkeypatch, **PROVED)
    assert status(get(field, query)) == 401
    assert field.intake.refusals == [("credentials", "192.0.2.7", said)]
    assert field.intake.received == []


@pytest.mark.parametrize("headers", [FORM, b"Content-Encoding: gzip\r\n"])
def test_what_can_not_be_read_and_proves_nothing_is_not_kept(monkeypatch, headers):
    field = open_field(monkeypatch, **PROVED)
    broken = b"&".join(b"a=1" for _ in range(1001))
    assert status(field.post(broken, headers=headers)) == 401
    assert field.intake.rejected == []
    assert status(field.post(broken, "/i/key?ID=st1&PASSWORD=hush-hush", headers)) == 400
    assert len(field.intake.rejected) == 1


def test_a_datasource_with_such_parameters_is_not_open_to_all():
    type_ = HttpSourceType(clock())
    with_them = convert(PROVED, HttpSourceSettings)
    assert type_.open_to_all(with_them, context(FakeIntake(), clock())) == ""


def test_who_asks_what_may_be_sent_is_told(monkeypatch):
    for settings in ({"preset": "the-things-stack"}, {}):
        field = open_field(monkeypatch, **settings)
        answer = field.post(b"", method="OPTIONS")
        assert status(answer) == 200 and b"\r\nAllow: POST, PUT, OPTIONS\r\n" in answer.value()
        assert b"Access-Control" not in answer.value()


def test_a_browser_of_another_site_may_send_where_that_is_wanted(monkeypatch):
    field = open_field(monkeypatch, crossSite=True)
    origin = b"Origin: https://app.example\r\n"
    asks = origin + b"Access-Control-Request-Headers: content-type, authorization\r\n"
    told = field.post(b"", headers=asks, method="OPTIONS").value()
    assert b"Access-Control-Allow-Origin: *" in told
    assert b"Access-Control-Allow-Methods: POST, PUT, OPTIONS" in told
    assert b"Access-Control-Allow-Headers: content-type, authorization" in told
    assert b"Access-Control-Allow-Origin: *" in field.post({"a": 1}, headers=origin).value()
    closed = open_field(monkeypatch).post(b"", headers=asks, method="OPTIONS")
    assert status(closed) == 403 and b"Access-Control" not in closed.value()


ANSWER = {"answer": {"status": 202, "body": "success", "contentType": "text/html"}}


def test_a_stored_upload_is_answered_as_the_settings_say(monkeypatch):
    field = open_field(monkeypatch, **ANSWER)
    answer = field.post({"a": 1})
    assert status(answer) == 202 and b"success" in body(answer)
    assert b"Content-Type: text/html" in answer.value() and b"\r\nContent-Length: 7\r\n" in answer.value()
    assert body(answer) == b"success"


def test_a_downlink_a_failure_and_a_full_gateway_are_answered_as_ever(monkeypatch):
    field = open_field(monkeypatch, **ANSWER)
    field.intake.put("", b"go")
    answer = field.post({"a": 1})
    assert status(answer) == 200 and b"go" in body(answer)
    refused, busy = Answer(Status.REFUSED), Answer(Status.BUSY, retry_after=1.0)
    limited = Answer(Status.BUSY, retry_after=1.0, is_limited=True)
    for says, code in ((Answer(Status.FAILED, "1"), 422), (refused, 403), (busy, 503), (limited, 429)):
        field.intake.says = says
        assert status(field.post({"a": 1})) == code


@pytest.mark.parametrize(
    "settings",
    [
        {"answer": {"status": 204, "body": "x"}},
        {"answer": {"status": 302}},
        {"answer": {"contentType": "a\r\nb: c"}},
        {"answer": {}, "replaceNoContentToOk": True},
        {"methods": []},
        {"methods": ["DELETE"]},
    ],
)
def test_a_setting_that_can_not_be_is_refused(settings):
    with pytest.raises(SettingsError):
        convert(settings, HttpSourceSettings, "configuration")

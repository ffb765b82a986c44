"""The bytes of an HTTP target's requests: query, forms, files, compression, signatures."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
import sys
from io import BytesIO
from urllib.parse import parse_qsl, urlsplit

import multipart
import pytest
import zstandard

from iotgw.connect.http_auth import authenticator
from iotgw.core.errors import SettingsError
from iotgw.core.secrets import masked
from iotgw.core.specs import IntegrationSpec
from iotgw.core.validate import convert
from iotgw.integrations.facts import RecordNames
from iotgw.integrations.http_request import RequestMaker, texts_with_secrets
from iotgw.integrations.http_settings import HttpSettings
from iotgw.integrations.template import TemplateFailed
from iotgw.testing import FakeConnector, integration_context, telemetry

URL = "http://weather.example/in"
READING = telemetry(
    7,
    "Süd 1",
    received_ms=1700000000123,
    body=b'{"deviceName":"S\xc3\xbcd 1","deviceType":"default","attributes":{},'
    b'"telemetry":[{"ts":1700000000123,"values":{"t":21.5,"note":"a&b=c"}}]}',
)


def maker(spec: IntegrationSpec | None = None, **configuration) -> RequestMaker:
    settings = convert({"url": URL, **configuration}, HttpSettings, "configuration")
    context = integration_context(spec or IntegrationSpec(name="out", type="http", format="values"))
    auth = authenticator(settings.auth, context.reactor, None, FakeConnector(), lambda: 1440938160.0)
    return RequestMaker(settings, context.spec, RecordNames(context.epochs, str), auth)


class Sent:
    """A request as a server reads it."""

    def __init__(self, data: bytes) -> None:
        head, _, self.body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.method, target, _ = first.split(" ")
        self.path = urlsplit(target).path
        self.query = parse_qsl(urlsplit(target).query, keep_blank_values=True)
        pairs = [line.split(": ", 1) for line in lines]
        self.headers = {name.lower(): value for name, value in pairs}
        assert len(pairs) == len(self.headers), "a header comes twice"
        if "content-length" in self.headers:
            assert int(self.headers["content-length"]) == len(self.body)


def sent(record=READING, spec=None, **configuration) -> Sent:
    made = maker(spec, **configuration)
    return Sent(made.on_wire(*made.single(record)))


def test_a_weather_network_gets_its_query_and_no_body():
    query = {
        "ID": "KX1",
        "PASSWORD": "hush",
        "tempf": "{{ (values.t * 1.8 + 32) | round(1) }}",
        "note": "{{ values.note }}",
    }
    got = sent(method="GET", url=URL + "?action=updateraw", query=query)
    assert (got.method, got.path, got.body) == ("GET", "/in", b"")
    assert got.query == [
        ("action", "updateraw"),
        ("ID", "KX1"),
        ("PASSWORD", "hush"),
        ("tempf", "70.7"),
        ("note", "a&b=c"),
    ]
    assert not {"content-length", "content-type", "content-encoding"} & set(got.headers)


@pytest.mark.parametrize(("url", "query"), [
    (URL, "a=1"), (URL + "?", "a=1"), (URL + "?x=y", "x=y&a=1"), ("http://weather.example", "a=1"),
])  # fmt: skip
def test_parameters_are_added_to_those_of_the_url(url, query):
    made = maker(method="GET", url=url, query={"a": "1"})
    target = made.on_wire(*made.single(READING)).split(b" ")[1].decode()
    assert urlsplit(target).query == query and target.startswith("/")


def test_a_parameter_or_field_that_turns_out_empty_is_left_out():
    missing = '{{ values.rain | default("") }}'
    assert sent(method="GET", query={"rain": missing, "t": "{{ values.t }}"}).query == [("t", "21.5")]
    assert sent(body="form", fields={"rain": missing, "t": "{{ values.t }}"}).body == b"t=21.5"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_fields_go_as_a_form(method):
    got = sent(
        method=method,
        body="form",
        fields={"device": "{{ deviceName }}", "note": "{{ values.note }}", "key": "k"},
    )
    assert (got.method, got.headers["content-type"]) == (method, "application/x-www-form-urlencoded")
    assert parse_qsl(got.body.decode()) == [("device", "Süd 1"), ("note", "a&b=c"), ("key", "k")]


def test_fields_and_the_document_go_as_multipart():
    got = sent(
        body="multipart",
        fields={"device": "{{ deviceName }}"},
        file={"name": "data", "filename": 'of "{{ deviceName }}".json'},
    )
    kind, options = multipart.parse_options_header(got.headers["content-type"])
    assert kind == "multipart/form-data"
    parts = list(multipart.MultipartParser(BytesIO(got.body), options["boundary"], len(got.body)))
    assert [(part.name, part.filename, part.content_type) for part in parts] == [
        ("device", None, "text/plain"), ("data", 'of "Süd 1".json', "application/json"),
    ]  # fmt: skip
    assert parts[0].value == "Süd 1"
    assert json.loads(parts[1].raw) == {"ts": 1700000000123, "t": 21.5, "note": "a&b=c"}


@pytest.mark.parametrize(("setting", "name", "opened"), [
    ({"compress": "gzip"}, "gzip", gzip.decompress), ({"gzip": True}, "gzip", gzip.decompress),
    ({"compress": "zstd"}, "zstd", zstandard.ZstdDecompressor().decompress),
])  # fmt: skip
def test_bodies_are_compressed(setting, name, opened):
    got = sent(**setting)
    assert got.headers["content-encoding"] == name
    assert json.loads(opened(got.body))["t"] == 21.5


def test_without_the_extra_it_is_said_what_installs_zstd(monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(SettingsError, match=r"pip install 'iotgw\[zstd\]'"):
        maker(compress="zstd")


def test_what_has_no_body_is_not_compressed():
    got = sent(method="PUT", body="none", compress="gzip")
    assert (got.body, got.headers["content-length"]) == (b"", "0")
    assert "content-encoding" not in got.headers


HELLO = IntegrationSpec(name="out", type="http", format="template", template="Hello, World!")


@pytest.mark.parametrize(
    ("setting", "header", "expected"),
    [
        # the vector of GitHub's page "Validating webhook deliveries"
        ({}, "x-hub-signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"),
        ({"algorithm": "sha1", "header": "X-Hub-Signature"}, "x-hub-signature",
         "sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59"),
        ({"header": "X-Signature", "prefix": "", "encoding": "base64"}, "x-signature",
         "dXEH6g6yUJ/CESIczphLijdXC211hsIsRvQ3nIsEPhc="),
    ],
)  # fmt: skip
def test_a_body_is_signed_as_github_does_or_by_another_header(setting, header, expected):
    got = sent(spec=HELLO, signature={"secret": "It's a Secret to Everybody", **setting})
    assert got.headers[header] == expected


def test_what_is_signed_is_the_body_as_it_is_sent():
    got = sent(spec=HELLO, compress="gzip", signature={"secret": "hush"})
    mac = hmac.new(b"hush", got.body, hashlib.sha256).hexdigest()
    assert got.headers["x-hub-signature-256"] == f"sha256={mac}"


def test_a_request_without_a_body_is_signed_as_one_with_an_empty_one():
    got = sent(method="GET", signature={"secret": "hush"})
    mac = hmac.new(b"hush", b"", hashlib.sha256).hexdigest()
    assert got.headers["x-hub-signature-256"] == f"sha256={mac}"


AWS = {
    "type": "aws", "accessKeyId": "AKIDEXAMPLE", "secretAccessKey": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "region": "us-east-1", "service": "service",
}  # fmt: skip


def test_a_request_to_aws_is_signed_with_its_time():
    got = sent(url="https://example.amazonaws.com/", method="POST", body="none", auth=AWS)
    assert got.headers["x-amz-date"] == "20150830T123600Z"
    signature = (
        "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"  # post-vanilla of AWS's suite
    )
    assert got.headers["authorization"].endswith(f"SignedHeaders=host;x-amz-date, Signature={signature}")
    with_body = sent(url="https://example.amazonaws.com/", auth={**AWS, "sessionToken": "abcd"})
    signed = "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token,"
    assert signed in with_body.headers["authorization"]
    assert with_body.headers["x-amz-security-token"] == "abcd"


@pytest.mark.parametrize(
    ("configuration", "path"),
    [
        ({"method": "GET", "body": "document"}, "configuration.body"),
        ({"method": "GET", "batch": "array"}, "configuration.batch"),
        ({"body": "form"}, "configuration.fields"),
        ({"body": "multipart"}, "configuration.fields"),
        ({"fields": {"a": "b"}}, "configuration.fields"),
        ({"body": "form", "fields": {"a": "b"}, "file": {}}, "configuration.file"),
        ({"body": "form", "fields": {"a": "{{ nobody }}"}}, "configuration.fields.a"),
        ({"body": "form", "fields": {"a": "b"}, "batch": "array"}, "configuration.batch"),
        ({"body": "multipart", "fields": {"a": "b"}, "batch": "array"}, "configuration.file"),
        ({"body": "multipart", "file": {}, "batch": "array"}, "configuration.file.filename"),
        ({"query": {"a": "{{ deviceName }}"}, "batch": "array"}, "configuration.query.a"),
        ({"signature": {"secret": "s", "header": "Content-Length"}}, "configuration.signature"),
        ({"signature": {"secret": "s", "prefix": "a\r\nX: y"}}, "configuration.signature"),
        ({"auth": {**AWS, "region": "a\r\n"}}, "configuration.auth"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_place(configuration, path):
    with pytest.raises(SettingsError) as caught:
        maker(**configuration)
    assert caught.value.path == path


@pytest.mark.parametrize("name", [".", ".."])
def test_no_device_leads_a_request_elsewhere_by_its_name(name):
    with pytest.raises(TemplateFailed, match="lead elsewhere"):
        sent(telemetry(7, name), url="http://h.example/in/{{ deviceName }}/readings")
    assert sent(telemetry(7, name), url="http://h.example/in/x{{ deviceName }}?d={{ deviceName }}").path


def test_a_device_s_name_that_a_header_has_no_characters_for_is_no_question_mark():
    assert sent(telemetry(7, "Süd"), headers={"X-Device": "{{ deviceName }}"}).headers["x-device"] == "Süd"
    with pytest.raises(TemplateFailed, match="Latin-1 in the header X-Device, got U\\+0416"):
        sent(telemetry(7, "Ж1"), headers={"X-Device": "{{ deviceName }}"})


@pytest.mark.parametrize("url", ["http://h.example/in", "http://h.example/{{ deviceName }}"])
def test_a_token_with_what_was_pasted_after_it_is_refused_and_not_repeated(url):
    with pytest.raises(SettingsError, match=r"U\+200B") as caught:
        maker(url=url, headers={"Authorization": "Bearer s3cret\u200b"})
    assert caught.value.path == "configuration.headers.Authorization"
    assert "s3cret" not in str(caught.value)


def test_a_host_outside_of_ascii_is_named_as_in_dns():
    assert sent(url="http://bücher.example:8080/").headers["host"] == "xn--bcher-kva.example:8080"


def test_a_batch_goes_as_one_file():
    made = maker(body="multipart", file={"filename": "all.json"}, batch="array")
    documents = [made.document(READING), made.document(READING)]
    got = Sent(made.on_wire(*made.batch(documents)))
    assert b"[" + b",".join(documents) + b"]" in got.body


def test_a_message_without_what_a_field_needs_fails_alone():
    with pytest.raises(TemplateFailed, match=r"configuration\.fields\.rain"):
        sent(body="form", fields={"rain": "{{ values.rain }}"})


SECRETS = {
    "url": URL + "?apikey=in/url", "query": {"key": "in query"}, "fields": {"pin": "in+form"}, "body": "form",
    "signature": {"secret": "in-signature"}, "auth": AWS,
}  # fmt: skip


def test_keys_in_a_query_a_form_and_a_signature_are_secrets():
    shown = str(masked(SECRETS, HttpSettings, str))
    assert not [text for text in ("in/url", "in query", "in+form", "in-signature", "wJalr") if text in shown]


def test_a_server_that_repeats_what_it_was_sent_repeats_no_secret():
    settings = convert(SECRETS, HttpSettings)
    hidden = texts_with_secrets(settings)
    assert {"in/url", "in%2Furl", "in query", "in%20query", "in+query", "in%2Bform", "in-signature"} <= set(
        hidden
    )

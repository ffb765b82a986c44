"""The decoders of outside data, with real inputs of each."""

from __future__ import annotations

import base64
import gzip
import hmac
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from iotgw.api import queries
from iotgw.api.messages import FILTERS
from iotgw.api.problems import Problem
from iotgw.connect.google import GoogleToken
from iotgw.connect.http_answers import retry_after
from iotgw.connect.mqtt_connection import ONE_READ as MQTT_READ
from iotgw.connect.ssh_keys import load_key
from iotgw.connect.ssh_ppk import Unopened, load_ppk
from iotgw.converters import tbel
from iotgw.core import device_table, plain_json
from iotgw.core.credential import CredentialSpec
from iotgw.core.cron import Cron
from iotgw.core.device_entry import DeviceSpec
from iotgw.core.device_table import NoTable
from iotgw.core.epochs import Epochs
from iotgw.core.errors import IotgwError, ProtocolError
from iotgw.core.expressions.language import compile_expression
from iotgw.core.names import unfit
from iotgw.core.networks import Networks
from iotgw.core.numbers import hexadecimal, real, whole
from iotgw.core.redaction import problem_text
from iotgw.core.secret_url import masked_url
from iotgw.core.secrets import LONGEST_URL
from iotgw.core.specs import DatasourceSpec, IntegrationSpec
from iotgw.core.validate import convert
from iotgw.datasources.http.bodies import UnreadableBody, decoded, form, query
from iotgw.datasources.http.request import payloads
from iotgw.datasources.socket.connection import ONE_READ
from iotgw.envelopes.lobaro import LobaroRequests, LobaroTopics
from iotgw.envelopes.presets.choices import FILES, http_envelope
from iotgw.envelopes.presets.preset import LONGEST as LONGEST_PRESET
from iotgw.envelopes.presets.preset import Preset, parse
from iotgw.envelopes.sigfox import SigfoxEnvelope
from iotgw.integrations.commands import item_of
from iotgw.integrations.facts import RecordNames
from iotgw.integrations.template import Template
from iotgw.wire import cbor, jwt, lobaro, proxy
from iotgw.wire.coap.message import FormatError
from iotgw.wire.coap.message import decode as coap
from iotgw.wire.dragino import frame as dragino
from iotgw.wire.dragino.stream import DraginoStream
from iotgw.wire.dtls import handshake, hello, record
from iotgw.wire.framing import DelimiterFramer, HexFramer, JsonFramer, PauseFramer, as_text, unhex
from iotgw.wire.http1 import Reader
from iotgw.wire.length_fields import LengthFramer
from iotgw.wire.mqtt.packets import V5, V311
from iotgw.wire.mqtt.session import MqttSession
from iotgw.wire.mqtt.topics import matches
from iotgw.wire.registration import RegistrationFramer
from iotgw.wire.ssh.agreement import read_offer
from iotgw.wire.tekelek import frame as tekelek
from iotgw.wire.tekelek.report import metadata as tekelek_report
from iotgw.wire.tekelek.report import registers
from iotgw.wire.tunnel import HttpConnect, Socks5
from tests.certificates import composite_rsa
from tests.fuzz.api_decoders import api_decoders
from tests.fuzz.broker_decoders import broker_decoders
from tests.fuzz.decoders import Decoder
from tests.fuzz.devices import PLAIN, seeds
from tests.fuzz.lwm2m_decoders import lwm2m_decoders
from tests.fuzz.platform_decoders import platform_decoders

DATA = Path(__file__).parents[1] / "data"
NOW_MS = 1_780_000_000_000
FACTS = {
    "topic": "v3/app@tenant/devices/dev/up",
    "query": {"LrnDevEui": "70B3D57ED0000017", "EUI": "70B3D57ED0000017"},
    "remoteIp": "192.0.2.1",
}
COAP = [
    bytes.fromhex(text)
    for text in (
        "44021f2a01020304b16901ff68656c6c6f",
        "40010001",
        "4402000101020304b169036b6579ff7b7d",
        "60450001ff00",
    )
]
CBOR = [
    bytes.fromhex(text)
    for text in (
        "a26161016162820203",
        "bf61610161629f0203ffff",
        "fb3ff199999999999a",
        "c074323031332d30332d32315432303a30343a30305a",
        "9a000fffff",
    )
]
JSON = [
    b'{"a":[1,2.5e3,{"b":null}],"c":"\\u00e4\\ud83d\\ude00"}',
    b"[1,2,3]",
    b'"x"',
    b'[{"deviceName":"d","telemetry":{"t":1}},{}]',
]
HELLO = [bytes.fromhex(
    "16fefd0000000000000000003a0100002e000000000000002efefd" + "00" * 32 + "0000" + "0004c0a8c0ae" + "0100" + "0000"
)]  # fmt: skip
MQTT = [
    bytes.fromhex(text)
    for text in (
        "20020000",
        "2003000000",
        "3009000474657374686921",
        "320b00047465737400016869",
        "40020001",
        "9003000100",
        "d000",
        "e0020000",
        "620200010000",
    )
]
HTTP = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\nA: b\r\n\r\n", b"HTTP/1.1 429 Slow\r\nRetry-After: 12\r\n\r\n",
]  # fmt: skip
MULTIPART = b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--B\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n2\r\n--B--\r\n'
EXPRESSIONS = [
    b"a.b[?c > `1`].{x: d, y: e[0]} | [0]",
    b"max_by(gateways, &rssi).id",
    b"a || b && !c",
    b"join('-', [a, b])",
    b"a[*].b[]",
    b"length(a) == `2`",
]
TEMPLATES = [
    b"{{ deviceName }}/{{ ts }}", b"{% for k, v in values.items() %}{{ k }}={{ v|round(2) }};{% endfor %}",
    b"{% if values.t > 1 %}{{ values|tojson }}{% else %}x{% endif %}", b"{{ deviceName|upper|replace('a','b') }}",
]  # fmt: skip
TBEL = [case[0].encode() for case in json.loads((DATA / "tbel_results.json").read_text())]
SSH_OFFER = (
    bytes(16)
    + b"".join(
        len(names).to_bytes(4) + names
        for names in [
            b"curve25519-sha256,x",
            b"ssh-ed25519",
            *[b"aes128-ctr"] * 2,
            *[b"hmac-sha2-256"] * 2,
            *[b"none"] * 2,
            b"",
            b"",
        ]
    )
    + bytes(5)
)


def decoders() -> list[Decoder]:
    """All of them. A new one belongs in here."""
    tekeleks, draginos, lobaros = (seeds(vendor) for vendor in ("tekelek", "dragino", "lobaro"))
    plain = [each for found in PLAIN.values() for each in found]
    return [
        Decoder("coap message", coap, COAP, (FormatError,), longest=4096),
        *_dtls(),
        Decoder("cbor", cbor.decode, [*CBOR, *lobaros], (cbor.NotPlain,)),
        Decoder("json", plain_json.decode, JSON, (plain_json.NotJson,)),
        Decoder("lobaro", lambda data: lobaro.metadata(lobaro.parse(data)), lobaros, longest=4096),
        Decoder("lobaro requests", _read(LobaroRequests()), lobaros),
        Decoder("lobaro topics", _read(LobaroTopics("lobaro/")), lobaros),
        Decoder("sigfox", _read(SigfoxEnvelope()), [b'{"device":"1A2B3C","data":"00ff","time":"1500000000","seqNumber":7}']),
        *_presets(),
        Decoder("tekelek stream", _stream(tekelek.TekelekFramer), tekeleks, longest=ONE_READ),
        Decoder("tekelek report", lambda data: tekelek.parse(data) and tekelek_report(data, NOW_MS), tekeleks, (ValueError,), longest=2048),
        Decoder("tekelek registers", lambda data: registers(data.decode("latin-1")), [b"R1=02,R2=FF", b"S0:1"], longest=4096),
        Decoder("dragino frame", dragino.parse, draginos),
        Decoder("dragino stream", _stream(DraginoStream), draginos, longest=ONE_READ),
        Decoder("lines", _stream(DelimiterFramer), plain, longest=ONE_READ),
        Decoder("json stream", _stream(JsonFramer), [*plain, *JSON], longest=ONE_READ),
        Decoder("hex stream", _stream(HexFramer), plain, longest=ONE_READ),
        Decoder("pauses", _stream(PauseFramer), plain, longest=ONE_READ),
        Decoder("length fields", _stream(LengthFramer), plain, longest=ONE_READ),
        Decoder("registration", _stream(lambda: RegistrationFramer(DelimiterFramer(), 4)), plain, longest=ONE_READ),
        Decoder("hex and text", lambda data: (unhex(data), as_text(data, "utf-8")), [b"cafe 01", b"0x00", b"\xc3\xa4"], longest=4096),
        Decoder("proxy header", proxy.parse, [b"PROXY TCP4 203.0.113.9 198.51.100.1 5555 1\r\n", bytes.fromhex("0d0a0d0a000d0a515549540a2111000c") + bytes(12)]),
        Decoder("http answer", _answer, HTTP, (IotgwError, ValueError)),
        Decoder("http connect", lambda data: _tunnel(HttpConnect("h", 1), data), HTTP, (IotgwError, OSError, ValueError)),
        Decoder("socks", lambda data: _tunnel(Socks5("h", 1), data), [b"\x05\x00\x05\x00\x00\x01" + bytes(6)], (IotgwError, OSError, ValueError)),
        Decoder("mqtt 3", lambda data: MqttSession(V311).receive(data), MQTT, (IotgwError, ValueError), longest=MQTT_READ),
        Decoder("mqtt 5", lambda data: MqttSession(V5).receive(data), MQTT, (IotgwError, ValueError), longest=MQTT_READ),
        Decoder("mqtt topics", lambda data: matches("a/+/b/#", data.decode("latin-1")), [b"a/x/b/c", b"$SYS/a"]),
        *_bodies(),
        *_texts(),
        Decoder("ssh offer", read_offer, [SSH_OFFER], (IotgwError, ValueError)),
        Decoder("private key", lambda data: load_key(data.decode("latin-1"), ""), _keys(), (IotgwError,), weight=50),
        Decoder("ppk", lambda data: load_ppk(data.decode("latin-1"), ""), [ppk()], (Unopened, ValueError), weight=10),
        *lwm2m_decoders(),
        *broker_decoders(),
        *platform_decoders(),
        *api_decoders(),
        Decoder("template", _template, TEMPLATES, (IotgwError,), weight=50),
        Decoder("tbel", lambda data: tbel.translated(data.decode("utf-8", "replace"), "UPLINK"), TBEL, (tbel.TbelError,), weight=50, longest=4096, is_elsewhere=True),
        Decoder("target's command", item_of, [b'{"deviceName":"d","data":"AA=="}', *JSON], (IotgwError, ValueError)),
        Decoder("saved datasource", _saved(DatasourceSpec), [b'{"name":"a","type":"http","downlinkWindow":3,"allow":["10.0.0.0/8"]}'], (IotgwError,)),
        Decoder("saved device", _saved(DeviceSpec), [b'{"name":"a","latitude":1.5,"longitude":2,"groups":["g"],"tags":{"k":"v"},"reportEvery":60}'], (IotgwError,)),
        Decoder("saved credential", _saved(CredentialSpec), [b'{"name":"a","identity":"a*","secrets":[{"value":"00ff","encoding":"hex"}]}'], (IotgwError,)),
        Decoder("custom preset", lambda data: Preset(parse(data.decode("utf-8", "replace"))), [path.read_bytes() for path in FILES.values()], (ValueError,), weight=50, longest=LONGEST_PRESET, is_elsewhere=True),
        Decoder("list of devices", _table, TABLES, (NoTable,), longest=8192),
        Decoder("jwt", lambda data: jwt.parse(data.decode("latin-1")), JWT, (ProtocolError,)),
        Decoder("web keys", jwt.key_set, [WEB_KEYS], (ValueError,)),
        Decoder("service account", lambda data: GoogleToken(data.decode("latin-1"), "a", lambda: 0.0), [_account()], (IotgwError,), weight=50),
        Decoder("saved integration", _saved(IntegrationSpec), [b'{"name":"a","type":"http","retry":{"initial":1},"route":{"deviceNames":["a*"]}}'], (IotgwError,)),
    ]  # fmt: skip


def _dtls() -> list[Decoder]:
    raises = (ValueError, IotgwError)
    return [
        Decoder("dtls hello", lambda data: hello.is_client_hello(data) and hello.parse_client_hello(data), HELLO, raises, longest=4096),
        Decoder("dtls hello fragments", lambda data: [hello.parse_head(each) for each in hello.hello_fragments(data)], HELLO, raises, longest=4096),
        Decoder("dtls records", lambda data: record.first_record(data) and (list(record.epochs(data)), record.is_one_record(data)), HELLO, raises, longest=4096),
        Decoder("dtls handshake", lambda data: list(handshake.messages(data)), HELLO, raises, longest=4096),
    ]  # fmt: skip


def _presets() -> list[Decoder]:
    found = []
    for name in FILES:
        file = DATA / "platforms" / f"{name}.json"
        cases = json.loads(file.read_text()) if file.exists() else []
        bodies = [json.dumps(case["body"]).encode() for case in cases if "body" in case]
        found.append(
            Decoder(
                f"preset {name}", _read(http_envelope(name, None, "auto", "none")), bodies or JSON, weight=4
            )
        )
    return found


def _bodies() -> list[Decoder]:
    zipped = [gzip.compress(b"hello" * 100), gzip.compress(bytes(1 << 20))]
    kind = "multipart/form-data; boundary=B"
    return [
        Decoder("gzip body", lambda data: decoded(data, "gzip", 1 << 16), zipped, (UnreadableBody,)),
        Decoder("multipart", lambda data: form(data, kind), [MULTIPART], (UnreadableBody,)),
        Decoder("form", lambda data: form(data, "application/x-www-form-urlencoded"), [b"a=1&b=%20&a=2"], (UnreadableBody,)),
        Decoder("content type", lambda data: form(b"a=1", data.decode("latin-1")), [kind.encode(), b'text/x; a="b\\"c"; d*=utf-8\'\'e'], (UnreadableBody,), longest=16 << 10),
        Decoder("upload's query", query, [b"a=1&b=%C3%A4&ttd=30"], (UnreadableBody,), longest=16 << 10),
        Decoder("array", lambda data: payloads(data, "array"), JSON, (ValueError,)),
        Decoder("api's query", lambda data: queries.read(FILTERS, data), [b"limit=3&state=failed&before=e1-3", b"device=%C3%A4"], (Problem, IotgwError), longest=16 << 10),
    ]  # fmt: skip


def _texts() -> list[Decoder]:
    epochs = Epochs("7ec168f40b")

    def text(of: Callable[[str], object]) -> Callable[[bytes], object]:
        return lambda data: of(data.decode("utf-8", "replace"))

    return [
        Decoder("message id", text(epochs.position), [b"7ec168f40b-3", b"e-1"]),
        Decoder("numbers", lambda data: (whole(data), hexadecimal(data), real(data.decode("latin-1"))), [b"12", b"ff", b"1e3"]),
        Decoder("retry-after", lambda data: retry_after(data, 1.0), [b"120", b"Fri, 31 Dec 1999 23:59:59 GMT"]),
        Decoder("names", text(unfit), [b"meter-7"]),
        Decoder("networks", text(lambda given: Networks([given])), [b"10.0.0.0/8", b"2001:db8::/32", b"fe80::1%eth0"], (ValueError, IotgwError)),
        Decoder("secret url", text(masked_url), [b"https://u:p@h:1/p?token=x#f", b"https://h/?a={{ deviceName }}&b=c"], longest=LONGEST_URL),
        Decoder("redaction", text(problem_text), [b"expected x, got 'Bearer abcdefghijklmnop'", b"-----BEGIN PRIVATE KEY-----\nAAAA"]),
        Decoder("cron", text(Cron), [b"*/5 * * * *", b"0 3 1-5,7 * mon"], (IotgwError,)),
        Decoder("expression", text(compile_expression), EXPRESSIONS, (ValueError,), weight=10),
    ]  # fmt: skip


def _read(envelope: Any) -> Callable[[bytes], object]:
    return lambda data: list(envelope.read(data, FACTS, NOW_MS))


def _stream(make: Callable[[], Any]) -> Callable[[bytes], object]:
    """A stream that comes in three pieces, and ends."""

    def decode(data: bytes) -> None:
        framer, third = make(), len(data) // 3
        for piece in (data[:third], data[third : 2 * third], data[2 * third :]):
            framer.feed(piece)
        close = getattr(framer, "close", None)
        if close is not None:
            close()

    return decode


def _answer(data: bytes) -> None:
    reader, half = Reader(), len(data) // 2
    reader.receive(data[:half])
    reader.receive(data[half:])
    reader.ended()


def _tunnel(tunnel: Any, data: bytes) -> None:
    tunnel.start()
    tunnel.receive(data[:3])
    tunnel.receive(data[3:])


def _template(data: bytes) -> None:
    Template(data.decode("utf-8", "replace"), "template", RecordNames(Epochs("e"), str))


def _saved(spec: Any) -> Callable[[bytes], object]:
    def decode(data: bytes) -> object:
        try:
            value = plain_json.decode(data)
        except plain_json.NotJson:
            return None
        return convert(value, spec)

    return decode


JWT = [b"eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.eyJpc3MiOiJhIiwiYXVkIjoiYiIsImV4cCI6MTd9.AAAA"]
WEB_KEYS = json.dumps(
    {
        "keys": [
            {
                "kty": "RSA",
                "kid": "k",
                "n": base64.urlsafe_b64encode(b"\xff" * 256).decode().rstrip("="),
                "e": "AQAB",
            }
        ]
    }
).encode()
TABLES = [
    b"name,label,latitude,tag.a,psk.identity,psk.key\r\na,A,1.5,x,id,00ff\r\n", "name;label;groups\nä;\"x\ny\";g|h\n".encode("utf-16"),
    b"sep=;\nname;notes\na;'=1+1\n",
]  # fmt: skip


def _table(data: bytes) -> None:
    for _ in device_table.read(device_table.lines_of(device_table.text_of(data))):
        pass


def _account() -> bytes:
    """A service account's key, as Google gives it."""
    account = {"type": "service_account", "client_email": "a@b", "private_key_id": "k"}
    text = composite_rsa(1024).private_bytes(*_PLAIN).decode()
    return json.dumps({**account, "private_key": text}).encode()


_PLAIN = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _keys() -> Sequence[bytes]:
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    forms = (serialization.PrivateFormat.OpenSSH, serialization.PrivateFormat.PKCS8)
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    return [*[key.private_bytes(pem, form, plain) for form in forms], ppk()]


def ppk() -> bytes:
    """A key as PuTTY writes it without a passphrase, with its MAC."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    kind, point = b"ssh-ed25519", key.public_key().public_bytes_raw()
    public, private = (b"".join(_string(each) for each in parts) for parts in ((kind, point), (bytes(32),)))
    parts = (kind, b"none", b"x", public, private)
    mac = hmac.digest(b"", b"".join(_string(each) for each in parts), "sha256").hex().encode()
    head = b"PuTTY-User-Key-File-3: ssh-ed25519\r\nEncryption: none\r\nComment: x\r\nPublic-Lines: 1\r\n"
    lines = base64.b64encode(public), b"Private-Lines: 1", base64.b64encode(private), b"Private-MAC: " + mac
    return head + b"\r\n".join(lines) + b"\r\n"


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4) + data

"""A device that knows nobody else is told of its servers, step by step."""

from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.task import deferLater

from iotgw.core.validate import convert
from iotgw.datasources.lwm2m.bootstrap_settings import BootstrapSettings
from iotgw.dtls.issuing import Issuer, der_of
from iotgw.wire.coap import numbers as n
from iotgw.wire.lwm2m import formats
from iotgw.wire.lwm2m.models import bundled
from tests.certificates import Authority, composite_rsa

PLAIN = {"uri": "coap://gateway.example:5683", "mode": "none", "shortServerId": 7, "lifetime": 600}
SECURE = {"uri": "coaps://gateway.example:5684"}


def told(*servers, **more):
    return {"securityMode": "NO_SECURE", "profiles": [{"servers": list(servers)}], **more}


def type_of(path):
    found = bundled().resource(path, "1.1")
    return None if found is None else found.type


async def served(
    field, query="ep=dev", discovery=b'</>;lwm2m=1.1,</0/0>;uri="coap://bs",</1>,</3/0>', refuses=None
):
    """Ask, and answer what the server does: its requests as method and path, and what it wrote."""
    device = field.device()
    asked, written = [], {}
    assert (await device.ask(n.POST, f"bs?{query}")).code == n.CHANGED
    while ("POST", "bs") not in asked:
        request = await device.asked()
        if not request.code or request.code >= n.CREATED:
            continue
        path = "/".join(request.options.path)
        asked.append(({1: "GET", 2: "POST", 3: "PUT", 4: "DELETE"}[request.code], path))
        if refuses and path == refuses[0]:
            device.answer(request, refuses[1], b"[value MUST NOT be null]")
            break
        if request.code == n.GET:
            code = n.CONTENT if discovery else n.METHOD_NOT_ALLOWED
            device.answer(
                request, code, discovery, *((n.CONTENT_FORMAT, n.LINK_FORMAT),) if discovery else ()
            )
        elif request.code == n.PUT:
            form = request.options.get_uint(n.CONTENT_FORMAT)
            base = tuple(map(int, request.options.path))
            for node in formats.decode(form, request.payload, base, type_of):
                written[node.path] = node.value
            written["form"] = form
            device.answer(request, n.CHANGED)
        else:
            device.answer(request, n.DELETED if request.code == n.DELETE else n.CHANGED)
    return asked, written


async def heard(field, count=1):
    """The messages about it, once they are there."""
    while len(field.intake.received) < count:
        await deferLater(reactor, 0.001, lambda: None)
    return field.bodies


@pytest.mark.parametrize(
    ("pct", "form"), [("", 11542), ("&pct=110", 110), ("&pct=112", 112), ("&pct=9999", 11542)]
)
@ensureDeferred
async def test_a_device_is_told_of_its_server_in_the_format_that_it_prefers(field, pct, form):
    await field.start_bootstrap(**told(PLAIN))
    asked, written = await served(field, f"ep=dev{pct}")
    assert asked == [
        ("GET", ""), ("DELETE", "0"), ("DELETE", "1"), ("PUT", "0/1"), ("PUT", "1/0"), ("POST", "bs"),
    ]  # fmt: skip
    assert written == {
        "form": form, (0, 1, 0): "coap://gateway.example:5683", (0, 1, 1): False, (0, 1, 2): 3, (0, 1, 3): b"", (0, 1, 4): b"",
        (0, 1, 5): b"", (0, 1, 10): 7, (1, 0, 0): 7, (1, 0, 1): 600, (1, 0, 6): True, (1, 0, 7): "U",
    }  # fmt: skip
    (body,) = await heard(field)
    assert (body["kind"], body["endpoint"]) == ("bootstrapped", "dev")
    assert field.source.status()["bootstrapped"] == 1


@ensureDeferred
async def test_a_device_that_can_not_be_discovered_and_has_two_servers_is_told_of_both(field):
    await field.start_bootstrap(**told(PLAIN, {**PLAIN, "shortServerId": 8}))
    asked, written = await served(field, discovery=b"")
    assert [path for method, path in asked if method == "PUT"] == ["0/1", "1/0", "0/2", "1/1"]
    assert (written[0, 1, 10], written[0, 2, 10]) == (7, 8)


@ensureDeferred
async def test_instances_that_the_device_has_are_left_alone(field):
    await field.start_bootstrap(**told(PLAIN))
    asked, _ = await served(field, discovery=b"</0/0>,</0/1>,</1/0>")
    assert ("PUT", "0/2") in asked


@ensureDeferred
async def test_what_a_device_refuses_is_told_in_its_own_words(field):
    await field.start_bootstrap(**told(PLAIN))
    await served(field, refuses=("bs", 134))
    (body,) = await heard(field)
    assert body["kind"] == "not-bootstrapped"
    assert body["text"] == "finish: the device answered 4.06 [value MUST NOT be null]"
    assert field.intake.events[-1] == ("lwm2m.not-bootstrapped", f"dev: {body['text']}")


@ensureDeferred
async def test_a_device_that_asks_again_begins_anew(field):
    await field.start_bootstrap(**told(PLAIN))
    first = field.device()
    assert (await first.ask(n.POST, "bs?ep=dev")).code == n.CHANGED
    await served(field)
    assert len(await heard(field)) == 1
    assert field.source.status()["underWay"] == 0


@ensureDeferred
async def test_who_is_not_known_or_has_no_name_gets_nothing(field):
    await field.start_bootstrap(
        securityMode="NO_SECURE", profiles=[{"endpoints": ["urn:*"], "servers": [PLAIN]}]
    )
    device = field.device()
    assert (await device.ask(n.POST, "bs?ep=dev")).code == n.FORBIDDEN
    assert (await device.ask(n.POST, "bs")).code == n.BAD_REQUEST
    assert (await device.ask(n.POST, "bs?ep=a\x01b")).code == n.BAD_REQUEST
    field.intake.forbidden.add("urn:mine")
    assert (await device.ask(n.POST, "bs?ep=urn:mine")).code == n.FORBIDDEN


@ensureDeferred
async def test_keys_are_not_given_over_plain_coap(field):
    await field.start_bootstrap(**told(PLAIN))
    field.source.settings = convert(
        {"securityMode": "MIXED", "profiles": [{"servers": [SECURE]}]}, BootstrapSettings
    )
    response = await field.device().ask(n.POST, "bs?ep=dev" + "&more=of-a-long-name" * 3)
    assert (response.code, b"over plain CoAP" in response.payload) == (n.FORBIDDEN, True)


@pytest.mark.parametrize(
    "servers",
    [
        [{"uri": "coap://gateway", "mode": "psk"}],
        [{"uri": "coaps://gateway", "mode": "x509"}],
        [{"uri": "http://gateway", "mode": "none"}],
        [{**PLAIN, "binding": "Z"}],
        [],
    ],
)
def test_accounts_that_no_device_could_use_are_refused(servers):
    with pytest.raises(Exception, match=r"[Ee]xpected"):
        convert({"profiles": [{"servers": servers}]}, BootstrapSettings)


def test_keys_need_dtls():
    with pytest.raises(Exception, match="keys are given over DTLS only"):
        convert({"securityMode": "NO_SECURE", "profiles": [{"servers": [SECURE]}]}, BootstrapSettings)


@pytest.mark.parametrize("name", ["dev", "urn:" + "x" * 100])
def test_a_certificate_names_its_device_and_is_signed_by_the_authority(name):
    authority = Authority()
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    certificate, key = Issuer(authority.pem(), authority.key_pem()).issue(name, 30, now)
    made = x509.load_der_x509_certificate(certificate)
    made.verify_directly_issued_by(authority.certificate)
    assert load_der_private_key(key, None).public_key() == made.public_key()
    assert name in str(made.subject) + str([*made.extensions])
    assert made.not_valid_after_utc == now + datetime.timedelta(days=30)
    assert der_of(authority.pem()) == authority.certificate.public_bytes(Encoding.DER)


def test_what_is_no_authority_is_refused():
    authority = Authority()
    with pytest.raises(ValueError, match=r"."):
        Issuer(b"nothing", authority.key_pem())
    with pytest.raises(ValueError, match=r"."):
        Issuer(authority.pem(), b"nothing")
    forms = PrivateFormat.PKCS8, BestAvailableEncryption(b"x")
    encrypted = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, *forms)
    with pytest.raises(ValueError, match="isn't encrypted"):
        Issuer(authority.pem(), encrypted)
    large = composite_rsa(16384).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ValueError, match="elliptic curve"):
        Issuer(authority.pem(), large)

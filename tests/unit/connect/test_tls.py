"""The settings of a client's TLS: what is refused when they are saved, and where the error says it is."""

from __future__ import annotations

import pytest
from twisted.internet.testing import MemoryReactorClock

from iotgw.connect.endpoint import Connector
from iotgw.connect.tls import ClientTls
from iotgw.core.errors import SettingsError
from iotgw.core.validate import convert
from tests.certificates import Authority

PEM = "-----BEGIN CERTIFICATE-----\nbm9uc2Vuc2U=\n-----END CERTIFICATE-----\n"


def endpoint(place: str, **tls: str):
    return Connector(MemoryReactorClock()).endpoint("h", 8883, 10.0, ClientTls(**tls), place)


@pytest.mark.parametrize("place", ["tls", "configuration.tls"])
@pytest.mark.parametrize(
    ("tls", "below", "problem"),
    [
        ({"ca": "nonsense"}, ".ca", "expected PEM certificates, found none"),
        ({"ca": PEM}, "", "expected PEM certificates and key"),
        ({"certificate": PEM, "key": "nonsense"}, "", "expected PEM certificates and key"),
    ],
)
def test_what_is_no_pem_is_refused_with_its_place(place, tls, below, problem):
    with pytest.raises(SettingsError, match=problem) as caught:
        endpoint(place, **tls)
    assert caught.value.path == place + below


def test_a_certificate_with_another_s_key_is_refused():
    ca = Authority()
    one, other = ca.issue("one"), ca.issue("other")
    with pytest.raises(SettingsError, match=r"^tls.key: expected the private key of the certificate"):
        endpoint("tls", certificate=one.pem().decode(), key=other.key_pem().decode())


@pytest.mark.parametrize(
    "line",
    ["-----BEGIN ENCRYPTED PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED"],
)
def test_an_encrypted_key_is_refused_instead_of_asking_a_terminal_for_its_passphrase(line):
    with pytest.raises(SettingsError, match=r"^tls.key: expected a private key that isn't encrypted"):
        endpoint("tls", certificate=Authority().issue("one").pem().decode(), key=line)


def test_our_own_certificate_and_several_authorities_are_taken():
    first, second = Authority(), Authority()
    own = first.issue("gateway")
    endpoint(
        "tls",
        ca=first.pem().decode() + "\n" + second.pem().decode(),
        certificate=own.pem().decode(),
        key=own.key_pem().decode(),
        server_name="other.example",
    )


def test_a_key_that_takes_too_long_for_each_handshake_is_refused(monkeypatch):
    monkeypatch.setattr("iotgw.connect.tls.LARGEST_RSA", 2047)
    own = Authority().issue("one", kind="rsa")
    with pytest.raises(SettingsError, match="at most 2047 bits, got 2048"):
        endpoint("tls", certificate=own.pem().decode(), key=own.key_pem().decode())


@pytest.mark.parametrize("name", ["ca", "certificate", "key"])
def test_pem_text_is_bounded(name):
    with pytest.raises(SettingsError, match=f"^{name}: expected `str` of length <="):
        convert({name: "x" * (600 << 10)}, ClientTls)

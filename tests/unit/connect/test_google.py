"""Tokens for Google's APIs, signed with a service account's key."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from iotgw import testing
from iotgw.connect.google import GoogleToken, explain
from iotgw.core.errors import SettingsError
from iotgw.core.pem import LARGEST_RSA
from tests.certificates import composite_rsa

RSA = rsa.generate_private_key(65537, 2048)


def pem(key):
    form, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(form, kind, serialization.NoEncryption()).decode()


def account(**more):
    return json.dumps(
        {
            "type": "service_account", "client_email": "gateway@plant.example", "private_key": pem(RSA),
            "private_key_id": "k1", "universe_domain": "googleapis.com", **more,
        }
    )  # fmt: skip


def claims(token):
    """What Google reads of the header, by its own library."""
    from google.auth import jwt

    public = RSA.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    header, payload, signed, signature = jwt._unverified_decode(token)
    from google.auth import crypt

    assert crypt.verify_signature(signed, signature, public)
    return header, payload


@pytest.fixture
def clock():
    return testing.clock()


def token_of(made):
    assert made.ready()
    line = made.sign(b"", b"").decode()
    assert line.startswith("Authorization: Bearer ") and line.endswith("\r\n")
    return line[22:-2]


def test_a_token_says_who_asks_and_what_for(clock):
    header, payload = claims(token_of(GoogleToken(account(), "https://pubsub.example/", clock.seconds)))
    assert (header["alg"], header["kid"]) == ("RS256", "k1")
    assert payload == {
        "iss": "gateway@plant.example", "sub": "gateway@plant.example", "aud": "https://pubsub.example/",
        "iat": testing.START, "exp": testing.START + 3600,
    }  # fmt: skip


def test_a_token_is_used_until_it_ends_soon(clock):
    made = GoogleToken(account(), "a", clock.seconds)
    first = token_of(made)
    clock.advance(3200)
    assert token_of(made) == first
    clock.advance(100)
    assert token_of(made) != first


def test_a_token_that_was_refused_is_replaced(clock):
    made = GoogleToken(account(), "a", clock.seconds)
    first = token_of(made)
    clock.advance(1)
    made.refused()
    assert token_of(made) != first


def test_a_clock_that_was_set_back_makes_no_token_of_the_future(clock):
    made = GoogleToken(account(), "a", clock.seconds)
    token_of(made)
    clock.rightNow -= 100_000
    assert claims(token_of(made))[1]["iat"] == testing.START - 100_000


def test_an_emulator_gets_no_token(clock):
    made = GoogleToken("", "a", clock.seconds)
    assert made.ready()
    assert made.sign(b"", b"") == b""


@pytest.mark.parametrize(
    "credentials",
    [
        "{", "[]", "{}", "7", '{"a":' * 10_000, account(type="authorized_user"), account(private_key="no key"),
        account(private_key=pem(ec.generate_private_key(ec.SECP256R1()))), account(client_email="a\r\nb"),
        account(private_key=pem(composite_rsa(LARGEST_RSA + 2))),
    ],
)  # fmt: skip
def test_what_is_no_key_is_refused_without_a_word_of_it(clock, credentials):
    with pytest.raises(SettingsError, match="expected") as refused:
        GoogleToken(credentials, "a", clock.seconds)
    assert refused.value.is_secret
    assert "no key" not in str(refused.value)
    assert "MII" not in str(refused.value)


@pytest.mark.parametrize("document", [None, [], {}, {"error": 7}, {"error": {}}, {"error": {"status": None}}])
def test_an_error_of_any_kind_is_explained(document):
    assert explain(document) == ("", "")


def test_nobody_looks_whether_the_factors_of_a_key_are_prime(clock):
    assert token_of(GoogleToken(account(private_key=pem(composite_rsa(2048))), "a", clock.seconds))

"""Signed tokens: what counts, and every way in which one may not."""

from __future__ import annotations

import hmac
import json
import time
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.exceptions import GoogleAuthError
from google.oauth2 import id_token
from hypothesis import given
from hypothesis import strategies as st

from iotgw.core.errors import ProtocolError
from iotgw.wire import jwt
from tests.token_issuer import ACCOUNT, AUDIENCE, ISSUER, TokenIssuer, claims_of, coded, number

NOW = 1_795_262_400
EXPECTED = jwt.Expected(ISSUER, AUDIENCE, ACCOUNT)
ONE, OTHER, TWO = TokenIssuer(), TokenIssuer(), TokenIssuer("two")
KEYS = jwt.key_set(json.dumps({"keys": [ONE.published]}).encode())


def wrong(token, now=NOW):
    return jwt.objection(token, KEYS.get, EXPECTED, now)


def counts_for_google(token):
    """Whether Google's own library takes a token for one of Google's now, as its documents say a receiver of pushes should check it."""
    certificates = SimpleNamespace(status=200, data=json.dumps({ONE.kid: ONE.public_pem.decode()}).encode())
    try:
        said = id_token.verify_oauth2_token(token, lambda *asked, **more: certificates, AUDIENCE, 60)
    except (GoogleAuthError, ValueError, KeyError):
        return False
    return said.get("email") == ACCOUNT and said.get("email_verified") is True


def test_a_token_of_google_s_own_library_counts():
    assert wrong(ONE.token(NOW)) == ""
    assert wrong(ONE.token(NOW, aud=["https://elsewhere.example", AUDIENCE])) == ""


@pytest.mark.parametrize(
    "claims",
    [
        {}, {"iss": "https://issuer.example"}, {"iss": None}, {"aud": "https://elsewhere.example"}, {"aud": None},
        {"aud": [AUDIENCE + "/"]}, {"email": "somebody@plant.iam.gserviceaccount.com"}, {"email": None}, {"email_verified": False},
        {"email_verified": None}, {"exp": None},
    ],
    ids=str,
)  # fmt: skip
def test_google_s_own_library_judges_alike(claims):
    now = time.time()
    token = ONE.token(now, **claims)
    assert counts_for_google(token) == (not wrong(token, now))


@pytest.mark.parametrize("began", [-7200, -3640, -3600, -20, 0, 40, 90, 7200])
def test_google_s_own_library_has_the_same_idea_of_clocks(began):
    now = time.time()
    token = ONE.token(now + began)
    assert counts_for_google(token) == (not wrong(token, now))


def test_google_s_own_library_takes_as_little_of_a_stranger_s_key_and_of_a_token_that_was_changed():
    now = time.time()
    head, claims, signature = ONE.token(now).split(".")
    forged = coded(json.dumps({**claims_of(f".{claims}."), "sub": "1"}).encode())
    for token in (OTHER.token(now), TWO.token(now), f"{head}.{forged}.{signature}", f"{head}.{claims}."):
        assert not counts_for_google(token) and wrong(token, now)


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"iss": "https://issuer.example"}, "another issuer"),
        ({"iss": None}, "another issuer"),
        ({"aud": "https://elsewhere.example"}, "another audience"),
        ({"aud": None}, "another audience"),
        ({"aud": [AUDIENCE + "/"]}, "another audience"),
        ({"aud": {AUDIENCE: True}}, "another audience"),
        ({"email": "somebody@plant.iam.gserviceaccount.com"}, "another account"),
        ({"email": None}, "another account"),
        ({"email_verified": False}, "another account"),
        ({"email_verified": "true"}, "another account"),
        ({"exp": NOW - 60}, "has ended"),
        ({"exp": None}, "without an end"),
        ({"exp": "never"}, "without an end"),
        ({"exp": True}, "without an end"),
        ({"exp": 10**400}, "without an end"),
        ({"iat": NOW + 61}, "hasn't begun"),
        ({"nbf": NOW + 61}, "hasn't begun"),
        ({"nbf": "soon"}, "hasn't begun"),
    ],
)
def test_a_token_that_says_something_else_does_not_count(claims, words):
    assert words in wrong(ONE.token(NOW, **claims))


def test_clocks_may_differ_by_a_minute():
    token = ONE.token(NOW, life=10)
    assert wrong(token, NOW + 69) == ""
    assert wrong(token, NOW - 60) == ""
    assert "has ended" in wrong(token, NOW + 70)


def test_the_algorithm_is_not_the_sender_s_choice():
    claims = claims_of(ONE.token(NOW))
    unsigned = (
        f"{coded(json.dumps({'alg': 'none', 'kid': 'one'}).encode())}.{coded(json.dumps(claims).encode())}."
    )
    assert "isn't signed with RS256" in wrong(unsigned)
    # HS256 with the public key, which anybody knows, as the secret
    parts = unsigned.rpartition(".")[0].split(".")
    head = coded(json.dumps({"alg": "HS256", "kid": "one"}).encode())
    for secret in (ONE.public_pem, json.dumps(ONE.published).encode()):
        mac = hmac.digest(secret, f"{head}.{parts[1]}".encode(), "sha256")
        assert "isn't signed with RS256" in wrong(f"{head}.{parts[1]}.{coded(mac)}")
        rs = coded(json.dumps({"alg": "RS256", "kid": "one"}).encode())
        assert "wrong signature" in wrong(f"{rs}.{parts[1]}.{coded(mac)}")
    assert "extensions" in wrong(ONE.signed({"alg": "RS256", "kid": "one", "crit": ["exp"]}, claims))


def test_only_the_issuer_s_own_signature_over_all_of_it_counts():
    assert "wrong signature" in wrong(OTHER.token(NOW))  # the same name, another key
    head, claims, signature = ONE.token(NOW).split(".")
    forged = coded(json.dumps({**claims_of(f".{claims}."), "email": "x"}).encode())
    assert "wrong signature" in wrong(f"{head}.{forged}.{signature}")
    assert "wrong signature" in wrong(f"{head}.{claims}.")
    assert "doesn't publish" in wrong(TWO.token(NOW))


@given(st.text(max_size=100) | st.lists(st.text("aAbB09-_", max_size=8), max_size=5).map(".".join))
def test_anything_is_an_objection_and_no_traceback(text):
    assert wrong(text)


def test_what_is_too_long_is_not_looked_at():
    with pytest.raises(ProtocolError):
        jwt.parse("a." * 10_000)
    assert "no signed token" in wrong(ONE.token(NOW, more="x" * jwt.LONGEST))


def test_of_a_set_those_keys_count_that_sign_with_rs256():
    small = rsa.generate_private_key(65537, 1024).public_key().public_numbers()
    others = [
        {"kty": "EC", "kid": "a", "crv": "P-256"}, {**ONE.published, "kid": "b", "alg": "RS512"},
        {**ONE.published, "kid": "c", "use": "enc"}, {**ONE.published, "kid": "d", "n": number(small.n)},
    ]  # fmt: skip
    found = jwt.key_set(json.dumps({"keys": [*others, ONE.published]}).encode())
    assert list(found) == ["one"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"e": number((1 << 2000) + 1)}, {"e": number((1 << 32) + 1)}, {"e": number(2)}, {"e": number(1)}, {"e": ""}, {"e": "!"},
        {"n": number((1 << 8192) + 1)}, {"n": "A" * 200_000 + "AQAB"}, {"n": number((1 << 2047) - 1)}, {"n": "A"}, {"n": ""},
    ],
    ids=lambda wrong: str(wrong)[:30],
)  # fmt: skip
def test_a_key_that_costs_too_much_or_is_none_leaves_the_others_in_force(wrong):
    found = jwt.key_set(
        json.dumps({"keys": [{**ONE.published, "kid": "a", **wrong}, ONE.published]}).encode()
    )
    assert list(found) == ["one"]
    with pytest.raises(ValueError, match="of 2048 to 8192 bits"):
        jwt.key_set(json.dumps({"keys": [{**ONE.published, **wrong}]}).encode())


def test_zeros_before_a_key_s_numbers_are_no_part_of_them():
    padded = coded(bytes(9) + (65537).to_bytes(3))
    assert list(jwt.key_set(json.dumps({"keys": [{**ONE.published, "e": padded}]}).encode())) == ["one"]


@pytest.mark.parametrize(
    "document",
    [b"", b"[]", b'{"keys": []}', b'{"keys": [{"kty": "RSA", "n": "!", "e": ""}]}', b'{"keys": {}}'],
)
def test_what_is_no_set_of_keys_is_refused(document):
    with pytest.raises(ValueError):
        jwt.key_set(document)

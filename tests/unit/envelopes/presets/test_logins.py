"""How the gateway logs in at each platform, as its documents have it."""

from __future__ import annotations

import json

from iotgw.envelopes.api import ApiAnswer, ApiToken
from iotgw.envelopes.presets.choices import named
from tests.unit.envelopes.presets.apis import NOW_MS, SERVER, settings


def test_a_login_is_the_call_of_the_platform_s_documents():
    wanesy = named("kerlink-wanesy").api.login(settings("kerlink-wanesy"))
    assert (wanesy.method, wanesy.url) == ("POST", f"{SERVER}/gms/application/login")
    assert json.loads(wanesy.body) == {"login": "a-username", "password": "a-password"}
    kpn = named("kpn-things").api.login(settings("kpn-things", loginServer="https://auth.example/token"))
    assert kpn.url == "https://auth.example/token"
    assert json.loads(kpn.body) == {
        "grant_type": "client_credentials", "client_id": "a-clientId", "client_secret": "a-clientSecret",
        "audience": "a-audience",
    }  # fmt: skip
    iam = named("huawei-iotda").api.login(settings("huawei-iotda"))
    assert iam.url == "a-loginServer/v3/auth/tokens"
    assert json.loads(iam.body)["auth"]["scope"] == {"project": {"name": "a-projectName"}}
    portal = named("netmore-portal").api.login(settings("netmore-portal", loginServer=SERVER))
    assert (portal.url, json.loads(portal.body)) == (
        f"{SERVER}/core/login/a-username",
        {"password": "a-password"},
    )
    ocean = named("oceanconnect").api.login(settings("oceanconnect"))
    assert (ocean.url, ocean.body) == (
        f"{SERVER}/iocm/app/sec/v1.1.0/login",
        b"appId=a-appId&secret=a-secret",
    )


def test_a_token_counts_until_the_login_s_end_of_it():
    def token(preset, body, **headers):
        return named(preset).api.token(ApiAnswer(200, headers, json.dumps(body).encode()), NOW_MS)

    assert token("kpn-things", {"access_token": "t", "expires_in": 630}) == ApiToken(
        "Authorization", "Bearer t", 600
    )
    ends = {"token": "t", "tokenType": "Bearer", "expiredDate": NOW_MS + 90_000}
    assert token("kerlink-wanesy", ends) == ApiToken("Authorization", "Bearer t", 60)
    ends = {"token": {"expires_at": "2016-01-11T14:29:00.333000Z"}}
    assert token("huawei-iotda", ends, **{"x-subject-token": "t"}) == ApiToken("X-Auth-Token", "t", 30)
    assert token("kpn-things", {"access_token": "t"}).seconds == 3570
    assert token("kpn-things", {"access_token": "t", "expires_in": 1e300}).seconds == 86_400
    for nothing in (10**400, -(10**400), "soon", [], {}):
        assert token("kpn-things", {"access_token": "t", "expires_in": nothing}).seconds == 3570
    ends = {"accessToken": "t", "tokenType": "bearer", "expiresIn": 3600, "scope": "default"}
    assert token("oceanconnect", ends) == ApiToken("Authorization", "Bearer t", 3570)
    assert token("netmore-portal", {"success": True, "token": "t"}).value == "Bearer t"


def test_no_token_is_said_without_what_was_answered():
    api = named("kpn-things").api
    assert api.token(ApiAnswer(200, {}, b'{"token": "hush"}'), 0) == "no token: HTTP 200: without a token"
    assert (
        api.token(ApiAnswer(401, {}, b'{"error": "access_denied"}'), 0) == "no token: HTTP 401: access_denied"
    )
    assert "control" in api.token(ApiAnswer(200, {}, b'{"access_token": "a\\nb"}'), 0)

"""Calls a platform's API by its preset: the expressions of ``downlink.http``.

The URL is made of settings, and of what a peer said only where that is quoted, so that no device's name leads elsewhere.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from iotgw.core import plain_json
from iotgw.core.expressions.functions import to_number
from iotgw.core.expressions.language import Expression
from iotgw.core.model import Downlink, Metadata
from iotgw.core.numbers import real
from iotgw.envelopes.api import (
    ApiAnswer,
    ApiCall,
    ApiSettings,
    ApiToken,
    Means,
    PlatformApi,
    Ruling,
    said,
    usual,
)
from iotgw.envelopes.presets import values
from iotgw.envelopes.presets.form import CallForm, LoginForm
from iotgw.envelopes.presets.hooks import SIGNERS

DOWNLINK = frozenset(
    ("identity", "id", "uuid", "hex64", "base64", "hex", "text", "json", "fPort", "confirmed", "metadata", "settings", "uplink")
)  # fmt: skip
PLACE = DOWNLINK - {"text", "json", "metadata"}
"""What a URL may be made of."""
PLACES = ("server", "loginServer")
"""Settings that are URLs."""
SETTINGS = frozenset(("settings",))
ANSWER = frozenset(("status", "headers", "body"))
NAMED = ANSWER | {"identity"}
"""What the name that a network gives a downlink may be made of."""
USUAL = 3600.0
"""Seconds of a token whose login says nothing of its end."""
EARLY = 30.0
"""Seconds before its end at which a token isn't used any more."""
LONGEST_TOKEN = 32768

Compile = Callable[[str, str, frozenset[str]], Expression]
"""``compile(place, text, names)``; raises ValueError with the place."""


class PresetApi(PlatformApi):
    """See `PlatformApi`. ``facts(item, identity)`` are what expressions on a downlink see. Raises ValueError, with the place,
    for a form that can't be used."""

    def __init__(
        self, form: CallForm, facts: Callable[[Downlink, str], dict[str, Any]], compiled: Compile, title: str
    ) -> None:
        place = "downlink.http"
        self.needs = tuple(form.settings)
        self.logs_in = form.auth == "login"
        self._form = form
        self._facts = facts
        self._title = title
        self._url = compiled(f"{place}.url", form.url, PLACE)
        self._body = compiled(f"{place}.body", form.body, DOWNLINK) if form.body else None
        self._headers = [
            (name, compiled(f"{place}.headers.{name}", text, DOWNLINK)) for name, text in form.headers.items()
        ]
        self._network = compiled(f"{place}.network", form.network, NAMED) if form.network else None
        self._results: list[tuple[Expression, Means, Expression | None]] = []
        for number, each in enumerate(form.results):
            where = f"{place}.results[{number}]"
            reason = compiled(f"{where}.reason", each.reason, ANSWER) if each.reason else None
            self._results.append((compiled(f"{where}.when", each.when, ANSWER), each.means, reason))
        if self.logs_in is (form.login is None):
            raise ValueError(f'{place}.login: expected a table, together with auth = "login"')
        self._login = _Login(form.login, compiled) if form.login is not None else None
        if (form.auth == "sign") is not bool(form.hook) or (form.hook and form.hook not in SIGNERS):
            raise ValueError(
                f'{place}.hook: expected one of {", ".join(SIGNERS)} with auth = "sign", got {form.hook!r}'
            )
        needed = {"bearer": ("token",), "basic": ("username", "password")}.get(form.auth, ())
        if missing := [name for name in needed if name not in form.settings]:
            raise ValueError(f"{place}.settings: expected {missing[0]!r} for auth = {form.auth!r}")

    def call(self, item: Downlink, uplink: Metadata, settings: ApiSettings, now_ms: int) -> ApiCall:
        """See `PlatformApi.call`."""
        identity = str(uplink.get("identity", ""))
        if not identity or set(identity) <= {"."}:
            raise ValueError("this device has no name that the platform knows")
        known = {**self._facts(item, identity), "settings": settings, "uplink": uplink}
        url = self._url({**known, **_quoted(identity, uplink, settings)})
        if not isinstance(url, str):
            raise ValueError("the preset gives no URL for this downlink")
        if self._form.auth == "sign":
            url = f"{url}{'&' if '?' in url else '?'}{SIGNERS[self._form.hook](known, settings, now_ms)}"
        body = b""
        headers = [("Accept", "application/json")]
        if self._body is not None:
            body = msgspec.json.encode(self._body(known))
            if "content-type" not in {name.lower() for name, _ in self._headers}:
                headers.append(("Content-Type", "application/json"))
        headers += [(name, str(value)) for name, path in self._headers if (value := path(known)) is not None]
        return ApiCall(self._form.method, url, (*headers, *self._proof(settings)), body)

    def _proof(self, settings: ApiSettings) -> tuple[tuple[str, str], ...]:
        if self._form.auth == "bearer":
            return (("Authorization", f"Bearer {settings.get('token', '')}"),)
        if self._form.auth == "basic":
            pair = f"{settings.get('username', '')}:{settings.get('password', '')}"
            return (("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"),)
        return ()

    def judge(self, answer: ApiAnswer, uplink: Metadata) -> Ruling:
        """See `PlatformApi.judge`: by the first of the preset's rules that holds, otherwise by the status."""
        seen = _seen(answer)
        means, told = usual(answer.status), ""
        for when, meaning, reason in self._results:
            if when.holds(seen):
                means = meaning
                told = values.text(reason(seen)) if reason is not None else ""
                break
        if means == "accepted":
            seen["identity"] = str(uplink.get("identity", ""))
            network = values.text(self._network(seen)) if self._network is not None else ""
            return Ruling(means, "", network)
        told = told or said(seen["body"])
        text = f"{self._title or 'the network'}: HTTP {answer.status}" + (f": {told}" if told else "")
        return Ruling(means, " ".join(text.split()))

    def login(self, settings: ApiSettings) -> ApiCall:
        """See `PlatformApi.login`."""
        assert self._login is not None
        return self._login.call(settings)

    def token(self, answer: ApiAnswer, now_ms: int) -> ApiToken | str:
        """See `PlatformApi.token`."""
        assert self._login is not None
        return self._login.read(answer, now_ms)


def _quoted(identity: str, uplink: Metadata, settings: ApiSettings) -> dict[str, Any]:
    """What a URL may be made of, as it may stand there."""
    places = {name: text for name, text in settings.items() if name in PLACES}
    return {
        "identity": quote(identity, safe=""),
        "uplink": {name: quote(text, safe="") for name, text in uplink.items() if _is_segment(text)},
        "settings": {name: quote(text, safe="") for name, text in settings.items()} | places,
    }


def _is_segment(text: Any) -> bool:
    """Whether something that a peer said may be a part of a path: dots alone lead elsewhere."""
    return isinstance(text, str) and not set(text) <= {"."}


class _Login:
    """See `LoginForm`."""

    def __init__(self, form: LoginForm, compiled: Compile) -> None:
        place = "downlink.http.login"
        self._form = form
        self._url = compiled(f"{place}.url", form.url, SETTINGS)
        self._body = compiled(f"{place}.body", form.body, SETTINGS)
        self._headers = [
            (name, compiled(f"{place}.headers.{name}", text, SETTINGS)) for name, text in form.headers.items()
        ]
        self._token = compiled(f"{place}.token", form.token, ANSWER)
        self._seconds = compiled(f"{place}.seconds", form.seconds, ANSWER) if form.seconds else None
        self._until = compiled(f"{place}.until", form.until, ANSWER) if form.until else None

    def call(self, settings: ApiSettings) -> ApiCall:
        known = {"settings": settings}
        url, said_ = self._url(known), self._body(known)
        if not isinstance(url, str) or not isinstance(said_, dict):
            raise ValueError("the preset gives no URL or no object for a login")
        headers = [(name, str(value)) for name, path in self._headers if (value := path(known)) is not None]
        if self._form.is_form:
            body = urlencode(
                {name: str(value) for name, value in said_.items() if value is not None}
            ).encode()
            kind = "application/x-www-form-urlencoded"
        else:
            body, kind = msgspec.json.encode(said_), "application/json"
        if "content-type" not in {name.lower() for name, _ in headers}:
            headers.append(("Content-Type", kind))
        return ApiCall("POST", url, (("Accept", "application/json"), *headers), body)

    def read(self, answer: ApiAnswer, now_ms: int) -> ApiToken | str:
        seen = _seen(answer)
        token = self._token(seen)
        if not isinstance(token, str) or not token or answer.status >= 300:
            # an answer that succeeded may hold the token under a name of its own, and isn't repeated
            told = said(seen["body"]) if answer.status >= 300 else "without a token"
            return f"no token: HTTP {answer.status}" + (f": {told}" if told else "")
        if not token.isprintable() or len(token) > LONGEST_TOKEN:
            return "no token: it is too long, or has control characters"
        seconds = real(to_number(self._seconds(seen))) if self._seconds is not None else None
        if self._until is not None:
            said_ = self._until(seen)
            ends_ms = values.date_ms(said_, "ms" if isinstance(said_, int | float) else "iso")
            seconds = None if ends_ms is None else (ends_ms - now_ms) / 1000
        life = max(1.0, (USUAL if seconds is None else seconds) - EARLY)
        prefix = self._form.prefix
        return ApiToken(self._form.header, f"{prefix} {token}" if prefix else token, min(life, 86400.0))


def _seen(answer: ApiAnswer) -> dict[str, Any]:
    """What expressions on an answer see."""
    try:
        body = plain_json.decode(answer.body) if answer.body else None
    except plain_json.NotJson:
        body = answer.body[:4096].decode("utf-8", "replace")
    return {"status": answer.status, "headers": dict(answer.headers), "body": body}

"""Requests and answers of an HTTP target as people may see them: in full, and without secrets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

from msgspec.structs import replace

from iotgw.connect.http_auth import Fixed
from iotgw.core.model import TelemetryRecord
from iotgw.core.redaction import MASK, hidden
from iotgw.core.secret_url import is_fact, masked_url
from iotgw.core.secrets import SECRET_NAME
from iotgw.core.specs import IntegrationSpec
from iotgw.integrations.facts import RecordNames
from iotgw.integrations.http_request import RequestMaker
from iotgw.integrations.http_settings import HttpSettings
from iotgw.wire.http1 import Response

OPEN = {"content-length", "x-amz-date", "x-amz-content-sha256"}
"""Lines that are no secrets of those that sign and measure a request."""


class ShownExchanges:
    """Makes the texts. A request is made anew from settings whose secrets are masked, so that a secret is hidden however
    short it is; ``secrets`` are looked for in addition."""

    def __init__(self, settings: HttpSettings, spec: IntegrationSpec, names: RecordNames) -> None:
        self._is_batch = settings.batch != "none"
        self._requests = RequestMaker(_masked(settings), spec, names, Fixed(None))

    def request(
        self, records: Sequence[TelemetryRecord], head: bytes, data: bytes, secrets: Iterable[str]
    ) -> str:
        """The request of some records whose header lines are ``head``, and which goes out as ``data``. Its body is shown as it is
        before compression. Raises TemplateFailed."""
        made = self._requests
        if self._is_batch:
            shown, body = made.batch([made.document(record) for record in records])
        else:
            shown, body = made.single(records[0])
        added = data[len(head) :].partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        lines = [
            shown.decode("latin-1").replace("\r\n", "\n"),
            *(_line(line) + "\n" for line in added if line),
        ]
        whole = "".join(lines) + "\n" + body.decode("utf-8", "replace")
        return hidden(whole.replace(quote(MASK, safe=""), MASK), secrets)

    def answer(self, response: Response | None, reason: str, secrets: Iterable[str]) -> str:
        """An answer, or why there is none."""
        if response is None:
            return hidden(f"none: {reason}", secrets)
        headers = (
            f"{name.decode('latin-1')}: {value.decode('latin-1')}" for name, value in response.headers.items()
        )
        lines = [f"HTTP {response.status}", *(_line(line) for line in headers)]
        return hidden("\n".join([*lines, "", response.body.decode("utf-8", "replace")]), secrets)


def _line(line: str) -> str:
    """A header line, without what its name says is secret. The words before a secret stay: ``Bearer``."""
    name, _, value = line.partition(": ")
    if name.lower() in OPEN or not (SECRET_NAME.search(name) or "signature" in name.lower()):
        return line
    scheme = value.partition(" ")[0] if name.lower() == "authorization" else ""
    return f"{name}: {scheme} {MASK}" if scheme else f"{name}: {MASK}"


def _masked(settings: HttpSettings) -> HttpSettings:
    """The settings with masks for their secrets."""
    return replace(
        settings, url=masked_url(settings.url), query=_hidden(settings.query), headers=_hidden(settings.headers),
        fields=_hidden(settings.fields), auth=None, signature=None,
    )  # fmt: skip


def _hidden(values: Mapping[str, str]) -> dict[str, str]:
    """Values that aren't facts of the message are masked."""
    return {name: value if is_fact(value) else MASK for name, value in values.items()}

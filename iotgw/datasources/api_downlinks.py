"""Downlinks by calls of a platform's API: what waits is called for, and what an answer means is reported."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred

from iotgw import __version__
from iotgw.connect.api_caller import ApiCaller, Authority, Verdict, WaitingCall
from iotgw.connect.api_login import LoginToken
from iotgw.connect.http_answers import retry_after
from iotgw.connect.http_auth import Fixed
from iotgw.connect.http_pool import HttpPool, may_have_arrived
from iotgw.connect.tls import ClientTls
from iotgw.core.destination import origin
from iotgw.core.errors import SettingsError
from iotgw.core.model import Downlink, Metadata
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.datasources import DatasourceContext
from iotgw.core.redaction import hidden
from iotgw.datasources.api_settings import DownlinkApi
from iotgw.datasources.sampling import SampledEvents
from iotgw.envelopes.api import ApiAnswer, ApiCall, PlatformApi
from iotgw.wire.http1 import Response, request_head

CONNECT_TIMEOUT = 10.0


class ApiDownlinks:
    """The downlinks of one datasource. ``offers``: the network reports on what it was given; otherwise an answer that accepts
    a downlink is all that is ever known of it. Raises SettingsError."""

    def __init__(
        self,
        access: DownlinkApi,
        api: PlatformApi,
        offers: bool,
        connector: IConnector,
        context: DatasourceContext,
    ) -> None:
        self._api = api
        self._offers = offers
        self._context = context
        self._intake = context.intake
        self._settings = access.settings()
        self._secrets = list(access.secrets.values())
        self._server = origin(access.server, "configuration.downlinkApi.server")
        login = access.login_server or access.server
        self._login_server = origin(login, "configuration.downlinkApi.loginServer")
        self._access = access
        self._connector = connector
        self._ids: set[str] = set()
        """What waits here or is under way."""
        self._troubles = SampledEvents(context.reactor, context.intake, "downlink.api")
        authority: Authority = self._authority() if api.logs_in else Fixed(None)
        self._caller = ApiCaller(
            context.reactor,
            self._pool(self._server, access.connections),
            authority,
            self._intake.wake_downlinks,
        )

    def _pool(self, server: tuple[str, str, int], size: int) -> HttpPool:
        scheme, host, port = server
        tls = (self._access.tls or ClientTls()) if scheme == "https" else None
        place = "configuration.downlinkApi.tls"
        way = self._connector.endpoint(host, port, CONNECT_TIMEOUT, tls, place, self._access.proxy)
        return HttpPool(self._context.reactor, way, size, self._access.timeout)

    def _authority(self) -> LoginToken:
        try:
            self._bytes(self._api.login(self._settings), self._login_server, b"")
        except ValueError as error:
            raise SettingsError("configuration.downlinkApi", str(error)) from error

        def ask() -> bytes:
            return self._bytes(self._api.login(self._settings), self._login_server, b"")

        def read(response: Response) -> tuple[bytes, float] | str:
            token = self._api.token(_answer(response), self._context.date_ms())
            if isinstance(token, str):
                return self._hidden(token)
            return f"{token.header}: {token.value}\r\n".encode("latin-1", "replace"), token.seconds

        return LoginToken(self._context.reactor, self._pool(self._login_server, 1), ask, read)

    # --- life ---

    def start(self) -> None:
        """Send what has waited for this."""
        self._intake.wake_downlinks()

    def stop(self) -> Deferred[Any]:
        """Give back what waits; fires when all connections are closed."""
        return self._caller.stop()

    def status(self) -> dict[str, Any]:
        """For the API, as JSON."""
        problem = {"lastError": self._caller.problem} if self._caller.problem else {}
        return {"state": self._caller.state, "waiting": self._caller.waiting, **problem}

    # --- downlinks ---

    def send(self, uplink: Metadata, downlinks: tuple[Downlink, ...]) -> None:
        """Hand downlinks to the platform, for the device whose last uplink had this metadata."""
        for item in downlinks:
            if item.id in self._ids:
                continue
            try:
                self._bytes(self._call(item, uplink), self._server, b"")
            except ValueError as error:
                self._intake.downlink_refused(item, self._hidden(str(error)))
                continue
            if not self._caller.has_room:
                self._caller.owe()
                self._intake.downlink_returned(item)
                continue
            self._ids.add(item.id)
            self._caller.call(self._waiting(item, uplink))

    def _call(self, item: Downlink, uplink: Metadata) -> ApiCall:
        return self._api.call(item, uplink, self._settings, self._context.date_ms())

    def _waiting(self, item: Downlink, uplink: Metadata) -> WaitingCall:
        def data(header: bytes) -> bytes:
            # made anew: a signature has a time, which may not be that of hours ago
            return self._bytes(self._call(item, uplink), self._server, header)

        def judge(response: Response | None, reason: str) -> tuple[Verdict, float | None]:
            return self._judge(item, uplink, response, reason)

        def is_wanted() -> bool:
            is_so = self._intake.downlink_waits(item)
            if not is_so:
                self._ids.discard(item.id)
            return is_so

        def dropped() -> None:
            self._ids.discard(item.id)
            self._intake.downlink_returned(item)

        return WaitingCall(data, judge, is_wanted, dropped)

    def _judge(
        self, item: Downlink, uplink: Metadata, response: Response | None, reason: str
    ) -> tuple[Verdict, float | None]:
        """Report on an item what is decided."""
        if response is None:
            self._caller.problem = reason
            self._troubles.note("", f"the platform's API can't be reached: {reason}")
            if not may_have_arrived(reason):
                return "later", None
            self._ids.discard(item.id)
            self._intake.downlink_lost(item, f"no answer to the call: {reason}")
            return "failed", None
        ruling = self._api.judge(_answer(response), uplink)
        why = self._hidden(ruling.reason)
        if ruling.means in ("later", "denied"):
            self._caller.problem = why
            self._troubles.note("", f"the platform's API takes no downlinks now: {why}")
            after = retry_after(response.headers.get(b"retry-after"), self._context.date_ms() / 1000)
            return ruling.means, after
        self._ids.discard(item.id)
        if ruling.means == "refused":
            self._intake.downlink_refused(item, why)
            return "done", None
        if ruling.means == "lost":
            self._caller.problem = why
            self._intake.downlink_lost(item, why)
            return "failed", None
        self._intake.downlink_offered(item, ruling.network)
        if not self._offers:
            self._intake.downlink_delivered(item, is_certain=False)
        return "done", None

    def _bytes(self, call: ApiCall, server: tuple[str, str, int], header: bytes) -> bytes:
        """A call as it is sent; raises ValueError for one that leads elsewhere than to the server of the settings."""
        try:
            if origin(call.url, "url") != server:
                raise ValueError("the preset's URL is not on the server that the settings name")
        except SettingsError as error:
            raise ValueError(str(error)) from error
        url = urlsplit(call.url)
        if not url.query.isascii() or not url.path.isascii() or set(call.url) & {" ", "\\"}:
            raise ValueError("expected a URL of ASCII characters without spaces")
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        headers = [("Host", url.netloc), ("User-Agent", f"iotgw/{__version__}"), *call.headers]
        head = request_head(call.method, target, headers)
        return b"%b%bContent-Length: %d\r\n\r\n%b" % (head, header, len(call.body), call.body)

    def _hidden(self, text: str) -> str:
        return hidden(text, self._secrets)


def _answer(response: Response) -> ApiAnswer:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in response.headers.items()}
    return ApiAnswer(response.status, headers, response.body)

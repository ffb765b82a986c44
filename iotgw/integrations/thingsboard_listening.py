"""Waits for what ThingsBoard has to say to devices, by requests that it keeps open until then (long polling).

A device is listened to since it sent something. There are two requests for each: one for RPC, one for changed shared attributes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint

from iotgw.connect.http_pool import HttpPool
from iotgw.core import plain_json
from iotgw.core.ports.reactor import IReactor
from iotgw.integrations.incoming import Incoming
from iotgw.integrations.thingsboard_device_api import DeviceApi
from iotgw.integrations.thingsboard_http_settings import ThingsBoardHttpSettings
from iotgw.wire.http1 import Response

POLLS = ("rpc", "attributes/updates")
SLACK = 10.0
"""Seconds that an answer may take longer than the request is kept open."""
FIRST, LONGEST = 5.0, 300.0
"""Seconds until a request is made again that failed."""

Ask = Callable[[str, str, int, Any, Callable[[], None]], None]
"""``ask(device, token, id, data, done)``: there is a request of RPC for a device, and its caller waits for an answer; calls ``done()`` when
it is queued, or won't be."""


class _Listener:
    """What is listened to for one device."""

    __slots__ = ("failures", "is_over", "later", "token")

    def __init__(self, token: str) -> None:
        self.token = token
        self.failures = dict.fromkeys(POLLS, 0)
        self.later: dict[str, Any] = {}
        self.is_over = False


class Listening:
    """Listens for the devices that sent last, ``listeners`` of them."""

    def __init__(
        self,
        settings: ThingsBoardHttpSettings,
        reactor: IReactor,
        way: IStreamClientEndpoint,
        api: DeviceApi,
        incoming: Incoming,
        ask: Ask,
    ) -> None:
        self._most = settings.listeners
        self._wait_ms = int(settings.poll * 1000)
        self._reactor = reactor
        self._api = api
        self._incoming = incoming
        self._ask = ask
        self._of: dict[str, _Listener] = {}
        self._pool = HttpPool(reactor, way, len(POLLS) * settings.listeners, settings.poll + SLACK)

    def __len__(self) -> int:
        """For how many devices it listens."""
        return len(self._of)

    def to(self, device: str, token: str) -> None:
        """A device has sent something."""
        found = self._of.pop(device, None)
        if found is not None and found.token == token:
            self._of[device] = found
            return
        if found is not None:
            self._end(found)
        elif len(self._of) >= self._most:
            oldest = next(iter(self._of))
            self._end(self._of.pop(oldest))
        new = self._of[device] = _Listener(token)
        for what in POLLS:
            self._poll(device, new, what)

    def close(self) -> Deferred[Any]:
        """Listen no more."""
        for listener in self._of.values():
            self._end(listener)
        self._of.clear()
        return self._pool.close()

    def _end(self, listener: _Listener) -> None:
        """Its open requests come to their end, and are not made again."""
        listener.is_over = True
        for call in listener.later.values():
            call.cancel()
        listener.later.clear()

    def _poll(self, device: str, listener: _Listener, what: str) -> None:
        listener.later.pop(what, None)
        asked = self._api.get(listener.token, f"{what}?timeout={self._wait_ms}")
        self._pool.request(asked, lambda response, reason: self._answered(device, listener, what, response))

    def _answered(self, device: str, listener: _Listener, what: str, response: Response | None) -> None:
        status = response.status if response is not None else 0
        if response is not None and status == 200:
            # what comes next is asked for when this is durable: the server has forgotten it
            done = lambda: self._go_on(device, listener, what, status)  # noqa: E731
            self._take(device, listener.token, what, response.body, done)
        else:
            self._go_on(device, listener, what, status)

    def _go_on(self, device: str, listener: _Listener, what: str, status: int) -> None:
        """Ask again, at once or later."""
        if listener.is_over:
            return
        if status in (200, 408):  # ThingsBoard says 408 when there was nothing
            listener.failures[what] = 0
            wait = 0.0
        elif status in (401, 403, 404):
            self._end(listener)
            self._of.pop(device, None)
            return
        else:
            listener.failures[what] += 1
            wait = min(LONGEST, FIRST * 2 ** min(listener.failures[what] - 1, 10))
        # not at once: a server that answers without waiting must not take all of our time
        listener.later[what] = self._reactor.callLater(wait or 0.1, self._poll, device, listener, what)

    def _take(self, device: str, token: str, what: str, body: bytes, done: Callable[[], None]) -> None:
        try:
            said = plain_json.decode(body)
        except plain_json.NotJson:
            said = None
        if not isinstance(said, dict) or not said or (what == "rpc" and "method" not in said):
            done()
            return
        if what != "rpc":
            self._queue(device, "attributes", said, done)
            return
        id = said.get("id")
        if type(id) is int or (isinstance(id, str) and id.isascii() and id.isdigit() and len(id) < 12):
            self._ask(device, token, int(id), said, done)
        else:
            self._queue(device, "rpc", said, done)

    def _queue(self, device: str, kind: str, data: Any, done: Callable[[], None]) -> None:
        self._incoming.take(device, {"msgType": kind, "msg": data}, lambda queued: done())

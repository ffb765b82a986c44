"""What ThingsBoard sends for devices by its gateway API: RPC requests, changed shared attributes, and answers to what devices asked.

A message is acknowledged when what it says is queued, or never will be: a persistent RPC request that isn't is sent again by ThingsBoard.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from iotgw.core import plain_json
from iotgw.core.ports.integrations import IntegrationContext, Queued
from iotgw.integrations.incoming import Incoming
from iotgw.integrations.thingsboard_documents import ATTRIBUTES, ATTRIBUTES_RESPONSE, RPC
from iotgw.integrations.thingsboard_rpc import (
    CALLERS_PATIENCE,
    OpenRequests,
    RpcAnswer,
    ServerRequests,
    answer_of,
    to_caller,
)
from iotgw.integrations.thingsboard_shared import KnownAttributes
from iotgw.wire import mqtt

Acknowledge = Callable[[], None]


class _FromGateway(Struct):
    device: str = ""
    data: Any = None
    value: Any = None
    values: dict[str, Any] | None = None


class IncomingMessages:
    """Queues what messages say for devices. ``keys`` are the shared attributes that are asked for, ``known`` what was queued of them,
    and ``learned()`` is called when that has changed. ``requests`` remembers what devices will answer themselves; ``reply(answer)`` sends
    the answer to a request."""

    def __init__(
        self,
        context: IntegrationContext,
        requests: OpenRequests | None,
        asks: ServerRequests | None,
        keys: Sequence[str],
        known: KnownAttributes,
        reply: Callable[[RpcAnswer], None],
        learned: Callable[[], None],
    ) -> None:
        self._incoming = Incoming(context)
        self._requests = requests
        self._asks = asks
        self._keys = keys
        self._known = known
        self._reply = reply
        self._learned = learned

    @property
    def trouble(self) -> str:
        """Why nothing can be stored; empty if it can."""
        return self._incoming.trouble

    def close(self) -> None:
        """Acknowledge no more."""
        self._incoming.close()

    def take(self, message: mqtt.Arrived, acknowledge: Acknowledge) -> None:
        """Queue what a message says; calls ``acknowledge()`` when the server may forget it."""
        if self._asks is not None and (asked := self._asks.answered(message.topic)) is not None:
            self._queue(asked.device, "rpcResponse", answer_of(asked, message.payload), acknowledge)
            return
        try:
            said = plain_json.decode(message.payload, _FromGateway)
        except plain_json.NotJson:
            said = _FromGateway()
        if not said.device:
            acknowledge()
        elif message.topic == RPC.decode() and isinstance(said.data, dict) and "method" in said.data:
            self._asked(said.device, said.data, acknowledge)
        elif message.topic == ATTRIBUTES.decode() and isinstance(said.data, dict) and said.data:
            self._changed(said.device, said.data, said.data, acknowledge)
        elif message.topic == ATTRIBUTES_RESPONSE.decode():
            # https://github.com/thingsboard/thingsboard, JsonConverter.getJsonObjectForGateway: one key has no name
            is_one = len(self._keys) == 1 and said.value is not None
            values = said.values or ({self._keys[0]: said.value} if is_one else {})
            self._changed(said.device, values, self._known.changed(said.device, values), acknowledge)
        else:
            acknowledge()

    def _changed(
        self, device: str, values: dict[str, Any], new: dict[str, Any], acknowledge: Acknowledge
    ) -> None:
        """Queue shared attributes that are ``new``; they are known when they are queued, and not before."""

        def queued() -> None:
            if self._keys:
                self._known.learn(device, values)
                self._learned()

        if new:
            self._queue(device, "attributes", new, acknowledge, queued)
        else:
            acknowledge()

    def _asked(self, device: str, data: dict[str, Any], acknowledge: Acknowledge) -> None:
        id, requests = data.get("id"), self._requests
        if type(id) is not int:
            self._queue(device, "rpc", data, acknowledge)
            return
        if requests is not None:
            requests.asked(device, id)

        def done(queued: Queued) -> None:
            if queued.reason and requests is not None:
                requests.withdrawn(device, id)
            if queued.reason or requests is None:
                self._reply(RpcAnswer(device, id, to_caller(queued)))
            acknowledge()  # the caller knows

        self._incoming.take(device, {"msgType": "rpc", "msg": data}, done, CALLERS_PATIENCE)

    def _queue(
        self,
        device: str,
        kind: str,
        data: Any,
        acknowledge: Acknowledge,
        stored: Callable[[], None] | None = None,
    ) -> None:
        def done(queued: Queued) -> None:
            if not queued.reason and stored is not None:
                stored()
            if queued.is_final:
                acknowledge()

        self._incoming.take(device, {"msgType": kind, "msg": data}, done)

"""The session that a broker keeps for a datasource: what is remembered of it over restarts, and how it ends.

MQTT has no way to ask a broker what a session is subscribed to, so a file next to the databases says it. It is
written before a SUBSCRIBE, and again when the broker has confirmed: after a crash it names too much, never too little.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from iotgw.core.errors import ProtocolError, Unavailable
from iotgw.wire import mqtt

GOODBYE = 10.0
"""Seconds that ending a session may take, the connection included."""


class Kept(Struct, frozen=True, kw_only=True):
    """A session at a broker: whose it is, and what it may be subscribed to."""

    broker: str = ""
    client_id: str = ""
    filters: tuple[str, ...] = ()

    def is_of(self, broker: str, client_id: str) -> bool:
        """Whether it is the session of this client at this broker."""
        return (self.broker, self.client_id) == (broker, client_id)


class Memory:
    """The `Kept` of one datasource, in a file; without a ``data_dir``, in memory only.

    ``trouble(reason)`` is told when the file can't be written: what is subscribed is then unknown after a restart.
    """

    def __init__(self, data_dir: str, id: str, trouble: Callable[[str], None]) -> None:
        self._path = Path(data_dir) / f"mqtt-{id}.json" if data_dir else None
        self._trouble = trouble
        self.kept: Kept | None = None
        if self._path is not None:
            try:
                self.kept = msgspec.json.decode(self._path.read_bytes(), type=Kept)
            except FileNotFoundError:
                pass
            except (OSError, msgspec.DecodeError, RecursionError) as error:
                trouble(f"{self._path.name} can't be read, old topics may stay subscribed: {error}")

    def keep(self, kept: Kept) -> None:
        """Remember a session, durably."""
        if kept == self.kept:
            return
        self.kept = kept
        if self._path is None:
            return
        temporary = self._path.with_suffix(".new")
        try:
            with temporary.open("wb") as file:
                file.write(msgspec.json.encode(kept))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self._path)
        except OSError as error:
            self._trouble(f"{self._path.name} can't be written: {error}")

    def forget(self) -> None:
        """The session is over."""
        self.kept = None
        if self._path is not None:
            try:
                self._path.unlink(missing_ok=True)
            except OSError as error:
                self._trouble(f"{self._path.name} can't be removed: {error}")


class Farewell(Protocol):
    """Connects with a clean session, which ends the one that the broker kept (MQTT 5.0 §3.1.2.4), and leaves.

    ``done`` fires when the broker has said yes and the connection is closed, or fails with Unavailable.
    """

    transport: Any

    def __init__(self, client_id: str, settings: Any) -> None:
        self._client_id = client_id
        self._settings = settings
        self._session = mqtt.MqttSession(mqtt.V5 if settings.version == "5" else mqtt.V311)
        self._said = ""
        self._is_over = False
        self.done: Deferred[None] = Deferred(lambda _: self._leave())

    def connectionMade(self) -> None:
        """Introduce ourselves as the one whose session it is."""
        settings = self._settings
        user, password = settings.username or None, settings.password or None
        self.transport.write(self._session.connect(self._client_id, settings.keepalive, user, password))

    def dataReceived(self, data: bytes) -> None:
        """Yes or no."""
        try:
            events = self._session.receive(data)
        except ProtocolError as error:
            self._said = str(error)
            self._leave()
            return
        for event in events:
            if isinstance(event, mqtt.Connected):
                self._is_over = True
                self.transport.write(mqtt.BYE)
                self.transport.loseConnection()
            elif isinstance(event, mqtt.Refused):
                self._said = f"the broker refused: {event.reason}"
                self._leave()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Say how it went."""
        if self.done.called:
            return
        if self._is_over:
            self.done.callback(None)
        else:
            self.done.errback(Unavailable(self._said or reason.getErrorMessage()))

    def _leave(self) -> None:
        if self.transport is not None:
            self.transport.abortConnection()


def end(endpoint: Any, client_id: str, settings: Any, reactor: Any) -> Deferred[None]:
    """End the session of a client at a broker; fails when the broker didn't confirm it within `GOODBYE` seconds."""
    factory = Factory.forProtocol(lambda: Farewell(client_id, settings))
    factory.noisy = False
    ended: Deferred[None] = endpoint.connect(factory).addCallback(lambda farewell: farewell.done)
    return ended.addTimeout(GOODBYE, reactor)

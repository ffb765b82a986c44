"""The session that a broker keeps for a datasource: what is remembered about it across restarts, and how it is
ended.

MQTT has no way to ask a broker what a session is subscribed to, so a file next to the databases records it. It
is written before a SUBSCRIBE, and again when the broker has confirmed. After a crash it may list too many
filters, but never too few.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path

import msgspec
from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint

from iotgw.connect.mqtt_client import BrokerAccess
from iotgw.connect.mqtt_owner import Greeting
from iotgw.connect.mqtt_probe import knock
from iotgw.core import own_file, private
from iotgw.core.errors import Unavailable
from iotgw.core.own_file import OwnFile
from iotgw.core.ports.intake import IIntake
from iotgw.datasources.mqtt.settings import MqttSourceSettings
from iotgw.wire import mqtt

GOODBYE = 10.0
"""Seconds that ending a session may take, the connection included."""


class Kept(Struct, frozen=True, kw_only=True):
    """A session at a broker: its owner, and what it may be subscribed to."""

    broker: str = ""
    client_id: str = ""
    filters: tuple[str, ...] = ()

    def is_of(self, broker: str, client_id: str) -> bool:
        """Whether it is the session of this client at this broker."""
        return (self.broker, self.client_id) == (broker, client_id)


class Memory:
    """The `Kept` of one datasource, in a file; without a ``data_dir``, in memory only.

    ``trouble(reason)`` is called when the file can't be written; the subscriptions are then unknown after a
    restart.
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
            private.write_file(temporary, msgspec.json.encode(kept))
            os.replace(temporary, self._path)
        except OSError as error:
            self._trouble(f"{self._path.name} can't be written: {error}")

    def forget(self) -> None:
        """Forget a session that has ended."""
        self.kept = None
        if self._path is not None:
            try:
                self._path.unlink(missing_ok=True)
            except OSError as error:
                self._trouble(f"{self._path.name} can't be removed: {error}")


class LeftSessions:
    """Sessions at brokers that a datasource's earlier settings left, until they have ended: in a file, so that a crash
    forgets none. Without a ``data_dir`` nothing is remembered. ``trouble(reason)`` is called when the file can't be written."""

    def __init__(self, data_dir: str, id: str, trouble: Callable[[str], None]) -> None:
        self._trouble = trouble
        self._file = OwnFile(f"{data_dir}/mqtt-{id}-left.json" if data_dir else "")

    @property
    def all(self) -> tuple[Kept, ...]:
        """All of them."""
        return self._file.read(tuple[Kept, ...]) or ()

    def add(self, session: Kept) -> None:
        """A session is to be ended."""
        self._write((*self._but(session), session))

    def remove(self, session: Kept) -> None:
        """A session has ended, or its end was given up."""
        self._write(self._but(session))

    def _but(self, session: Kept) -> tuple[Kept, ...]:
        return tuple(one for one in self.all if not one.is_of(session.broker, session.client_id))

    def _write(self, sessions: tuple[Kept, ...]) -> None:
        if sessions == self.all:
            return
        try:
            if sessions:
                self._file.write(sessions)
            else:
                self._file.remove()
        except OSError as error:
            self._trouble(f"{self._file.name} can't be written: {error}")


def of_strangers(data_dir: str, ids: Collection[str]) -> list[Kept]:
    """The sessions that brokers may still have for datasources with none of these ids."""
    found: list[Kept] = []
    for path in own_file.found(Path(data_dir)) if data_dir else ():
        kind, id, *more = path.stem.split("-")
        if kind != "mqtt" or id in ids:
            continue
        if more == ["left"]:
            found += OwnFile(str(path)).read(tuple[Kept, ...]) or ()
        elif not more and (one := OwnFile(str(path)).read(Kept)) is not None:
            found.append(one)
    return [session for session in found if session.broker]


class SessionStanding:
    """The state of a datasource's session at its broker: whether one is found when a connection begins, and
    what must be unsubscribed. Problems become events of ``intake``.

    ``is_kept`` says whether the broker keeps the session; None before the first CONNACK.
    """

    def __init__(self, settings: MqttSourceSettings, client_id: str, memory: Memory, intake: IIntake) -> None:
        self._settings = settings
        self._client_id = client_id
        self._memory = memory
        self._intake = intake
        self.is_kept: bool | None = None

    def greeted(self, said: mqtt.Connected) -> tuple[str, ...]:
        """CONNACK came; returns the filters to unsubscribe from."""
        settings, memory = self._settings, self._memory
        kept = memory.kept
        is_known = kept is not None and kept.is_of(settings.broker.place, self._client_id)
        self.is_kept = not settings.clean_session
        if settings.clean_session:
            memory.forget()
            return ()
        if said.session_expiry == 0:
            self.is_kept = False
            self._intake.event(
                "session-refused",
                f"{settings.broker.place} keeps no session: messages that are sent while the gateway is offline "
                "are lost",
                "warning",
            )
        if is_known and not said.session_present:
            self._intake.event(
                "session-lost",
                f"{settings.broker.place} has no session of {self._client_id} any more: messages that were sent while the "
                "gateway was offline may be missing",
                "warning",
            )
        before = kept.filters if kept is not None and is_known and said.session_present else ()
        stale = tuple(filter_ for filter_ in before if filter_ not in settings.filters)
        self._remember((*settings.filters, *stale))
        return stale

    def unsubscribed(self, refused: list[str]) -> None:
        """The broker answered the removal of stale filters; refused ones are tried again on the next
        connection."""
        self._remember((*self._settings.filters, *refused))
        if refused:
            said = ", ".join(refused)
            self._intake.event("failed", f"{self._settings.broker.place} goes on sending {said}", "warning")

    def _remember(self, filters: tuple[str, ...]) -> None:
        kept = Kept(broker=self._settings.broker.place, client_id=self._client_id, filters=filters)
        self._memory.keep(kept)


def end(
    endpoint: IStreamClientEndpoint, client_id: str, settings: MqttSourceSettings, reactor: IReactorTime
) -> Deferred[None]:
    """End the session of a client at a broker: a connection with a clean session does (MQTT 5.0 §3.1.2.4).

    Fails with Unavailable when the broker didn't confirm it within `GOODBYE` seconds.
    """
    version = mqtt.V5 if settings.version == "5" else mqtt.V311
    greeting = Greeting(
        client_id,
        settings.keepalive,
        settings.broker.username or None,
        settings.broker.password or None,
        version=version,
    )
    way = BrokerAccess(endpoint, greeting, lambda: mqtt.MqttSession(version), lambda failures: GOODBYE)

    def ended(problem: str) -> None:
        if problem:
            raise Unavailable(problem)

    return knock(reactor, way, GOODBYE).addCallback(ended)

"""Runs a vendor's `iotgw.envelopes.dialogue.Dialogue` on a TCP connection, and carries out its actions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from zope.interface import implementer

from iotgw.core.model import Answer, Downlink
from iotgw.core.needs import Need, TcpPort
from iotgw.core.ports.datasources import DatasourceContext, IChecksAddresses, IListens, INeeds
from iotgw.core.ports.reactor import IReactor
from iotgw.datasources.openness import unproved
from iotgw.datasources.socket.connection import DeviceConnection
from iotgw.datasources.socket.stream import StreamSettings, StreamSource
from iotgw.envelopes.dialogue import (
    Actions,
    Ask,
    Close,
    Confirmed,
    Dialogue,
    Lost,
    Reachable,
    Submit,
    Unreachable,
    Wait,
    Write,
)
from iotgw.envelopes.envelope import Malformed, Reading

GONE = "the device closed the connection"


@implementer(INeeds, IChecksAddresses, IListens)
class DialogueType:
    """A kind of TCP datasource: a name, settings, and what makes a dialogue for each connection."""

    name: str
    settings: type[StreamSettings]

    def __init__(self, reactor: IReactor) -> None:
        self._reactor = reactor

    def dialogues(self, settings: Any) -> Callable[[], Dialogue]:
        """The factory of dialogues for new connections of a datasource with these settings."""
        raise NotImplementedError

    def build(self, settings: Any, context: DatasourceContext) -> StreamSource:
        """See `IDatasourceType.build`."""
        make = self.dialogues(settings)
        return StreamSource(settings, context, lambda connection: DialogueRunner(connection, make()))

    def open_to_all(self, settings: StreamSettings, context: DatasourceContext) -> str:
        """See `IListens.open_to_all`."""
        return unproved(settings.interface)

    def needs(self, settings: StreamSettings, context: DatasourceContext) -> list[Need]:
        """See `INeeds.needs`."""
        return [TcpPort(settings.interface, settings.port)]


class DialogueRunner:
    """A connection's `iotgw.datasources.socket.connection.StreamSession`, driven by a dialogue."""

    _log = Logger()

    def __init__(self, connection: DeviceConnection, dialogue: Dialogue) -> None:
        self._connection = connection
        self._intake = connection.intake
        self._dialogue = dialogue
        self._timer: IDelayedCall | None = None
        self._reachable: dict[str, Callable[[], None]] = {}

    # --- StreamSession ---

    @property
    def pending(self) -> int:
        """See `StreamSession.pending`."""
        return self._dialogue.pending

    def received(self, data: bytes) -> None:
        """See `StreamSession.received`."""
        self._run(self._dialogue.received(data, self._connection.now_ms()))

    def ended(self) -> None:
        """See `StreamSession.ended`."""
        self._run(self._dialogue.ended(self._connection.now_ms()))

    def closed(self, clean: bool) -> None:
        """See `StreamSession.closed`."""
        self._wait(None)
        for identity in list(self._reachable):
            self._be_unreachable(identity)
        self._run(self._dialogue.closed(clean, self._connection.is_heard))

    # --- actions ---

    def _run(self, actions: Actions) -> None:
        for action in actions:
            match action:
                case Submit(reading=reading):
                    self._submit(reading)
                case Malformed():
                    self._connection.reject(action.data, action.facts, action.reason)
                case Write(data=data, items=items):
                    self._connection.write(data)
                    for item in items:
                        self._intake.downlink_sent(item)
                case Confirmed(items=items):
                    for item in items:
                        self._intake.downlink_delivered(item)
                case Lost(items=items, reason=reason):
                    self._lose(items, reason)
                case Wait(seconds=seconds):
                    self._wait(seconds)
                case Ask():
                    self._ask(action)
                case Reachable(identity=identity):
                    self._be_reachable(identity)
                case Unreachable(identity=identity):
                    self._be_unreachable(identity)
                case Close():
                    self._connection.close()

    def _submit(self, reading: Reading) -> None:
        connection, identity = self._connection, reading.identity

        def answered(answer: Answer) -> None:
            if answer.reply is not None:
                connection.reply(answer.reply)
            if connection.is_open:
                self._run(self._dialogue.answered(identity, answer.downlinks))
            else:
                self._lose(answer.downlinks, GONE)

        metadata = reading.metadata(connection.metadata)
        connection.submit(reading.payload, metadata, answered)

    def _command(self, identity: str, items: tuple[Downlink, ...]) -> None:
        if self._connection.is_open:
            self._run(self._dialogue.command(identity, items))
        else:
            self._lose(items, GONE)

    def _ask(self, ask: Ask) -> None:
        self._connection.preparing()  # a device that has closed its side still gets them
        more = self._intake.downlinks(ask.identity, ask.limit)
        more.addErrback(lambda _: ())
        more.addCallback(lambda rest: self._command(ask.identity, (*ask.besides, *rest)))
        more.addErrback(lambda failure: self._log.failure("commands could not be sent", failure))
        more.addCallback(lambda _: self._connection.prepared())

    def _lose(self, items: tuple[Downlink, ...], reason: str) -> None:
        for item in items:
            self._intake.downlink_lost(item, reason)

    def _wait(self, seconds: float | None) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None if seconds is None else self._connection.clock.callLater(seconds, self._wake)

    def _wake(self) -> None:
        self._run(self._dialogue.woke(self._connection.now_ms()))

    def _be_reachable(self, identity: str) -> None:
        if self._connection.is_open and identity not in self._reachable:
            send = partial(self._command, identity)
            self._reachable[identity] = self._intake.reachable(identity, send)

    def _be_unreachable(self, identity: str) -> None:
        forget = self._reachable.pop(identity, None)
        if forget is not None:
            forget()

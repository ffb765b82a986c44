"""The type ``mqtt``: makes subscriptions, and ends the sessions that they leave at their brokers."""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.connect.mqtt_broker import endpoint
from iotgw.core.clock import PlainCalendar
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.datasources import (
    DatasourceContext,
    IForgets,
    IHasPresets,
    IRunsOnce,
    IVouches,
    PresetAbout,
)
from iotgw.core.times import DateMs
from iotgw.datasources.mqtt.datasource import MqttDatasource
from iotgw.datasources.mqtt.retained import Retained, file_of
from iotgw.datasources.mqtt.session import Kept, LeftSessions, Memory, end
from iotgw.datasources.mqtt.settings import MqttSourceSettings
from iotgw.datasources.platforms import over_mqtt
from iotgw.envelopes.envelope import Envelope

CONNECT_TIMEOUT = 30.0


@implementer(IForgets, IVouches, IHasPresets, IRunsOnce)
class MqttSourceType:
    """The ``mqtt`` datasources of a gateway."""

    name = "mqtt"
    settings = MqttSourceSettings

    def __init__(self, reactor: IReactorTime, connector: IConnector) -> None:
        self._connector = connector
        self._reactor = reactor
        self._born = reactor.seconds()
        self._ending: dict[tuple[str, str], Deferred[None]] = {}
        """Sessions that are being ended, by broker and client id; a datasource that wants the same one
        waits."""

    def build(self, settings: MqttSourceSettings, context: DatasourceContext) -> MqttDatasource:
        """See `IDatasourceType.build`."""
        made = MqttDatasource(settings, context, self._endpoint(settings), self.envelope(settings))
        # saved by a version that had another default, and without a session since
        made.is_new_default = settings.clean_session is None and self._is_older(context)
        made.begins = partial(self.end_left, settings, context)
        made.after = self._ending.get((settings.broker.place, made.client_id))
        return made

    def vouches(self, settings: Any) -> bool:
        """See `IVouches.vouches`: a broker knows its clients, and who publishes where."""
        return True

    def presets(self) -> list[PresetAbout]:
        """See `IHasPresets.presets`."""
        return over_mqtt()

    def _is_older(self, context: DatasourceContext) -> bool:
        """Whether a datasource was saved before this process began."""
        calendar = context.calendar or PlainCalendar(self._reactor)
        created_ms = DateMs(context.created_ms)
        return created_ms > 0 and calendar.moment_ms(created_ms) < self._born * 1000

    def forget(self, settings: Any, context: DatasourceContext, successor: Any) -> Deferred[None] | None:
        """See `IForgets.forget`: end the session at the broker, unless the successor goes on with it."""
        client = settings.client(context.id)
        goes_on = (
            isinstance(successor, MqttSourceSettings)
            and (successor.broker.place, successor.client(context.id)) == (settings.broker.place, client)
        )  # fmt: skip
        if goes_on:
            return None
        Retained(file_of(context.data_dir, context.id), lambda reason: None).forget()
        memory, left = self._remembered(context)
        kept = memory.kept
        if kept is not None and kept.is_of(settings.broker.place, client):
            left.add(kept)
        if successor is None:
            memory.forget()
        elif kept is not None:
            memory.keep(Kept())  # not as if it had never had a session
        ended: Deferred[None] | None = None
        for session in left.all:
            if session.is_of(settings.broker.place, client):
                ended = self._end(session, settings, context)
        return ended

    def end_left(self, settings: MqttSourceSettings, context: DatasourceContext) -> None:
        """End the sessions that a datasource's earlier settings left when a process was killed before it could. What can't be
        ended with the present settings is told of."""
        place, client = settings.broker.place, settings.client(context.id)
        memory, left = self._remembered(context)
        if memory.kept is not None and memory.kept.broker and not memory.kept.is_of(place, client):
            left.add(memory.kept)
        for session in left.all:
            if session.is_of(place, client):
                left.remove(session)
            elif (session.broker, session.client_id) in self._ending:
                continue
            elif session.broker == place:
                self._end(session, settings, context)
            else:
                left.remove(session)
                _tell_left(context, session, "the datasource has another broker now")

    def _remembered(self, context: DatasourceContext) -> tuple[Memory, LeftSessions]:
        def trouble(reason: str) -> None:
            context.intake.event("failed", reason, "warning")

        where = context.data_dir, context.id
        return Memory(*where, trouble), LeftSessions(*where, trouble)

    def _end(self, session: Kept, settings: MqttSourceSettings, context: DatasourceContext) -> Deferred[None]:
        """End a session at the broker of some settings; never fails."""
        key = session.broker, session.client_id

        def failed(failure: Failure) -> None:
            _tell_left(context, session, failure.getErrorMessage())

        def over(_: object) -> None:
            self._ending.pop(key, None)
            self._remembered(context)[1].remove(session)

        ended = end(self._endpoint(settings), session.client_id, settings, context.reactor)
        self._ending[key] = ended
        return ended.addErrback(failed).addCallback(over)

    def _endpoint(self, settings: MqttSourceSettings) -> IStreamClientEndpoint:
        return endpoint(settings, self._connector, self._reactor, CONNECT_TIMEOUT)

    def envelope(self, settings: Any) -> Envelope:
        """The envelope of a datasource with these settings."""
        made: Envelope = settings.envelope()
        return made


def _tell_left(context: DatasourceContext, session: Kept, reason: str) -> None:
    context.intake.event(
        "session-left",
        f"the session of {session.client_id} could not be ended at {session.broker}, which keeps messages for it until "
        f"it expires there: {reason}",
        "warning",
    )

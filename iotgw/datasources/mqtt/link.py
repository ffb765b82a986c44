"""One connection to an MQTT broker: subscriptions, messages in, acknowledgements and downlinks out."""

from __future__ import annotations

from collections import deque
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from iotgw.core.errors import ProtocolError
from iotgw.core.model import Answer, Downlink, Status
from iotgw.envelopes.lobaro import downlink_cbor
from iotgw.wire import mqtt

CLIENT_ID_REFUSED = {2, 0x85}
"""CONNACK codes: identifier rejected (MQTT 3.1.1 §3.2.2.3), client identifier not valid (MQTT 5.0 §3.2.2.2)."""
HANDSHAKE = 15.0
"""Seconds from the connection to the broker's word."""


class MqttLink(Protocol):
    """One connection. ``ready`` fires when its subscriptions stand, or fails.

    ``datasource`` and ``settings`` are those of `iotgw.datasources.mqtt.datasource`.
    """

    transport: Any

    def __init__(self, datasource: Any, settings: Any) -> None:
        self._datasource = datasource
        self._settings = settings
        self._intake = datasource.intake
        self._clock = datasource.clock
        version = mqtt.V5 if self._settings.version == "5" else mqtt.V311
        self._session = mqtt.Session(version, hold=True, received=datasource.received)
        self.ready: Deferred[Any] = Deferred(lambda _: self._end("stopped"))
        self._is_ready = False
        self._is_open = True
        self._is_paused = False
        self._reason = ""
        self._waiting: deque[mqtt.Arrived] = deque()
        self._acks: list[bytes] = []
        self._downlinks: dict[int, Downlink] = {}
        self._stale: tuple[str, ...] = ()
        """Filters of the session that stays, which the settings no longer name."""
        self._timer: Any = None
        self._heard_at = 0.0

    # --- Twisted ---

    def connectionMade(self) -> None:
        """Introduce ourselves."""
        settings = self._settings
        is_kept = not settings.clean_session
        self.transport.write(
            self._session.connect(
                self._datasource.client_id,
                settings.keepalive,
                settings.username or None,
                settings.password or None,
                receive_maximum=settings.receive_maximum,
                clean=not is_kept,
                expiry=settings.session_expiry if is_kept and settings.version == "5" else 0,
            )
        )
        self._heard_at = self._clock.seconds()
        self._timer = self._clock.callLater(HANDSHAKE, self._too_slow)

    def dataReceived(self, data: bytes) -> None:
        """What the broker says."""
        self._heard_at = self._clock.seconds()
        try:
            events = self._session.receive(data)
        except ProtocolError as error:
            self._end(str(error))
            return
        if out := self._session.to_send():
            self.transport.write(out)
        for event in events:
            self._heard(event)
        self._hand_over()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The broker keeps what was not acknowledged; what was sent down may not have arrived."""
        self._is_open = False
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        said = self._reason or f"the connection was lost: {reason.getErrorMessage()}"
        for downlink in self._downlinks.values():
            self._intake.downlink_lost(downlink, said)
        self._downlinks.clear()
        # QoS 0 was never the broker's to keep
        self._waiting = deque(message for message in self._waiting if not message.qos)
        self._datasource.lost(self, said)
        if not self._is_ready:
            self._is_ready = True
            self.ready.errback(ConnectionError(said))

    # --- from the broker ---

    def _heard(self, event: mqtt.Event) -> None:
        if isinstance(event, mqtt.Arrived):
            self._datasource.counts["messages"] += 1
            self._waiting.append(event)
        elif isinstance(event, mqtt.Acknowledged):
            for id_ in event.ids:
                if (downlink := self._downlinks.pop(id_, None)) is not None:
                    self._intake.downlink_delivered(downlink)
        elif isinstance(event, mqtt.NotTaken):
            if (downlink := self._downlinks.pop(event.id, None)) is not None:
                self._intake.downlink_lost(downlink, f"the broker refused it: {event.reason}")
        elif isinstance(event, mqtt.Connected):
            self._stale = self._datasource.welcome(event)
            if self._stale:
                self.transport.write(self._session.unsubscribe(self._stale)[1])
            filters = [(topic, self._settings.qos) for topic in self._settings.filters]
            self.transport.write(self._session.subscribe(filters)[1])
        elif isinstance(event, mqtt.Refused):
            self._refused(event)
        elif isinstance(event, mqtt.Unsubscribed):
            codes = event.codes or [0] * len(self._stale)
            refused = [topic for topic, code in zip(self._stale, codes, strict=False) if code >= 0x80]
            self._datasource.unsubscribed(refused)
        elif isinstance(event, mqtt.Subscribed) and not self._is_ready:
            self._subscribed(event)

    def _refused(self, event: mqtt.Refused) -> None:
        reason = f"the broker refused: {event.reason}"
        if (
            not self._session.connected
            and event.code in CLIENT_ID_REFUSED
            and not self._settings.clean_session
        ):
            reason += (
                f". It takes no session that stays for the client id {self._datasource.client_id!r}: "
                "set a clientId that it takes, or cleanSession = true"
            )
        self._end(reason)

    def _too_slow(self) -> None:
        if self._is_paused:  # what a kept session held back fills the gateway before SUBACK is read
            self._timer = self._clock.callLater(HANDSHAKE, self._too_slow)
        else:
            self._end("the broker took the connection and said nothing")

    def _subscribed(self, event: mqtt.Subscribed) -> None:
        refused = [
            topic for topic, code in zip(self._settings.filters, event.codes, strict=False) if code >= 0x80
        ]
        if refused:
            self._end(f"the broker refused the subscription to {', '.join(refused)}")
            return
        self._is_ready = True
        self._timer.cancel()
        self._timer = self._clock.callLater(self._settings.keepalive / 2, self._keep_alive)
        self._datasource.connected(self)
        self.ready.callback(self)

    def _keep_alive(self) -> None:
        if self._clock.seconds() - self._heard_at > 1.5 * self._settings.keepalive and not self._is_paused:
            self._end("the broker does not answer pings")
            return
        self.transport.write(mqtt.PING)
        self._timer = self._clock.callLater(self._settings.keepalive / 2, self._keep_alive)

    def _end(self, reason: str) -> None:
        self._reason = reason
        if self.transport is not None:
            self.transport.abortConnection()

    # --- to the gateway ---

    def _hand_over(self) -> None:
        """Messages go in order; while the gateway is full, nothing is read and nothing acknowledged."""
        while self._waiting and self._intake.room:
            self._submit(self._waiting.popleft())
        if self._waiting and not self._is_paused:
            self._pause()
            self._intake.when_room(self._go_on)

    def _pause(self) -> None:
        self._is_paused = True
        self._datasource.counts["paused"] += 1
        if self._is_open:
            self.transport.pauseProducing()

    def _submit(self, message: mqtt.Arrived) -> None:
        payload, facts = self._datasource.message(message)

        def answered(answer: Answer) -> None:
            if answer.status is Status.BUSY:
                self._again(message, answer.retry_after or 1.0)
                return
            self._acknowledge(message)
            if answer.downlinks:
                self._datasource.publish(facts.get("identity", ""), message.topic, answer.downlinks)

        # without a topic for downlinks none may be taken from the queue
        self._intake.receive(payload, facts, answered, listens=bool(self._settings.downlink_topic))

    def _again(self, message: mqtt.Arrived, after: float) -> None:
        if not self._is_open and message.qos:
            return  # the broker sends it again by itself
        self._waiting.appendleft(message)
        if not self._is_paused:
            self._pause()
            self._clock.callLater(after, self._intake.when_room, self._go_on)

    def _go_on(self) -> None:
        self._is_paused = False
        self._hand_over()
        if not self._is_paused and self._is_open:
            # what the broker said meanwhile has not been read
            self._heard_at = self._clock.seconds()
            self.transport.resumeProducing()

    def _acknowledge(self, message: mqtt.Arrived) -> None:
        """Acknowledgements of one commit leave in one write."""
        ack = self._session.acknowledge(message)
        if not ack or not self._is_open:
            return
        if not self._acks:
            self._clock.callLater(0, self._flush)
        self._acks.append(ack)

    def _flush(self) -> None:
        acks, self._acks = self._acks, []
        if self._is_open:
            self.transport.write(b"".join(acks))

    # --- to devices ---

    def publish(self, topic: str, downlink: Downlink) -> None:
        """Send a downlink; with QoS 1 and 2 it is delivered when the broker acknowledges it."""
        payload = downlink_cbor(downlink.payload) if self._settings.preset == "lobaro" else downlink.payload
        qos = self._settings.downlink_qos
        id_, data = self._session.publish(topic.encode(), payload, qos)
        if id_:
            self._downlinks[id_] = downlink
        self.transport.write(data)
        self._intake.downlink_sent(downlink)

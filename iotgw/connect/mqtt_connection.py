"""One connection to an MQTT broker: sending, receiving, and how long the broker may be silent."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, IReactorTime, ISSLTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.connect import mqtt_reasons
from iotgw.connect.endpoint import in_words
from iotgw.connect.mqtt_engine import Engine, NotSent
from iotgw.connect.mqtt_owner import HANDSHAKE, Greeting, Item, MqttOwner, Topics
from iotgw.core.errors import ProtocolError, Unavailable
from iotgw.core.small_reads import read_at_most
from iotgw.core.write_now import write
from iotgw.wire import mqtt

SILENCE = 30.0
"""Seconds within which a broker must acknowledge at least one of the messages in flight."""
FORGOTTEN = 120.0
"""Seconds after which a message that is not acknowledged counts as forgotten, although later ones are acknowledged. A broker
never acknowledges it on this connection any more (MQTT 5.0 §4.4), so it is sent again on the next."""
PONG = 5.0
"""Seconds that a broker is always given to answer a ping."""

FAILED = 0x80
"""Reason codes from here on are failures (MQTT 5.0 §2.4)."""

ONE_READ = 16 << 10
"""Bytes that are read before others have their turn: packets of two bytes are some milliseconds' work."""


@implementer(IPushProducer)
class MqttConnection(Protocol):
    """A connection from the TCP handshake to its end.

    ``ready`` fires with `mqtt.Connected` when the connection is up, or fails. ``ended`` fires when a connection
    that was up has ended, with the numbers of the messages not acknowledged, the reason as text, and Twisted's
    reason.

    Many methods: six are Twisted's, and eight the owner's.
    """

    _log = Logger()
    transport: Any

    def __init__(self, greeting: Greeting, owner: MqttOwner, clock: IReactorTime, engine: Engine) -> None:
        self._greeting = greeting
        self._story = mqtt_reasons.Story(greeting.client_id, greeting.version)
        self.up_at = 0.0
        """When it was up, in seconds of the clock."""
        self._owner = owner
        self._clock = clock
        self._engine = engine
        self.ready: Deferred[mqtt.Connected] = Deferred(lambda _: self.end("stopped"))
        self.ended: Deferred[tuple[list[int], str, Failure]] = Deferred()
        self._limits: mqtt.Connected | None = None
        self._topics = Topics()
        self._is_up = False
        self._is_open = False
        self._is_deaf = False
        self.outstanding: dict[int, int] = {}
        """Packet identifier → the owner's number."""
        self._subscribing = self._unsubscribing = 0
        """Packet identifiers."""
        self._acks: list[bytes] = []
        self._opened_at = self._progress_at = self._heard_at = self._sent_at = 0.0
        self._oldest: tuple[int, int] | None = None
        """The message that has waited longest for its acknowledgement, and since when it is that."""
        self._oldest_since = 0.0
        self._is_pinged = False
        self._reason = ""
        self.is_unexplained = False
        """After its end: whether the broker closed it, and nothing tells why."""
        self._leaving: list[int] = []
        """Numbers of QoS 0 messages that were written to a full transport."""
        self._is_full = False

    # --- Twisted

    def connectionMade(self) -> None:
        """Say CONNECT."""
        self._is_open = True
        self._story.is_tls = ISSLTransport.providedBy(getattr(self.transport, "transport", self.transport))
        self._opened_at = self._heard_at = self._sent_at = self._clock.seconds()
        self.transport.setTcpNoDelay(True)
        read_at_most(self.transport, ONE_READ)
        self.transport.registerProducer(self, True)
        say = self._greeting
        self.transport.write(
            self._engine.connect(
                say.client_id, say.keepalive, say.user, say.password, say.will,
                receive_maximum=say.receive_maximum, clean=say.clean, expiry=say.expiry,
            )
        )  # fmt: skip

    def dataReceived(self, data: bytes) -> None:
        """Read bytes from the broker."""
        self._heard_at = self._clock.seconds()
        self._is_pinged = False
        if self._limits is None and not self._story.first:
            self._story.first = data[:8]
        try:
            self._received(data)
        except ProtocolError as error:
            self.end(str(error))
        except Exception as error:  # the end of the connection returns what is in flight
            self._log.failure("a broker's answer could not be read")
            self.end(f"the broker's answer could not be read: {type(error).__name__}: {error}")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Hand back what was not acknowledged."""
        self._is_open = False
        said = self._said(reason)
        if self._is_up:
            numbers = [*self.outstanding.values(), *self._leaving]
            self.outstanding.clear()
            self.ended.callback((numbers, said, reason))
        elif not self.ready.called:
            self.ready.errback(Unavailable(said))

    def _said(self, reason: Failure) -> str:
        """Why it ended, with what can be done about it."""
        lost = in_words(reason)
        story = self._story
        story.is_greeted, story.is_up = self._limits is not None, self._is_up
        story.is_unanswered = bool(self.outstanding)
        if self._reason:
            said, advice = self._reason, "" if story.is_greeted else mqtt_reasons.of_strangers(story.first)
        else:
            said, advice = f"the connection was lost: {lost}", mqtt_reasons.of_end(story, lost)
            self.is_unexplained = not advice
        return f"{said}. {advice}" if advice else said

    def pauseProducing(self) -> None:
        """The transport's buffer is full."""
        self._is_full = True

    def resumeProducing(self) -> None:
        """The transport has room again."""
        self._is_full = False
        left, self._leaving = self._leaving, []
        if left:
            self._owner.on_acknowledged(left)

    def stopProducing(self) -> None:
        """The connection ends."""

    # --- what the broker says

    def _received(self, data: bytes) -> None:
        events = self._engine.receive(data)
        out = self._engine.to_send()
        if out:
            self.transport.write(out)
        for event in events:
            if type(event) is mqtt.Acknowledged:
                outstanding = self.outstanding
                numbers = [outstanding.pop(id_) for id_ in event.ids if id_ in outstanding]
                if numbers:
                    self._progress_at = self._heard_at
                    self._owner.on_acknowledged(numbers)
            elif type(event) is mqtt.Arrived:
                self._owner.on_message(event)
            else:
                self._other(event)

    def _other(self, event: mqtt.Event) -> None:
        if isinstance(event, mqtt.Connected):
            self._greeted(event)
        elif isinstance(event, mqtt.NotTaken):
            number = self.outstanding.pop(event.id, None)
            if number is not None:
                self._progress_at = self._heard_at
                self._owner.on_refused(number, event.code, event.reason)
        elif isinstance(event, mqtt.Refused):
            hint = self._owner.hint(event) if self._limits is None else ""
            hint = hint or mqtt_reasons.of_refusal(event, self._greeting.client_id, self._greeting.version)
            self.end(f"the broker refused: {event.reason}{hint and f'. {hint}'}")
        elif isinstance(event, mqtt.Subscribed):
            self._subscribed(event)
        elif isinstance(event, mqtt.Unsubscribed) and event.id == self._unsubscribing:
            codes = event.codes or [0] * len(self._topics.stale)  # 3.1.1 has none
            stale = zip(self._topics.stale, codes, strict=False)
            self._owner.on_unsubscribed([filter_ for filter_, code in stale if code >= FAILED])

    def _greeted(self, event: mqtt.Connected) -> None:
        self._limits = event
        self._topics = topics = self._owner.on_greeted(event, self)
        if topics.stale:
            self._unsubscribing, data = self._engine.unsubscribe(topics.stale)
            self.transport.write(data)
        if topics.wanted:
            self._subscribing = self.subscribe(topics.wanted)
        else:
            self._be_up(event)

    def _subscribed(self, event: mqtt.Subscribed) -> None:
        self._story.subscribing = ()
        if event.id != self._subscribing:
            if any(code >= FAILED for code in event.codes):
                self._owner.on_trouble("the broker refused a subscription")
            return
        wanted = zip(self._topics.wanted, event.codes, strict=False)
        refused = [filter_ for (filter_, _), code in wanted if code >= FAILED]
        if refused:
            self.end(f"the broker refused the subscription to {', '.join(refused)}")
        elif self._limits is not None:
            self._be_up(self._limits)

    def _be_up(self, limits: mqtt.Connected) -> None:
        if not self.ready.called:
            self._is_up = True
            self.up_at = self._clock.seconds()
            self.ready.callback(limits)

    # --- for the owner

    def publish(self, items: Sequence[Item], qos: int, retain: bool) -> None:
        """Send messages, in one write."""
        story = self._story
        if not self.outstanding:
            self._progress_at = self._clock.seconds()
            story.largest = 0
        story.qos, story.retain = qos, retain
        engine, outstanding = self._engine, self.outstanding
        out = []
        written = []
        refused: list[tuple[int, NotSent]] = []
        for number, topic, payload, properties in items:
            try:
                id_, data = engine.publish(topic, payload, qos, retain, properties)
            except NotSent as error:
                refused.append((number, error))
                continue
            if id_:
                outstanding[id_] = number
            else:
                written.append(number)
            out.append(data)
            story.largest = max(story.largest, len(payload))
        self._sent_at = self._clock.seconds()
        out.append(engine.to_send())
        write(self.transport, b"".join(out))
        if self._is_full:
            self._leaving += written
        elif written:
            self._owner.on_acknowledged(written)
        for number, why in refused:
            self._owner.on_refused(number, why.code, why.reason)

    def say(self, topic: bytes, payload: bytes) -> None:
        """Publish with QoS 0, without a report to the owner."""
        with suppress(NotSent):  # the connection ends
            data = self._engine.publish(topic, payload, 0)[1]
            self.transport.write(data + self._engine.to_send())

    def subscribe(self, filters: Sequence[tuple[str, int]]) -> int:
        """Subscribe to further topics; returns the packet identifier."""
        id_, data = self._engine.subscribe(filters)
        self._story.subscribing = tuple((filter_, options & 3) for filter_, options in filters)
        self.transport.write(data)
        return id_

    def acknowledge(self, message: mqtt.Arrived) -> None:
        """Acknowledge a message that the engine holds back. The acknowledgements of one commit go out in one
        write.

        After the connection's end only the engine records it, so that a QoS 2 message that comes again is
        recognized.
        """
        ack = self._engine.acknowledge(message)
        if ack and self._is_open:
            if not self._acks:
                self._clock.callLater(0, self._send_acks)
            self._acks.append(ack)

    def _send_acks(self) -> None:
        acks, self._acks = self._acks, []
        if acks and self._is_open:
            self.transport.write(b"".join(acks))

    def stop_reading(self) -> None:
        """Stop reading. The broker's silence is not counted meanwhile."""
        self._is_deaf = True
        if self._is_open:
            self.transport.pauseProducing()

    def start_reading(self) -> None:
        """Read again; what the broker sent meanwhile has not been read yet."""
        self._is_deaf = self._is_pinged = False
        if self._is_open:
            self.transport.resumeProducing()

    def goodbye(self) -> None:
        """Disconnect."""
        self._send_acks()
        self.transport.write(self._engine.goodbye())
        self.transport.loseConnection()

    def end(self, reason: str) -> None:
        """Break the connection."""
        self._reason = self._reason or reason
        if self.transport is not None:
            self.transport.abortConnection()

    # --- time

    def tick(self, now: float) -> None:
        """Check for silence and send pings; called once a second."""
        if not self._is_open:
            return
        if self._is_deaf:
            self._opened_at = self._progress_at = self._heard_at = self._oldest_since = now
        if not self._is_up and now - self._opened_at > HANDSHAKE:
            advice = "" if self._limits is not None else f". {mqtt_reasons.of_silence(self._has_no_tls())}"
            self.end(f"the broker accepted the connection but did not answer{advice}")
        if self._limits is None:
            return
        asked, answered = self._greeting.keepalive, self._limits.keepalive
        keepalive = answered if answered is not None else asked
        if self.outstanding and now - self._progress_at > SILENCE:
            self.end(f"the broker acknowledged nothing for {SILENCE:.0f} s")
        elif self._is_forgotten(now):
            self.end(f"the broker left a message unacknowledged for {FORGOTTEN:.0f} s")
        elif not keepalive:
            return
        elif self._is_pinged and not self._is_deaf:
            if now - self._sent_at > max(PONG, keepalive / 2):
                self.end("the broker does not answer pings")
        elif now - min(self._sent_at, self._heard_at) > keepalive * 0.75:
            self._is_pinged = True
            self._sent_at = now
            self.transport.write(self._engine.ping())

    def _has_no_tls(self) -> bool:
        """Whether TLS was asked for and there is none yet."""
        return self._story.is_tls and self.transport.getPeerCertificate() is None

    def _is_forgotten(self, now: float) -> bool:
        """Whether one message waits for its acknowledgement while later ones get theirs."""
        oldest = next(iter(self.outstanding.items()), None)
        if oldest != self._oldest:
            self._oldest, self._oldest_since = oldest, now
        return oldest is not None and now - self._oldest_since > FORGOTTEN

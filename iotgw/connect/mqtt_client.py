"""A connection to an MQTT broker that is kept up: a Twisted endpoint under an engine (`mqtt_engine`).

Names, TCP, TLS and the broker's silence never hold the reactor. What was published and not acknowledged
when the connection ends is handed back to the one who published it.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, cast
from typing import Protocol as Shape

from msgspec import Struct
from twisted.application.internet import ClientService
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.connect.endpoint import in_words
from iotgw.connect.mqtt_engine import Engine, NotSent
from iotgw.core.backoff import Backoff
from iotgw.core.errors import ProtocolError, Unavailable
from iotgw.core.write_now import write
from iotgw.wire import mqtt

HANDSHAKE = 10.0
"""Seconds from TCP's (or TLS's) connection to CONNACK."""
SILENCE = 30.0
"""Seconds that a broker may take to acknowledge something of what it was sent."""

Item = tuple[int, bytes, bytes, bytes]
"""Position of a record, topic, payload, MQTT 5 properties."""


def client_id(text: str) -> str:
    """A client id with ``{RND}`` replaced by eight random characters."""
    alphabet = string.ascii_lowercase + string.digits
    return text.replace("{RND}", "".join(random.choices(alphabet, k=8)))


class Greeting(Struct, frozen=True):
    """What CONNECT says; ``keepalive`` in seconds, 0 for none."""

    client_id: str
    keepalive: int = 60
    user: str | None = None
    password: str | None = None
    will: mqtt.Will | None = None


class Owner(Shape):
    """Who uses a link."""

    def on_up(self, limits: mqtt.Connected) -> None:
        """The broker said yes."""

    def on_acknowledged(self, seqs: list[int]) -> None:
        """The broker has these."""

    def on_refused(self, seq: int, code: int, reason: str) -> None:
        """The broker doesn't take this one."""

    def on_lost(self, seqs: list[int], reason: str) -> None:
        """The connection ended, or none could be made; these were not acknowledged."""

    def on_message(self, message: mqtt.Arrived) -> None:
        """Something arrived for a subscription."""

    def on_trouble(self, reason: str) -> None:
        """Something that doesn't end the connection."""


@implementer(IPushProducer)
class Conversation(Protocol):
    """One connection. ``ready`` fires with `mqtt.Connected`, or fails."""

    _log = Logger()
    transport: Any

    def __init__(self, greeting: Greeting, owner: Owner, now: Any, engine: Engine) -> None:
        self._greeting = greeting
        self._owner = owner
        self._now = now
        self.session = engine
        self.ready: Deferred[mqtt.Connected] = Deferred(lambda _: self.end("stopped"))
        self.ended: Deferred[list[Failure]] = Deferred()
        self.limits: mqtt.Connected | None = None
        self.outstanding: dict[int, int] = {}
        """Packet identifier → position of the record."""
        self._progress_at = 0.0
        self._heard_at = 0.0
        self._sent_at = 0.0
        self._pinged = False
        self._opened_at = 0.0
        self._reason = ""
        self._unacknowledged: list[int] = []
        """QoS 0: written to a full transport."""
        self._full = False

    def connectionMade(self) -> None:
        """Say CONNECT."""
        self._opened_at = self._now()
        self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self, True)
        say = self._greeting
        self.transport.write(
            self.session.connect(say.client_id, say.keepalive, say.user, say.password, say.will)
        )

    def dataReceived(self, data: bytes) -> None:
        """Hear the broker."""
        self._heard_at = self._progress_at = self._now()
        self._pinged = False
        try:
            self._received(data)
        except ProtocolError as error:
            self.end(str(error))
        except Exception as error:  # the end hands back what is in flight
            self._log.failure("a broker's answer could not be read")
            self.end(f"the broker's answer could not be read: {type(error).__name__}: {error}")

    def _received(self, data: bytes) -> None:
        events = self.session.receive(data)
        out = self.session.to_send()
        if out:
            self.transport.write(out)
        for event in events:
            if type(event) is mqtt.Acknowledged:
                outstanding = self.outstanding
                seqs = [outstanding.pop(id_) for id_ in event.ids if id_ in outstanding]
                if seqs:
                    self._owner.on_acknowledged(seqs)
            else:
                self._other(event)

    def _other(self, event: mqtt.Event) -> None:
        if isinstance(event, mqtt.Connected):
            self.limits = event
            self.ready.callback(event)
        elif isinstance(event, mqtt.NotTaken):
            seq = self.outstanding.pop(event.id, None)
            if seq is not None:
                self._owner.on_refused(seq, event.code, event.reason)
        elif isinstance(event, mqtt.Refused):
            self.end(f"the broker refused: {event.reason}")
        elif isinstance(event, mqtt.Arrived):
            self._owner.on_message(event)
        elif isinstance(event, mqtt.Subscribed) and any(code >= 0x80 for code in event.codes):
            self._owner.on_trouble("the broker refused a subscription")

    def publish(self, items: Sequence[tuple[int, bytes, bytes, bytes]], qos: int, retain: bool) -> None:
        """Send ``(position, topic, payload, properties)`` items, in one write."""
        if not self.outstanding:
            self._progress_at = self._now()
        session, outstanding = self.session, self.outstanding
        out = []
        written = []
        refused: list[tuple[int, NotSent]] = []
        for seq, topic, payload, properties in items:
            try:
                id_, data = session.publish(topic, payload, qos, retain, properties)
            except NotSent as error:
                refused.append((seq, error))
                continue
            if id_:
                outstanding[id_] = seq
            else:
                written.append(seq)
            out.append(data)
        self._sent_at = self._now()
        out.append(session.to_send())
        write(self.transport, b"".join(out))
        if self._full:
            self._unacknowledged += written
        elif written:
            self._owner.on_acknowledged(written)
        for seq, why in refused:
            self._owner.on_refused(seq, why.code, why.reason)

    def say(self, topic: bytes, payload: bytes) -> None:
        """Publish with QoS 0, for nobody's account."""
        with suppress(NotSent):  # the connection ends
            data = self.session.publish(topic, payload, 0)[1]
            self.transport.write(data + self.session.to_send())

    def subscribe(self, filters: Sequence[tuple[str, int]]) -> None:
        """Ask for topics."""
        self.transport.write(self.session.subscribe(filters)[1])

    def tick(self, now: float) -> None:
        """Once a second: silence, keep-alive."""
        if self.limits is None:
            if now - self._opened_at > HANDSHAKE:
                self.end("the broker took the connection and said nothing")
            return
        keepalive = self.limits.keepalive if self.limits.keepalive is not None else self._greeting.keepalive
        if self.outstanding and now - self._progress_at > SILENCE:
            self.end(f"the broker acknowledged nothing for {SILENCE:.0f} s")
        elif keepalive and self._pinged and now - self._sent_at > max(5.0, keepalive / 2):
            self.end("the broker does not answer pings")
        elif keepalive and not self._pinged and now - min(self._sent_at, self._heard_at) > keepalive * 0.75:
            self._pinged = True
            self._sent_at = now
            self.transport.write(self.session.ping())

    def pauseProducing(self) -> None:
        """The transport is full."""
        self._full = True

    def resumeProducing(self) -> None:
        """The transport has room again."""
        self._full = False
        written, self._unacknowledged = self._unacknowledged, []
        if written:
            self._owner.on_acknowledged(written)

    def stopProducing(self) -> None:
        """The connection ends."""

    def end(self, reason: str) -> None:
        """Break the connection."""
        self._reason = reason
        if self.transport is not None:
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Hand back what was not acknowledged."""
        said = self._reason or f"the connection was lost: {in_words(reason)}"
        seqs = [*self.outstanding.values(), *self._unacknowledged]
        self.outstanding.clear()
        if self.limits is None:
            self.ready.errback(Unavailable(said))
            return
        self.limits = None
        self.ended.callback([reason])
        self._owner.on_lost(seqs, said)


class _Welcome:
    """An endpoint whose connection counts as made when the broker said yes; so `ClientService` backs off
    from a broker that refuses as from one that is away."""

    def __init__(self, endpoint: Any, link: Link) -> None:
        self._endpoint = endpoint
        self._link = link

    def connect(self, factory: Any) -> Deferred[Any]:
        conversation = self._link.converse()
        inner = Factory.forProtocol(lambda: conversation)
        inner.noisy = False

        def ready(limits: mqtt.Connected) -> Any:
            outer = factory.buildProtocol(None)
            outer.makeConnection(conversation.transport)
            conversation.ended.addCallback(lambda reasons: outer.connectionLost(*reasons))
            self._link.welcome(conversation, limits)
            return outer

        made: Deferred[Any] = self._endpoint.connect(inner)
        made.addCallback(lambda _: conversation.ready).addErrback(self._link.missed)
        return made.addCallback(ready)


class Link:
    """Keeps one connection up from `start` to `stop`, and is the way to the broker in between.

    ``engine`` makes the one that speaks MQTT on a connection.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        endpoint: Any,
        greeting: Greeting,
        owner: Owner,
        backoff: Backoff,
        engine: Callable[[], Engine],
    ) -> None:
        self._reactor = reactor
        self._engine = engine
        self._greeting = greeting
        self._owner = owner
        self._current: Conversation | None = None
        """The one that is connecting or connected."""
        self.up: Conversation | None = None
        self.last_error = ""
        factory = Factory.forProtocol(Protocol)
        factory.noisy = False
        self._service = ClientService(
            cast(Any, _Welcome(endpoint, self)),
            factory,
            retryPolicy=lambda attempt: backoff.wait(attempt - 1),
            clock=reactor,
        )
        self._loop = LoopingCall(self._tick)
        self._loop.clock = reactor

    def start(self) -> None:
        """Connect, and stay connected."""
        self._service.startService()
        self._loop.start(1.0, now=False).addErrback(
            lambda failure: self._log.failure("the watch over a connection stopped", failure)
        )

    def stop(self) -> Deferred[None]:
        """Say goodbye; fires when the connection is closed."""
        if self._loop.running:
            self._loop.stop()
        if self.up is not None:
            self.up.transport.write(self.up.session.goodbye())
        return self._service.stopService()

    def converse(self) -> Conversation:
        """A new conversation; for the endpoint."""
        self._current = Conversation(self._greeting, self, self._reactor.seconds, self._engine())
        return self._current

    def welcome(self, conversation: Conversation, limits: mqtt.Connected) -> None:
        """The broker said yes; for the endpoint."""
        self.up = conversation
        self._owner.on_up(limits)

    def missed(self, failure: Failure) -> Failure:
        """No connection could be made; for the endpoint."""
        if self._service.running:
            self.last_error = in_words(failure)
            self._owner.on_lost([], self.last_error)
        return failure

    def _tick(self) -> None:
        if self._current is not None and self._current.transport is not None:
            self._current.tick(self._reactor.seconds())

    # --- for the conversation

    def on_lost(self, seqs: list[int], reason: str) -> None:
        """The connection ended."""
        self.up = None
        self.last_error = reason
        self._owner.on_lost(seqs, reason)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("on_"):
            return getattr(self._owner, name)
        raise AttributeError(name)

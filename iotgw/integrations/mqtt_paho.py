"""paho-mqtt as the engine of a connection, in place of `iotgw.wire.mqtt`; as `mqtt_link.Conversation`.

paho opens sockets by itself, blocking; here it gets one in memory, between it and a Twisted transport.
For that, `_create_socket` is overridden, which is private: the range of versions in setup.cfg ends at 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from iotgw.errors import Unavailable
from iotgw.integrations.mqtt_link import HANDSHAKE, SILENCE, Greeting, Item, Owner
from iotgw.integrations.peer import in_words
from iotgw.wire import mqtt


class _Socket:
    """What paho takes for a socket: bytes that came in, and a transport for those that go out."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self.incoming = bytearray()

    def recv(self, size: int) -> bytes:
        if not self.incoming:
            raise BlockingIOError
        data = bytes(self.incoming[:size])
        del self.incoming[:size]
        return data

    def send(self, data: bytes) -> int:
        self._transport.write(bytes(data))
        return len(data)

    def setblocking(self, flag: bool) -> None:
        """It never blocks."""

    def close(self) -> None:
        self._transport.loseConnection()

    def fileno(self) -> int:
        return -1


class _Client(paho.Client):
    """paho, with the socket that it is given."""

    def __init__(self, socket: _Socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._given = socket

    def _create_socket(self) -> Any:
        return self._given


class PahoConversation(Protocol):
    """One connection, spoken by paho. ``ready`` fires with `mqtt.Connected`, or fails."""

    transport: Any

    def __init__(self, greeting: Greeting, owner: Owner, now: Any) -> None:
        self._greeting = greeting
        self._owner = owner
        self._now = now
        self.ready: Deferred[mqtt.Connected] = Deferred(lambda _: self.end("stopped"))
        self.ended: Deferred[list[Failure]] = Deferred()
        self.limits: mqtt.Connected | None = None
        self._five = greeting.version == mqtt.V5
        self._outstanding: dict[int, int] = {}
        self._acknowledged: list[int] = []
        self._opened_at = self._progress_at = 0.0
        self._reason = ""
        self._socket: _Socket
        self._client: _Client

    def connectionMade(self) -> None:
        """Say CONNECT."""
        self._opened_at = self._now()
        self.transport.setTcpNoDelay(True)
        say = self._greeting
        self._socket = _Socket(self.transport)
        self._client = client = _Client(
            self._socket,
            CallbackAPIVersion.VERSION2,
            say.client_id,
            clean_session=None if self._five else True,
            protocol=MQTTProtocolVersion.MQTTv5 if self._five else MQTTProtocolVersion.MQTTv311,
        )
        client.max_inflight_messages_set(65535)
        client.on_connect = self._connected
        client.on_publish = self._published
        client.on_message = self._arrived
        if say.user is not None:
            client.username_pw_set(say.user, say.password)
        if say.will is not None:
            client.will_set(say.will.topic, say.will.payload, say.will.qos, say.will.retain)
        client.connect("twisted", 1883, say.keepalive or 65535)

    def dataReceived(self, data: bytes) -> None:
        """Have paho read it."""
        self._progress_at = self._now()
        self._socket.incoming += data
        while self._socket.incoming:
            if self._client.loop_read() != paho.MQTT_ERR_SUCCESS:
                self.end(self._reason or "the broker broke the protocol, or the connection")
                return
        if self._client.want_write():  # what was said within one of its callbacks, paho keeps back
            self._client.loop_write()
        seqs, self._acknowledged = self._acknowledged, []
        if seqs:
            self._owner.on_acknowledged(seqs)

    def _connected(self, client: Any, data: Any, flags: Any, code: Any, properties: Any) -> None:
        if code.is_failure:
            reason = mqtt.REASONS.get(code.value, str(code))
            self.end(f"the broker refused: {reason}")
            return
        self.limits = mqtt.Connected(
            receive_maximum=getattr(properties, "ReceiveMaximum", 65535),
            maximum_qos=getattr(properties, "MaximumQoS", 2),
            maximum_packet=getattr(properties, "MaximumPacketSize", 268_435_455),
        )
        self.ready.callback(self.limits)

    def _published(self, client: Any, data: Any, mid: int, code: Any, properties: Any) -> None:
        seq = self._outstanding.pop(mid, None)
        if seq is None:
            return
        if code.is_failure:
            self._owner.on_refused(seq, code.value, str(code))
        else:
            self._acknowledged.append(seq)

    def _arrived(self, client: Any, data: Any, message: Any) -> None:
        self._owner.on_message(mqtt.Arrived(message.topic, message.payload, message.qos, message.retain))

    def publish(self, items: Sequence[Item], qos: int, retain: bool) -> None:
        """Send ``(position, topic, payload, properties)`` items."""
        if not self._outstanding:
            self._progress_at = self._now()
        written = []
        for seq, topic, payload, properties in items:
            try:
                info = self._client.publish(topic.decode(), payload, qos, retain, self._said(properties))
            except ValueError as error:
                self._owner.on_refused(seq, 0x90, str(error))
                continue
            if qos:
                self._outstanding[info.mid] = seq
            else:
                written.append(seq)
        if written:
            self._owner.on_acknowledged(written)

    def _said(self, properties: bytes) -> Properties | None:
        """The properties of `mqtt.user_property`, as paho has them."""
        if not properties:
            return None
        size = int.from_bytes(properties[1:3], "big")
        said = Properties(PacketTypes.PUBLISH)
        said.UserProperty = (properties[3 : 3 + size].decode(), properties[5 + size :].decode())
        return said

    def say(self, topic: bytes, payload: bytes) -> None:
        """Publish with QoS 0, for nobody's account."""
        self._client.publish(topic.decode(), payload, 0)

    def subscribe(self, filters: Sequence[tuple[str, int]]) -> None:
        """Ask for topics."""
        self._client.subscribe(list(filters))

    def tick(self, now: float) -> None:
        """Once a second: silence, keep-alive."""
        if self.limits is None:
            if now - self._opened_at > HANDSHAKE:
                self.end("the broker took the connection and said nothing")
        elif self._outstanding and now - self._progress_at > SILENCE:
            self.end(f"the broker acknowledged nothing for {SILENCE:.0f} s")
        elif self._client.loop_misc() != paho.MQTT_ERR_SUCCESS:
            self.end("the broker does not answer pings")

    def end(self, reason: str) -> None:
        """Break the connection."""
        self._reason = reason
        if self.transport is not None:
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Hand back what was not acknowledged."""
        said = self._reason or f"the connection was lost: {in_words(reason)}"
        seqs = list(self._outstanding.values())
        self._outstanding.clear()
        if self.limits is None:
            self.ready.errback(Unavailable(said))
            return
        self.limits = None
        self.ended.callback([reason])
        self._owner.on_lost(seqs, said)

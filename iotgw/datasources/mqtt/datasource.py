"""Devices behind an MQTT broker: a client that subscribes, and acknowledges a message when it is durable.

The broker keeps a message until we acknowledge it. So nothing is lost while the gateway is full, since it then
stops reading, or while it is offline, since the session persists. A message may then come twice; QoS 2 prevents
that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from twisted.application.internet import backoffPolicy
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from zope.interface import implementer

from iotgw.connect.mqtt_client import BrokerAccess, MqttClient
from iotgw.connect.mqtt_engines import holding
from iotgw.connect.mqtt_owner import ArrivalSource, Greeting, MqttOwner, Topics
from iotgw.core.model import DeviceReply, Downlink, Metadata
from iotgw.core.names import unfit
from iotgw.core.ports.datasources import DatasourceContext, IKeepsDownlinks
from iotgw.datasources.frames import held_frames
from iotgw.datasources.mqtt.arrivals import Arrivals, Era, Found
from iotgw.datasources.mqtt.properties import facts as property_facts
from iotgw.datasources.mqtt.retained import Retained, file_of
from iotgw.datasources.mqtt.session import Memory, SessionStanding
from iotgw.datasources.mqtt.settings import MqttSourceSettings
from iotgw.datasources.mqtt.topics import HEAD, LONGEST_TOPIC, at_level, unshared
from iotgw.datasources.notices import Notices
from iotgw.datasources.sampling import SampledEvents
from iotgw.envelopes.envelope import Command, Envelope, Event, Malformed, Reading
from iotgw.wire import mqtt

CLIENT_ID_REFUSED = {2, 0x85}
"""CONNACK codes: identifier rejected (MQTT 3.1.1 §3.2.2.3), client identifier not valid (MQTT 5.0 §3.2.2.2)."""
REPLY = ""
"""The id of a published reply among those of downlinks."""
NO_RETAINED = 0x20
"""The option of a subscription that asks for no retained values (MQTT 5.0 §3.8.3.1)."""


@implementer(IKeepsDownlinks)
class MqttDatasource(MqttOwner):
    """A subscription.

    Many methods: those of `IKeepsDownlinks` and of `MqttOwner`.
    """

    def __init__(
        self,
        settings: MqttSourceSettings,
        context: DatasourceContext,
        endpoint: IStreamClientEndpoint,
        envelope: Envelope,
    ) -> None:
        self.settings = settings
        self.context = context
        self.intake = context.intake
        self.clock: IReactorTime = context.reactor
        self.can_push = bool(settings.downlink_topic) or envelope.addresses
        self.keeps_downlinks = envelope.is_network and self.can_push
        self.intake.never_waits = envelope.is_network
        self.intake.is_shared = True
        self.counts: Counter[str] = Counter()
        self.is_new_default = False
        """Whether an upgrade made its session persistent; reported once."""
        self.begins: Callable[[], None] = lambda: None
        """Ends what an earlier process left at brokers."""
        self.after: Deferred[None] | None = None
        """While an earlier datasource's session with this client id is being ended: fires when that is done."""
        self.client_id = settings.client(context.id)
        self.memory = Memory(context.data_dir, context.id, self._trouble)
        self._retained = Retained(file_of(context.data_dir, context.id), self._trouble)
        self._standing = SessionStanding(settings, self.client_id, self.memory, self.intake)
        self._envelope = envelope
        self._notices = Notices(context.intake, context.reactor, self.counts)
        self._frames = held_frames(settings, envelope, context)
        self._lost_replies = SampledEvents(context.reactor, context.intake, "reply.lost")
        self._is_stopped = False
        self._error = ""
        self._era = Era()
        self._arrivals: Arrivals | None = None
        self._limits = mqtt.Connected()
        self._number = 0
        self._downlinks: dict[int, tuple[Downlink, bool]] = {}
        """Downlinks that the broker has not acknowledged, each with whether a network's receipt counts instead."""
        version = mqtt.V5 if settings.version == "5" else mqtt.V311
        greeting = Greeting(
            self.client_id, settings.keepalive, settings.broker.username or None, settings.broker.password or None,
            receive_maximum=settings.receive_maximum, clean=bool(settings.clean_session),
            expiry=0 if settings.clean_session else settings.session_expiry, version=version,
        )  # fmt: skip
        way = BrokerAccess(endpoint, greeting, holding(version, set()), backoffPolicy(1.0, 60.0))
        self._client = MqttClient(self.clock, way, self)

    # --- IDatasource ---

    def start(self) -> Deferred[None]:
        """Connect in the background, with retries while the broker is unreachable."""
        settings = self.settings
        self.begins()
        if self.is_new_default and self.memory.kept is None:
            self.intake.event(
                "session-kept",
                f"the default of cleanSession is false now: {settings.broker.place} keeps the session of "
                f"{self.client_id}, and messages for it while the gateway is offline; set it to true to have it as before",
                "warning",
            )
        recalled = self.intake.recall() if self._envelope.keys_last else succeed(None)
        return recalled.addCallback(self._connect)

    def _connect(self, _: None) -> None:
        (self.after or succeed(None)).addCallback(self._begin)

    def _begin(self, _: None) -> None:
        if not self._is_stopped:
            self._retained.load()
            self._client.start()

    def stop(self) -> Deferred[None]:
        """Disconnect; fires when the connection is closed."""
        self._is_stopped = True
        return self._client.stop().addCallback(lambda _: self._retained.save())

    def _trouble(self, reason: str) -> None:
        self.intake.event("failed", reason, "warning")

    @property
    def is_connected(self) -> bool:
        """Whether the connection is up and its subscriptions are confirmed."""
        return self._client.up is not None

    def status(self) -> dict[str, Any]:
        """See `iotgw.core.ports.datasources.IDatasource.status`."""
        is_kept = self._standing.is_kept
        return {
            "state": "connected" if self.is_connected else "connecting",
            "address": self.settings.broker.address,
            "clientId": self.client_id,
            **({} if is_kept is None else {"session": "kept" if is_kept else "clean"}),
            **({"lastError": self._error} if self._error else {}),
            **(self._frames.status() if self._frames is not None else {}),
            **self.counts,
        }

    def push(self, metadata: Metadata, downlinks: tuple[Downlink, ...]) -> None:
        """See `IPushes.push`."""
        self._send(str(metadata.get("identity", "")), str(metadata.get("topic", "")), downlinks)

    # --- MqttOwner: connections come and go ---

    def on_greeted(self, limits: mqtt.Connected, reader: ArrivalSource) -> Topics:
        """The broker accepted the connection, with or without an earlier session."""
        if not limits.session_present:
            self._era.is_over = True
            self._era = Era()
        self._limits = limits
        stale = self._standing.greeted(limits)
        self._arrivals = Arrivals(
            self.intake, self.clock, reader, self._era, self._send, self._reply, self.counts,
            self._retained.note if self.settings.retained == "new" else None,
            # without a topic for downlinks nothing may be taken from the queue
            is_kept=bool(self._standing.is_kept), listens=self.can_push, frames=self._frames,
        )  # fmt: skip
        options: int = self.settings.qos
        if self.settings.retained == "none" and self.settings.version == "5":
            options |= NO_RETAINED
        return Topics([(filter_, options) for filter_ in self.settings.filters], stale)

    def on_unsubscribed(self, refused: list[str]) -> None:
        """The broker answered the removal of stale filters."""
        self._standing.unsubscribed(refused)

    def on_up(self, limits: mqtt.Connected) -> None:
        """The subscriptions are confirmed."""
        self._error = ""
        self.intake.event("connected", f"connected to {self.settings.broker.host}")
        if self.keeps_downlinks:
            self.intake.wake_downlinks()

    def on_lost(self, numbers: list[int], reason: str) -> None:
        """The connection ended. The broker keeps unacknowledged uplinks; downlinks that were sent may not have
        arrived."""
        if self._arrivals is not None:
            self._arrivals.close()
            self._arrivals = None
        for number in numbers:
            if (downlink := self._taken_back(number)) is not None:
                self.intake.downlink_lost(downlink, reason)
        if not self._is_stopped and reason != self._error:  # reported once while the reason is the same
            self._error = reason
            self.intake.event("failed", f"{self.settings.broker.host}: {reason}", "error")

    def hint(self, refused: mqtt.Refused) -> str:
        """Advice on a client id that the broker refuses."""
        if refused.code not in CLIENT_ID_REFUSED or self.settings.clean_session:
            return ""
        return (
            f"It takes no session that stays for the client id {self.client_id!r}: "
            "set a clientId that it takes, or cleanSession = true"
        )

    # --- MqttOwner: messages in, downlinks out ---

    def on_message(self, message: mqtt.Arrived) -> None:
        """A device's message."""
        self.counts["messages"] += 1
        if self._arrivals is not None:
            self._arrivals.take(message, self._read(message))

    def on_acknowledged(self, numbers: list[int]) -> None:
        """The broker acknowledged these downlinks; for QoS 0 we only know that they were sent."""
        for number in numbers:
            _, awaits_receipt = self._downlinks.get(number, (None, True))
            downlink = self._taken_back(number)
            if downlink is not None and not awaits_receipt:
                self.intake.downlink_delivered(downlink)

    def on_refused(self, number: int, code: int, reason: str) -> None:
        """The broker refused this downlink."""
        if (downlink := self._taken_back(number)) is not None:
            self.intake.downlink_lost(downlink, f"the broker refused it: {reason}")

    def _read(self, arrived: mqtt.Arrived) -> Iterable[Found]:
        """The uplinks and receipts of a message, each of many when it is asked for. An invalid message is returned itself, to be kept as failed."""
        if arrived.retain and (why := self._left_out(arrived)):
            self.counts[why] += 1
            return []
        level = self.settings.identity_level
        received_ms = self.context.date_ms()
        known: Metadata = {
            "integrationName": self.context.name,
            "protocol": "mqtt",
            "topic": arrived.topic,
            "qos": arrived.qos,
            "retain": arrived.retain,
            "receivedTime": received_ms,
        }
        if arrived.properties is not mqtt.NO_PROPERTIES:
            known |= property_facts(arrived.properties)
        named = at_level(arrived.topic, level) if level else ""
        asked = {**known, "identity": named} if named else known
        events = self._envelope.read(arrived.payload, asked, received_ms)
        found = (each for event in events if (each := self._found(event, known, named)) is not None)
        return list(found) if isinstance(events, list | tuple) else found

    def _found(self, event: Event, known: Metadata, named: str) -> Found | None:
        if isinstance(event, Reading):
            facts = self._facts(known, event.facts, event.identity or named)
            return event.payload, facts, event.listens, event.name if self._envelope.keys_last else ""
        if isinstance(event, Malformed):
            self.counts["faults"] += 1
            return event.data, self._facts(known, {**event.facts, "rejected": event.reason}, named), True, ""
        return self._notices.in_turn(event)

    def _left_out(self, arrived: mqtt.Arrived) -> str:
        """The name under which a retained value is counted that is no reading; empty if it is one."""
        asked = self.settings.retained
        if asked == "none":
            return "retainedLeftOut"
        is_known = asked == "new" and self._retained.is_known(arrived.topic, arrived.payload)
        return "retainedKnown" if is_known else ""

    def _facts(self, known: Metadata, more: Metadata, identity: str) -> Metadata:
        """What is known and what an envelope adds. Without a topic for downlinks, the device is none that they are for."""
        if not more and not identity:
            return known
        facts = {**more, **known}
        if identity:
            facts["identity" if self.can_push else "device"] = identity
        return facts

    def _send(self, identity: str, topic: str, downlinks: tuple[Downlink, ...]) -> None:
        """Publish downlinks for a device; with QoS 1 and 2 one is delivered when the broker acknowledges it."""
        for downlink in downlinks:
            try:
                command = self._envelope.publish(downlink, identity, topic)
            except ValueError as error:
                self.intake.downlink_refused(downlink, str(error))
                continue
            problem = self._publish(identity, topic, downlink, command)
            if problem:
                self.intake.downlink_lost(downlink, problem)
            elif self._awaits_receipt(command):
                self.intake.downlink_offered(downlink)
            else:
                self.intake.downlink_sent(downlink)

    def _reply(self, identity: str, topic: str, reply: DeviceReply) -> None:
        """Publish what a converter has the device answered: as it is, where its downlinks go or where the converter says."""
        item = Downlink(REPLY, identity, reply.payload, reply.content_type)
        try:
            where = reply.topic or self._envelope.publish(item, identity, topic).topic
        except ValueError as error:
            problem = str(error)
        else:
            problem = self._publish(identity, topic, item, Command(reply.payload, topic=where))
        self.counts["repliesLost" if problem else "replies"] += 1
        if problem:
            self._lost_replies.note("", f"a converter's reply was not sent: {problem}")

    def _taken_back(self, number: int) -> Downlink | None:
        """The downlink that was published under this number; None for a reply, of which nobody keeps account."""
        downlink, _ = self._downlinks.pop(number, (None, False))
        return downlink if downlink is not None and downlink.id != REPLY else None

    def _awaits_receipt(self, command: Command) -> bool:
        """Whether a network will say what became of a downlink, so that the broker's acknowledgement doesn't count."""
        return self._envelope.offers if command.awaits_receipt is None else command.awaits_receipt

    def _publish(self, identity: str, topic: str, downlink: Downlink, command: Command) -> str:
        """Publish a downlink or a reply; returns the reason if that is impossible."""
        up, limits = self._client.up, self._limits
        if up is None:
            return "the broker is not connected"
        is_reply = downlink.id == REPLY
        target = str(downlink.metadata.get("topic") or command.topic or self.settings.downlink_topic)
        target = target.replace("{topic}", topic).replace("{identity}", identity)
        if not target or set(target) & {"+", "#"} or unfit(target):
            return f"expected a topic for downlinks, got {target!r}"
        if is_reply and any(mqtt.matches(unshared(filter_), target) for filter_ in self.settings.filters):
            return f"{target!r} is a topic that the datasource subscribes to: its reply would be answered in turn"
        name = target.encode()
        if len(name) > LONGEST_TOPIC:
            return f"expected a topic for downlinks of at most {LONGEST_TOPIC} bytes, got {len(name)}"
        payload = command.payload
        if len(name) + len(payload) + HEAD > limits.maximum_packet:
            return f"{len(payload)} bytes; the broker takes packets of {limits.maximum_packet}"
        qos = min(self.settings.downlink_qos, limits.maximum_qos)
        if qos and len(self._downlinks) >= limits.receive_maximum:
            return "the broker accepts no more unacknowledged messages"
        self._number += 1
        if qos:
            self._downlinks[self._number] = downlink, self._awaits_receipt(command)
        retain = self.settings.downlink_retain and not is_reply and limits.retain_available
        up.publish([(self._number, name, payload, b"")], qos, retain)
        return ""

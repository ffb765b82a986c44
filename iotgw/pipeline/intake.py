"""One datasource's access to the gateway: it accepts uplinks, and passes on reports on downlinks and events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core import proof
from iotgw.core.downlink_item import OFFERED
from iotgw.core.fixed_metadata import FixedMetadata
from iotgw.core.identities import told_apart_by
from iotgw.core.model import Answer, Became, Downlink, Metadata, Status, Uplink
from iotgw.core.platform_names import NamesAsTheyCome
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.downlinks import IDownlinks
from iotgw.core.ports.intake import Guard, IIntake, Reason, Reply, Send, Severity
from iotgw.core.ports.journal import IUplinkStream
from iotgw.core.ports.platform_names import IPlatformNames
from iotgw.core.ports.speakers import ISpeakers
from iotgw.core.proof import Proved
from iotgw.core.recorder import Recorder
from iotgw.core.refusals import Refusals
from iotgw.core.specs import DatasourceSpec
from iotgw.core.times import DateMs
from iotgw.pipeline.admission import BUSY, REFUSED, TOO_LARGE, Admission
from iotgw.pipeline.long_poll import LongPoll
from iotgw.pipeline.naming import DeviceNaming
from iotgw.pipeline.rejections import kept_unconverted
from iotgw.pipeline.repeats import MOST, FirstTry, KnownKeys, Repeats, bounded
from iotgw.pipeline.sources import Source

_encode = msgspec.json.Encoder().encode
KEY = "uplinkKey"
"""Where a message's metadata has its key."""


@implementer(IIntake)
class Intake:
    """What a datasource sees of the gateway; ``source`` is its entry in the pipeline.

    Many methods: those of the port.
    """

    def __init__(
        self,
        source: Source,
        journal: IUplinkStream,
        admission: Admission,
        long_poll: LongPoll,
        downlinks: IDownlinks,
        recorder: Recorder,
        calendar: ICalendar,
        clock: IReactorTime,
        speakers: ISpeakers,
        known_keys: KnownKeys | None = None,
        names: IPlatformNames | None = None,
    ) -> None:
        self._source = source
        self._journal = journal
        self._admission = admission
        self._long_poll = long_poll
        self._downlinks = downlinks
        self._recorder = recorder
        self._calendar = calendar
        self._speakers = speakers
        self.proves = False
        self.repeats = Repeats(known_keys)
        """The keys of the latest uplinks."""
        self._recalled: Deferred[None] | None = None
        self.naming = DeviceNaming(source, names or NamesAsTheyCome(), self.event)
        self.refusals = Refusals(clock, self.event)

    # --- uplinks ---

    @property
    def room(self) -> bool:
        """Whether uplinks are accepted now."""
        return self._admission.room_of(self._source.id)

    @property
    def sets_facts(self) -> bool:
        """See `IIntake.sets_facts`."""
        return "session" in self._source.says

    @property
    def guard(self) -> Guard | None:
        """See `IIntake.guard`."""
        return self._source.guard

    @guard.setter
    def guard(self, guard: Guard | None) -> None:
        self._source.guard = guard

    @property
    def is_shared(self) -> bool:
        """See `IIntake.is_shared`."""
        return self._source.is_shared

    @is_shared.setter
    def is_shared(self, is_so: bool) -> None:
        self._source.is_shared = is_so

    @property
    def sends_once(self) -> bool:
        """See `IIntake.sends_once`."""
        return self._source.sends_once

    @sends_once.setter
    def sends_once(self, is_so: bool) -> None:
        self._source.sends_once = is_so

    @property
    def never_waits(self) -> bool:
        """See `IIntake.never_waits`."""
        return self._source.never_waits

    @never_waits.setter
    def never_waits(self, is_so: bool) -> None:
        self._source.never_waits = is_so

    def receive(
        self,
        payload: bytes,
        metadata: Metadata,
        answer: Reply,
        received_ms: int = 0,
        listens: bool = True,
        key: str = "",
    ) -> None:
        """See `IIntake.receive`."""
        if key:
            key = bounded(key)
            if (known := self.repeats.find(key)) is not None:
                self._repeated(known, metadata, answer, listens)
                return
            metadata = {**metadata, KEY: key}
            answer = self.repeats.expect(key, answer).answered
        if "deviceName" in metadata:
            named = self.naming.named(metadata)
            if named is None:
                asked = self.naming.ask(metadata)
                asked.addCallback(lambda told: self._accept(payload, told, answer, received_ms, listens))
                asked.addErrback(lambda failure: self._unnamed(answer))
                return
            metadata = named
        self._accept(payload, metadata, answer, received_ms, listens)

    def _unnamed(self, answer: Reply) -> None:
        """Nobody can say now whose a name is: the message is sent again."""
        self._source.counts["refused"] += 1
        answer(BUSY)

    def _repeated(self, known: FirstTry | str, metadata: Metadata, answer: Reply, listens: bool) -> None:
        """An uplink came again: answer like the first time. Its sender may not have got the first answer, so a downlink that
        still waits goes with this one."""
        source = self._source
        self.repeats.count += 1
        if isinstance(known, FirstTry):
            known.wait(answer)
            return
        identity = told_apart_by(metadata.get("identity"), metadata.get("devEui")) if listens else ""
        if not identity or identity not in self._downlinks.waited_for(source.tenant):
            answer(Answer(Status.STORED, known))
            return
        proved = proof.proved_in(metadata) if self.proves else ""

        def taken(items: tuple[Downlink, ...]) -> None:
            answer(Answer(Status.STORED, known, 0.0, items))

        self._downlinks.take(source.tenant, identity, source.id, 1, taken, proved)

    def recall(self) -> Deferred[None]:
        """See `IIntake.recall`."""
        if self._recalled is None:
            self._recalled = self._journal.latest_keys(self._source.id, MOST).addCallbacks(
                self._learn, self._unknown
            )
        done: Deferred[None] = Deferred()
        self._recalled.addCallback(done.callback)
        return done

    def _learn(self, found: list[tuple[str, int]]) -> None:
        name = self._journal.epochs.message_id
        self.repeats.learn((key, name(seq)) for key, seq in found)

    def _unknown(self, failure: Failure) -> None:
        """Better a message twice than a datasource that doesn't open."""
        reason = failure.getErrorMessage()
        self.event("failed", f"messages that are sent again may be stored twice: {reason}", "warning")

    def receive_and_hold(
        self, payload: bytes, metadata: Metadata, answer: Reply, ttd: float
    ) -> Callable[[], None]:
        """See `IIntake.receive_and_hold`."""
        source = self._source
        proved = proof.proved_in(metadata) if self.proves else ""
        held = self._long_poll.hold(source, str(metadata.get("identity", "")), answer, proved)
        if held is None:
            self._accept(payload, metadata, answer)
            return _nothing
        self._long_poll.begin(held, self._accept(payload, metadata, held.answered), ttd)
        return held.let_go

    def reject(self, payload: bytes, metadata: Metadata, reason: str) -> None:
        """See `IIntake.reject`."""
        self._accept(payload, {**metadata, "rejected": reason}, _nobody, listens=False)

    def _accept(
        self, payload: bytes, metadata: Metadata, answer: Reply, received_ms: int = 0, listens: bool = True
    ) -> int:
        """Hand an uplink to the journal. Returns its position, or 0 if it was refused."""
        source, admission = self._source, self._admission
        if source.turned_away and self._is_turned_away(metadata):
            answer(REFUSED)
            return 0
        if not admission.room and not admission.spills(source.id):
            source.counts["refused"] += 1
            answer(BUSY)
            return 0
        if len(payload) > admission.max_payload:
            self._oversized("payload", len(payload), admission.max_payload)
            answer(TOO_LARGE)
            return 0
        encoded = metadata.encoded if type(metadata) is FixedMetadata else None
        if encoded is None or encoded[0] is not source.spec:
            encoded = self._encoded(metadata)
        text = encoded[1]
        if len(text) > admission.max_metadata:
            self._oversized("metadata", len(text), admission.max_metadata)
            answer(TOO_LARGE)
            return 0
        if source.limits is not None and (beyond := source.limits.take(encoded[2])) is not None:
            if not beyond.is_kept:
                source.counts["refused"] += 1
                answer(Answer(Status.BUSY, retry_after=beyond.wait, is_limited=True))
                return 0
            text = self._encoded({**metadata, **kept_unconverted(beyond.reason)})[1]
        date_ms = DateMs(received_ms) if received_ms else self._calendar.now_ms()
        uplink = Uplink(source.tenant, source.id, date_ms, payload, text)
        return self._journal.append(uplink, (answer, encoded[2] if listens else None))

    def _encoded(self, metadata: Metadata) -> tuple[DatasourceSpec, bytes, str]:
        """The text of a message's metadata and the identity in it, by the settings of now."""
        spec, told = self._source.spec, metadata
        if spec.metadata:
            told = {**proof.without(spec.metadata), **told}
        if not self.proves and not told.keys().isdisjoint(proof.KEYS):
            told = proof.without(told)
        encoded = spec, _encode(told), told_apart_by(told.get("identity", ""), told.get("devEui"))
        if type(metadata) is FixedMetadata:
            metadata.encoded = encoded
        return encoded

    def _is_turned_away(self, metadata: Metadata) -> bool:
        """Whether a sender's last message was refused because nobody knows the device; counted."""
        source, identity = self._source, metadata.get("identity")
        if source.spec.unknown_devices != "refuse" or not source.turned_away.has(identity):
            return False
        source.counts["refused"] += 1
        self.refuse("device", str(metadata.get("remoteIp", "")), f"nobody knows the device of {identity!r}")
        return True

    def _oversized(self, what: str, size: int, limit: int) -> None:
        """Count an uplink that is too large, and say so once a minute."""
        self._source.counts["refused"] += 1
        more = self._admission.oversized(self._source.id)
        if more is not None:
            before = f" ({more} more before)" if more else ""
            text = f"a message was refused: expected at most {limit} bytes of {what}, got {size}{before}"
            self.event("oversized", text, "warning", size=size, limit=limit)

    def when_room(self, callback: Callable[[], None]) -> None:
        """See `IIntake.when_room`."""
        self._admission.when_room(self._source.id, callback)

    def when_away(self, spills: bool) -> None:
        """Whether its uplinks are spilled while the database is away, or refused."""
        self._journal.when_away(self._source.id, spills)

    # --- events ---

    def event(self, type: str, message: str, severity: Severity = "info", **detail: Any) -> None:
        """See `IIntake.event`."""
        source = self._source
        self._recorder.note(type, "datasource", source.spec.name, message, source.tenant, severity, **detail)

    def refuse(self, reason: Reason, peer: str, message: str) -> None:
        """See `IIntake.refuse`."""
        self.refusals.note(reason, peer, message)

    # --- downlinks ---

    def downlink_sent(self, downlink: Downlink) -> None:
        """See `IIntake.downlink_sent`."""
        self._downlinks.outcome(downlink.id, "sent")

    def downlink_delivered(
        self, downlink: Downlink, is_certain: bool = True, result: Metadata | None = None
    ) -> None:
        """See `IIntake.downlink_delivered`."""
        self._downlinks.outcome(downlink.id, "delivered" if is_certain else "answered", "", result)

    def downlink_carried_out(self, downlink: Downlink, result: Metadata | None = None) -> None:
        """See `IIntake.downlink_carried_out`."""
        self._downlinks.outcome(downlink.id, "carried out", "", result)

    def downlink_lost(self, downlink: Downlink, reason: str, result: Metadata | None = None) -> None:
        """See `IIntake.downlink_lost`."""
        self._downlinks.outcome(downlink.id, "lost", reason, result)

    def downlink_refused(self, downlink: Downlink, reason: str, result: Metadata | None = None) -> None:
        """See `IIntake.downlink_refused`."""
        self._downlinks.outcome(downlink.id, "refused", reason, result)

    def downlink_returned(self, downlink: Downlink) -> None:
        """See `IIntake.downlink_returned`."""
        self._downlinks.outcome(downlink.id, "returned")

    def downlink_offered(self, downlink: Downlink, network: str = "") -> None:
        """See `IIntake.downlink_offered`."""
        name = self._named(network)
        self._downlinks.outcome(downlink.id, "offered", OFFERED, None, name)

    def downlink_confirmed(
        self,
        device: str,
        became: Became,
        reason: str = "",
        item: str = "",
        network: str = "",
        proved: Proved = "",
    ) -> Deferred[bool]:
        """See `IIntake.downlink_confirmed`."""
        source, name = self._source, self._named(network)
        return self._downlinks.confirmed(source.tenant, device, source.id, became, reason, item, name, proved)

    def _named(self, network: str) -> str:
        """What a network calls an item, told apart from what another one does."""
        return f"{self._source.id}/{network}" if network else ""

    def downlink_waits(self, downlink: Downlink) -> bool:
        """See `IIntake.downlink_waits`."""
        return self._downlinks.is_waiting(downlink.id)

    def wake_downlinks(self) -> None:
        """See `IIntake.wake_downlinks`."""
        self._downlinks.wake(self._source.id)

    def objection(self, device: str, proved: Proved = "") -> str:
        """See `IIntake.objection`."""
        return self._speakers.taking_objection(self._source.tenant, self._source.id, device, proved)

    def identity_objection(self, identity: str, proved: Proved = "") -> str:
        """See `IIntake.identity_objection`."""
        return self._speakers.identity_objection(self._source.tenant, self._source.id, identity, proved)

    def downlinks(self, device: str, limit: int = 1, proved: Proved = "") -> Deferred[tuple[Downlink, ...]]:
        """See `IIntake.downlinks`."""
        done: Deferred[tuple[Downlink, ...]] = Deferred()
        source = self._source
        if device in self._downlinks.waited_for(source.tenant):
            self._downlinks.take(source.tenant, device, source.id, limit, done.callback, proved)
        else:
            done.callback(())
        return done

    def reachable(self, device: str, send: Send, proved: Proved = "") -> Callable[[], None]:
        """See `IIntake.reachable`."""
        return self._downlinks.reachable(self._source.tenant, device, self._source.id, send, proved)


def _nobody(answer: Answer) -> None:
    """The reply to a rejected frame: none."""


def _nothing() -> None:
    """The callback of an answer that is never held back: it does nothing."""

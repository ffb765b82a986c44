"""An `IIntake` that a test controls: it records what a datasource hands in, and answers at once, later, or not
at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from iotgw.core.model import STORED, Answer, Became, Downlink, Metadata, Output, Status
from iotgw.core.ports.intake import Guard, IIntake, Reason, Reply, Send, Severity
from iotgw.core.proof import Proved


@implementer(IIntake)
class FakeIntake:
    """The gateway as a test plays it for one datasource.

    With ``auto`` each uplink is answered at once, as stored or with ``says``; otherwise when a test calls
    `answer`. A payload larger than ``max_payload`` is TOO_LARGE. With a ``clock`` an answer that is held back
    is sent when its time is over. After `fill` everything is BUSY until `drain`.

    ``queue`` holds the waiting downlinks by device; an answer takes one for the metadata's ``identity``.
    ``outcomes`` are the reports on downlinks: pairs of an id and ``sent``, ``delivered``, ``answered``, ``lost:
    why``, ``returned`` or ``offered``. For a network's receipt, a pair is the item's id or the device, and
    ``confirmed``, ``confirmed as sent``, ``not confirmed: why`` or ``refused by the network: why``.

    Many methods: those of the port, and those that a test calls.
    """

    def __init__(
        self, auto: bool = True, max_payload: int = 1 << 20, clock: IReactorTime | None = None
    ) -> None:
        self._clock = clock
        self.auto = auto
        self.says: Answer | None = None
        self.max_payload = max_payload
        self.room = True
        self.guard: Guard | None = None
        self.proves = False
        self.forbidden: set[str] = set()
        """Devices for which only those may speak who prove what they are."""
        self.sets_facts = False
        self.never_waits = self.is_shared = self.sends_once = False
        self.received: list[tuple[bytes, Metadata]] = []
        self.times: list[int] = []
        """The ``received_ms`` of each uplink."""
        self.held: dict[int, float] = {}
        """Uplinks whose devices listen for an answer, by number, and for how many seconds."""
        self.keys: list[str] = []
        """The keys of uplinks, in order; an uplink with one of them is answered at once, and nothing else."""
        self.recalls = 0
        """How often a datasource asked for earlier keys."""
        self.answers: list[Reply] = []
        self.rejected: list[tuple[bytes, Metadata, str]] = []
        self.events: list[tuple[str, str]] = []
        """``(type, message)``."""
        self.refusals: list[tuple[str, str, str]] = []
        """``(reason, peer, message)``."""
        self.queue: dict[str, list[Downlink]] = {}
        self.outcomes: list[tuple[str, str]] = []
        self.results: dict[str, Metadata] = {}
        """Answers of devices, by the item's id."""
        self.known: set[str] = set()
        """The ids that a network may name in a receipt."""
        self.gone: set[str] = set()
        """The ids of downlinks that aren't to be sent any more."""
        self.wakes = 0
        """How often a datasource asked for what waits."""
        self.sessions: dict[str, Send] = {}
        """How to reach the devices that can be reached now."""
        self._deaf: set[int] = set()
        self._numbers: Counter[str] = Counter()
        self._waiting: list[Callable[[], None]] = []

    # --- what a test says ---

    def answer(self, number: int = -1, status: Status = Status.STORED) -> None:
        """Answer the uplink of this number, with a downlink where one waits for its sender."""
        number %= len(self.answers)
        self.held.pop(number, None)
        is_deaf = number in self._deaf or self.answers[number] is _nobody
        items = () if is_deaf or status is not Status.STORED else self.take(self._sender(number), 1)
        key = self.received[number][1].get("uplinkKey")
        if status in (Status.BUSY, Status.TOO_LARGE) and key in self.keys:
            self.keys.remove(key)  # its next try is a first one
        self.answers[number](
            STORED if not items and status is Status.STORED else Answer(status, "1", 1.0, items)
        )

    def put(self, device: str, *payloads: bytes) -> None:
        """Queue downlinks for a device that asks."""
        for payload in payloads:
            item = Downlink(f"{device}-{self._numbers[device]}", device, payload)
            self.queue.setdefault(device, []).append(item)
            self._numbers[device] += 1
        for number in list(self.held):
            if self.auto and self._sender(number) == device and self.queue[device]:
                self.answer(number)

    def take(self, device: str, limit: int) -> tuple[Downlink, ...]:
        """Take from the queue."""
        waiting = self.queue.get(device, [])
        taken, self.queue[device] = tuple(waiting[:limit]), waiting[limit:]
        return taken

    def fill(self) -> None:
        """From now on the gateway is full."""
        self.room = False

    def drain(self) -> None:
        """The gateway has room again."""
        self.room = True
        waiting, self._waiting = self._waiting, []
        for callback in waiting:
            callback()

    def forget(self) -> None:
        """Forget what was recorded and what is unanswered; the queue and the sessions stay."""
        for noted in (self.received, self.times, self.answers, self.rejected, self.events, self.outcomes):
            noted.clear()
        self.held.clear()
        self._deaf.clear()

    def guarded(self, metadata: bytes, outputs: Sequence[Output]) -> str:
        """The answer of the datasource's guard to a conversion; empty if it has none."""
        return self.guard(metadata, outputs) if self.guard is not None else ""

    # --- IIntake ---

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
        if key and self.room and len(payload) <= self.max_payload:
            if key in self.keys:
                answer(STORED)
                return
            self.keys.append(key)
            metadata = {"uplinkKey": key, **metadata}
        if not self.room:
            answer(Answer(Status.BUSY, retry_after=5.0))
        elif len(payload) > self.max_payload:
            answer(Answer(Status.TOO_LARGE))
        else:
            if not listens:
                self._deaf.add(len(self.answers))
            self.received.append((payload, metadata))
            self.times.append(received_ms)
            self.answers.append(answer)
            if self.auto and self.says is not None:
                answer(self.says)
            elif self.auto:
                self.answer()

    def recall(self) -> Deferred[None]:
        """See `IIntake.recall`."""
        self.recalls += 1
        return succeed(None)

    def receive_and_hold(
        self, payload: bytes, metadata: Metadata, answer: Reply, ttd: float
    ) -> Callable[[], None]:
        """See `IIntake.receive_and_hold`."""
        number = len(self.answers)
        auto, self.auto = self.auto, False
        self.receive(payload, metadata, answer)
        self.auto = auto
        if len(self.answers) == number:  # it was refused
            return lambda: None
        self.held[number] = ttd
        if auto and self.queue.get(self._sender(number)):
            self.answer(number)
        elif auto and self._clock is not None:
            self._clock.callLater(ttd, self._over, number)
        return lambda: self._leave(number)

    def _sender(self, number: int) -> str:
        return str(self.received[number][1].get("identity", ""))

    def _over(self, number: int) -> None:
        if number in self.held:
            self.answer(number)

    def _leave(self, number: int) -> None:
        if self.held.pop(number, None) is not None:
            self.answers[number] = _nobody

    def reject(self, payload: bytes, metadata: Metadata, reason: str) -> None:
        """See `IIntake.reject`."""
        self.rejected.append((payload, metadata, reason))

    def when_room(self, callback: Callable[[], None]) -> None:
        """See `IIntake.when_room`."""
        if self.room:
            callback()
        else:
            self._waiting.append(callback)

    def event(self, type: str, message: str, severity: Severity = "info", **detail: Any) -> None:
        """See `IIntake.event`."""
        self.events.append((type, message))

    def refuse(self, reason: Reason, peer: str, message: str) -> None:
        """See `IIntake.refuse`."""
        self.refusals.append((reason, peer, message))

    def objection(self, device: str, proved: Proved = "") -> str:
        """See `IIntake.objection`."""
        return f"device {device!r} must prove it" if device in self.forbidden - {proved} else ""

    def identity_objection(self, identity: str, proved: Proved = "") -> str:
        """See `IIntake.identity_objection`."""
        return self.objection(identity, proved)

    def downlinks(self, device: str, limit: int = 1, proved: Proved = "") -> Deferred[tuple[Downlink, ...]]:
        """See `IIntake.downlinks`."""
        return succeed(() if self.objection(device, proved) else self.take(device, limit))

    def reachable(self, device: str, send: Send, proved: Proved = "") -> Callable[[], None]:
        """See `IIntake.reachable`."""
        self.sessions[device] = send

        def gone() -> None:
            if self.sessions.get(device) is send:
                del self.sessions[device]

        return gone

    def downlink_sent(self, downlink: Downlink) -> None:
        """See `IIntake.downlink_sent`."""
        self.outcomes.append((downlink.id, "sent"))

    def downlink_delivered(
        self, downlink: Downlink, is_certain: bool = True, result: Metadata | None = None
    ) -> None:
        """See `IIntake.downlink_delivered`."""
        self._keep(downlink, result)
        self.outcomes.append((downlink.id, "delivered" if is_certain else "answered"))

    def downlink_carried_out(self, downlink: Downlink, result: Metadata | None = None) -> None:
        """See `IIntake.downlink_carried_out`."""
        self._keep(downlink, result)
        self.outcomes.append((downlink.id, "carried out"))

    def downlink_lost(self, downlink: Downlink, reason: str, result: Metadata | None = None) -> None:
        """See `IIntake.downlink_lost`."""
        self._keep(downlink, result)
        self.outcomes.append((downlink.id, f"lost: {reason}"))

    def downlink_refused(self, downlink: Downlink, reason: str, result: Metadata | None = None) -> None:
        """See `IIntake.downlink_refused`."""
        self._keep(downlink, result)
        self.outcomes.append((downlink.id, f"refused: {reason}"))

    def _keep(self, downlink: Downlink, result: Metadata | None) -> None:
        if result is not None:
            self.results[downlink.id] = result

    def downlink_returned(self, downlink: Downlink) -> None:
        """See `IIntake.downlink_returned`."""
        self.outcomes.append((downlink.id, "returned"))

    def downlink_offered(self, downlink: Downlink, network: str = "") -> None:
        """See `IIntake.downlink_offered`."""
        self.outcomes.append((downlink.id, f"offered as {network}" if network else "offered"))

    def downlink_confirmed(
        self,
        device: str,
        became: Became,
        reason: str = "",
        item: str = "",
        network: str = "",
        proved: Proved = "",
    ) -> Deferred[bool]:
        """See `IIntake.downlink_confirmed`. Of items it knows those in ``known``."""
        named = item or network
        self.outcomes.append((named or device, _SAID[became].format(reason)))
        return succeed(not named or named in self.known)

    def downlink_waits(self, downlink: Downlink) -> bool:
        """See `IIntake.downlink_waits`: unless a test has put its id into ``gone``."""
        return downlink.id not in self.gone

    def wake_downlinks(self) -> None:
        """See `IIntake.wake_downlinks`."""
        self.wakes += 1


_SAID = {
    "sent": "confirmed as sent",
    "delivered": "confirmed",
    "lost": "not confirmed: {}",
    "refused": "refused by the network: {}",
}


def _nobody(answer: Answer) -> None:
    """The device went away."""

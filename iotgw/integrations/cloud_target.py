"""Targets whose service takes several messages in a request, and says of each what became of it: the clouds' queues and streams.

A request that is full goes at once; one that isn't goes when no other is under way, so that what comes meanwhile shares the next one (as RFC 896 has it for
TCP's segments). A message that is refused is charged with it; a service that doesn't answer, or doesn't let us in, charges none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Protocol

import msgspec
from msgspec import Meta, Struct
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from iotgw.connect.json_api import CallProblem, JsonApi, Told
from iotgw.core.model import TelemetryRecord
from iotgw.core.ports.integrations import IIntegration, IntegrationContext, Settle
from iotgw.core.verdict import Delivered, Rejected, Retry, Unavailable, Verdict, unforeseen

Concurrency = Annotated[
    int, Meta(ge=1, le=64, description="Requests under way at once; each needs a connection.")
]
Timeout = Annotated[float, Meta(gt=0, description="Seconds for a request.")]


class CloudMessage(Struct, frozen=True):
    """A record as a service takes it: ``entry`` is JSON, ``size`` what it counts as, in bytes."""

    entry: dict[str, Any]
    size: int


class _Sent(Struct, frozen=True):
    """A record on its way, and whom to tell what becomes of it."""

    record: TelemetryRecord
    message: CloudMessage
    settle: Settle


class CloudService(Protocol):
    """A service that takes messages."""

    @property
    def most(self) -> int:
        """How many messages a request takes."""

    @property
    def largest(self) -> int:
        """How many bytes a request takes."""

    @property
    def api(self) -> JsonApi:
        """By what it is called."""

    @property
    def address(self) -> str:
        """Where the messages go, for people."""

    def message(self, record: TelemetryRecord) -> CloudMessage | Rejected:
        """A record's message."""

    def post(self, entries: list[dict[str, Any]], told: Told) -> None:
        """Send messages."""

    def verdicts(self, answer: Any, count: int) -> list[Verdict]:
        """What became of each."""

    def is_about_messages(self, problem: CallProblem) -> bool:
        """Whether a whole request failed because of what is in it."""

    def look(self, told: Told) -> None:
        """Ask for something that changes nothing."""


@implementer(IIntegration)
class CloudTarget:
    """Sends records to a `CloudService`."""

    whole = False

    def __init__(self, service: CloudService, context: IntegrationContext) -> None:
        self._service = service
        self._context = context
        self.max_batch = service.most
        self._inflight = 0
        self._under_way = 0
        """Requests that aren't answered."""
        self._next: list[_Sent] = []
        """What the next request will have."""
        self._size = 0
        self._error = ""

    # --- IIntegration

    @property
    def capacity(self) -> int:
        """Records that aren't settled, plus a request for each free connection."""
        return self._inflight + self._service.api.spare * self.max_batch

    def start(self) -> Deferred[None]:
        """Nothing to do: connections are made on demand."""
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """Close the connections."""
        return self._service.api.close()

    def send(self, records: Sequence[TelemetryRecord], settle: Settle) -> None:
        """Send records, in as few requests as the service takes."""
        service = self._service
        for record in records:
            message = service.message(record)
            if isinstance(message, Rejected):
                settle([record.seq], message)
                continue
            if self._next and self._size + message.size > service.largest:
                self._post_next()
            self._inflight += 1
            self._next.append(_Sent(record, message, settle))
            self._size += message.size
            if len(self._next) == service.most:
                self._post_next()
        self._go_on()

    def check(self) -> Deferred[dict[str, Any]]:
        """Ask the service whether the place is there and lets us in."""
        done: Deferred[dict[str, Any]] = Deferred()

        def told(document: Any, problem: CallProblem | None) -> None:
            where = self._service.address
            done.callback(
                {"ok": True, "detail": f"{where} is there"}
                if problem is None
                else {"ok": False, "detail": problem.reason}
            )

        self._service.look(told)
        return done

    def status(self) -> dict[str, Any]:
        """Connections come and go, so only the last error is shown."""
        return {
            "state": "connected" if self._service.api.connected else "idle",
            "connections": self._service.api.connected,
            "lastError": self._error or None,
        }

    # --- requests

    def _go_on(self) -> None:
        if self._next and not self._under_way:
            self._post_next()

    def _post_next(self) -> None:
        some, self._next, self._size = self._next, [], 0
        self._post(some)

    def _post(self, some: Sequence[_Sent]) -> None:
        self._under_way += 1
        shown = self._context.shown([each.record for each in some])

        def told(document: Any, problem: CallProblem | None) -> None:
            self._under_way -= 1
            if problem is not None and len(some) > 1 and self._service.is_about_messages(problem):
                for each in some:  # one of them is at fault
                    self._post([each])
                return
            if shown is not None:
                self._show(shown, some, document, problem)
            try:
                verdicts = self._verdicts(document, problem, len(some))
            except Exception as error:
                verdicts = [unforeseen("reading the answer", error)] * len(some)
            self._settle(some, verdicts)

        try:
            self._service.post([each.message.entry for each in some], told)
        except Exception as error:
            self._under_way -= 1
            self._settle(some, [unforeseen("sending", error)] * len(some))

    def _settle(self, some: Sequence[_Sent], verdicts: Sequence[Verdict]) -> None:
        self._inflight -= len(some)
        for (verdict, settle), seqs in _together(zip(some, verdicts, strict=True)):
            if not isinstance(verdict, Delivered):
                self._error = verdict.reason
            settle(seqs, verdict)
        self._go_on()

    def _show(
        self,
        shown: TelemetryRecord,
        some: Sequence[_Sent],
        document: Any,
        problem: CallProblem | None,
    ) -> None:
        """What was sent for one record, and what the whole request was answered."""
        entry = next(each.message.entry for each in some if each.record is shown)
        among = f", one of {len(some)} messages" if len(some) > 1 else ""
        request = f"POST to {self._service.address}{among}\n\n{_pretty(entry)}"
        self._context.show(shown, request, _pretty(document) if problem is None else problem.reason)

    def _verdicts(self, document: Any, problem: CallProblem | None, count: int) -> list[Verdict]:
        if problem is None:
            self._error = ""
            return self._service.verdicts(document, count)
        if self._service.is_about_messages(problem):
            return [Retry(problem.reason)] * count
        return [Unavailable(problem.reason, problem.after)] * count


def _pretty(document: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(document)).decode()


def _together(pairs: Iterable[tuple[_Sent, Verdict]]) -> Iterator[tuple[tuple[Verdict, Settle], list[int]]]:
    """Records with the same verdict, which are settled together."""
    found: dict[tuple[Verdict, Settle], list[int]] = {}
    for sent, verdict in pairs:
        found.setdefault((verdict, sent.settle), []).append(sent.record.seq)
    yield from found.items()

"""Targets whose service takes several messages in a request, and says of each what became of it: the clouds' queues and streams.

A request takes what is queued, and waits for no more. A message that is refused is charged with it; a service that doesn't answer,
or doesn't let us in, charges none.
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
        self._error = ""

    # --- IIntegration

    @property
    def capacity(self) -> int:
        """Records in flight, plus a request for each free connection."""
        return self._inflight + self._service.api.spare * self.max_batch

    def start(self) -> Deferred[None]:
        """Nothing to do: connections are made on demand."""
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """Close the connections."""
        return self._service.api.close()

    def send(self, records: Sequence[TelemetryRecord], settle: Settle) -> None:
        """Send records, in as few requests as the service takes."""
        made: list[tuple[TelemetryRecord, CloudMessage]] = []
        for record in records:
            message = self._service.message(record)
            if isinstance(message, Rejected):
                settle([record.seq], message)
            else:
                made.append((record, message))
        for some in _groups(made, self._service.most, self._service.largest):
            self._post(some, settle)

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

    def _post(self, some: Sequence[tuple[TelemetryRecord, CloudMessage]], settle: Settle) -> None:
        self._inflight += len(some)
        shown = self._context.shown([record for record, _ in some])

        def told(document: Any, problem: CallProblem | None) -> None:
            self._inflight -= len(some)
            if problem is not None and len(some) > 1 and self._service.is_about_messages(problem):
                for each in some:  # one of them is at fault
                    self._post([each], settle)
                return
            if shown is not None:
                self._show(shown, some, document, problem)
            try:
                verdicts = self._verdicts(document, problem, len(some))
            except Exception as error:
                verdicts = [unforeseen("reading the answer", error)] * len(some)
            for verdict, seqs in _together(zip(some, verdicts, strict=True)):
                if not isinstance(verdict, Delivered):
                    self._error = verdict.reason
                settle(seqs, verdict)

        self._service.post([message.entry for _, message in some], told)

    def _show(
        self,
        shown: TelemetryRecord,
        some: Sequence[tuple[TelemetryRecord, CloudMessage]],
        document: Any,
        problem: CallProblem | None,
    ) -> None:
        """What was sent for one record, and what the whole request was answered."""
        entry = next(message.entry for record, message in some if record is shown)
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


def _groups(
    made: Sequence[tuple[TelemetryRecord, CloudMessage]], most: int, largest: int
) -> Iterator[list[tuple[TelemetryRecord, CloudMessage]]]:
    """As few groups as a request's limits allow, in order."""
    group: list[tuple[TelemetryRecord, CloudMessage]] = []
    size = 0
    for each in made:
        if group and (len(group) == most or size + each[1].size > largest):
            yield group
            group, size = [], 0
        group.append(each)
        size += each[1].size
    if group:
        yield group


def _together(
    pairs: Iterable[tuple[tuple[TelemetryRecord, CloudMessage], Verdict]],
) -> Iterator[tuple[Verdict, list[int]]]:
    """Records with the same verdict, which are settled together."""
    found: dict[Verdict, list[int]] = {}
    for (record, _), verdict in pairs:
        found.setdefault(verdict, []).append(record.seq)
    yield from found.items()

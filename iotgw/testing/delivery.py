"""`IDelivery` and `IDeliveries` that a test controls."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from iotgw.core.errors import IotgwError, NotFound
from iotgw.core.message_query import MessageQuery
from iotgw.core.model import Delivery, Message, Parked, TelemetryRecord
from iotgw.core.ports.delivery import IDeliveries, IDelivery
from iotgw.core.specs import IntegrationSpec


@implementer(IDelivery, IDeliveries)
class FakeDelivery:
    """The delivery service as a test plays it.

    ``fed`` are the records that became durable, ``calls`` what a person asked for, as tuples of the method's name and
    what it was given. ``missing`` are ids of integrations that don't run.

    Many methods: those of two ports.
    """

    def __init__(self) -> None:
        self.fed: list[TelemetryRecord] = []
        self.calls: list[tuple[Any, ...]] = []
        self.missing: set[str] = set()
        self.validates: Callable[[IntegrationSpec], None] = lambda spec: None
        """Raises what is wrong with an integration."""
        self.made: dict[int, list[Delivery]] = {}
        """What became of a message, by its position."""
        self.accounts: dict[str, Any] = {"state": "running"}
        self.dead: list[Parked] = []
        self.full: list[str] = []
        """Names of the integrations because of which there is no room."""
        self.answer: dict[str, Any] = {"ok": True, "detail": "connected"}
        """Of `check` and `test`."""

    # --- IDelivery ---

    def feed(self, records: list[TelemetryRecord]) -> None:
        """See `IDelivery.feed`."""
        self.fed += records

    def room(self) -> bool:
        """See `IDelivery.room`."""
        return not self.full

    def holding_up(self) -> list[str]:
        """See `IDelivery.holding_up`."""
        return self.full

    # --- IDeliveries ---

    def validate(self, spec: IntegrationSpec) -> None:
        """See `IDeliveries.validate`."""
        self.validates(spec)

    def deliveries(
        self, messages: Sequence[Message], ids: Collection[str] | None = None
    ) -> Deferred[list[list[Delivery]]]:
        """See `IDeliveries.deliveries`."""
        return succeed([self.made.get(each.seq, []) for each in messages])

    def narrowed(self, query: MessageQuery, state: str, ids: Sequence[str]) -> MessageQuery:
        """See `IDeliveries.narrowed`."""
        return replace(query, has_output=True)

    def stats(self, id: str) -> dict[str, Any]:
        """See `IDeliveries.stats`."""
        self._expect(id)
        return self.accounts

    def pause(self, id: str) -> Deferred[None]:
        """See `IDeliveries.pause`."""
        return self._called(None, "pause", id)

    def resume(self, id: str) -> Deferred[None]:
        """See `IDeliveries.resume`."""
        return self._called(None, "resume", id)

    def drain(self, id: str) -> None:
        """See `IDeliveries.drain`."""
        self._expect(id)
        self.calls.append(("drain", id))

    def purge(self, id: str) -> Deferred[int]:
        """See `IDeliveries.purge`."""
        return self._called(0, "purge", id)

    def seek(self, id: str, ts_ms: int) -> Deferred[None]:
        """See `IDeliveries.seek`."""
        return self._called(None, "seek", id, ts_ms)

    def dead_letters(self, id: str, after: int = 0, limit: int = 100) -> Deferred[list[Parked]]:
        """See `IDeliveries.dead_letters`."""
        found = [each for each in self.dead if each.integration == id and each.record.seq > after]
        return fail(self._missing(id)) if id in self.missing else succeed(found[:limit])

    def retry(self, id: str, seq: int | None = None) -> Deferred[None]:
        """See `IDeliveries.retry`."""
        return self._called(None, "retry", id, seq)

    def dismiss(
        self, id: str, position: int | None = None, device: str = "", before_ms: int = 0, error: str = ""
    ) -> Deferred[int]:
        """See `IDeliveries.dismiss`."""
        found = [each for each in self.dead if each.integration == id and position in (None, each.record.seq)]
        if position is not None and not found:
            return fail(NotFound(f"no dead letter at {position}"))
        return self._called(len(found), "dismiss", id, position, device, before_ms, error)

    def check(self, id: str) -> Deferred[dict[str, Any]]:
        """See `IDeliveries.check`."""
        return self._called(self.answer, "check", id)

    def test(self, id: str, record: TelemetryRecord | None = None) -> Deferred[dict[str, Any]]:
        """See `IDeliveries.test`."""
        return self._called(self.answer, "test", id, record)

    def _called(self, result: Any, *call: Any) -> Deferred[Any]:
        try:
            self._expect(call[1])
        except IotgwError as error:
            return fail(error)
        self.calls.append(call)
        return succeed(result)

    def _expect(self, id: str) -> None:
        if id in self.missing:
            raise self._missing(id)

    @staticmethod
    def _missing(id: str) -> NotFound:
        return NotFound(f"no integration {id!r} is running")

"""Which messages can have a delivery in a state."""

from __future__ import annotations

from typing import Any

from iotgw import testing
from iotgw.core.message_query import KeptApart, MessageQuery
from iotgw.core.types import Types
from iotgw.delivery.service import DeliveryService
from iotgw.delivery.standing import narrowed

QUERY = MessageQuery(tenant="default")
LOST = {"a": [(1, 5, "expired"), (7, 7, "store full"), (9, 12, "")], "b": [(20, 30, "dismissed")]}


def found(state: str, ids: tuple[str, ...] = ("a", "b")) -> Any:
    return narrowed(QUERY, state, ids, lambda id: LOST[id])


def test_dead_letters_and_retries_have_rows_of_their_own() -> None:
    assert found("dead").parked == KeptApart(("a", "b"), (4,))
    assert found("retrying").parked == KeptApart(("a", "b"), (2,))


def test_what_was_lost_stands_in_ranges() -> None:
    assert found("expired").records == [(1, 5)]
    assert found("dropped").records == [(7, 7), (20, 30)]
    assert found("unknown").records == [(9, 12)]
    assert found("expired", ("b",)).records == []


def test_all_else_may_be_any_message_with_an_output() -> None:
    for state in ("", "delivered", "queued", "inflight"):
        assert found(state) == MessageQuery(tenant="default", has_output=True)


def test_an_integration_that_does_not_run_has_lost_nothing() -> None:
    reactor = testing.clock()
    types: Any = Types("none", reactor, [])
    service = DeliveryService(testing.MemoryJournal(), types, reactor, testing.MemoryEvents(), str)
    assert service.narrowed(QUERY, "expired", ["nobody"]).records == []

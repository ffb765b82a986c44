"""What any store of debugging does."""

from __future__ import annotations

from iotgw.core.ports.debug import DebugEntry, IDebugStore
from iotgw.testing.contracts.base import Contract


class DebugStoreContract(Contract[IDebugStore]):
    """For `IDebugStore`."""

    def test_what_is_kept_of_a_message_comes_back_in_its_order_over_restarts(self) -> None:
        first = DebugEntry(1, "conversion", {"logs": ["a"], "n": 1.5})
        second = DebugEntry(2, "delivery", {"request": "GET /", "answer": "200"})
        self.part.add("default", "e-1", first)
        self.part.add("default", "e-2", second)
        self.part.add("default", "e-1", second)
        assert self.wait(self.part.of("default", "e-1")) == [first, second]
        assert self.wait(self.reopen().of("default", "e-1")) == [first, second]
        assert self.wait(self.part.of("default", "e-3")) == []

    def test_tenants_see_their_own(self) -> None:
        self.part.add("north", "e-1", DebugEntry(1, "conversion", {}))
        assert self.wait(self.part.of("default", "e-1")) == []
        assert len(self.wait(self.part.of("north", "e-1"))) == 1

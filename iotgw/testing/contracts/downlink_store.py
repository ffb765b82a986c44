"""What any store of downlinks does."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from iotgw.core.downlink_item import Item, ItemState
from iotgw.core.ports.downlinks import IDownlinkStore, ItemQuery
from iotgw.core.specs import DownlinkSpec
from iotgw.testing.contracts.base import Contract


class DownlinkStoreContract(Contract[IDownlinkStore]):
    """For `IDownlinkStore`."""

    def item(
        self,
        seq: int,
        state: ItemState = ItemState.QUEUED,
        device: str = "dev",
        tenant: str = "default",
    ) -> Item:
        """An item of now."""
        spec = DownlinkSpec(msg={"n": seq}, metadata={"fPort": 2}, ttl=60)
        later = self.now_ms + 60_000
        return Item(f"dl{seq}", seq, tenant, device, spec, state, self.now_ms, self.now_ms, later)

    def save(self, *items: Item) -> None:
        """Write items."""
        self.wait(self.part.save(list(items)))

    def test_items_come_back_whole_after_a_restart(self) -> None:
        item = self.item(1)
        self.save(item)
        assert self.wait(self.reopen().get("dl1")) == item
        assert self.wait(self.part.get("dl2")) is None

    def test_what_is_not_over_is_open_oldest_first(self) -> None:
        states = [ItemState.SENT, ItemState.FAILED, ItemState.QUEUED, ItemState.DELETED, ItemState.DELIVERED]
        items = [self.item(seq, state) for seq, state in enumerate(states, 1)]
        self.save(*reversed(items))
        assert self.wait(self.part.open_items()) == items[::2]

    def test_a_later_value_replaces_the_earlier_one(self) -> None:
        self.save(self.item(1))
        self.save(self.item(1, ItemState.SENT), self.item(2))
        assert self.wait(self.part.open_items()) == [self.item(1, ItemState.SENT), self.item(2)]

    def test_the_last_value_of_a_turn_holds(self) -> None:
        for state in (ItemState.QUEUED, ItemState.SENT, ItemState.DELIVERED):
            self.part.save([self.item(1, state)])
        self.wait(self.part.flushed())
        assert self.wait(self.reopen().get("dl1")) == self.item(1, ItemState.DELIVERED)

    def test_a_device_s_items_come_newest_first(self) -> None:
        self.save(*map(self.item, (1, 2, 3)))
        self.save(self.item(4, device="another"), self.item(5, tenant="acme"))
        assert self.wait(self.part.of_device("default", "dev", 2)) == [self.item(3), self.item(2)]
        assert self.wait(self.part.of_device("acme", "dev", 9)) == [self.item(5, tenant="acme")]

    def test_an_item_is_found_by_what_its_network_calls_it(self) -> None:
        named = replace(self.item(2), network="ds/7")
        self.save(self.item(1), named, replace(self.item(3, tenant="acme"), network="ds/7"))
        assert self.wait(self.part.of_network("default", "ds/7")) == named
        assert self.wait(self.reopen().of_network("default", "ds/7")) == named
        assert self.wait(self.part.of_network("default", "ds/8")) is None
        assert self.wait(self.part.of_network("default", "")) is None

    def test_what_was_sent_under_a_name_comes_oldest_first(self) -> None:
        states = [ItemState.SENT, ItemState.DELIVERED, ItemState.SENT, ItemState.QUEUED, ItemState.SENT]
        items = [replace(self.item(seq, state), network="/7") for seq, state in enumerate(states, 1)]
        self.save(
            *reversed(items), self.item(6, ItemState.SENT), replace(self.item(7, tenant="acme"), network="/7")
        )
        assert self.wait(self.part.sent_as("default", "/7", 2)) == [items[0], items[2]]
        assert self.wait(self.reopen().sent_as("default", "/7", 9)) == items[::2]
        assert self.wait(self.part.sent_as("default", "", 9)) == []

    def test_the_highest_position_counts_what_is_over_too(self) -> None:
        assert self.wait(self.part.last_seq()) == 0
        self.save(self.item(7, ItemState.FAILED), self.item(3))
        assert self.wait(self.reopen().last_seq()) == 7

    def test_a_tenant_s_items_are_found_newest_first_by_state_and_device(self) -> None:
        items = [
            self.item(1, ItemState.FAILED), self.item(2), self.item(3, device="other"), self.item(4, ItemState.FAILED),
            self.item(5, tenant="acme"),
        ]  # fmt: skip
        self.save(*items)

        def found(**query: Any) -> list[int]:
            return [item.seq for item in self.wait(self.part.find("default", ItemQuery(**query)))]

        assert found() == [4, 3, 2, 1]
        assert found(states=(ItemState.FAILED,)) == [4, 1]
        assert found(states=(ItemState.FAILED, ItemState.QUEUED), limit=2) == [4, 3]
        assert found(device="dev", before=4) == [2, 1]
        assert found(device="dev", states=(ItemState.QUEUED,)) == [2]
        assert found(before=3, limit=1) == [2]
        assert found(states=(ItemState.SENT,)) == []

"""What an integration's accounts say of the time since the process started."""

from __future__ import annotations

from iotgw.core.model import Counters
from iotgw.delivery.accounts import DELIVERED, Accounts
from iotgw.testing import telemetry


def test_ends_are_counted_from_the_start_and_never_taken_back() -> None:
    accounts = Accounts(Counters(queued=100, delivered=50, expired=3, dead=4, dropped={"purged": 2}), 0)
    assert accounts.ended == {"delivered": 0, "expired": 0, "dead": 0, "dropped": 0}
    accounts.deliver([telemetry(1), telemetry(2)])
    accounts.bury(10)
    accounts.drop("purged", 5)
    accounts.settle(3, "expired", 10)
    assert accounts.ended == {"delivered": 2, "expired": 1, "dead": 1, "dropped": 5}
    accounts.revive(4)
    accounts.dismiss(5, "dismissed")
    assert (accounts.dead, accounts.ended["dead"]) == (3, 1)
    assert accounts.ended == {"delivered": 3, "expired": 1, "dead": 1, "dropped": 5}
    assert accounts.ended[DELIVERED] == accounts.delivered - 50

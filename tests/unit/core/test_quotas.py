"""How many resources a tenant may have."""

from __future__ import annotations

import pytest

from iotgw import testing
from iotgw.core.errors import Conflict
from iotgw.core.quotas import Quotas


def test_a_tenant_without_a_quota_has_any_number() -> None:
    registry = testing.MemoryRegistry()
    quotas = Quotas(registry)
    assert quotas.room("default", "device", 1_000_000) is None
    testing.fired(registry.create("tenant", "default", "default", {"quota": {"devices": None}}))
    assert quotas.room("default", "device", 1_000_000) is None


def test_what_is_being_made_counts() -> None:
    registry = testing.MemoryRegistry()
    testing.fired(registry.create("tenant", "north", "north", {"quota": {"datasources": 2, "devices": 5}}))
    quotas = Quotas(registry)
    testing.fired(registry.create("datasource", "north", "one", {}))
    testing.fired(registry.create("datasource", "default", "one", {}))
    with (
        quotas.making("north", "datasource"),
        pytest.raises(Conflict, match="'north' has as many datasources"),
        quotas.making("north", "datasource"),
    ):
        pass
    with quotas.making("north", "datasource"):
        pass
    assert (quotas.room("north", "device", 3), quotas.room("north", "device", 9)) == (2, 0)

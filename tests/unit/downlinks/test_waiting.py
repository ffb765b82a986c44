"""Who is waited for, whatever is queued, sent and resolved in whatever order."""

from hypothesis import given
from hypothesis import strategies as st

from iotgw.core.downlink_item import Item, ItemState
from iotgw.core.specs import DownlinkSpec
from iotgw.downlinks.waiting import Waiting

TENANTS = st.sampled_from(["t", "u"])
NAMES = st.sampled_from(["a", "b", "c", "d"])  # a name may be another device's identity
PUTS = st.tuples(st.just("put"), TENANTS, NAMES, st.integers(1, 3), st.sampled_from(ItemState))
RESOLVES = st.tuples(st.just("resolve"), TENANTS, NAMES, NAMES, st.none())


def item(tenant, device, number, state):
    return Item(f"{tenant}{device}{number}", number, tenant, device, DownlinkSpec(msg={}), state, 0, 0, 1)


@given(st.lists(st.one_of(PUTS, RESOLVES), max_size=40))
def test_the_names_are_those_of_devices_with_items_and_their_identities(steps):
    waiting = Waiting()
    queued, identities = {}, {}
    for what, tenant, device, other, state in steps:
        if what == "put":
            queued.setdefault((tenant, device), set()).discard(other)
            if state is ItemState.QUEUED:
                queued[tenant, device].add(other)
            waiting.put(item(tenant, device, other, state))
            if not queued[tenant, device]:
                identities.pop((tenant, device), None)
        else:
            if queued.get((tenant, device)):
                identities[tenant, device] = other
            waiting.resolve(tenant, other, device)
        for each in ("t", "u"):
            names = set(waiting.names(each))
            devices = {name for (owner, name), numbers in queued.items() if owner == each and numbers}
            known = {identity for (owner, _), identity in identities.items() if owner == each}
            assert names == devices | known
            assert all(list(waiting.of(each, name)) for name in names)

"""How an item finds its device: by where it was seen last, and while it listens."""

import msgspec
import pytest
from twisted.internet.defer import succeed
from zope.interface import alsoProvides

from iotgw import testing
from iotgw.core.model import Outcome, Output, State, Uplink
from iotgw.core.platform_names import NamesAsTheyCome
from iotgw.core.ports.datasources import IKeepsDownlinks
from iotgw.downlinks.leaving import LastSeen
from iotgw.downlinks.reach import Reach
from iotgw.testing import fired


def pusher():
    return testing.FakeDatasource(None, testing.datasource_context())


class Owned(NamesAsTheyCome):
    """Every name is one identity's."""

    def __init__(self, identity):
        self.identity = identity

    def owner(self, tenant, name):
        return succeed(self.identity)


def found(datasource, *all_metadata, device="dev", seconds_later=0.0, owner="", **spec):
    """Where a device is found that was seen with each of these metadata, by this datasource."""
    clock = testing.clock()
    registry, journal, sources = (
        testing.MemoryRegistry(clock),
        testing.MemoryJournal(clock),
        testing.FakeSources(),
    )
    id = fired(registry.create("datasource", "default", "ds", {"type": "coap", **spec})).id
    now_ms = int(clock.seconds() * 1000)
    for metadata in all_metadata:
        seq = journal.append(Uplink("default", id, now_ms, b"", msgspec.json.encode(metadata)), (print, None))
        journal.settle(id, seq, [Outcome(seq, State.CONVERTED, "c/1", (Output("dev", "", b"{}"),))])
        journal.flush()
    clock.advance(seconds_later)
    if datasource is not None:
        sources.open[id] = datasource
    reach = Reach(
        registry=registry, journal=journal, versions=testing.MemoryConverterVersions(),
        converters=testing.FakeConverters(), sources=sources, clock=clock, names=Owned(owner),
    )  # fmt: skip
    seen = fired(reach.find("default", device))
    return seen._replace(datasource=seen.datasource and registry.get("datasource", seen.datasource).name)


def test_a_device_that_was_never_seen_is_nowhere():
    assert found(pusher(), {}, device="other") == LastSeen()


def test_a_device_is_sent_to_with_the_metadata_of_its_last_uplink():
    seen_by = pusher()
    datasource, push, identity, _ = found(seen_by, {"identity": "imei", "address": "a"})
    push(("item",))
    assert (datasource, identity) == ("ds", "imei")
    assert seen_by.pushed == [({"identity": "imei", "address": "a"}, ("item",))]


def of(identity, **more):
    return {"deviceName": "dev", "identity": identity, **more}


def test_a_device_whose_name_another_one_s_converter_gives_too_is_where_it_was_seen_itself():
    a, b = "70B3D57ED0000001", "70b3d57ed0000002"
    seen_by = pusher()
    found(seen_by, of(b), of(a, fPort=1), *[of(b)] * 20, owner=a.lower()).push(("item",))
    assert seen_by.pushed == [(of(a, fPort=1), ("item",))]
    assert found(pusher(), *[of(b)] * 3, owner=a.lower()) == LastSeen()
    assert found(pusher(), of(b), owner=b).identity == b
    assert found(pusher(), of(b)).identity == b


def test_devices_of_one_id_in_two_applications_are_sought_by_their_euis():
    a, b = of("sensor-1", devEui="70b3d57ed0000001"), of("sensor-1", devEui="70b3d57ed0000002")
    assert found(pusher(), a, b, owner="70b3d57ed0000001").identity == "70b3d57ed0000001"
    assert found(pusher(), b, owner="sensor-1").identity == "70b3d57ed0000002"


def test_what_a_device_had_proved_to_be_counts_when_it_is_sent_to():
    proved = {"identity": "dev", "identityType": "psk", "address": "a"}
    assert found(pusher(), proved).proved == "dev"
    assert found(pusher(), {"identity": "dev", "address": "a"}).proved == ""


def test_a_datasource_that_gives_nothing_but_answers_is_still_the_one_where_it_was_seen():
    assert found(None, {"identity": "imei"}) == LastSeen("ds", None, "imei")


@pytest.mark.parametrize(
    ("metadata", "spec", "seconds", "listens"),
    [
        ({}, {}, 20, True),
        ({}, {}, 21, False),
        ({}, {"downlinkWindow": 0}, 100_000, True),
        ({"ttd": 60}, {}, 60, True),
        ({"query": {"hono-ttd": "5"}}, {}, 6, False),
        ({"ttd": "for ever"}, {}, 21, False),
        ({"identity": "imei", "ttd": 5}, {"downlinkWindows": {"imei": 90}}, 80, True),
    ],
)
def test_a_device_is_sent_to_while_it_listens(metadata, spec, seconds, listens):
    push = found(pusher(), metadata, seconds_later=seconds, **spec).push
    assert (push is not None) is listens


@pytest.mark.parametrize("keeps", [True, False])
def test_where_a_network_keeps_downlinks_any_time_is_right(keeps):
    network = pusher()
    network.keeps_downlinks = keeps
    alsoProvides(network, IKeepsDownlinks)
    push = found(network, {}, seconds_later=100_000).push
    assert (push is not None) is keeps

"""How an item finds its device: by where it was seen last, and while it listens."""

import msgspec
import pytest
from twisted.internet.defer import ensureDeferred, succeed
from twisted.internet.task import Clock
from zope.interface import implementer
from zope.interface.verify import verifyObject

from iotgw.core.model import Message, State, Uplink
from iotgw.core.ports.datasources import IPushes
from iotgw.core.ports.sources import ISources
from iotgw.core.specs import Resource
from iotgw.downlinks.reach import Reach
from tests.unit.delivery.worlds import fired


@implementer(IPushes)
class Pusher:
    can_push = True

    def __init__(self):
        self.pushed = []

    def start(self):
        return succeed(None)

    def stop(self):
        return succeed(None)

    def status(self):
        return {}

    def push(self, metadata, downlinks):
        self.pushed.append((metadata, downlinks))


@implementer(ISources)
class OneSource:
    def __init__(self, datasource):
        self.datasource = datasource

    def name(self, id):
        return id

    def running(self, id):
        return self.datasource

    def pushing(self, id):
        return self.datasource


class LastMessage:
    """A journal and a registry that know of one uplink."""

    def __init__(self, metadata, **spec):
        uplink = Uplink("default", "ds", 1_000_000, b"", msgspec.json.encode(metadata))
        self.message = Message(1, uplink, State.CONVERTED, "", None, ())
        self.spec = spec

    def messages(self, tenant, before, limit, device=None):
        return succeed([self.message] if device == "dev" else [])

    def get(self, kind, id, tenant):
        return Resource(kind, id, tenant, "ds", 1, 0, 0, {"type": "coap", **self.spec})


def found(datasource, metadata, device="dev", seconds_later=0.0, **spec):
    clock = Clock()
    clock.advance(1000 + seconds_later)
    last = LastMessage(metadata, **spec)
    sources = OneSource(datasource)
    verifyObject(ISources, sources)
    reach = Reach(registry=last, journal=last, versions=None, converters=None, sources=sources, clock=clock)
    return fired(ensureDeferred(reach.find("default", device)))


def test_a_device_that_was_never_seen_is_nowhere():
    assert found(Pusher(), {}, device="other") == ("", None, "")


def test_a_device_is_sent_to_with_the_metadata_of_its_last_uplink():
    pusher = Pusher()
    datasource, push, identity = found(pusher, {"identity": "imei", "address": "a"})
    push(("item",))
    assert (datasource, identity) == ("ds", "imei")
    assert pusher.pushed == [({"identity": "imei", "address": "a"}, ("item",))]


def test_a_datasource_that_gives_nothing_but_answers_is_still_the_one_where_it_was_seen():
    assert found(None, {"identity": "imei"}) == ("ds", None, "imei")


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
    _, push, _ = found(Pusher(), metadata, seconds_later=seconds, **spec)
    assert (push is not None) is listens

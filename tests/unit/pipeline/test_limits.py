"""How much tenants, datasources and devices may send."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from iotgw import testing
from iotgw.core.model import State, Status
from iotgw.core.recorder import Recorder
from iotgw.core.specs import DatasourceSpec
from iotgw.pipeline import limits as module
from iotgw.pipeline.limits import Limits
from iotgw.pipeline.sources import Source
from tests.unit.pipeline.test_pipeline import asynchronous, world
from tests.unit.pipeline.worlds import document

__all__ = ["world"]


class World:
    """Two datasources of a tenant, and one of another's."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.registry = testing.MemoryRegistry(self.clock)
        self.events = testing.MemoryEvents()
        self.sources = [self.source("one"), self.source("two"), self.source("other", "north")]
        self.limits = Limits(
            self.registry, Recorder(self.events, self.clock), self.clock, lambda: self.sources
        )
        self.limits.start()

    def source(self, name: str, tenant: str = "default") -> Source:
        return Source(name, tenant, DatasourceSpec(name=name, type="coap"))

    def set(self, source: Source, **spec: Any) -> None:
        source.spec = DatasourceSpec(name=source.id, type="coap", **spec)
        self.limits.apply(source, source.spec)

    def tenant(self, name: str = "default", **body: Any) -> Any:
        full = {
            "limit": "",
            "deviceLimit": "",
            "beyondLimit": "refuse",
            "quota": {},
            "description": "",
            **body,
        }
        return testing.fired(self.registry.create("tenant", name, name, full))

    def passed(self, source: Source, *devices: str) -> list[bool]:
        assert source.limits is not None
        return [source.limits.take(device) is None for device in devices]

    @property
    def said(self) -> list[tuple[str, str, str]]:
        return [(event.type, event.name, event.device) for event in self.events.emitted]


@pytest.fixture
def limited() -> World:
    return World()


def test_without_limits_there_is_nothing_to_ask(limited: World) -> None:
    one = limited.sources[0]
    limited.set(one)
    assert one.limits is None
    limited.set(one, limit="1:1")
    limited.set(one)
    assert one.limits is None


def test_a_datasource_takes_as_much_as_its_limit_says(limited: World) -> None:
    one, two, _ = limited.sources
    limited.set(one, limit="2:10")
    assert limited.passed(one, "a", "b", "c") == [True, True, False]
    beyond = one.limits.take("a")  # type: ignore[union-attr]
    assert (beyond.is_kept, beyond.reason, beyond.wait) == (
        False,
        "it is beyond the limit 2:10 of its datasource",
        10.0,
    )  # type: ignore[union-attr]
    assert two.limits is None
    limited.clock.advance(10)
    assert limited.passed(one, "a") == [True]


def test_each_device_has_its_own_limit_and_senders_without_identity_have_none(limited: World) -> None:
    one = limited.sources[0]
    limited.set(one, device_limit="1:10")
    assert limited.passed(one, "a", "a", "b", "", "") == [True, False, True, True, True]


def test_what_one_limit_refuses_uses_up_no_other(limited: World) -> None:
    one = limited.sources[0]
    limited.set(one, device_limit="1:10", limit="3:10")
    assert limited.passed(one, *["a"] * 50, "b", "c", "d") == [True, *[False] * 49, True, True, False]


def test_the_datasources_of_a_tenant_share_its_limit(limited: World) -> None:
    one, two, other = limited.sources
    stored = limited.tenant(limit="2:10", beyondLimit="keep")
    assert limited.passed(one, "a") == [True]
    assert limited.passed(two, "a", "a") == [True, False]
    assert one.limits.take("a").is_kept  # type: ignore[union-attr]
    assert other.limits is None
    testing.fired(limited.registry.delete("tenant", stored.id))
    assert one.limits is None


def test_a_tenant_s_limit_for_devices_holds_where_their_datasource_has_none(limited: World) -> None:
    one, two, _ = limited.sources
    limited.set(two, device_limit="2:10")
    limited.tenant(deviceLimit="1:10")
    assert limited.passed(one, "a", "a") == [True, False]
    assert limited.passed(two, "a", "a", "a") == [True, True, False]


def test_one_device_does_not_hold_up_the_others_of_a_broker(limited: World) -> None:
    one = limited.sources[0]
    one.is_shared = True
    limited.set(one, device_limit="1:10", limit="2:10")
    assert limited.passed(one, "a", "b") == [True, True]
    assert one.limits.take("a").is_kept  # type: ignore[union-attr]
    assert not one.limits.take("c").is_kept  # type: ignore[union-attr]


def test_a_limit_that_stays_goes_on_counting(limited: World) -> None:
    one = limited.sources[0]
    limited.set(one, limit="2:10")
    limited.passed(one, "a", "a")
    limited.set(one, limit="2:10", beyond_limit="keep", description="x")
    assert one.limits.take("a").is_kept  # type: ignore[union-attr]
    limited.set(one, limit="3:10")
    assert limited.passed(one, "a") == [True]


def test_a_limit_says_once_in_a_window_that_it_is_nearly_reached_and_reached(limited: World) -> None:
    one = limited.sources[0]
    limited.set(one, limit="10:60")
    limited.passed(one, *["a"] * 100)
    assert limited.said == [("limit.near", "one", ""), ("limit.reached", "one", "")]
    assert limited.events.emitted[0].message == "it has used 8 of 10 messages in 60 s"
    assert limited.events.emitted[1].message == (
        "it has used up the limit 10:60; further messages are refused for 60.0 s"
    )
    assert limited.events.emitted[1].severity == "warning"
    limited.clock.advance(60)
    limited.passed(one, *["a"] * 100)
    assert len(limited.said) == 4


def test_short_windows_and_many_devices_are_not_a_flood_of_events(limited: World) -> None:
    one = limited.sources[0]
    limited.set(one, device_limit="1:1")
    for _ in range(50):
        limited.passed(one, "a")
        limited.clock.advance(1)
    assert limited.said == [("limit.reached", "one", "a")]
    limited.passed(one, *(f"dev-{number}" for number in range(1000)))
    assert len(limited.said) <= 1 + module.EVENTS


def test_a_tenant_s_limit_is_told_of_the_tenant(limited: World) -> None:
    limited.tenant(limit="1:60")
    limited.passed(limited.sources[0], "a")
    assert [(event.source, event.name, event.tenant) for event in limited.events.emitted] == [
        ("tenant", "default", "default")
    ]


# --- through the pipeline


@asynchronous
async def test_what_is_refused_is_counted_and_told_when_to_come_again(world: Any) -> None:
    await world.datasource(limit="1:60")
    assert (await world.send(b"one")).status is Status.STORED
    answer = await world.send(b"two")
    assert (answer.status, answer.is_limited) == (Status.BUSY, True)
    assert 0 < answer.retry_after <= 60
    await world.until(lambda: world.counts()["received"] == 1)
    assert (world.converted_payloads, world.counts()["refused"]) == ([b"one"], 1)


@asynchronous
async def test_what_is_kept_is_stored_unconverted_until_somebody_has_it_converted(world: Any) -> None:
    await world.datasource(limit="1:60", beyondLimit="keep", reply="converted")
    one, two = document("dev", n=1), document("dev", n=2)
    await world.send(one, identity="dev")
    answer = await world.send(two, identity="dev")
    assert answer.status is Status.STORED
    message = await world.converted(answer)
    assert (message.state, message.error.name) == (State.FAILED, "BeyondLimit")
    assert message.error.message == "it is beyond the limit 1:60 of its datasource"
    assert world.converted_payloads == [one]
    assert await world.pipeline.reprocess(message) is State.CONVERTED
    assert world.converted_payloads == [one, two]


@asynchronous
async def test_a_device_is_known_by_the_identity_that_its_datasource_says(world: Any) -> None:
    await world.datasource(deviceLimit="1:60")
    statuses = [(await world.send(b"x", identity=device)).status for device in ("a", "a", "b")]
    assert statuses == [Status.STORED, Status.BUSY, Status.STORED]
    assert (await world.send(b"x")).status is Status.STORED

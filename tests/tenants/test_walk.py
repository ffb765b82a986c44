"""No tenant finds anything of another one, whatever he asks for, and changes nothing of his."""

from __future__ import annotations

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import deferLater

from iotgw.core.ports.devices import DeviceFilter
from tests.tenants.house import House, spawn
from tests.tenants.lamp import MARK, OTHER, TENANT, first_tenant, furnish
from tests.tenants.walk import Walk

MOVING = ("target", "oldestAge", "retryIn", "iotgw_deliveries_oldest", "iotgw_date_seconds")
"""Figures that move by themselves: an integration's ages, waits and idle connections, and the date."""


class World:
    """Both tenants."""

    def __init__(self, folder):
        self.house = House(folder)

    async def start(self):
        await self.house.start()
        self.known = await first_tenant(self.house)
        self.admin = await self.house.token("admin", OTHER)
        made = await furnish(self.house, self.admin, "own", "plain")
        kinds = ("converters", "credentials", "datasources", "integrations", "device-types", "device-groups")
        self.own = {kind: made[kind]["name"] for kind in kinds}
        self.own |= {"devices": "own-device", "messages": made["messages"][0]["id"]}
        self.own |= {
            "downlinks": made["downlinks"]["id"],
            "jobs": made["jobs"]["id"],
            "quarantine": "own-guest",
        }

    async def busy(self, name):
        """The first tenant does more of everything."""
        admin = await self.house.token("admin", TENANT, name)
        made = await furnish(self.house, admin, name, name)
        await self.house.ok("", "POST", f"/i/{name}-key", data=b"more")
        return made

    async def everything_of(self, tenant):
        """What is stored of a tenant."""
        parts = self.house.gateway
        kinds = (
            "datasource", "converter", "converter-version", "integration", "credential", "token", "device-type", "device-group",
        )  # fmt: skip
        devices = await parts.devices.list(tenant, "", 1000, "")
        downlinks = [
            item for each in devices for item in await parts.downlinks.list(tenant, each["name"], 100)
        ]
        stats = {
            each.id: {
                key: value
                for key, value in parts.delivery.stats(each.id).items()
                if not key.startswith(MOVING)
            }
            for each in parts.registry.list("integration", tenant)
        }
        return {
            "resources": [each for kind in kinds for each in parts.registry.list(kind, tenant)],
            "devices": devices,
            "entries": [
                parts.fleet.get(tenant, name) for name in parts.fleet.names(tenant, DeviceFilter(), "", 1000)
            ],
            "owners": {each["name"]: parts.speakers.owner(tenant, each["name"]) for each in devices},
            "downlinks": downlinks,
            "messages": await parts.journal.messages(tenant, 0, 1000),
            "integrations": stats,
            "events": await parts.events.query(tenant, 0, 1000),
            "jobs": parts.api.jobs.list(tenant),
            "quarantine": parts.api.quarantine.list(tenant, "", 1000),
        }


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    yield from _made(tmp_path_factory.mktemp("tenants"))


@pytest.fixture
def fresh_world(tmp_path):
    """For a walk that changes things: what one has given names to, another one would find."""
    yield from _made(tmp_path)


def _made(folder):
    world = World(folder)
    try:
        pytest_twisted.blockon(spawn(world.start()))
        yield world
    finally:
        pytest_twisted.blockon(spawn(world.house.stop()))


@pytest_twisted.ensureDeferred
async def test_no_figure_of_a_tenant_tells_how_much_another_one_does(world):
    reader = await world.house.token("viewer", OTHER, "reads figures")
    chief = await world.house.token("viewer", "*", "reads all figures")

    async def figures(token):
        metrics = (await world.house.call(token, "GET", "/metrics")).text.splitlines()
        status = await world.house.ok(token, "GET", "/status")
        own = {f"{key}: {value}" for each in status.pop("integrations") for key, value in each.items()}
        lines = {line for line in metrics if not line.startswith(("#", *MOVING))}
        own = {each for each in own if not each.startswith(MOVING)}
        return lines | own | {f"{key}: {value}" for key, value in status.items() if key != "now"}

    async def at_rest():
        found = await figures(reader)
        await deferLater(reactor, 0.1)
        return found if await figures(reader) == found else None

    before, all_before = await world.house.until(at_rest), await figures(chief)
    await world.busy("busy")
    assert await world.house.until(at_rest) ^ before == set()
    assert await figures(chief) != all_before


@pytest_twisted.ensureDeferred
async def test_whoever_finds_another_tenant_s_routing_key_by_saving_it_is_told_of_to_the_operator(world):
    body = {"name": "guess", "type": "http", "routingKey": "lamp-key"}
    answer = await world.house.call(world.admin, "POST", "/datasources", body)
    assert (answer.status, MARK in answer.text) == (422, False)
    chief = await world.house.token("viewer", "*", "hears of guesses")
    (told,) = (await world.house.ok(chief, "GET", "/events?name=routing%20keys"))["items"]
    assert "tenant 'second' tried to save 'guess'" in told["message"]


SOAK = pytest.mark.soak
EVERY = 1000


@pytest.mark.parametrize(
    "role", [pytest.param("network-server", marks=SOAK), pytest.param("downlink", marks=SOAK), "viewer"]
)
@pytest_twisted.ensureDeferred
async def test_every_operation_with_another_tenant_s_names_tells_a_reader_nothing_of_his(world, role):
    await _walk(world, role, 0)


@pytest.mark.parametrize(("role", "share"), [pytest.param("editor", EVERY, marks=SOAK), ("admin", 1)])
@pytest_twisted.ensureDeferred
async def test_every_operation_with_another_tenant_s_names_finds_and_changes_nothing_of_his(
    fresh_world, role, share
):
    await _walk(fresh_world, role, share)


async def _walk(world, role, share):
    before = await world.everything_of(TENANT)
    token = await world.house.token(role, OTHER, f"walks as {role}")
    walk = Walk(world.house, token, world.known, world.own, share)
    await walk.run()
    documented = sum(map(len, walk.document["paths"].values()))
    assert walk.endless == ["get /api/v1/stream"]
    assert len(walk.operations) + 1 == documented and all(walk.operations.values())
    assert await world.everything_of(TENANT) == before

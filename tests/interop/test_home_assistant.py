"""A real Home Assistant finds a sensor for each key of each device by the presets for it, and shows its latest value."""

import json

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.threads import deferToThread

from tests.peers.home_assistant import HomeAssistant
from tests.peers.mosquitto import Mosquitto

from .delivering import Delivering, until
from .test_time_series import NAMES, TIME, record, spec_of

pytestmark = [pytest.mark.interop, pytest.mark.soak]


@pytest.fixture
def broker(tmp_path):
    with Mosquitto(tmp_path / "broker") as made:
        yield made


async def deliver(broker, preset, records):
    spec = spec_of(preset, {"host": "127.0.0.1", "port": str(broker.port)})
    async with Delivering("mqtt", **spec) as world:
        world.journal.put(records)
        world.service.feed(records)
        stats = await world.settled()
        assert (stats["delivered"], stats["dead"]) == (len(records), 0)


def sensors(messages):
    """The last state of each sensor, and the states by the sensors' names, as Home Assistant has published them."""
    said = {}
    for topic, payload in list(messages):
        _, _, entity, what = topic.split("/")
        said.setdefault(entity, {})[what] = str(payload)
    states = sorted(each.get("state", "") for each in said.values())
    return states, [
        (json.loads(each.get("friendly_name", "null")), each.get("state")) for each in said.values()
    ]


@ensureDeferred
async def test_each_value_is_a_sensor_of_its_device_whatever_that_is_called_also_after_a_restart(
    broker, tmp_path
):
    names = [*NAMES, "SN.1", "SN_1"]

    def records(first):
        return [
            record(n, name, "meter", (TIME + n, {"t": n / 2, "on": True}), (TIME + 60_000, {"t": first + n, "a b": f"text {first + n}"}))
            for n, name in enumerate(names, 1)
        ]  # fmt: skip

    async def are_shown(first, messages):
        """Each value once, so no two devices share a sensor."""
        wanted = sorted(
            value for n in range(1, len(names) + 1) for value in (str(first + n), f"text {first + n}", "true")
        )
        await until(lambda: sensors(messages)[0] == wanted, 60, "all values")
        _, named = sensors(messages)
        for name in ("SN-1", "größe", "SN.1", "SN_1"):
            n = first + names.index(name) + 1
            assert {(f"{name} t", str(n)), (f"{name} a b", f"text {n}"), (f"{name} on", "true")} <= set(named)

    home = HomeAssistant(tmp_path / "home", broker.port)
    with await deferToThread(broker.subscribe, "states/#") as reader, home:
        await deliver(broker, "home-assistant-discovery", records(0))
        await deliver(broker, "home-assistant", records(0))
        await are_shown(0, reader.messages)
        home.kill()
        await deliver(broker, "home-assistant", records(1000))
        await deferToThread(home.start)
        await are_shown(1000, reader.messages)

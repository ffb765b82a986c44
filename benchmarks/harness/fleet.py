"""A fleet: devices with every field set, each watched for silence, in the stores of a gateway that doesn't run.

    python -m harness.fleet DATA COUNT HEAD

makes so many in a data directory. Their last messages are the journal's last.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from iotgw import testing
from iotgw.core.clock import PlainCalendar
from iotgw.core.device_entry import DeviceSpec
from iotgw.devices.fleet import Fleet
from iotgw.store.sqlite.devices import DeviceStore
from iotgw.store.sqlite.entries import DeviceEntries
from iotgw.store.sqlite.registry import Registry

PIECE = 1000
"""Devices that are saved at once."""
SCRIPT = """function Decoder(payload, metadata) {
    var id = ((payload[0] * 256 + payload[1]) * 256 + payload[2]) * 256 + payload[3];
    var name = ('0000000' + (id % COUNT).toString(16).toUpperCase()).slice(-7);
    return {deviceName: '70B3D57ED' + name, deviceType: 'bench', telemetry: {temperature: payload[9], humidity: payload[10]}};
}"""
"""Makes a reading of one of ``COUNT`` devices of what the loader sends."""
SENDERS = 50_000


def script(count: int) -> str:
    """The converter that makes readings of the first devices of so many."""
    return SCRIPT.replace("COUNT", str(min(count, SENDERS)))


def spec(number: int) -> DeviceSpec:
    """A device with every field set."""
    return DeviceSpec(
        name=named(number), label=f"Meter {number}", type=f"type-{number % 20}", groups=(f"group-{number % 100}", "all"),
        latitude=47.0 + number / 1e6, longitude=8.0, place=f"Street {number % 777}, cellar", serial=f"SN-{number:08}",
        tags={"owner": f"o{number % 50}"}, report_every=3600.0,
    )  # fmt: skip


def named(number: int) -> str:
    """A DevEUI."""
    return f"70B3D57ED{number:07X}"


class Rooms:
    """The stores and the fleet over a folder."""

    def __init__(self, folder: Path) -> None:
        self.registry = Registry(reactor, folder)
        self.devices = DeviceStore(reactor, folder)
        self.fleet = Fleet(
            DeviceEntries(self.registry), self.devices, testing.FakeSpeakers(), self.registry, reactor,
            PlainCalendar(reactor), lambda *_: None,
        )  # fmt: skip

    async def start(self) -> None:
        """Open all of it."""
        for each in (self.registry, self.devices, self.fleet):
            await each.start()

    async def stop(self) -> None:
        """Close all of it."""
        self.fleet.rest()
        for each in (self.fleet, self.devices, self.registry):
            await each.stop()


async def fill(folder: Path, count: int, head: int) -> None:
    """Save devices, each of which has sent something: the last at the telemetry stream's position ``head``."""
    rooms = Rooms(folder)
    await rooms.start()
    for start in range(0, count, PIECE):
        numbers = range(start, min(start + PIECE, count))
        await rooms.fleet.save_all("default", [spec(number) for number in numbers])
        now_ms = int(time.time() * 1000)
        rooms.devices.saw(
            [testing.telemetry(max(1, head - count + n + 1), named(n), received_ms=now_ms) for n in numbers]
        )
    await rooms.devices.count()
    await rooms.stop()


def filled(data: Path, count: int, head: int) -> None:
    """Fill a data directory in a process of its own: this one needs no reactor afterwards."""
    here = Path(__file__).parents[1]
    path = {"PYTHONPATH": f"{here.parent}:{here}"}
    subprocess.run(
        [sys.executable, "-m", "harness.fleet", str(data), str(count), str(head)], check=True, env=path
    )


def paths(count: int) -> dict[str, str]:
    """The lists and filters over HTTP, by name."""
    one = named(count // 2)
    return {
        "devices": "/devices",
        "a text that one has": f"/devices?text=sn-{count - 2:08}",
        "a text that none has": "/devices?text=zzz",
        "a type of twenty": "/devices?type=type-7",
        "a group of a hundred": "/devices?group=group-99",
        "a tag of fifty": "/devices?tag=owner%3Do7",
        "a tag that none has": "/devices?tag=owner%3Dzz",
        "silent": "/devices?trouble=silent",
        "a datasource": "/devices?datasource=coap%20key",
        "from the middle on": f"/devices?after={one}",
        "one": f"/devices/{one}",
        "its readings": f"/devices/{one}/telemetry",
        "groups": "/device-groups",
        "groups with devices": "/fleet/groups",
        "types": "/device-types",
        "unknown devices": "/quarantine",
        "datasources": "/datasources",
        "converters": "/converters",
        "integrations": "/integrations",
        "messages": "/messages",
        "failures": "/failures",
        "events": "/events",
        "usage": "/usage",
        "usage of devices": "/usage?per=device&every=day",
        "tenants": "/tenants",
        "status": "/status",
        "metrics": "/metrics",
        "export of 1,000": "/fleet/export?limit=1000",
    }


def until(work: Coroutine[Any, Any, None]) -> None:
    """Run the reactor until something is done."""
    problems: list[Any] = []
    done: Deferred[None] = Deferred.fromCoroutine(work)
    done.addErrback(problems.append).addBoth(lambda _: reactor.stop())
    reactor.run()
    for problem in problems:
        sys.exit(problem.getTraceback())


if __name__ == "__main__":
    until(fill(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))

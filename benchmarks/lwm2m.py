"""What a registered LwM2M device costs: memory per registration with one observation, and CPU per notification beside that of
a CoAP uplink, each from datagram to intake and back. Run: python benchmarks/lwm2m.py [DEVICES] [--parts]

With ``--parts``, only the bytes per registration by the file that allocates them (tracemalloc, which sees Python's objects).

The devices are those of an earlier process (rows that were kept), so that nothing but their state is made. The intake answers at
once: journal and converter cost both the same, and are measured by benchmarks/run.py.
"""

from __future__ import annotations

import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

from twisted.internet import reactor

from iotgw.core.model import STORED
from iotgw.core.shared import SharedResources
from iotgw.core.validate import convert
from iotgw.datasources.coap.datasource import describe_udp
from iotgw.datasources.coap.ports import CoapPorts
from iotgw.datasources.coap.uplink import UplinkResource
from iotgw.datasources.lwm2m.registration import Lwm2mRegistration, encode
from iotgw.datasources.lwm2m.settings import Lwm2mSettings
from iotgw.datasources.lwm2m.source_type import Lwm2mType
from iotgw.testing import FakeIntake, MemoryKept, datasource_context
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.endpoint import Endpoint
from iotgw.wire.coap.message import encode as encoded
from iotgw.wire.coap.message import options, uri_options
from iotgw.wire.coap.site import Site
from iotgw.wire.coap.timing import Policy

LINKS = (
    b'</>;rt="oma.lwm2m";ct="60 110 112 11542 11543",</1/0>,</3>;ver=1.2,</3/0>,</5>;ver=1.1,</5/0>,</3303/0>'
)
PATH = "/3303/0/5700"
ROUNDS = 5
NOTIFICATION = bytes.fromhex("81a202f94d60216c2f333330332f302f35373030")


class Intake(FakeIntake):
    """Takes all, and keeps nothing."""

    def receive(self, payload: bytes, metadata: Any, answer: Any, *more: Any, **named: Any) -> None:
        answer(STORED)


def pss() -> int:
    """Bytes of this process's own, shared ones by their share."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))


def rows(devices: int) -> dict[str, bytes]:
    """Registrations as they were kept, each with the token of one observation."""
    found = {}
    for number in range(devices):
        name = f"urn:imei:{86_643_000_000_000 + number}"
        host = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        found[name] = encode(
            Lwm2mRegistration(f"id{number:010}", name, name, version="1.1", lifetime=3600, links=LINKS, host=host, port=5683,
                         tokens={PATH: number.to_bytes(4, "big").hex()})
        )  # fmt: skip
    return found


def source_of(devices: int, intake: Intake) -> Any:
    """A datasource that an earlier process has left so many registrations."""
    shares = SharedResources(CoapPorts(reactor))
    kept = MemoryKept({"ds": rows(devices)})
    settings = convert(
        {"port": 0, "interface": "127.0.0.1", "profiles": [{"observeAttr": {"observe": [PATH]}}]},
        Lwm2mSettings,
    )
    context = datasource_context(intake, reactor, shares=shares, kept=kept)
    return Lwm2mType(reactor).build(settings, context)


def parts(devices: int) -> None:
    """Print the bytes per registration by file."""
    source = source_of(devices, Intake())
    tracemalloc.start()
    source.start()
    found = tracemalloc.take_snapshot().statistics("filename")
    for each in found[:15]:
        place = each.traceback[0].filename.partition("/iotgw/")[2] or Path(each.traceback[0].filename).name
        print(f"{each.size / devices:8.0f} {place}")
    print(f"{sum(each.size for each in found) / devices:8.0f} in all")


def main(devices: int) -> None:
    """Print the figures."""
    intake = Intake()
    source = source_of(devices, intake)
    before = pss()
    source.start()
    grown = pss() - before
    print(
        f"{devices} registrations with an observation each: {grown / devices:.0f} bytes each, {grown >> 20} MB in all"
    )

    endpoint = source._shares[0].port.endpoint
    endpoint.send = lambda data, remote: None
    watched = [device.remote for device in source.registrations][:10_000]
    best: list[float] = []
    for turn in range(ROUNDS):
        datagrams = [
            (
                encoded(n.CON, n.CONTENT, 1000 + turn, number.to_bytes(4, "big"),
                        options((n.OBSERVE, 2 + turn), (n.CONTENT_FORMAT, 112)), NOTIFICATION),
                remote,
            )
            for number, remote in enumerate(watched)
        ]  # fmt: skip
        best.append(_spent(endpoint, datagrams))
    notification = min(best) / len(watched)

    site = Site()
    site.add(
        ("i", "key"),
        UplinkResource(datasource_context(intake, reactor), Policy(), describe_udp, lambda: None),
    )
    plain = Endpoint(site, lambda data, remote: None, time.monotonic)
    best = []
    for turn in range(ROUNDS):
        opts = options(*uri_options("i/key"), (n.CONTENT_FORMAT, n.JSON))
        datagrams = [
            (encoded(n.CON, n.POST, 1000 + turn, b"t", opts, b'{"temperature":21.5}'), remote)
            for remote in watched
        ]
        best.append(_spent(plain, datagrams))
    uplink = min(best) / len(watched)
    print(
        f"notification {notification * 1e6:.1f} µs, CoAP uplink {uplink * 1e6:.1f} µs of CPU, up to the intake"
    )


def _spent(endpoint: Any, datagrams: list[tuple[bytes, Any]]) -> float:
    now = time.monotonic()
    begun = time.process_time()
    for data, remote in datagrams:
        endpoint.datagram(data, remote, now)
    return time.process_time() - begun


if __name__ == "__main__":
    given = [word for word in sys.argv[1:] if word != "--parts"]
    (parts if "--parts" in sys.argv else main)(int(given[0]) if given else 100_000)

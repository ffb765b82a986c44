"""Simulated devices and the datasources over real sockets on loopback."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

import msgspec
import pytest
import pytest_twisted
from twisted.internet import reactor

from iotgw.datasources.socket.tcp import TcpSettings, TcpType
from iotgw.datasources.socket.udp import UdpSettings, UdpType
from iotgw.datasources.vendors.dragino import (
    DraginoSettings,
    DraginoType,
    DraginoUdpSettings,
    DraginoUdpType,
)
from iotgw.datasources.vendors.lobaro import LobaroUdpSettings, LobaroUdpType
from iotgw.datasources.vendors.tekelek import TekelekSettings, TekelekType
from iotgw.simulate.runner import Plan, run
from iotgw.testing import FakeIntake
from iotgw.testing import datasource_context as context
from tests.peers.patience import HANGS
from tests.peers.process import wait_until

SOURCES = {
    "tekelek": (TekelekType, TekelekSettings, {"linger": 0.0}),
    "dragino": (DraginoType, DraginoSettings, {"pause": 0.05}),
    "dragino-udp": (DraginoUdpType, DraginoUdpSettings, {}),
    "lobaro-udp": (LobaroUdpType, LobaroUdpSettings, {}),
    "tcp": (TcpType, TcpSettings, {"handler": {"type": "JSON"}}),
    "udp": (UdpType, UdpSettings, {"handler": {"type": "JSON"}}),
}
PATIENCE = {"dragino": 0.3, "dragino-udp": 0.3, "lobaro-udp": 0.1, "tcp": 0.1, "udp": 0.1}


def open_source(kind: str, interface: str = "127.0.0.1"):
    factory, type_, more = SOURCES[kind]
    intake = FakeIntake()
    settings = msgspec.convert({"port": 0, "interface": interface, **more}, type_)
    source = factory(reactor).build(settings, context(intake, reactor))
    return source, intake


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest_twisted.ensureDeferred
async def test_every_simulated_uplink_arrives(kind, host):
    if host == "::1" and not has_ipv6():
        pytest.skip("this machine has no IPv6 loopback")
    source, intake = open_source(kind, host)
    await source.start()
    try:
        plan = Plan(
            kind, host, source.port, count=20, rate=0, devices=20, patience=PATIENCE.get(kind), seed=7
        )
        summary = await run(reactor, plan)
    finally:
        await source.stop()
    assert (summary.sent, summary.failed) == (20, 0)
    assert len(intake.received) == 20 and intake.rejected == []
    assert {facts["remoteIp"] for _, facts in intake.received} == {host}
    if kind == "tekelek":
        assert summary.answered == 20


@pytest_twisted.ensureDeferred
async def test_commands_reach_a_simulated_tekelek_and_its_answers_come_back():
    source, intake = open_source("tekelek")
    await source.start()
    try:
        plan = Plan("tekelek", "127.0.0.1", source.port, count=1, devices=1, seed=7)
        await run(reactor, plan)
        imei = intake.received[0][1]["identity"]
        intake.put(imei, b"R1=02", b"R6=02")
        summary = await run(reactor, plan)
    finally:
        await source.stop()
    assert summary.downlinks == 2 and summary.answered == 1
    assert [facts["messageName"] for _, facts in intake.received[1:]] == ["scheduled", "registers", "status"]
    assert [state for _, state in intake.outcomes] == ["sent", "sent", "delivered", "delivered"]


@pytest_twisted.ensureDeferred
async def test_a_downlink_reaches_a_simulated_node_over_tcp_and_udp():
    for kind in ("dragino", "dragino-udp"):
        source, intake = open_source(kind)
        await source.start()
        try:
            plan = Plan(kind, "127.0.0.1", source.port, count=1, devices=1, seed=7, patience=0.5)
            await run(reactor, plan)
            intake.put(intake.received[0][1]["identity"], bytes.fromhex("01000384"))
            summary = await run(reactor, plan)
        finally:
            await source.stop()
        assert summary.downlinks == 1


@pytest_twisted.ensureDeferred
async def test_a_port_that_is_taken_is_told():
    first, _ = open_source("tcp")
    await first.start()
    try:
        settings = msgspec.convert({"port": first.port, "interface": "127.0.0.1"}, TcpSettings)
        second = TcpType(reactor).build(settings, context(FakeIntake(), reactor))
        with pytest.raises(Exception, match="Address already in use"):
            await second.start()
    finally:
        await first.stop()


@pytest_twisted.ensureDeferred
async def test_nobody_listens():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    summary = await run(reactor, Plan("tekelek", "127.0.0.1", port, count=2, rate=0, devices=2))
    assert (summary.failed, summary.sent) == (2, 0) and "refused" in summary.last_error


VENDORS_OVER_COAP = {"dragino-coap": "dragino/ndds75", "lobaro-coap": "lobaro/wmbus"}


def test_simulated_devices_over_http_and_coap_and_by_way_of_a_broker(gateway, mosquitto):
    """From the command line, as a user runs it."""
    gateway.create("datasources", name="http", type="http", routingKey="h1", converter="json")
    gateway.create(
        "datasources", name="coap", type="coap", routingKey="c1", converter="json",
        configuration={"port": gateway.coap_port, "interface": "127.0.0.1"},
    )  # fmt: skip
    gateway.create(
        "datasources", name="mqtt", type="mqtt", converter="json",
        configuration={"host": "127.0.0.1", "port": mosquitto.port, "topics": ["devices/+/up"]},
    )  # fmt: skip
    wait_until(lambda: gateway.api("GET", "/datasources/mqtt").json["status"]["state"] == "connected")
    for name, converter in VENDORS_OVER_COAP.items():
        gateway.create(
            "datasources", name=name, type=name, converter=converter,
            configuration={"port": gateway.coap_port, "interface": "127.0.0.1", "path": name},
        )  # fmt: skip
    for kind, port, path in (
        *((name, gateway.coap_port, f"/{name}/up") for name in VENDORS_OVER_COAP),
        ("http", gateway.port, "/i/h1"),
        ("coap", gateway.coap_port, "/i/c1"),
        ("mqtt", mosquitto.port, ""),
    ):
        command = [
            sys.executable,
            "-m",
            "iotgw.ctl.main",
            "--json",
            "simulate",
            kind,
            "--port",
            str(port),
            "--rate",
            "0",
        ]
        done = subprocess.run(
            [*command, "--path", path], check=False, capture_output=True, text=True, timeout=HANGS
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["answered"] == 10
        wait_until(lambda name=kind: len(gateway.messages(datasource=name, state="converted")) == 10)

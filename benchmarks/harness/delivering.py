"""A delivery service by itself: its stream, its targets and neighbours, and what it used."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from twisted.internet import defer, reactor, task

from iotgw.core.epochs import Epochs
from iotgw.core.model import TelemetryRecord
from iotgw.core.specs import IntegrationSpec, RetrySpec
from iotgw.core.types import Types
from iotgw.delivery.service import DeliveryService
from iotgw.integrations.http import HttpType
from iotgw.integrations.mqtt import MqttType
from iotgw.integrations.thingsboard import ThingsBoardType
from iotgw.testing import MemoryJournal
from tests.peers import mosquitto

DEVICES = 500
FEED = 64
WARM = 2000
"""Messages before those that are measured."""


def body(n):
    return (
        b'{"deviceName":"dev-%d","deviceType":"default","attributes":{},"telemetry":[{"ts":1700000000000,'
        b'"values":{"seq": %d,"temperature":25.7,"humidity":69,"battery":3.61,"rssi":-97}}]}'
        % (n % DEVICES, n // DEVICES)
    )


class Stream(MemoryJournal):
    """A journal that holds its stream in memory and forgets progress."""

    epochs = Epochs("bench")

    def __init__(self, count):
        super().__init__(reactor)
        now = int(time.time() * 1000)
        self.records = [
            TelemetryRecord(n + 1, n + 1, "default", "ds", now, f"dev-{n % DEVICES}", "default", body(n))
            for n in range(count)
        ]
        self.head = 0

    def integrations(self):
        return {}

    def hold(self, integration, max_age):
        pass

    def progress(self, progress):
        pass

    def read_telemetry(self, after, limit):
        return defer.succeed(self.records[after : min(after + limit, self.head)])

    def read_parked(self, *args):
        return defer.succeed([])


class Quiet:
    def emit(self, event):
        pass


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


class Mosquitto:
    """A mosquitto in place of `tools.Sink`; it knows how many messages it got, not which."""

    def __init__(self):
        self._folder = Path(tempfile.mkdtemp())
        self._broker = mosquitto.Mosquitto(
            self._folder, config="max_inflight_messages 0\nsys_interval 0\n"
        ).start()
        self.mqtt, self.http = self._broker.port, 0

    def __exit__(self, *_):
        self._broker.stop()
        shutil.rmtree(self._folder)


def spec_of(shape, sink):
    shape, _, engine = shape.partition("-")
    http = f"http://127.0.0.1:{sink.http}/in"
    mqtt = {"host": "127.0.0.1", "port": sink.mqtt}
    type_, configuration = {
        "mqtt": ("mqtt", mqtt),
        "mqtt5": ("mqtt", {**mqtt, "version": "5"}),
        "thingsboard": ("thingsboard", mqtt),
        "post": ("http", {"url": http}),
        "batch": ("http", {"url": http, "batch": "array", "batchSize": 100, "concurrency": 4}),
        "backlog": ("http", {"url": http, "batch": "array", "batchSize": 100, "concurrency": 4}),
    }[shape]
    if engine:
        configuration = {**configuration, "engine": engine}
    retry = RetrySpec(initial=0.2, cap=1.0)
    return IntegrationSpec(name=shape, type=type_, configuration=configuration, retry=retry)


class Neighbour:
    """Another integration beside the one that is measured; its target refuses every connection (``dead``),
    or is one of ``neighbours.py``."""

    def __init__(self, kind):
        self._process = None
        if kind == "dead":
            with socket.socket() as unused:
                unused.bind(("127.0.0.1", 0))
                port = unused.getsockname()[1]
        else:
            script = Path(__file__).with_name("neighbours.py")
            self._process = subprocess.Popen([sys.executable, script, kind], stdout=subprocess.PIPE)
            port = int(self._process.stdout.readline())
        if kind == "slowmqtt":
            type_, configuration = "mqtt", {"host": "127.0.0.1", "port": port}
        else:
            type_, configuration = "http", {"url": f"http://127.0.0.1:{port}/", "timeout": 2.0}
        retry = RetrySpec(initial=0.2, cap=1.0)
        self.spec = IntegrationSpec(name=kind, type=type_, configuration=configuration, retry=retry)

    def close(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()


async def service_of(journal, spec):
    types = Types("iotgw.none", reactor, (MqttType, HttpType, ThingsBoardType))
    service = DeliveryService(journal, types, reactor, Quiet(), lambda id_: "source")
    service.start()
    await service.apply("bench", "bench", "default", spec)
    return service


async def until(condition):
    while not condition():
        await task.deferLater(reactor, 0.005)


def line(shape, count, took, used, extra=""):
    print(f"{shape:20} {count:8} {count / took:10,.0f} {used / count * 1e6:9.1f} {extra}", flush=True)

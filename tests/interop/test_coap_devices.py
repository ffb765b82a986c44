"""Real CoAP servers as devices: our endpoint observes them, pushes large bodies, and hears refusals."""

import contextlib
import itertools
import os
import sys
from pathlib import Path

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from iotgw.datasources.coap.port import CoapPort
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import Message, options, uri_options
from iotgw.wire.coap.timing import Policy
from tests.peers.process import HOME, Process, find, free_udp_port, missing, node_module

HERE = Path(__file__).parent
BODY = bytes(number % 251 for number in range(5000))


class Program(Process):
    """A device that says when it is ready."""

    def ready(self):
        return "ready" in self.output


def aiocoap(port):
    return [sys.executable, HERE / "aiocoap_device.py", port]


def npm(port):
    node_module("coap")
    return [find("node"), HERE / "coap_device.js", port]


def californium(port, *more):
    folder = HOME / "californium" / "target"
    if not (folder / "classes" / "Observed.class").exists():
        missing("tests/peers/californium is not built: that takes Java and Maven")
    classes = f"{folder / 'classes'}{os.pathsep}{folder / 'lib'}/*"
    return [find("java"), "-cp", classes, "Observed", port, *more]


class House:
    """Our endpoint on a socket, and a device; ``remote`` is its address."""

    def __init__(self, folder, stack):
        self.port = CoapPort(reactor, 0, "127.0.0.1")
        stack.callback(self.port.close)
        self.endpoint = self.port.endpoint
        self.folder = folder
        self.stack = stack
        self.remote = ("127.0.0.1", free_udp_port())

    def start(self, make, cls=Program):
        args = make(self.remote[1])
        env = {"NODE_PATH": str(HOME / "node_modules")}
        self.stack.enter_context(cls(args, self.folder / "device.log", env=env).start())
        return self

    async def ask(self, code, path, payload=b"", **more):
        """The response to a request."""
        done = Deferred()
        request = Message(code, payload, options(*uri_options(path)))
        self.endpoint.request(request, self.remote, done.callback, lambda u: done.errback(Failed(u)), **more)
        self.port.sent()
        return await done

    def observe(self, path, policy=None):
        return Watcher(self, path, policy or Policy())


class Failed(Exception):
    pass


class Watcher:
    """Observes, and waits for what comes."""

    def __init__(self, house, path, policy):
        self.house = house
        self.arrived = []
        self.ends = []
        self._waiting = None
        self.watch = house.endpoint.observe(
            Message(n.GET, b"", options(*uri_options(path))), house.remote,
            self._took, self._failed, self, policy,
        )  # fmt: skip
        house.port.sent()

    def _took(self, response):
        self.arrived.append(response)
        self._wake()

    def _failed(self, unanswered):
        self.ends.append(unanswered)
        self._wake()

    def notified(self, arrival):
        self.arrived.append(arrival.response)
        arrival.stored()
        self._wake()

    def ended(self, end):
        self.ends.append(end)
        self._wake()

    def _wake(self):
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    async def until(self, condition):
        while not condition():
            assert self._waiting is None
            self._waiting = Deferred()
            await self._waiting


@pytest.fixture
def house(tmp_path):
    with contextlib.ExitStack() as stack:
        yield House(tmp_path, stack)


JAVA = pytest.param(californium, marks=pytest.mark.interop)
EVERY = pytest.mark.parametrize("make", [aiocoap, npm, JAVA])
WITH_ALL = pytest.mark.parametrize("make", [aiocoap, JAVA])


@EVERY
@ensureDeferred
async def test_a_large_body_is_pushed_and_its_large_answer_is_whole(house, make):
    house.start(make)
    for size in (64, 1024):
        answer = await house.ask(n.POST, "downlink", BODY, policy=Policy(block_size=size))
        assert (answer.code, answer.payload) == (n.CHANGED, BODY[::-1])


@EVERY
@ensureDeferred
async def test_what_is_not_there_is_refused(house, make):
    house.start(make)
    assert (await house.ask(n.POST, "nothing", b"x")).code == n.NOT_FOUND


@EVERY
@ensureDeferred
async def test_states_come_in_order_and_no_more_after_the_deregistration(house, make):
    house.start(make)
    watcher = house.observe("clock")
    await watcher.until(lambda: len(watcher.arrived) >= 4 or watcher.ends)
    counts = [int(state.payload) for state in watcher.arrived]
    assert counts == sorted(set(counts))
    house.endpoint.client.deregister(watcher.watch)
    house.port.sent()
    await watcher.until(lambda: watcher.ends)
    assert [(end.kind, end.reason) for end in watcher.ends] == [("deregistered", "")]
    assert len(house.endpoint.client) == 0


@WITH_ALL
@ensureDeferred
async def test_a_large_state_comes_whole_each_time(house, make):
    house.start(make)
    watcher = house.observe("large")
    await watcher.until(lambda: len(watcher.arrived) >= 3 or watcher.ends)
    assert watcher.ends == []
    assert {len(state.payload.partition(b" ")[2]) for state in watcher.arrived} == {3000}
    house.endpoint.client.cancel(watcher.watch)


@WITH_ALL
@ensureDeferred
async def test_an_error_of_the_device_ends_the_observation_and_is_heard(house, make):
    house.start(make)
    watcher = house.observe("short")
    await watcher.until(lambda: watcher.ends)
    assert [(end.kind, end.response.code) for end in watcher.ends] == [("error", n.NOT_FOUND)]


@WITH_ALL
@ensureDeferred
async def test_a_resource_that_acknowledges_and_never_answers_does_not_hold_up_the_next_request(house, make):
    house.start(make)
    first = Deferred()
    request = Message(n.POST, b"x", options(*uri_options("silent")))
    quick = Policy(response_timeout=3.0)
    house.endpoint.request(request, house.remote, first.errback, first.callback, quick)
    house.port.sent()
    assert (await house.ask(n.POST, "downlink", b"ab")).payload == b"ba"
    assert (await first).reason == "acknowledged, but no response came"


class Libcoap(Program):
    """libcoap's server says nothing; it is ready when it has the port."""

    def ready(self):
        return f":{int(self.args[-1]):04X} " in Path("/proc/net/udp").read_text()


def libcoap(port):
    return [find("coap-server-notls"), "-A", "127.0.0.1", "-p", port]


@ensureDeferred
async def test_libcoap_is_observed_and_refuses(house):
    house.start(libcoap, Libcoap)
    assert (await house.ask(n.POST, "time", b"x")).code == n.METHOD_NOT_ALLOWED
    body = BODY[:3000]
    assert (await house.ask(n.PUT, "example_data", body)).code in (n.CHANGED, n.CREATED)
    assert (await house.ask(n.GET, "example_data")).payload == body
    watcher = house.observe("time")
    await watcher.until(lambda: len(watcher.arrived) >= 3 or watcher.ends)
    assert all(one.payload != other.payload for one, other in itertools.pairwise(watcher.arrived))
    house.endpoint.client.deregister(watcher.watch)
    house.port.sent()
    await watcher.until(lambda: watcher.ends)
    assert [(end.kind, end.reason) for end in watcher.ends] == [("deregistered", "")]

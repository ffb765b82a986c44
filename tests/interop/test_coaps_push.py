"""The gateway as a client of a real device over the DTLS session that the device made: pushes, their answers, observing."""

import base64
from types import SimpleNamespace

import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import Message, options, uri_options
from iotgw.wire.coap.timing import Policy
from iotgw.wire.coap.transmission import FORGOTTEN
from tests import coaps_house
from tests.interop.test_coap_devices import Program, Watcher, californium
from tests.peers.gateway import Gateway
from tests.peers.process import free_udp_port, wait_until

pytestmark = pytest.mark.interop

BODY = bytes(number % 251 for number in range(3000))
SECRET = "correct horse battery staple"
RESOURCES = """
[[credential]]
name = "meter-7"
identity = "sim-4711"
secrets = [{{ value = "{secret}" }}]
device = "meter-7"

[[datasource]]
name = "meters"
type = "coap"
routingKey = "k"
converter = "json"
downlinkWindow = 0
[datasource.configuration]
interface = "127.0.0.1"
securityMode = "DTLS"
securePort = {port}
downlinkPath = "{path}"
"""


class Meter:
    """A gateway, and a device that has a session with it and has sent an uplink over it."""

    def __init__(self, folder, path):
        port = free_udp_port()
        self.gateway = Gateway(folder / "gateway", RESOURCES.format(port=port, path=path, secret=SECRET))
        command = californium(0, f"coaps://127.0.0.1:{port}/i/k", "sim-4711", SECRET)
        self.program = Program(command, folder / "device.log")

    def __enter__(self):
        self.gateway.start()
        try:
            self.program.start()
            self.gateway.message_when("converted")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in (self.program, self.gateway):
            if process.alive:
                process.kill_all()

    def push(self, data):
        body = {"data": base64.b64encode(data).decode(), "maxAttempts": 5}
        made = self.gateway.api("POST", "/devices/meter-7/downlinks?allowUnknown=true", body).json
        return lambda: self.gateway.api("GET", f"/devices/meter-7/downlinks/{made['id']}").json


def over(item, is_so):
    """An item, as soon as ``is_so``."""
    return wait_until(lambda: item() if is_so(item()) else None, what=f"the item's end, it is {item()}")


def test_an_item_is_pushed_over_the_session_and_its_answer_is_the_item_s_result(tmp_path):
    with Meter(tmp_path, "downlink") as meter:
        for body in (BODY, b"short"):
            shown = over(meter.push(body), lambda item: item["state"] == "DELIVERED")
            result = shown["result"]
            assert (result["code"], base64.b64decode(result["payload"])) == ("2.04", body[::-1])
        sessions = meter.gateway.api("GET", "/datasources/meters/sessions").json["items"]
        assert [session["identity"] for session in sessions] == ["sim-4711"]  # it was one, all the time
        meter.gateway.api("DELETE", f"/datasources/meters/sessions/{sessions[0]['id']}")
        shown = over(meter.push(b"late"), lambda item: item["reason"])
        assert (shown["state"], shown["reason"]) == ("QUEUED", "the device's session has ended")


def test_a_refusal_over_the_session_is_final(tmp_path):
    with Meter(tmp_path, "nothing") as meter:
        shown = over(meter.push(b"x"), lambda item: item["state"] == "FAILED")
        assert (shown["result"]["code"], shown["attempts"]) == ("4.04", 1)


class Intake(coaps_house.Intake):
    """One whose first uplink can be waited for."""

    def __init__(self):
        super().__init__()
        self.heard = Deferred()

    def receive(self, *uplink, **more):
        super().receive(*uplink, **more)
        heard, self.heard = self.heard, None
        if heard is not None:
            heard.callback(None)


class House(coaps_house.House):
    """A datasource and a device; ``remote`` is the device's session."""

    intake = Intake

    async def begin(self, folder):
        self.registry.put("meter-7", secrets=[{"value": SECRET}])
        intake = await self.open()
        self.program = Program(californium(0, self.uri(), "meter-7", SECRET), folder / "device.log").launch()
        await intake.heard
        self.endpoint = self.port().endpoint
        ((_, self.metadata),) = intake.received
        self.remote = self.port().peer_of(self.metadata)
        return self

    def observe(self, path):
        seen = SimpleNamespace(endpoint=self.endpoint, remote=self.remote, port=self.port())
        return Watcher(seen, path, Policy())

    async def close(self):
        if self.program is not None and self.program.alive:
            self.program.kill_all()
        await super().close()

    program = None


@pytest.fixture
def house():
    made = House()
    yield made
    pytest_twisted.blockon(Deferred.fromCoroutine(made.close()))


@ensureDeferred
async def test_an_observation_ends_with_the_session_that_the_gateway_ends(house, tmp_path):
    await house.begin(tmp_path)
    watcher = house.observe("clock")
    await watcher.until(lambda: len(watcher.arrived) >= 3 or watcher.ends)
    assert watcher.ends == []
    counts = [int(state.payload) for state in watcher.arrived]
    assert counts == sorted(set(counts))
    assert house.datasources[0].end(house.remote.id)
    await watcher.until(lambda: watcher.ends)
    assert [end.kind for end in watcher.ends] == ["gone"]
    assert len(house.endpoint.client) == 0


@ensureDeferred
async def test_an_observation_and_a_request_end_with_the_session_that_the_device_ends(house, tmp_path):
    await house.begin(tmp_path)
    watcher = house.observe("clock")
    await watcher.until(lambda: len(watcher.arrived) >= 3 or watcher.ends)
    assert watcher.ends == []
    unanswered = Deferred()
    request = Message(n.POST, b"", options(*uri_options("end")))
    house.endpoint.request(request, house.remote, unanswered.errback, unanswered.callback)
    house.port().sent()
    assert (await unanswered).reason == FORGOTTEN
    await watcher.until(lambda: watcher.ends)
    assert [end.kind for end in watcher.ends] == ["gone"]
    assert len(house.endpoint.client) == 0

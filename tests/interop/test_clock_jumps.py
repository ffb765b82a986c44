"""The machine's clock jumps by an hour, by eight days, or from 1970 to now: nothing is lost, nothing early, nothing stuck."""

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.peers.coap import con_post
from tests.peers.machine_clock import since_1970
from tests.peers.patience import HANGS
from tests.peers.process import free_udp_port, wait_until

from . import targets
from .clocked import DAY, KEY, Clocked, metadata_script, output_of, survives

pytestmark = pytest.mark.interop

HOUR = 3600
FAST = [
    ("1970", targets.Http),
    ("+8d", targets.Mqtt),
    ("-1h", targets.Sftp),
    ("-1h", targets.ThingsBoard),
]
EVERY = [targets.Http, targets.HttpBatches, targets.Mqtt, targets.Sftp, targets.ThingsBoard]


def jumps_of(name):
    """The offset to start with, and how far the clock jumps."""
    return {
        "1970": (since_1970(), [-since_1970()]),
        "+8d": (0, [8 * DAY]),
        "-1h": (0, [-HOUR]),
        "there and back": (0, [8 * DAY, -8 * DAY, -HOUR, HOUR]),
    }[name]


@pytest.fixture
def world(tmp_path, request):
    offset, settings = getattr(request, "param", (0, ""))
    with Clocked(tmp_path, offset, settings) as made:
        yield made


def run(tmp_path, name, kind, count):
    offset, jumps = jumps_of(name)
    world, target = Clocked(tmp_path, offset), kind(tmp_path)
    try:
        target.start()
        with world:
            survives(world, target, jumps, count)
    finally:
        target.close()


@pytest.mark.interop
@pytest.mark.parametrize(("name", "kind"), FAST, ids=lambda each: getattr(each, "__name__", each))
def test_a_jump_under_load_while_the_target_is_away_costs_nothing(tmp_path, name, kind):
    run(tmp_path, name, kind, 25)


@pytest.mark.soak
@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", ["1970", "+8d", "-1h", "there and back"])
def test_every_jump_at_every_kind_of_target_under_more_load(tmp_path, name, kind):
    run(tmp_path, name, kind, 400)


def test_a_jump_is_an_event_with_from_to_and_by_how_much(world):
    assert world.events("clock-jumped") == []
    world.jump(-HOUR)
    (event,) = world.events("clock-jumped")
    assert event["severity"] == "warning"
    assert abs(event["detail"]["by"] + HOUR) < 2
    assert abs(event["detail"]["to"] / 1000 - world.clock.now()) < 60
    assert abs(event["detail"]["from"] - event["detail"]["to"] - 1000 * HOUR) < 2000
    assert "clock jumped by -3600" in world.gateway.output


class Impatient(BaseHTTPRequestHandler):
    """Asks for a wait with its first answer; ``times`` are those of the requests on the monotonic clock."""

    times: list
    wait = 4

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.times.append(time.monotonic())
        self.send_response(503 if len(self.times) == 1 else 200)
        if len(self.times) == 1:
            self.send_header("Retry-After", str(self.wait))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.mark.parametrize("jump", [8 * DAY, -HOUR])
def test_a_target_that_asked_for_a_wait_is_tried_after_it_neither_early_nor_an_hour_late(world, jump):
    handler = type("Handler", (Impatient,), {"times": []})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        world.gateway.create("integrations", name="out", type="http", configuration={"url": url})
        assert world.gateway.post(KEY, {"deviceName": "d", "n": 1}).status < 300
        wait_until(lambda: handler.times, what="the first try")
        world.jump(jump)
        wait_until(lambda: len(handler.times) > 1, what="the second try")
        server.shutdown()
    assert handler.times[1] - handler.times[0] >= Impatient.wait * 0.99


@pytest.mark.interop
@pytest.mark.parametrize(
    "kind", [targets.Mqtt, targets.Sftp, targets.ThingsBoard], ids=lambda kind: kind.__name__
)
def test_no_kind_of_target_gets_messages_earlier_than_its_rate_allows_because_the_clock_jumped(
    tmp_path, kind
):
    world, target = Clocked(tmp_path), kind(tmp_path)
    rate, count = 2.0, 12
    target.start()
    try:
        with world:
            world.deliver_to(target, queue={"rate": rate})
            for n in range(count):
                body = {"deviceName": f"d{n}", "deviceType": "meter", "n": n}
                assert world.gateway.post(KEY, body).status < 300
            wait_until(target.arrived, 60, "the first message")
            began, first = time.monotonic(), len(target.arrived())
            for jump in (8 * DAY, -HOUR):
                world.jump(jump)
            wait_until(lambda: len(target.arrived()) >= count, 60, "all messages")
            took = time.monotonic() - began
    finally:
        target.close()
    assert took >= (count - first - 1) / rate * 0.95


def test_what_waits_while_the_gateway_is_stopped_and_the_clock_jumps_is_not_old(tmp_path):
    target = targets.Http(tmp_path)
    world = Clocked(tmp_path)
    with world:
        world.deliver_to(target)  # which isn't there
        for n in range(5):
            assert world.gateway.post(KEY, {"deviceName": f"d{n}", "n": n}).status < 300
        world.gateway.kill()
        world.clock.jump(8 * DAY)
        world.gateway.start()
        (event,) = world.events("clock-jumped")
        assert "while the gateway was stopped" in event["message"]
        target.start()
        wait_until(lambda: world.has_delivered_all(5), 60, "all to be delivered")
        assert world.stats()["expired"] == 0
    target.close()


def test_what_is_older_than_its_age_still_expires_after_a_jump(world, tmp_path):
    target = targets.Http(tmp_path)
    world.jump(-HOUR)
    world.deliver_to(target, queue={"maxAge": 3})
    assert world.gateway.post(KEY, {"deviceName": "d", "n": 1}).status < 300
    wait_until(lambda: world.stats()["expired"] == 1, 60, "it to expire")


@pytest.mark.parametrize("world", [(since_1970(), "")], indirect=True)
def test_a_reading_from_before_the_first_ntp_answer_is_marked_and_dated_when_the_time_is_known(world):
    world.gateway.create("converters", name="mine", script=metadata_script())
    assert world.gateway.api("PATCH", "/datasources/in", {"converter": "mine"}).status == 200
    assert world.gateway.post(KEY, {"deviceName": "d", "n": 1}).status < 300
    first = world.gateway.message_when("converted")
    ts, values = output_of(first)
    assert values["unsure"] is True
    assert ts < 1000 * DAY, "as the machine says: 1970"
    world.jump(-world.clock.offset)
    assert world.gateway.post(KEY, {"deviceName": "d", "n": 2}).status < 300
    wait_until(lambda: [each["state"] for each in world.gateway.messages()] == ["converted"] * 2)
    ts, values = output_of(world.gateway.messages()[0])
    assert values["unsure"] is False
    assert abs(ts / 1000 - time.time()) < 600
    assert world.gateway.api("POST", f"/messages/{first['id']}/reprocess").status == 200

    def again():
        mended_ms, values = output_of(world.gateway.api("GET", f"/messages/{first['id']}").json)
        return 0 if values["unsure"] else mended_ms

    mended_ms = wait_until(again, 60, "the first one to be converted again")
    assert ts - 600_000 < mended_ms <= ts


@pytest.mark.parametrize("world", [(since_1970(), "")], indirect=True)
def test_what_waits_since_before_the_first_ntp_answer_arrives_with_its_right_date_and_what_left_earlier_with_a_mark(
    world, tmp_path
):
    assert [each["severity"] for each in world.events("clock-wrong")] == ["warning"]
    target = targets.Http(tmp_path)
    target.start()
    world.deliver_to(target)
    assert world.gateway.post(KEY, {"deviceName": "d", "n": 1}).status < 300
    wait_until(lambda: world.has_delivered_all(1), 60, "the first one to be delivered")
    target.kill()
    assert world.gateway.post(KEY, {"deviceName": "d", "n": 2}).status < 300
    wait_until(lambda: world.stats()["lastError"], 60, "the target to be down")
    world.jump(-world.clock.offset)
    target.start()
    wait_until(lambda: world.has_delivered_all(2), 60, "the second one to be delivered")
    early, late = (document["telemetry"][0] for document in target.server.documents)
    target.close()
    assert (early["values"], early["ts"] < 1000 * DAY) == ({"n": 1, "clockUnsure": True}, True)
    assert late["values"] == {"n": 2}
    assert abs(late["ts"] / 1000 - time.time()) < 600


def test_a_downlink_that_is_held_waits_for_as_long_as_it_may_and_no_longer(world):
    push = {"contentType": "TEXT", "ttl": HOUR}
    held = world.gateway.api("POST", "/devices/d/downlinks?allowUnknown=true", {**push, "data": "held"}).json

    def state(device, item):
        return world.gateway.api("GET", f"/devices/{device}/downlinks/{item['id']}").json["state"]

    for jump in (8 * DAY, -2 * HOUR):
        short = {**push, "data": "short", "ttl": 3}
        item = world.gateway.api("POST", "/devices/other/downlinks?allowUnknown=true", short).json
        world.jump(jump)
        wait_until(lambda item=item: state("other", item) == "EXPIRED", 60, "the short one to expire")
        assert state("d", held) == "QUEUED"
    world.gateway.kill()
    world.gateway.start()
    assert world.gateway.post(KEY, {"deviceName": "d", "n": 1}).body == b"held"


def test_a_repeated_coap_request_is_recognized_after_jumps(world):
    port = free_udp_port()
    world.gateway.create(
        "datasources",
        name="coap",
        type="coap",
        routingKey="coap",
        converter="json",
        configuration={"port": port},
    )
    request = con_post(7, b"tokn", "i/coap", b'{"deviceName": "c", "n": 1}')
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        device.connect(("127.0.0.1", port))
        device.settimeout(HANGS)
        device.send(request)
        first = device.recv(2000)
        for jump in (8 * DAY, -HOUR):
            world.jump(jump)
            device.send(request)
            assert device.recv(2000) == first
    assert len(world.gateway.messages(datasource="coap")) == 1

"""Devices that say how long they listen (``ttd``): the answer is held back for an item that comes meanwhile."""

import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.interop.test_downlinks import BY_NAME, becomes, coap, http, state, text
from tests.peers.coap import coap_client, con_post
from tests.peers.patience import HANGS
from tests.peers.process import find, wait_until

LONG = 60


class Curl:
    """An upload of curl's that is under way."""

    def __init__(self, gateway, *more, query="", body=BY_NAME):
        url = f"http://127.0.0.1:{gateway.port}/i/key{query}"
        self._process = subprocess.Popen(
            [find("curl"), "-sS", "-w", "\n%{http_code}", "--data-binary", body.decode(), *more, url],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        # the uplink is durable, and its device known, before anything is answered
        wait_until(lambda: gateway.messages(state="converted"), what="the uplink")

    def answer(self):
        """Status and body."""
        out, _ = self._process.communicate(timeout=HANGS)
        body, _, status = out.rpartition("\n")
        return int(status), body

    @property
    def is_held(self):
        return self._process.poll() is None

    def hang_up(self):
        self._process.kill()
        self._process.communicate()


@pytest.mark.parametrize(
    ("options", "query"), [(("-H", "hono-ttd: 60"), ""), ((), "?ttd=60"), ((), "?hono-ttd=60")]
)
def test_an_item_that_comes_while_the_answer_is_held_back_goes_with_it_at_once(gateway, options, query):
    http(gateway)
    device = Curl(gateway, *options, query=query)
    assert device.is_held
    item = text(gateway, "d", "go", mode="sync")
    assert device.answer() == (200, "go")
    becomes(gateway, item, "DELIVERED")
    types = [event["type"] for event in gateway.api("GET", "/events?source=device").json["items"]]
    assert types[::-1] == ["downlink.queued", "downlink.sent", "downlink.delivered"]


def test_without_an_item_the_empty_answer_comes_when_the_time_is_over(gateway):
    http(gateway)
    started = time.monotonic()
    device = Curl(gateway, query="?ttd=1")
    text(gateway, "another", "not for d")
    assert device.answer()[0] == 204
    assert time.monotonic() - started >= 1
    assert Curl(gateway).answer()[0] == 204


def test_an_item_that_waits_already_holds_nothing_back(gateway):
    http(gateway)
    text(gateway, "d", "go")
    assert Curl(gateway, query=f"?ttd={LONG}").answer() == (200, "go")


def test_a_device_that_hangs_up_while_it_is_held_leaves_the_item_queued(gateway):
    http(gateway)
    device = Curl(gateway, query=f"?ttd={LONG}")
    device.hang_up()
    wait_until(lambda: connections(gateway) == 0, what="the connection's end")
    item = text(gateway, "d", "go")
    shown = gateway.api("GET", f"/devices/d/downlinks/{item['id']}").json
    assert (shown["state"], shown["attempts"]) == ("QUEUED", 0)
    assert gateway.post("key", BY_NAME).body == b"go"


def connections(gateway):
    """Established connections to the gateway's HTTP port that are not the one that asks."""
    port = f":{gateway.port:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(1 for line in lines if line[1].endswith(port) and line[3] in ("01", "08"))


def test_what_is_no_time_is_answered_at_once(gateway):
    http(gateway)
    for said in ("0", "-1", "soon", "nan"):
        assert Curl(gateway, "-H", f"hono-ttd: {said}").answer()[0] == 204


def test_the_setting_bounds_what_a_device_may_ask_for(gateway):
    http(gateway, configuration={"longestTtd": 0.5})
    assert Curl(gateway, query="?ttd=86400").answer()[0] == 204


def test_a_message_whose_converter_fails_has_nobody_to_wait_for(gateway):
    http(gateway)
    assert gateway.post("key", b"no json", path=f"?ttd={LONG}").status == 204


def test_the_end_of_the_gateway_answers_whoever_is_held(gateway):
    http(gateway)
    device = Curl(gateway, query=f"?ttd={LONG}")
    gateway.stop()
    assert device.answer()[0] == 204


def test_several_items_go_one_with_each_held_answer(gateway):
    http(gateway)
    devices = [Curl(gateway, query=f"?ttd={LONG}") for _ in range(3)]
    wait_until(lambda: len(gateway.messages(state="converted")) == 3, what="three uplinks")
    items = gateway.api("PUT", "/devices/d/downlinks?allowUnknown=true", [
        {"data": each, "contentType": "TEXT"} for each in "abc"]).json["items"]  # fmt: skip
    assert sorted(device.answer() for device in devices) == [(200, "a"), (200, "b"), (200, "c")]
    for item in items:
        becomes(gateway, item, "DELIVERED")


def test_a_coap_response_is_held_back_where_the_datasource_says_so(gateway):
    """The empty acknowledgement, then a response of its own with the item; a repeated uplink gets no other."""
    coap(gateway, configuration={"longestTtd": LONG})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        device.settimeout(HANGS)
        device.connect(("127.0.0.1", gateway.coap_port))
        uplink = con_post(0x4444, b"tk", "/i/key", BY_NAME, query="ttd=60")
        device.send(uplink)
        assert device.recv(2000) == b"\x60\x00\x44\x44"
        device.send(uplink)
        assert device.recv(2000) == b"\x60\x00\x44\x44"
        gateway.message_when("converted")
        item, second = text(gateway, "d", "go"), text(gateway, "d", "next", mode="sync")
        response = device.recv(2000)
        assert response[0] & 0x30 == 0 and response[4:6] == b"tk" and response.endswith(b"\xffgo")
        device.send(b"\x60\x00" + response[2:4])
        becomes(gateway, item, "DELIVERED")
        assert state(gateway, second) == "QUEUED"


def test_a_held_coap_response_without_an_item_is_2_04(gateway):
    coap(gateway, configuration={"longestTtd": 1})
    url = f"coap://127.0.0.1:{gateway.coap_port}/i/key?ttd=60"
    started = time.monotonic()
    assert coap_client(url, BY_NAME).strip() == ""
    assert time.monotonic() - started >= 1

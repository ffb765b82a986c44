"""The gateway pushes downlinks to real CoAP servers, and their answers are the items' results."""

import base64

import pytest

from tests.interop.test_coap_devices import JAVA, Libcoap, Program, aiocoap, libcoap, npm
from tests.peers.coap import coap_client
from tests.peers.process import HOME, free_udp_port, wait_until

BODY = bytes(number % 251 for number in range(3000))


@pytest.fixture
def device(gateway, tmp_path):
    """Opens a device that was heard from its port, and queues items for it."""
    gateway.create("converters", name="d", script=CONVERTER)
    gateway.create(
        "datasources", name="coap", type="coap", routingKey="c", converter="d",
        configuration={"port": gateway.coap_port, "interface": "127.0.0.1", "blockSize": 256},
    )  # fmt: skip
    with Device(gateway, tmp_path) as made:
        yield made


CONVERTER = "function Decoder(payload, metadata) { return {deviceName: 'd', telemetry: {t: 1}}; }"


class Device:
    def __init__(self, gateway, folder):
        self.gateway = gateway
        self.folder = folder
        self.port = free_udp_port()
        self.program = None

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        if self.program is not None:
            self.program.__exit__(*failure)

    def start(self, make, cls=Program):
        """It sends an uplink, and from then on takes requests at the same port."""
        url = f"coap://127.0.0.1:{self.gateway.coap_port}/i/c"
        coap_client(url, b"x", options=("-p", str(self.port)))
        self.gateway.message_when("converted")
        env = {"NODE_PATH": str(HOME / "node_modules")}
        self.program = cls(make(self.port), self.folder / "device.log", env=env).start()

    def push(self, data):
        item = self.gateway.api(
            "POST",
            "/devices/d/downlinks?allowUnknown=true",
            {"data": base64.b64encode(data).decode(), "maxAttempts": 5},
        ).json
        return lambda: self.gateway.api("GET", f"/devices/d/downlinks/{item['id']}").json

    def over(self, item, state):
        return wait_until(
            lambda: item() if item()["state"] == state else None, 20, f"{state}, it is {item()}"
        )


@pytest.mark.parametrize("make", [aiocoap, npm, JAVA])
def test_a_large_answer_is_the_item_s_result(device, make):
    device.start(make)
    shown = device.over(device.push(BODY), "DELIVERED")
    result = shown["result"]
    assert (result["code"], base64.b64decode(result["payload"])) == ("2.04", BODY[::-1])
    assert result["contentType"] == "application/octet-stream"


def test_a_device_that_has_no_such_resource_has_refused_the_item_for_good(device):
    device.start(libcoap, Libcoap)
    shown = device.over(device.push(b"x"), "FAILED")
    assert (shown["result"]["code"], shown["attempts"]) == ("4.04", 1)
    assert shown["reason"].startswith("the device answered 4.04")
    assert device.over(device.push(b"y"), "FAILED")["attempts"] == 1

"""What devices do when the gateway comes back without their DTLS sessions, and why it says nothing to them then."""

from __future__ import annotations

import contextlib
import subprocess
import threading

import pytest

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import decode, encode, options, uri_options
from iotgw.wire.dtls.record import alert
from tests.peers.gateway import Gateway
from tests.peers.patience import HANGS
from tests.peers.process import HOME, find, free_udp_port, missing, node_module
from tests.peers.relay import Relay

PAYLOAD = b'{"temperature": 21.5}'
REQUEST = encode(n.CON, n.POST, 7, b"t", options(*uri_options("i/meters")), PAYLOAD).hex()
CCM8 = "TLS_PSK_WITH_AES_128_CCM_8"
BAD_RECORD_MAC, BEYOND_THE_HANDSHAKE = 20, 1 << 16
RESOURCES = """
[[credential]]
name = "meter-7"
identity = "meter-7"
secrets = [{{ value = "secret" }}]

[[datasource]]
name = "meters"
type = "coap"
routingKey = "meters"
converter = "json"
configuration = {{ interface = "127.0.0.1", securityMode = "DTLS", securePort = {port} }}
"""


@pytest.fixture
def gateway(tmp_path):
    port = free_udp_port()
    with Gateway(tmp_path / "gateway", RESOURCES.format(port=port)) as gateway:
        gateway.secure_port = port
        yield gateway


def pion(port):
    program = HOME / "pion" / "pion"
    if not program.exists():
        missing("tests/peers/pion is not built: that takes Go")
    return [program, f"127.0.0.1:{port}", REQUEST, "psk", "meter-7", "secret", "CCM_8"]


def scandium(port):
    folder = HOME / "californium" / "target"
    if not (folder / "lib").exists():
        missing("tests/peers/californium is not built: that takes Java and Maven")
    classes = f"{folder / 'californium-device-1.jar'}:{folder / 'lib'}/*"
    uri = f"coaps://127.0.0.1:{port}/i/meters"
    return [
        find("java"),
        "-cp",
        classes,
        "Device",
        uri,
        "meter-7",
        "secret",
        CCM8,
        "40",
        f"AGAIN={HANGS * 1000:.0f}",
    ]


def node(port):
    node_module("node-dtls-client")
    return [find("node"), HOME / "dtls_client.mjs", port, "meter-7", "secret", CCM8, REQUEST, "1"]


class Talking:
    """A device that sends a message, and again when it is told to; ``line()`` is what it says next."""

    def __init__(self, command):
        self._process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self._limit = threading.Timer(HANGS, self._process.kill)

    def line(self):
        return self._process.stdout.readline().strip()

    def go_on(self):
        with contextlib.suppress(BrokenPipeError):  # it has ended
            self._process.stdin.write("again\n")
            self._process.stdin.flush()

    def __enter__(self):
        self._limit.start()
        return self

    def __exit__(self, *exc):
        self._limit.cancel()
        self._process.kill()
        self._process.communicate()


def is_success(line):
    return line == "2.04" or (line and decode(bytes.fromhex(line)).code == n.CHANGED)


BUILT = pytest.mark.interop


@pytest.mark.parametrize(
    "client", [pytest.param(pion, marks=BUILT), pytest.param(scandium, marks=BUILT), node]
)
def test_no_device_heeds_an_alert_in_the_clear(gateway, client):
    """It can't be told from a forged one, and RFC 6347 §4.1 has records of an old epoch dropped."""
    with Relay(gateway.secure_port) as relay, Talking(client(relay.port)) as device:
        assert is_success(device.line())
        hellos = relay.hellos
        relay.forge(alert(BAD_RECORD_MAC, BEYOND_THE_HANDSHAKE))
        device.go_on()
        assert is_success(device.line())
        assert relay.hellos == hellos


@pytest.mark.parametrize("variant", ["openssl", "gnutls"])
def test_neither_does_libcoap(gateway, tmp_path, variant):
    file = tmp_path / "body"
    file.write_bytes(PAYLOAD * 10)
    with Relay(gateway.secure_port, limit=3) as relay:
        command = [
            find(f"coap-client-{variant}"), "-m", "post", "-b", "16", "-B", "60", "-v", "6", "-f", file,
            "-u", "meter-7", "-k", "secret", f"coaps://127.0.0.1:{relay.port}/i/meters",
        ]  # fmt: skip
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as device:
            assert relay.held.wait(HANGS)
            hellos = relay.hellos
            relay.forge(alert(BAD_RECORD_MAC, BEYOND_THE_HANDSHAKE))
            relay.resume()
            output, _ = device.communicate(timeout=HANGS)
        assert "2.04" in output, output
        assert relay.hellos == hellos


@BUILT
def test_data_of_a_session_from_before_a_crash_is_counted_and_gets_silence_until_the_device_starts_over(
    gateway,
):
    with Relay(gateway.secure_port) as relay:
        with Talking(pion(relay.port)) as device:
            assert is_success(device.line())
            gateway.kill()
            gateway.start()
            device.go_on()
            assert "timeout" in device.line()
        assert gateway.api("GET", "/datasources/meters").json["status"]["coaps"]["dtlsStrays"] >= 1
        assert relay.alerts == 0
        with Talking(pion(relay.port)) as device:
            assert is_success(device.line())


@pytest.mark.parametrize(
    ("client", "answer"),
    [pytest.param(pion, "error: dtls fatal: conn is closed", marks=BUILT), (node, "closed")],
)
def test_a_gateway_that_stops_says_so_and_the_device_knows_at_once(gateway, client, answer):
    with Relay(gateway.secure_port) as relay, Talking(client(relay.port)) as device:
        assert is_success(device.line())
        gateway.stop()
        gateway.start()
        device.go_on()
        assert device.line() == answer


@BUILT
def test_scandium_starts_over_by_itself_then(gateway):
    with Relay(gateway.secure_port) as relay, Talking(scandium(relay.port)) as device:
        assert is_success(device.line())
        hellos = relay.hellos
        gateway.stop()
        gateway.start()
        device.go_on()
        gateway.wait_for(
            lambda: gateway.api("GET", "/datasources/meters/sessions").json["items"], what="the new session"
        )
        assert relay.hellos > hellos

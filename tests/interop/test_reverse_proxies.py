"""A gateway behind real reverse proxies that are set up as the docs say: whose requests are, below a path, and while answers wait."""

import contextlib
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import tomllib
from urllib.parse import urlsplit

import pytest

from tests.certificates import Authority
from tests.peers.gateway import ROOT, Gateway, Response
from tests.peers.patience import HANGS
from tests.peers.process import wait_until
from tests.peers.reverse_proxies import Caddy, Haproxy, Nginx, example

pytestmark = pytest.mark.interop
KINDS = {
    "nginx": ("x-forwarded", Nginx, {}),
    "nginx-forwarded": ("forwarded", Nginx, {"name": "forwarded.conf"}),
    "haproxy": ("x-forwarded", Haproxy, {}),
    "haproxy-proxy-protocol": ("proxy-protocol", Haproxy, {"name": "proxy-protocol.cfg"}),
    "caddy": ("x-forwarded", Caddy, {}),
}
WITH_PATH = ("nginx", "haproxy", "caddy")
CLIENT, OTHER, GUESSER = "127.0.0.9", "127.0.0.10", "127.0.0.11"
LIES = {
    "X-Forwarded-For": "198.51.100.1",
    "X-Forwarded-Host": "evil.example",
    "Forwarded": "for=198.51.100.1",
}


class Front:
    """A proxy and its gateway, as a client sees them."""

    def __init__(self, kind, folder, gateway, proxy, trusted):
        self.kind, self.folder, self.gateway, self.proxy, self.trusted = kind, folder, gateway, proxy, trusted

    def ask(self, method, path, body=None, headers=(), client=CLIENT):
        """A request of a client at an address of its own."""
        context = ssl.create_default_context(cafile=self.trusted)
        connection = http.client.HTTPSConnection(
            "localhost", self.proxy.port, timeout=HANGS, source_address=(client, 0), context=context
        )
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return Response(answer.status, answer.headers, answer.read())

    def api(self, method, path, body=None, prefix=""):
        headers = {"Authorization": f"Bearer {self.gateway.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body)
        return self.ask(method, f"{prefix}/api/v1{path}", data, headers)

    def remote_ip(self):
        return self.gateway.message_when("converted", datasource="up")["metadata"]["remoteIp"]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority()
    (folder / "ca.pem").write_bytes(authority.pem())
    issued = authority.issue("localhost", hosts=["localhost", "gateway.example"])
    return folder / "ca.pem", issued.write(folder, "front")


@pytest.fixture(scope="module", params=KINDS)
def front(request, tmp_path_factory, certificates):
    header, kind, more = KINDS[request.param]
    trusted, files = certificates
    folder = tmp_path_factory.mktemp(request.param)
    settings = example("iotgw.toml").replace("x-forwarded", header)
    assert tomllib.loads(settings)["trusted-proxies"] == ["127.0.0.1"]
    gateway = Gateway(folder / "gateway", settings=settings)
    with gateway.start(), kind(folder, gateway, *files, **more).start() as proxy:
        gateway.create("datasources", name="up", type="http", routingKey="up", converter="json")
        yield Front(request.param, folder, gateway, proxy, trusted)


def test_a_message_is_from_the_client_and_not_from_the_proxy(front):
    assert front.ask("POST", "/i/up", b'{"deviceName": "d", "t": 1}').status == 204
    assert front.remote_ip() == CLIENT
    assert front.ask("POST", "/i/up", b'{"deviceName": "d", "t": 2}', client=OTHER).status == 204
    wait_until(lambda: front.remote_ip() == OTHER, what="the other client's message")


def test_what_a_client_says_of_itself_is_not_believed(front):
    assert front.ask("POST", "/i/up", b'{"deviceName": "d", "t": 3}', LIES).status == 204
    assert front.remote_ip() == CLIENT


def test_nor_is_somebody_s_word_who_reaches_the_gateway_directly(front):
    direct = http.client.HTTPConnection(
        "127.0.0.1", front.gateway.port, timeout=HANGS, source_address=(OTHER, 0)
    )
    with contextlib.closing(direct):
        direct.request("POST", "/i/up", b'{"deviceName": "d", "t": 4}', LIES)
        assert direct.getresponse().status == 204
    assert front.remote_ip() == OTHER
    with socket.create_connection(
        ("127.0.0.1", front.gateway.port), HANGS, source_address=(OTHER, 0)
    ) as forged:
        forged.sendall(
            b"PROXY TCP4 198.51.100.1 127.0.0.1 1 2\r\nGET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
        )
        assert forged.recv(4096).startswith(b"HTTP/1.1 400")


def test_whoever_guesses_is_limited_and_nobody_else_behind_the_same_proxy(front):
    statuses = [front.ask("POST", f"/i/wrong{number}", b"{}", client=GUESSER).status for number in range(25)]
    assert (statuses[0], statuses[-1]) == (404, 429)
    assert front.ask("POST", "/i/wrong", b"{}").status == 404
    assert front.ask("POST", "/i/up", b'{"deviceName": "d", "t": 5}', client=GUESSER).status == 429
    wrong = {"Authorization": "Bearer wrong"}
    assert front.ask("GET", "/api/v1/status", headers=wrong, client=GUESSER).status == 401
    peers = {
        each["detail"]["peer"] for each in front.gateway.api("GET", "/events?type=refused").json["items"]
    }
    assert GUESSER in peers and "127.0.0.1" not in peers and "198.51.100.1" not in peers


def test_pages_of_the_gateway_s_own_site_are_taken_and_others_are_not(front):
    host = {"Host": "gateway.example"}
    assert (
        front.ask("GET", "/health/live", headers={**host, "Origin": "https://gateway.example"}).status == 200
    )
    assert front.ask("GET", "/health/live", headers={**host, "Origin": "https://evil.example"}).status == 403


def test_an_answer_that_is_held_back_comes_with_the_downlink(front):
    answers = []

    def wait():
        answers.append(front.ask("POST", "/i/up", b'{"deviceName": "valve", "t": 1}', {"hono-ttd": "60"}))

    waiting = threading.Thread(target=wait)
    waiting.start()
    wait_until(
        lambda: front.gateway.api("GET", "/devices/valve").status == 200, what="the device to be known"
    )
    queued = front.gateway.api("POST", "/devices/valve/downlinks", {"data": "aGVsbG8="})
    assert queued.status == 201, queued.body
    waiting.join(HANGS)
    (answer,) = answers
    assert (answer.status, answer.body) == (200, b"hello")


def test_below_a_path_everything_is_found_and_said_with_it(front):
    if front.kind not in WITH_PATH:
        return
    made = front.api("POST", "/devices", {"name": "a/b"}, "/iotgw")
    assert made.status == 201, made.body
    place = urlsplit(made.headers["Location"])  # nginx makes it a whole URL
    assert (place.netloc, place.path) in [
        (host, "/iotgw/api/v1/devices/a%2Fb") for host in ("", f"localhost:{front.proxy.port}")
    ]
    headers = {"Authorization": f"Bearer {front.gateway.token}"}
    assert front.ask("GET", place.path, headers=headers).json["name"] == "a/b"
    assert len(front.api("GET", "/messages?limit=1", prefix="/iotgw").json["items"]) == 1
    assert front.api("DELETE", "/devices/a%2Fb", prefix="/iotgw").status == 204
    assert front.ask("POST", "/iotgw/i/up", b'{"deviceName": "d", "t": 6}').status == 204
    assert front.ask("GET", "/iotgw").headers["Location"].endswith("/iotgw/")
    page = front.ask("GET", "/iotgw/", headers={"Accept": "text/html"}).body.decode()
    for link in re.findall('href="([^"]*)"', page):
        assert front.ask("GET", f"/iotgw/{link}").status in (200, 401, 404), link
        assert not link.startswith("/")


def test_the_client_speaks_to_the_gateway_through_the_proxy(front):
    prefix = "/iotgw" if front.kind in WITH_PATH else ""
    done = subprocess.run(
        [sys.executable, "-m", "iotgw.ctl.main", "status"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "IOTGW_TOKEN": front.gateway.token,
             "IOTGW_URL": f"https://localhost:{front.proxy.port}{prefix}", "SSL_CERT_FILE": str(front.trusted)},
        capture_output=True, text=True, timeout=HANGS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_devices_over_tcp_come_through_the_balancer_with_their_addresses(front):
    if front.kind != "haproxy-proxy-protocol":
        return
    front.gateway.create(
        "datasources", name="meters", type="tcp", routingKey="meters", converter="json",
        configuration={"port": front.proxy.behind, "interface": "127.0.0.1", "proxyProtocol": True, "trustedProxies": ["127.0.0.1"]},
    )  # fmt: skip
    place = ("127.0.0.1", front.proxy.tcp_port)
    with socket.create_connection(place, HANGS, source_address=(CLIENT, 0)) as device:
        device.sendall(b'{"deviceName": "m", "t": 1}\n')
        message = front.gateway.message_when("converted", datasource="meters")
    assert message["metadata"]["remoteIp"] == CLIENT
    with socket.create_connection(
        ("127.0.0.1", front.proxy.behind), HANGS, source_address=(OTHER, 0)
    ) as forged:
        assert forged.recv(1) == b""

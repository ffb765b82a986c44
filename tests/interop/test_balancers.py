"""Two gateways behind real load balancers that are set up as the page about nodes says: who comes to which, and where to when one is gone.

They have a data directory each, as two nodes on one machine couldn't both open the port of a datasource. To a balancer it's the same."""

import contextlib
import http.client
import re
import socket
from pathlib import Path

import pytest

from tests.peers.coap import coap_client
from tests.peers.gateway import ROOT, Gateway
from tests.peers.patience import HANGS
from tests.peers.process import Process, accepts, find, free_port, free_udp_port, missing, wait_until
from tests.peers.reverse_proxies import example

pytestmark = [pytest.mark.interop, pytest.mark.long]
PAGE = ROOT / "docs" / "nodes.md"
SECRET = "correct horse battery staple"
RESOURCES = """
[[datasource]]
name = "coaps"
type = "coap"
routingKey = "coaps"
converter = "json"
[datasource.configuration]
interface = "127.0.0.1"
securityMode = "DTLS"
securePort = {coaps}

[[datasource]]
name = "meters"
type = "tcp"
converter = "json"
[datasource.configuration]
interface = "127.0.0.1"
port = {meters}
handler = {{ type = "TEXT" }}

[[datasource]]
name = "web"
type = "http"
routingKey = "web"
converter = "json"
"""
ADDRESSES = {f"127.0.1.{n}": f"d{n}" for n in range(1, 13)}
"""Of devices, with their names."""
CREDENTIALS = "".join(
    f'[[credential]]\nname = "{name}"\nidentity = "{name}"\ndevice = "{name}"\nsecrets = [{{ value = "{SECRET}" }}]\n'
    for name in ADDRESSES.values()
)
STREAM = Path("/usr/lib/nginx/modules/ngx_stream_module.so")


class Pair:
    """Gateways ``a`` and ``b``, with a balancer before them: its ports by protocol."""

    def __init__(self, folder, kind):
        self.places = [{"coaps": free_udp_port(), "meters": free_port()} for _ in "ab"]
        self.gateways = [
            Gateway(folder / name, RESOURCES.format(**places) + CREDENTIALS)
            for name, places in zip("ab", self.places, strict=True)
        ]
        self.ports = {"coaps": free_udp_port(), "meters": free_port(), "http": free_port()}
        self.balancer = kind(folder, self)

    def __enter__(self):
        for each in self.gateways:
            each.start()
        self.balancer.start()
        return self

    def __exit__(self, *exc):
        for each in (self.balancer, *self.gateways):
            if each.alive:
                each.kill_all()

    def placed(self, text):
        """An example with this pair's addresses; it has a third node, which isn't there."""
        ports = {"5684": "coaps", "10560": "meters", "8080": None}
        text = re.sub(r"^.*192\.0\.2\.13.*\n", "", text, flags=re.M)
        for host, gateway, places in zip(("192.0.2.11", "192.0.2.12"), self.gateways, self.places, strict=True):  # fmt: skip
            text = re.sub(rf"(?<={re.escape(host)}:10560 port )8080", str(gateway.port), text)
            for port, name in ports.items():
                own = places[name] if name else gateway.port
                text = text.replace(f"{host}:{port}", f"127.0.0.1:{own}")
        return text

    def who_has(self, device):
        """The gateways that have messages of a device, by name, with how many."""
        found = {}
        for gateway in self.gateways:
            if gateway.alive and (items := gateway.messages(device=device, limit=100)):
                found[gateway.folder.name] = len(items)
        return found


class Nginx(Process):
    """With both examples."""

    def __init__(self, folder, pair):
        if not STREAM.exists():
            missing(f"{STREAM} isn't there; tests/install-peers large installs it")
        stream = pair.placed(example("/etc/nginx/modules-enabled/90-iotgw.conf", PAGE))
        stream = stream.replace("listen 5684 udp", f"listen 127.0.0.1:{pair.ports['coaps']} udp")
        stream = stream.replace("listen 10560", f"listen 127.0.0.1:{pair.ports['meters']}")
        web = pair.placed(example("/etc/nginx/conf.d/iotgw-nodes.conf", PAGE))
        web = web.replace("listen 80", f"listen 127.0.0.1:{pair.ports['http']}")
        temporary = "".join(
            f"{each}_temp_path {folder}/{each};\n"
            for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"load_module {STREAM};\ndaemon off; pid {folder}/nginx.pid; error_log stderr;\nevents {{}}\n{stream}"
            f"http {{\naccess_log off;\n{temporary}{web}}}\n"
        )
        command = [find("nginx"), "-p", folder, "-e", "stderr", "-c", folder / "nginx.conf"]
        super().__init__(command, folder / "nginx.log")
        self.ready = lambda: accepts(pair.ports["http"])


class Haproxy(Process):
    def __init__(self, folder, pair):
        text = pair.placed(example("/etc/haproxy/iotgw-nodes.cfg", PAGE))
        text = text.replace("bind :80\n", f"bind 127.0.0.1:{pair.ports['http']}\n")
        text = text.replace("bind :10560", f"bind 127.0.0.1:{pair.ports['meters']}")
        (folder / "haproxy.cfg").write_text(text)
        command = [find("haproxy"), "-db", "-f", folder / "haproxy.cfg"]
        super().__init__(command, folder / "haproxy.log")
        self.ready = lambda: accepts(pair.ports["http"])


@pytest.fixture(params=[Nginx, Haproxy])
def pair(request, tmp_path):
    with Pair(tmp_path, request.param) as pair:
        yield pair


def by_coaps(pair, address, device):
    """Whether a device at an address was told that its message is stored; each time it does a handshake from another port."""
    said = coap_client(
        f"coaps://127.0.0.1:{pair.ports['coaps']}/i/coaps", f'{{"deviceName": "{device}"}}'.encode(), seconds=20,
        options=["-a", address, "-u", device, "-k", SECRET, "-v", "6"],
    )  # fmt: skip
    return "2.04" in said


def by_http(pair, device):
    connection = http.client.HTTPConnection("127.0.0.1", pair.ports["http"], timeout=HANGS)
    with contextlib.closing(connection):
        connection.request("POST", "/i/web", f'{{"deviceName": "{device}"}}')
        return connection.getresponse().status


def by_tcp(pair, device, count):
    """So many messages over a connection."""
    with socket.create_connection(("127.0.0.1", pair.ports["meters"]), HANGS) as line:
        line.sendall(f'{{"deviceName": "{device}"}}\n'.encode() * count)


def test_devices_stay_with_their_node_and_come_to_another_one_when_it_is_gone(tmp_path):
    with Pair(tmp_path, Nginx) as pair:
        devices = ADDRESSES
        for address, device in devices.items():
            assert by_coaps(pair, address, device)
        wait_until(lambda: all(map(pair.who_has, devices.values())), what="all to be converted")
        places = {device: pair.who_has(device) for device in devices.values()}
        assert all(len(each) == 1 for each in places.values()), places
        assert {name for each in places.values() for name in each} == {"a", "b"}
        some = dict(list(devices.items())[:3])
        for address, device in some.items():
            assert by_coaps(pair, address, device)
            there = dict.fromkeys(places[device], 2)
            wait_until(lambda d=device, t=there: pair.who_has(d) == t, what=f"{device} to be there again")
        lost = next(name for name in places[devices["127.0.1.1"]])
        pair.gateways["ab".index(lost)].kill()
        wait_until(lambda: by_coaps(pair, "127.0.1.1", "d1"), what="its device to come to the other one")
        wait_until(lambda: pair.who_has("d1"), what="its message")


def test_a_node_that_is_gone_costs_nobody_a_message_over_http_and_tcp(pair):
    assert {by_http(pair, f"h{n}") for n in range(6)} == {204}
    for n in range(4):
        by_tcp(pair, f"t{n}", 2)
    wait_until(lambda: all(pair.who_has(f"t{n}") for n in range(4)), what="what came over TCP")
    wait_until(lambda: all(pair.who_has(f"h{n}") for n in range(6)), what="what came over HTTP")
    assert {name for n in range(6) for name in pair.who_has(f"h{n}")} == {"a", "b"}
    assert {name for n in range(4) for name in pair.who_has(f"t{n}")} == {"a", "b"}
    pair.gateways[0].kill()
    assert {by_http(pair, f"h{n}") for n in range(6, 12)} == {204}

    def arrives():
        with contextlib.suppress(OSError):
            by_tcp(pair, "late", 1)
        return pair.who_has("late")

    assert wait_until(arrives, what="what comes over TCP to arrive at the other one").keys() == {"b"}

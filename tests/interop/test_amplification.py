"""A forged address is not flooded by way of the gateway: what a first datagram brings there is no more than the datagram."""

from __future__ import annotations

import contextlib
import socket
import time

import pytest

from iotgw.app.parts import DATASOURCES
from iotgw.core.needs import UdpPort
from iotgw.core.types import Types
from iotgw.core.validate import convert
from iotgw.testing import FakeConnector, MemoryReactor, datasource_context
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import encode, options, uri_options
from tests.dtls_peer import CCM8, GCM, Client
from tests.peers.gateway import Gateway
from tests.peers.patience import HANGS
from tests.peers.process import free_udp_port, wait_until

FAST = {"ackTimeout": 0.1, "ackRandomFactor": 1.0}
"""What nobody acknowledges has gone out five times after 3.1 seconds."""
SECONDS = 11.0
"""In which it goes out three times with the default timing."""
KEY = "KEYKEYKEYKEY"
"""Stands for a datasource's routing key, which is as long."""
CLOCK = 5
"""Bytes that an answer with the time is larger than the shortest question for it."""
OBSERVED = {"observe": ["/3/0", "/3303/0", "/4/0"]}
LINKS = b'</>;rt="oma.lwm2m",</1/0>,</3/0>,</3303/0>,</4/0>'
DRAGINO = bytes.fromhex(
    "f86778705267961400980d330e010000fa6490804000fa6489d56900fa6489d1e500fa6489ce6100fa6489cadd"
)


def coap(code, path, payload=b"", *pairs, type_=n.CON):
    return encode(type_, code, 7, b"tk", options(*uri_options(path), *pairs), payload)


def hello():
    return Client(psk=(b"dev", b"secret"), ciphers=f"{CCM8}:{GCM}").begin()[0]


SERVERS = [{"servers": [{"uri": "coap://gateway.example", "mode": "none"}]}]
COAP = {
    "a message": coap(n.POST, f"i/{KEY}", b"21.5"),
    "an unconfirmable one": coap(n.POST, f"i/{KEY}", b"21.5", type_=n.NON),
    "a wrong key": coap(n.POST, "i/wrong-key", b"21.5"),
    "a read": coap(n.GET, f"i/{KEY}"),
    "an observation": coap(n.GET, f"i/{KEY}", b"", (n.OBSERVE, 0)),
    "a ping": encode(n.CON, n.EMPTY, 7),
    "discovery": coap(n.GET, ".well-known/core"),
    "an option that nobody knows": coap(n.GET, f"i/{KEY}", b"", (65001, b"")),
    "a block that can't be": coap(n.POST, f"i/{KEY}", b"21.5", (n.BLOCK1, 0xF)),
    "a block of an unknown body": coap(n.GET, f"i/{KEY}", b"", (n.BLOCK2, 0x16)),
    "an answer to nothing": encode(n.CON, n.CONTENT, 7, b"tk", options(), b"x"),
    "half a message": coap(n.POST, f"i/{KEY}", b"21.5")[:9],
}
FIRST = {
    "coap": ({**FAST, "discovery": "on", "timePaths": ["t"]}, {**COAP, "the time": coap(n.GET, "t")}),
    "dragino-coap": ({**FAST, "discovery": "on"}, {**COAP, "a Dragino": coap(n.POST, f"i/{KEY}", DRAGINO)}),
    "lobaro-coap": ({"discovery": "on"}, COAP),
    "coaps": (
        {**FAST, "securityMode": "DTLS"},
        {"a hello": hello(), "half a hello": hello()[:40], "an alert": b"\x15\xfe\xfd" + bytes(8) + b"\0\x02\x02\x28"},
    ),
    "lwm2m": (
        {"profiles": [{"observeAttr": OBSERVED}]},
        {
            "a registration": coap(n.POST, "rd?ep=a-device-01&lt=600", LINKS, (n.CONTENT_FORMAT, 40)),
            "a short one": coap(n.POST, "rd?ep=b&b=U&lt=1&lwm2m=1.1", b"</3/0>", (n.CONTENT_FORMAT, 40)),
            "one without links": coap(n.POST, "rd?ep=c"),
            "one without a name": coap(n.POST, "rd"),
            "one that can't be read": coap(n.POST, "rd?ep=d&lt=x", b"</3/0>"),
            "an update": coap(n.POST, "rd/xyz"),
            "values": coap(n.POST, "dp", b"[]", (n.CONTENT_FORMAT, 110)),
            "an image": coap(n.GET, "fw/xyz"),
        },
    ),
    "lwm2m-bootstrap": (
        {"securityMode": "NO_SECURE", "profiles": SERVERS},
        {"a request": coap(n.POST, "bs?ep=a"), "a name that nobody has": coap(n.POST, "bs?ep=")},
    ),
    "udp": ({}, {"a line": b"t=21.5", "nothing": b"", "a long one": b"x" * 5000}),
    "dragino-udp": ({}, {"a Dragino": DRAGINO, "half of one": DRAGINO[:9]}),
    "lobaro-udp": ({}, {"a map": b"\xa1\x61t\x01", "no map": b"\xff"}),
}  # fmt: skip


def test_every_type_that_listens_for_datagrams_has_a_case():
    listening = set()
    for each in Types("none", MemoryReactor(), DATASOURCES, FakeConnector()):
        if "interface" in each.settings.__struct_fields__:
            needs = each.needs(convert({}, each.settings), datasource_context())
            if any(isinstance(need, UdpPort) for need in needs):
                listening.add(each.name)
    assert listening == set(FIRST) - {"coaps"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with Gateway(tmp_path_factory.mktemp("amplification")) as made:
        yield made


@pytest.fixture(scope="module")
def brought(gateway):
    """For each type the name of each datagram, its size, and what came back to a socket of its own that said nothing more."""
    sockets = {}
    for kind, (settings, cases) in FIRST.items():
        key = f"{kind:-<12.12}"
        where = "securePort" if kind == "coaps" else "port"
        configuration = {where: free_udp_port(), **settings}
        type_ = "coap" if kind == "coaps" else kind
        source = {"name": kind, "type": type_, "routingKey": key, "converter": "json"}
        gateway.create("datasources", **source, configuration=configuration)
        wait_until(lambda kind=kind: state(gateway, kind) == "listening", HANGS, f"{kind} to listen")
        for name, data in cases.items():
            one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            one.connect(("127.0.0.1", configuration[where]))
            one.send(data.replace(KEY.encode(), key.encode()))
            sockets.setdefault(kind, []).append((name, len(data), one))
    time.sleep(SECONDS)
    return {kind: [(name, size, received(one)) for name, size, one in all] for kind, all in sockets.items()}


def state(gateway, name):
    return gateway.api("GET", f"/datasources/{name}").json["status"]["state"]


def received(one):
    """All datagrams that came to a socket, which is closed."""
    found = []
    one.setblocking(False)
    with one, contextlib.suppress(BlockingIOError):
        while True:
            found.append(one.recv(65536))
    return found


@pytest.mark.parametrize("kind", sorted(FIRST))
def test_what_a_first_datagram_brings_is_no_more_than_it(brought, kind):
    for name, size, came in brought[kind]:
        most = size + (CLOCK if name == "the time" else 0)
        assert sum(map(len, came)) <= most, (name, size, came)


def test_the_listeners_were_there(brought):
    """Those that answer at all: others of UDP say nothing that no converter and no user has them say."""
    assert {kind for kind, all in brought.items() if any(came for _, _, came in all)} == {
        kind for kind in FIRST if not kind.endswith("udp")
    }

"""A test of a target of each type shows what was exchanged, and a check what could not be tried. Over HTTPS with a certificate of
our own."""

from __future__ import annotations

import gc

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor, ssl
from twisted.logger import globalLogPublisher
from twisted.web.resource import Resource
from twisted.web.server import Site

from iotgw.testing import telemetry
from tests.certificates import Authority
from tests.peers.process import free_port

from . import targets
from .delivering import Delivering, until

TARGETS = {"mqtt": targets.Mqtt, "thingsboard": targets.ThingsBoard, "sftp": targets.Sftp}
RECORD = telemetry(7, "probe 1", received_ms=1000)


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    made = {name: kind(tmp_path_factory.mktemp(name)) for name, kind in TARGETS.items()}
    try:
        for each in made.values():
            each.start()
        yield made
    finally:
        for each in made.values():
            each.close()


@pytest.mark.parametrize(
    ("name", "request_", "answer", "untried"),
    [
        (
            "mqtt",
            'PUBLISH iotgw/probe 1/telemetry (QoS 1)\n\n{"id":',
            "acknowledged",
            ["whether it may publish"],
        ),
        (
            "thingsboard",
            "PUBLISH v1/gateway/connect (QoS 1)\n\n{",
            "acknowledged",
            ["whether it may publish"],
        ),
        ("sftp", 'WRITE {root}/probe 1/E-7.json\n\n{"id":"E-7"', "written", None),
    ],
)
@ensureDeferred
async def test_each_type_shows_what_it_exchanges(servers, name, request_, answer, untried):
    server = servers[name]
    async with Delivering(name, configuration=server.configuration(server.server.port)) as world:
        await until(lambda: world.stats()["target"]["state"] != "connecting")
        checked = await world.service.check("i1")
        assert checked["ok"] and checked.get("untried") == untried
        tried = await world.service.test("i1", RECORD)
        assert tried["ok"], tried
        (shown,) = tried["exchanges"]
        assert shown["answer"] == answer
        assert shown["request"].startswith(
            request_.replace("{root}", str(getattr(server.server, "root", "")))
        )
        assert '"n":7' in shown["request"]


class Debug:
    """Keeps what is exchanged for one device."""

    def __init__(self):
        self.kept = []

    def shown(self, tenant, integration, records):
        return next((record for record in records if record.device_name == "dev-2"), None)

    def exchanged(self, tenant, integration, record, request, answer):
        self.kept.append((record.device_name, request, answer))


@pytest.mark.parametrize("name", TARGETS)
@ensureDeferred
async def test_each_type_shows_what_is_debugged_and_nothing_else(servers, name):
    server, debug = servers[name], Debug()
    async with Delivering(name, configuration=server.configuration(server.server.port), debug=debug) as world:
        world.store("dev-1")
        await world.settled()
        assert debug.kept == []
        world.store("dev-2")
        await world.settled()
    [(device, request, answer)] = debug.kept
    assert (device, answer) == ("dev-2", "written" if name == "sftp" else "acknowledged")
    assert "dev-2" in request


class Takes(Resource):
    isLeaf = True

    def render_POST(self, request):
        self.seen = request.transport.getPeerCertificate().get_subject().CN
        return b"taken"


@ensureDeferred
async def test_a_server_that_wants_our_certificate_gets_it():
    ca = Authority()
    own, theirs = ca.issue("gateway"), ca.issue("target", hosts=["127.0.0.1"])
    key = ssl.PrivateCertificate.loadPEM(theirs.pem() + theirs.key_pem())
    takes = Takes()
    port = reactor.listenSSL(
        0, Site(takes), key.options(ssl.Certificate.loadPEM(ca.pem())), interface="127.0.0.1"
    )
    tls = {"ca": ca.pem().decode(), "certificate": own.pem().decode(), "key": own.key_pem().decode()}
    configuration = {"url": f"https://127.0.0.1:{port.getHost().port}/", "tls": tls, "keepResponse": True}
    try:
        async with Delivering("http", configuration=configuration) as world:
            checked = await world.service.check("i1")
            assert (
                checked["detail"] == "connected by TLSv1.3; HTTP 501 to OPTIONS, which it seems not to know"
            )
            tried = await world.service.test("i1")
            assert (tried["ok"], tried["detail"], takes.seen) == (True, "HTTP 200 taken", "gateway")
        without = {**configuration, "tls": {"ca": tls["ca"]}}
        async with Delivering("http", configuration=without) as world:
            checked = await world.service.check("i1")
            assert not checked["ok"] and "TLS" in checked["detail"]
    finally:
        await port.stopListening()


@pytest.mark.parametrize("port", ["a broker's", "nobody's"])
@ensureDeferred
async def test_a_check_of_a_broker_leaves_nothing_unhandled(servers, port):
    found = []

    def observe(event):
        found.extend([event] if event.get("log_failure") is not None else [])

    server = servers["mqtt"]
    number = server.server.port if port == "a broker's" else free_port()
    globalLogPublisher.addObserver(observe)
    try:
        async with Delivering("mqtt", configuration=server.configuration(number)) as world:
            await world.service.check("i1")
        gc.collect()
    finally:
        globalLogPublisher.removeObserver(observe)
    assert found == []

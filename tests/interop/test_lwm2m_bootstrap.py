"""Devices of Eclipse Leshan that know their bootstrap server only, and one that has a certificate."""

from __future__ import annotations

import json

import pytest
import pytest_twisted
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pytest_twisted import ensureDeferred
from twisted.internet import reactor

from iotgw.core.ports.datasources import DatasourceContext
from iotgw.core.validate import convert
from iotgw.datasources.lwm2m.bootstrap import BootstrapType
from iotgw.datasources.lwm2m.bootstrap_settings import BootstrapSettings
from iotgw.dtls.issuing import der_of
from iotgw.testing import FakeIntake
from tests.certificates import Authority
from tests.peers.leshan import LeshanDevice
from tests.peers.process import free_udp_port

from .delivering import until
from .test_lwm2m import KEY, Server, here

pytestmark = pytest.mark.interop
BOOTSTRAP_KEY = "ffeeddccbbaa99887766554433221100"


class House:
    """A server that takes keys and certificates, and a bootstrap server that tells of it."""

    def __init__(self):
        self.authority = Authority()
        certificate = self.authority.issue("gateway")
        self.certificate, key = certificate.pem().decode(), certificate.key_pem().decode()
        anchors = [self.authority.pem().decode()]
        dtls = {"x509": {"pem": {"certFile": self.certificate, "keyFile": key}, "trustAnchors": anchors}}
        self.server = Server(dtls=dtls)
        context = self.server.source.context
        for identity, device in (("bs-7", "meter-7"), ("bs-8", "meter-8")):
            context.credentials.add_psk(identity, bytes.fromhex(BOOTSTRAP_KEY), device)
        url = f"coaps://127.0.0.1:{self.server.secure_port}"
        issuer = {"certFile": anchors[0], "keyFile": self.authority.key_pem().decode()}
        with_certificate = {"uri": url, "mode": "x509", "serverCertificate": self.certificate}
        self.port, self.intake = free_udp_port(), FakeIntake()
        configuration = {
            "interface": "127.0.0.1", "securePort": self.port, "issuer": issuer, "profiles": [
                {"endpoints": ["meter-8"], "servers": [with_certificate]},
                {"servers": [{"uri": url, "lifetime": 77}]},
            ],
        }  # fmt: skip
        self.bootstrap = BootstrapType(reactor).build(
            convert(configuration, BootstrapSettings, "configuration"),
            DatasourceContext(
                "bs",
                "bootstrap",
                "default",
                "",
                {},
                self.intake,
                reactor,
                context.credentials,
                shares=context.shares,
            ),
        )

    def told(self):
        return [json.loads(payload) for payload, _ in self.intake.received]


@pytest.fixture(scope="module")
def house():
    made = House()
    for source in (made.server.source, made.bootstrap):
        pytest_twisted.blockon(source.start())
    yield made
    for source in (made.bootstrap, made.server.source):
        pytest_twisted.blockon(source.stop())


def facts_of(house, endpoint):
    return next(
        facts
        for payload, facts in house.server.intake.received
        if json.loads(payload)["endpoint"] == endpoint
    )


@ensureDeferred
async def test_a_device_with_a_key_is_told_of_its_server_and_registers_there(house, tmp_path):
    url = f"coaps://127.0.0.1:{house.port}"
    with LeshanDevice(tmp_path, url, "meter-7", 300, "bootstrap", "psk", "bs-7", BOOTSTRAP_KEY).launch():
        await here(house.server, "meter-7")
    await until(lambda: "bootstrapped" in [body["kind"] for body in house.told()])
    (registered,) = house.server.told("register", "meter-7")
    assert registered["attributes"]["lwm2mLifetime"] == 77
    assert (facts_of(house, "meter-7")["dtlsIdentity"], KEY != BOOTSTRAP_KEY) == ("id-7", True)


@ensureDeferred
async def test_a_device_gets_a_certificate_and_registers_with_it(house, tmp_path):
    url = f"coaps://127.0.0.1:{house.port}"
    with LeshanDevice(tmp_path, url, "meter-8", 300, "bootstrap", "psk", "bs-8", BOOTSTRAP_KEY).launch():
        await here(house.server, "meter-8")
    facts = facts_of(house, "meter-8")
    assert (facts["identity"], facts["identityType"]) == ("meter-8", "x509")


@ensureDeferred
async def test_a_device_with_a_certificate_of_its_own_registers(house, tmp_path):
    mine = house.authority.issue("meter-9")
    server = house.certificate.encode()
    for name, content in (
        ("mine.der", der_of(mine.pem())),
        ("key.der", mine.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())),
        ("server.der", der_of(server)),
    ):
        (tmp_path / name).write_bytes(content)
    url = f"coaps://127.0.0.1:{house.server.secure_port}"
    files = [tmp_path / name for name in ("mine.der", "key.der", "server.der")]
    with LeshanDevice(tmp_path, url, "meter-9", 300, "x509", *files).launch():
        await here(house.server, "meter-9")
    assert facts_of(house, "meter-9")["identityType"] == "x509"

"""Peers that state limits in their handshake, and one whose ClientHello comes in fragments."""

from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from tests.certificates import Authority
from tests.coaps_house import House, run
from tests.peers.process import HOME, missing

PSK = ["-dtls1_2", "-psk_identity", "meter-7", "-psk", "736563726574"]
CCM8 = "TLS_PSK_WITH_AES_128_CCM_8"
ECDSA = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"


@pytest_twisted.async_yield_fixture
async def house():
    house = House()
    house.registry.put("meter-7", secrets=[{"value": "secret"}])
    yield house
    await house.close()


@pytest.fixture
def certificates(tmp_path):
    """A server's settings, and what a Californium device with a certificate is told."""
    ca = Authority()
    cert_file, key_file = ca.issue("localhost", hosts=["127.0.0.1"]).write(tmp_path, "server")
    (tmp_path / "ca.pem").write_bytes(ca.pem())
    certificate, key = (Path(name).read_bytes() for name in ca.issue("meter-7").write(tmp_path, "device"))
    (tmp_path / "keys.pem").write_bytes(key + certificate)
    x509 = {"pem": {"certFile": cert_file, "keyFile": key_file}, "trustAnchors": [str(tmp_path / "ca.pem")]}
    return x509, [f"KEYS={tmp_path / 'keys.pem'}", f"ANCHORS={tmp_path / 'ca.pem'}"]


async def californium(house, *options, suite=CCM8, size=40):
    folder = HOME / "californium" / "target"
    if not (folder / "lib").exists():
        missing("tests/peers/californium is not built: that takes Java and Maven")
    classes = f"{folder / 'californium-device-1.jar'}:{folder / 'lib'}/*"
    text, _ = await run(
        "java", "-cp", classes, "Device", house.uri(), "meter-7", "secret", suite, size, *options
    )
    return text.strip()


LIMITS = ["FRAGMENT=512", "FRAGMENT=1024", "RECORD=64", "RECORD=300", "RECORD=1000"]


@pytest.mark.interop
class TestCalifornium:
    @pytest.mark.parametrize("limit", LIMITS)
    @pytest_twisted.ensureDeferred
    async def test_a_response_goes_out_in_blocks_that_the_device_has_room_for(self, house, limit):
        intake = await house.open()
        intake.put("meter-7", bytes(3000))
        # Californium sends blocks of 512 bytes of its own accord, which don't fit a record of 512 with their header
        block = ["BLOCK=256"] if limit == "FRAGMENT=512" else []
        assert await californium(house, limit, *block, size=2000) == "2.04 3000"
        assert [len(payload) for payload, _ in intake.received] == [2000]
        [session] = house.port().layer.sessions()
        assert session.mtu <= int(limit.split("=")[1])
        assert house.port().layer.counters["writesFailed"] == 0

    @pytest.mark.parametrize("limit", LIMITS)
    @pytest_twisted.ensureDeferred
    async def test_a_certificate_flight_fits_the_devices_buffer(self, house, certificates, limit):
        x509, options = certificates
        intake = await house.open(dtls={"x509": x509})
        assert await californium(house, limit, *options, suite=ECDSA) == "2.04"
        assert [metadata["identity"] for _, metadata in intake.received] == ["meter-7"]


class TestOpenssl:
    async def connect(self, house, *options):
        address = f"127.0.0.1:{house.port().address[1]}"
        return (await run("openssl", "s_client", "-connect", address, *options))[0]

    @pytest.mark.parametrize("limit", [512, 1024])
    @pytest_twisted.ensureDeferred
    async def test_max_fragment_length(self, house, limit):
        await house.open()
        layer = house.port().layer
        ended, forget = Deferred(), layer._closed
        layer._closed = lambda session, reason: (forget(session, reason), ended.callback(session.mtu))
        text = await self.connect(house, *PSK, "-maxfraglen", limit, "-cipher", "PSK-AES128-GCM-SHA256")
        assert "Cipher    : PSK-AES128-GCM-SHA256" in text, text
        assert await ended == limit

    @pytest.mark.parametrize("mtu", [256, 300])
    @pytest_twisted.ensureDeferred
    async def test_a_hello_in_fragments(self, house, mtu):
        await house.open()
        text = await self.connect(house, *PSK, "-mtu", mtu, "-cipher", "ALL:PSK")
        assert "Secure Renegotiation IS supported" in text and "PSK identity: meter-7" in text, text
        assert house.port().layer.counters["assembledHellos"] == 1

    @pytest_twisted.ensureDeferred
    async def test_a_hello_in_fragments_of_a_device_with_a_certificate(self, house, certificates, tmp_path):
        x509, _ = certificates
        await house.open(dtls={"x509": x509})
        text = await self.connect(
            house, "-dtls1_2", "-mtu", 256, "-cert", tmp_path / "device.pem", "-key", tmp_path / "device.key",
            "-CAfile", tmp_path / "ca.pem", "-cipher", "ALL",
        )  # fmt: skip
        assert "Verify return code: 0 (ok)" in text, text
        assert house.port().layer.counters["assembledHellos"] == 1

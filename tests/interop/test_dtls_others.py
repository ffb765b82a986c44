"""openssl's, node-dtls-client's, pion's and Californium's DTLS against a coap datasource."""

import pytest
import pytest_twisted

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import decode, encode, options, uri_options
from tests.certificates import Authority
from tests.coaps_house import House, run
from tests.peers.process import HOME, find, missing, node_module

REQUEST = encode(n.CON, n.POST, 7, b"t", options(*uri_options("i/k")), b"hello")


@pytest_twisted.async_yield_fixture
async def house():
    house = House()
    house.registry.put("meter-7", secrets=[{"value": "00ff5ec4e7", "encoding": "hex"}])
    yield house
    await house.close()


class TestNode:
    async def post(self, house, key="secret", suite="TLS_PSK_WITH_AES_128_CCM_8"):
        node_module("node-dtls-client")
        house.registry.put("meter-7", secrets=[{"value": "secret"}])
        port = house.port().address[1]
        text, _ = await run("node", HOME / "dtls_client.mjs", port, "meter-7", key, suite, REQUEST.hex())
        return text.strip()

    @pytest.mark.parametrize(
        "suite",
        [
            "TLS_PSK_WITH_AES_128_CCM_8",
            "TLS_PSK_WITH_AES_256_CCM_8",
            "TLS_PSK_WITH_AES_128_GCM_SHA256",
            "TLS_PSK_WITH_AES_128_CBC_SHA256",
        ],
    )
    @pytest_twisted.ensureDeferred
    async def test_the_right_key(self, house, suite):
        intake = await house.open()
        answer = await self.post(house, suite=suite)
        assert decode(bytes.fromhex(answer)).code == n.CHANGED
        assert [payload for payload, _ in intake.received] == [b"hello"]

    @pytest_twisted.ensureDeferred
    async def test_a_wrong_key(self, house):
        intake = await house.open()
        assert (await self.post(house, key="wrong!")).startswith("error: ")
        assert intake.received == []


@pytest.mark.interop
class TestPion:
    """A Go program on the DTLS that plgd's go-coap, and so Lobaro's server, stands on."""

    async def post(self, house, *arguments):
        program = HOME / "pion" / "pion"
        if not program.exists():
            missing("tests/peers/pion is not built: that takes Go")
        text, _ = await run(program, f"127.0.0.1:{house.port().address[1]}", REQUEST.hex(), *arguments)
        return text.strip()

    @pytest.mark.parametrize("suite", ["CCM_8", "CCM", "GCM", "CBC"])
    @pytest_twisted.ensureDeferred
    async def test_the_right_key(self, house, suite):
        house.registry.put("meter-7", secrets=[{"value": "secret"}])
        intake = await house.open()
        answer = await self.post(house, "psk", "meter-7", "secret", suite)
        assert decode(bytes.fromhex(answer)).code == n.CHANGED
        assert [payload for payload, _ in intake.received] == [b"hello"]

    @pytest.mark.parametrize(("identity", "key"), [("meter-7", "wrong!"), ("nobody", "secret")])
    @pytest_twisted.ensureDeferred
    async def test_a_wrong_key_and_an_unknown_identity(self, house, identity, key):
        house.registry.put("meter-7", secrets=[{"value": "secret"}])
        intake = await house.open()
        assert (await self.post(house, "psk", identity, key, "CCM_8")).startswith("error: ")
        assert intake.received == []

    @pytest.mark.parametrize(("issuer", "gets_in"), [("ours", True), ("rogue", False)])
    @pytest_twisted.ensureDeferred
    async def test_certificates(self, house, tmp_path, issuer, gets_in):
        ca = Authority()
        cert_file, key_file = ca.issue("localhost", hosts=["localhost"]).write(tmp_path, "server")
        (tmp_path / "ca.pem").write_bytes(ca.pem())
        x509 = {
            "pem": {"certFile": cert_file, "keyFile": key_file},
            "trustAnchors": [str(tmp_path / "ca.pem")],
        }
        intake = await house.open(dtls={"psk": False, "x509": x509})
        device = (ca if issuer == "ours" else Authority("Rogue")).issue("device")
        answer = await self.post(house, "cert", *device.write(tmp_path, "device"), tmp_path / "ca.pem")
        assert answer.startswith("error: ") is not gets_in, answer
        assert [metadata["identity"] for _, metadata in intake.received] == ["device"] * gets_in


@pytest.mark.interop
class TestCalifornium:
    """A Java program; it offers a Connection ID, which is left unanswered."""

    async def post(
        self, house, identity="meter-7", key="secret", suite="TLS_PSK_WITH_AES_128_CCM_8", size=40
    ):
        folder = HOME / "californium" / "target"
        if not (folder / "lib").exists():
            missing("tests/peers/californium is not built: that takes Java and Maven")
        house.registry.put("meter-7", secrets=[{"value": "secret"}])
        classes = f"{folder / 'californium-device-1.jar'}:{folder / 'lib'}/*"
        text, _ = await run("java", "-cp", classes, "Device", house.uri(), identity, key, suite, size)
        return text.strip()

    @pytest.mark.parametrize(
        ("suite", "size"),
        [
            ("TLS_PSK_WITH_AES_128_CCM_8", 40),
            ("TLS_PSK_WITH_AES_128_GCM_SHA256", 40),
            ("TLS_PSK_WITH_AES_128_CCM_8", 20_000),
        ],
    )
    @pytest_twisted.ensureDeferred
    async def test_the_right_key(self, house, suite, size):
        intake = await house.open()
        assert await self.post(house, suite=suite, size=size) == "2.04"
        assert [len(payload) for payload, _ in intake.received] == [size]

    @pytest_twisted.ensureDeferred
    async def test_an_unknown_identity(self, house):
        intake = await house.open()
        assert (await self.post(house, identity="nobody")).startswith("error: ")
        assert intake.received == []


class TestOpenssl:
    """``s_client`` says what it agreed on; its standard input is closed, so it leaves with close_notify."""

    async def connect(self, house, *options):
        address = f"127.0.0.1:{house.port().address[1]}"
        return await run("openssl", "s_client", "-connect", address, *options)

    @pytest.mark.parametrize(
        "suite",
        [
            "PSK-AES128-CCM8",
            "PSK-AES256-CCM8",
            "PSK-AES128-CCM",
            "PSK-AES128-GCM-SHA256",
            "PSK-AES256-GCM-SHA384",
            "PSK-CHACHA20-POLY1305",
            "PSK-AES128-CBC-SHA256",
            "ECDHE-PSK-CHACHA20-POLY1305",
        ],
    )
    @pytest_twisted.ensureDeferred
    async def test_psk_suites(self, house, suite):
        await house.open()
        text, _ = await self.connect(
            house,
            "-dtls1_2",
            "-psk_identity",
            "meter-7",
            "-psk",
            "00ff5ec4e7",
            "-cipher",
            f"{suite}:@SECLEVEL=0",
        )
        assert f"Cipher    : {suite}" in text, text
        assert "PSK identity hint: None" in text

    @pytest.mark.parametrize(
        "suite",
        ["ECDHE-ECDSA-AES128-CCM8", "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"],
    )
    @pytest_twisted.ensureDeferred
    async def test_certificate_suites_and_psk_on_one_listener(self, house, tmp_path, suite):
        ca = Authority()
        cert_file, key_file = ca.issue("localhost").write(tmp_path, "server")
        (tmp_path / "ca.pem").write_bytes(ca.pem())
        x509 = {
            "pem": {"certFile": cert_file, "keyFile": key_file},
            "trustAnchors": [str(tmp_path / "ca.pem")],
        }
        await house.open(dtls={"x509": x509})
        certificate, key = ca.issue("device").write(tmp_path, "device")
        text, _ = await self.connect(
            house, "-dtls1_2", "-cert", certificate, "-key", key, "-CAfile", tmp_path / "ca.pem",
            "-cipher", f"{suite}:@SECLEVEL=0",
        )  # fmt: skip
        assert f"Cipher    : {suite}" in text, text
        assert "Verify return code: 0 (ok)" in text
        text, _ = await self.connect(
            house, "-dtls1_2", "-psk_identity", "meter-7", "-psk", "00ff5ec4e7", "-cipher", "PSK"
        )
        assert "Cipher    : " in text and "PSK" in text

    @pytest_twisted.ensureDeferred
    async def test_dtls_1_0_is_refused_with_protocol_version(self, house):
        intake = await house.open()
        text, _ = await self.connect(
            house, "-dtls1", "-psk_identity", "meter-7", "-psk", "00ff5ec4e7", "-cipher", "PSK:@SECLEVEL=0"
        )
        assert "alert number 70" in text, text
        assert await intake.event_with("expected DTLS 1.2, got 0xfeff")

    @pytest_twisted.ensureDeferred
    async def test_a_session_is_resumed_where_that_is_on(self, house, tmp_path):
        find("openssl")
        await house.open(dtls={"resumption": True})
        saved = tmp_path / "session"
        psk = ["-psk_identity", "meter-7", "-psk", "00ff5ec4e7", "-cipher", "PSK-AES128-GCM-SHA256"]
        first, _ = await self.connect(house, "-dtls1_2", *psk, "-sess_out", saved)
        assert "New, " in first
        again, _ = await self.connect(house, "-dtls1_2", *psk, "-sess_in", saved)
        assert "Reused, " in again, again

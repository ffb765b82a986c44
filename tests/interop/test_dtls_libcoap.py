"""libcoap's clients, on OpenSSL and on GnuTLS, against a coap datasource behind DTLS."""

import pytest
import pytest_twisted

from tests.certificates import DAY, NOW, Authority
from tests.coaps_house import House, run

CLIENTS = ["coap-client-openssl", "coap-client-gnutls"]


@pytest_twisted.async_yield_fixture
async def house():
    house = House()
    yield house
    await house.close()


@pytest.fixture(scope="module")
def ca():
    return Authority()


@pytest.fixture
def x509(ca, tmp_path):
    """Settings of a datasource that wants certificates, and where to write those of a client."""
    cert_file, key_file = ca.issue("localhost", hosts=["127.0.0.1"]).write(tmp_path, "server")
    (tmp_path / "ca.pem").write_bytes(ca.pem())
    return {
        "pem": {"certFile": cert_file, "keyFile": key_file},
        "trustAnchors": [str(tmp_path / "ca.pem")],
    }


@pytest.mark.parametrize("client", CLIENTS)
class TestPsk:
    async def post(self, client, house, user="meter-7", key="secret key", wait=10):
        return await run(
            client, "-m", "post", "-e", "hello", "-u", user, "-k", key, "-B", wait, "-v", "6", house.uri()
        )

    @pytest_twisted.ensureDeferred
    async def test_the_right_key(self, house, client):
        house.registry.put("meter-7", device="device-7", secrets=[{"value": "secret key"}])
        intake = await house.open()
        text, _ = await self.post(client, house)
        assert "2.04" in text
        [(payload, metadata)] = intake.received
        assert payload == b"hello"
        assert (metadata["identity"], metadata["dtlsIdentity"]) == ("device-7", "meter-7")
        assert (metadata["identityType"], metadata["protocol"]) == ("psk", "coaps")
        assert metadata["cipher"].startswith(("PSK-", "ECDHE-PSK-"))

    @pytest_twisted.ensureDeferred
    async def test_the_old_key_while_it_is_rotated(self, house, client):
        house.registry.put("meter-7", secrets=[{"value": "new key", "notBefore": 1}, {"value": "secret key"}])
        intake = await house.open()
        text, _ = await self.post(client, house)
        assert "2.04" in text and len(intake.received) == 1

    @pytest_twisted.ensureDeferred
    async def test_a_wrong_key_is_suspected_when_the_handshake_times_out(self, house, client):
        house.registry.put("meter-7", secrets=[{"value": "another key"}])
        intake = await house.open(dtls={"handshakeTimeout": 0.5})
        text, _ = await self.post(client, house, wait=2)
        assert "2.04" not in text and intake.received == []
        assert await intake.event_with("wrong key?")
        assert house.port().sessions() == []

    @pytest_twisted.ensureDeferred
    async def test_an_unknown_identity(self, house, client):
        intake = await house.open()
        text, _ = await self.post(client, house, wait=2)
        assert "2.04" not in text and intake.received == []
        assert await intake.event_with("unknown PSK identity 'meter-7'")

    @pytest_twisted.ensureDeferred
    async def test_an_identity_that_is_added_needs_no_restart_and_one_that_goes_ends_its_session(
        self, house, client
    ):
        intake = await house.open()
        house.registry.put("meter-7", secrets=[{"value": "secret key"}])
        text, _ = await self.post(client, house)
        assert "2.04" in text
        house.registry.drop("meter-7")
        assert house.port().sessions() == []
        text, _ = await self.post(client, house, wait=2)
        assert "2.04" not in text and len(intake.received) == 1


@pytest.mark.parametrize("client", CLIENTS)
class TestCertificates:
    async def post(self, client, house, tmp_path, certificate, anchor="ca.pem", wait=10):
        options = []
        if certificate is not None:
            paths = certificate.write(tmp_path, "client")
            options = ["-c", paths[0], "-j", paths[1]]
        trust = ["-R", tmp_path / anchor]
        return await run(
            client, "-m", "post", "-e", "hi", *options, *trust, "-B", wait, "-v", "6", house.uri()
        )

    @pytest_twisted.ensureDeferred
    async def test_a_good_one(self, house, client, x509, ca, tmp_path):
        intake = await house.open(dtls={"psk": False, "x509": x509})
        device = ca.issue("x", uris=["urn:dev:mac:70B3D5E050020901"])
        text, _ = await self.post(client, house, tmp_path, device)
        assert "2.04" in text, text
        [(payload, metadata)] = intake.received
        assert (payload, metadata["identity"], metadata["identityType"]) == (
            b"hi",
            "70b3d5e050020901",
            "x509",
        )

    @pytest_twisted.ensureDeferred
    async def test_rsa(self, house, client, x509, ca, tmp_path):
        cert_file, key_file = ca.issue("localhost", kind="rsa", hosts=["127.0.0.1"]).write(tmp_path, "rsa")
        intake = await house.open(
            dtls={"psk": False, "x509": {**x509, "pem": {"certFile": cert_file, "keyFile": key_file}}}
        )
        text, _ = await self.post(client, house, tmp_path, ca.issue("rsa-device", kind="rsa"))
        assert "2.04" in text, text
        assert intake.received[0][1]["identity"] == "rsa-device"

    @pytest.mark.parametrize(
        ("certificate", "reason"),
        [
            (lambda ca: Authority("Rogue").issue("meter-7"), ""),
            (lambda ca: ca.issue("old", start=NOW - 9 * DAY, end=NOW - DAY), "expired"),
            (lambda ca: None, "peer did not return a certificate"),
            (lambda ca: ca.issue(uris=[]), ""),
        ],
        ids=["untrusted", "expired", "none", "no name"],
    )
    @pytest_twisted.ensureDeferred
    async def test_the_others_are_refused(self, house, client, x509, ca, tmp_path, certificate, reason):
        intake = await house.open(dtls={"psk": False, "x509": x509})
        text, _ = await self.post(client, house, tmp_path, certificate(ca), wait=2)
        assert "2.04" not in text and intake.received == []
        assert await intake.event_with(reason)

    @pytest_twisted.ensureDeferred
    async def test_an_expired_one_where_validity_is_skipped(self, house, client, x509, ca, tmp_path):
        intake = await house.open(
            dtls={"psk": False, "x509": {**x509, "skipValidityCheckForClientCert": True}}
        )
        expired = ca.issue("old", start=NOW - 9 * DAY, end=NOW - DAY)
        text, _ = await self.post(client, house, tmp_path, expired)
        assert "2.04" in text, text
        assert intake.received[0][1]["identity"] == "old"

    @pytest_twisted.ensureDeferred
    async def test_none_where_it_is_optional_is_anonymous(self, house, client, x509, tmp_path):
        intake = await house.open(dtls={"psk": False, "x509": {**x509, "clientCertificates": "optional"}})
        text, _ = await self.post(client, house, tmp_path, None)
        assert "2.04" in text, text
        assert "identity" not in intake.received[0][1]
        assert intake.received[0][1]["identityType"] == "none"

    @pytest_twisted.ensureDeferred
    async def test_a_client_with_another_anchor_refuses_us(self, house, client, x509, ca, tmp_path):
        intake = await house.open(dtls={"psk": False, "x509": x509})
        (tmp_path / "other.pem").write_bytes(Authority("Other").pem())
        text, _ = await self.post(client, house, tmp_path, ca.issue("m"), anchor="other.pem", wait=2)
        assert "2.04" not in text and intake.received == []


@pytest_twisted.ensureDeferred
async def test_200_kilobytes_go_block_wise_over_dtls(house, tmp_path):
    house.registry.put("meter-7", secrets=[{"value": "secret key"}])
    intake = await house.open()
    body = bytes(range(256)) * 800
    (tmp_path / "body").write_bytes(body)
    text, _ = await run(
        CLIENTS[0], "-m", "post", "-f", tmp_path / "body", "-b", "1024",
        "-u", "meter-7", "-k", "secret key", "-B", 30, "-v", "3", house.uri(),
    )  # fmt: skip
    assert [payload == body for payload, _ in intake.received] == [True], text


@pytest_twisted.ensureDeferred
async def test_a_lossy_client_gets_through(house):
    # libcoap leaves out its own second and fourth datagram: a hello and a flight have to be repeated.
    house.registry.put("meter-7", secrets=[{"value": "secret key"}])
    intake = await house.open()
    text, _ = await run(
        CLIENTS[0], "-m", "post", "-e", "x", "-l", "2,4", "-u", "meter-7", "-k", "secret key",
        "-B", 30, "-v", "6", house.uri(),
    )  # fmt: skip
    assert "2.04" in text and len(intake.received) == 1

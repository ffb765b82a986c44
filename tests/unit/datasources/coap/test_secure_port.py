"""The coap datasource behind DTLS: ports, modes, identities; its client is in process."""

import msgspec
import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import DatagramProtocol

from iotgw.core.errors import SettingsError
from iotgw.core.model import Output
from iotgw.core.proof import proved
from iotgw.datasources.coap.secure_port import RECORD_OVERHEAD, fitting_block
from iotgw.datasources.coap.security import IdentityGuard
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import decode, encode, options, uri_options
from tests.certificates import Authority
from tests.coaps_house import House
from tests.dtls_peer import Client

GCM = "ECDHE-ECDSA-AES128-GCM-SHA256"


@pytest_twisted.async_yield_fixture
async def house():
    house = House()
    yield house
    await house.close()


class Device(DatagramProtocol):
    """A device on a socket of its own that speaks CoAP, over DTLS if it has a client."""

    def __init__(self, address, client=None):
        self.address, self.client = address, client
        self.inbox, self.waiting = [], None
        self.mid = 0

    def startProtocol(self):
        self._send(self.client.begin() if self.client else [])

    def datagramReceived(self, datagram, addr):
        if self.client is None:
            self.inbox.append(datagram)
        else:
            self._send(self.client.feed(datagram))
            self.inbox += self.client.received
            self.client.received = []
        if self.waiting is not None:
            waiting, self.waiting = self.waiting, None
            waiting.callback(None)

    def _send(self, datagrams):
        for datagram in datagrams:
            self.transport.write(datagram, self.address)

    async def until(self, condition):
        while not condition():
            self.waiting = Deferred()
            await self.waiting

    async def post(self, path="i/k", payload=b"x", code=n.POST):
        if self.client is not None:
            await self.until(lambda: self.client.done)
        self.mid += 1
        data = encode(n.CON, code, self.mid, b"t", options(*uri_options(path)), payload)
        self._send(self.client.send(data) if self.client else [data])
        await self.until(lambda: self.inbox)
        return decode(self.inbox.pop(0))


@pytest.fixture
def device():
    ports = []

    def make(port, client=None):
        host, number = port.address[:2]
        device = Device((host, number), client)
        ports.append(reactor.listenUDP(0, device, host))
        return device

    yield make
    for port in ports:
        port.stopListening()


def psk(identity=b"meter-7", secret=b"secret"):
    return Client(psk=(identity, secret))


class TestModes:
    @pytest_twisted.ensureDeferred
    async def test_dtls_listens_for_coaps_only(self, house):
        await house.open()
        [port] = [share.port for share in house.datasources[0]._shares]
        assert port is house.port()
        assert house.datasources[0].status()["address"].startswith("coaps: udp 127.0.0.1:")

    @pytest_twisted.ensureDeferred
    async def test_mixed_takes_both_and_says_which(self, house, device):
        house.registry.put("meter-7", secrets=[{"value": "secret"}])
        intake = await house.open(securityMode="MIXED")
        plain = device(house.datasources[0]._shares[0].port)
        assert (await plain.post(payload=b"plain")).code == n.CHANGED
        assert (await device(house.port(), psk()).post(payload=b"secret")).code == n.CHANGED
        protocols = [(payload, metadata["protocol"]) for payload, metadata in intake.received]
        assert protocols == [(b"plain", "coap"), (b"secret", "coaps")]

    @pytest_twisted.ensureDeferred
    async def test_a_repeated_request_is_answered_and_not_stored_twice(self, house, device):
        house.registry.put("meter-7", secrets=[{"value": "secret"}])
        intake = await house.open()
        meter = device(house.port(), psk())
        first = await meter.post()
        meter.mid -= 1
        assert (await meter.post()) == first
        assert len(intake.received) == 1

    @pytest_twisted.ensureDeferred
    async def test_ipv6(self, house, device):
        house.registry.put("meter-7", secrets=[{"value": "secret"}])
        try:
            intake = await house.open(interface="::1")
        except CannotListenError:
            pytest.skip("this machine has no IPv6")
        meter = device(house.port(), psk())
        assert (await meter.post()).code == n.CHANGED
        [(_, metadata)] = intake.received
        assert (metadata["remoteIp"], metadata["identity"]) == ("::1", "meter-7")
        assert house.port().peer_of(metadata) is not None


class TestSessions:
    @pytest_twisted.ensureDeferred
    async def test_they_are_listed_and_can_be_ended(self, house, device):
        house.registry.put("c", identity="meter-7", device="seven", secrets=[{"value": "secret"}])
        await house.open()
        meter = device(house.port(), psk())
        await meter.post()
        [session] = house.datasources[0].sessions()
        assert (session["identity"], session["device"], session["identityType"]) == (
            "meter-7",
            "seven",
            "psk",
        )
        assert session["cipher"] == "PSK-AES128-CCM8"
        assert session["received"] > 250 and session["sent"] > 150 and session["age"] >= session["idle"] >= 0
        assert house.datasources[0].end(session["id"])
        await meter.until(lambda: meter.client.error)
        assert (meter.client.error, house.datasources[0].sessions()) == ("close_notify", [])
        assert not house.datasources[0].end(session["id"])

    @pytest_twisted.ensureDeferred
    async def test_what_coap_knows_of_a_peer_ends_with_its_session(self, house, device):
        house.registry.put("meter-7", secrets=[{"value": "secret"}])
        await house.open()
        await device(house.port(), psk()).post()
        assert house.port().statistics()["peers"] == 1
        house.registry.put("meter-7", secrets=[{"value": "secret"}], enabled=False)
        statistics = house.port().statistics()
        assert (statistics["peers"], statistics["dtlsSessions"]) == (0, 0)
        assert (
            "dtls.revoked",
            "1 sessions ended: their credential was changed or revoked",
        ) in house.datasources[0].context.intake.events


class TestSharingAPort:
    @pytest.fixture
    def anchors(self, tmp_path):
        cas = Authority("First"), Authority("Second")
        cert_file, key_file = cas[0].issue("localhost").write(tmp_path, "server")
        settings = []
        for index, ca in enumerate(cas):
            (tmp_path / f"ca{index}.pem").write_bytes(ca.pem())
            x509 = {
                "pem": {"certFile": cert_file, "keyFile": key_file},
                "trustAnchors": [str(tmp_path / f"ca{index}.pem")],
            }
            settings.append({"psk": False, "x509": x509})
        return cas, settings

    @pytest_twisted.ensureDeferred
    async def test_each_datasource_trusts_its_own_anchors(self, house, device, anchors):
        (first, second), (one, two) = anchors
        await house.open("a", securePort=house_port(), dtls=one)
        number = house.datasources[0].settings.secure_port
        await house.open("b", securePort=number, dtls=two)
        assert house.port(0) is house.port(1)
        of_first = device(house.port(), Client(certificate=first.issue("m1"), ciphers=GCM))
        of_second = device(house.port(), Client(certificate=second.issue("m2"), ciphers=GCM))
        codes = [
            (await of_first.post("i/a")).code, (await of_first.post("i/b")).code,
            (await of_second.post("i/a")).code, (await of_second.post("i/b")).code,
        ]  # fmt: skip
        assert codes == [n.CHANGED, n.UNAUTHORIZED, n.UNAUTHORIZED, n.CHANGED]
        await house.datasources.pop(1).stop()
        late = device(house.port(), Client(certificate=second.issue("m3"), ciphers=GCM))
        await late.until(lambda: late.client.error)
        assert "alert" in late.client.error

    @pytest_twisted.ensureDeferred
    async def test_a_device_that_came_by_its_certificate_can_be_barred(self, house, device, anchors):
        (first, _), (one, _) = anchors
        await house.open("a", dtls=one)
        meter = device(house.port(), Client(certificate=first.issue("m1"), ciphers=GCM))
        assert (await meter.post("i/a")).code == n.CHANGED
        house.registry.put("other", type="x509", identity="m2", enabled=False)
        assert len(house.port().sessions()) == 1
        house.registry.put("barred", type="x509", identity="m1", enabled=False)
        assert house.port().sessions() == []
        again = device(house.port(), Client(certificate=first.issue("m1"), ciphers=GCM))
        await again.until(lambda: again.client.error)
        assert "alert" in again.client.error

    @pytest_twisted.ensureDeferred
    async def test_other_settings_or_another_tenant_need_a_port_of_their_own(self, house):
        number = house_port()
        await house.open("a", securePort=number)
        with pytest.raises(SettingsError, match="dtls: expected the settings of the datasource that has"):
            await house.open("b", securePort=number, dtls={"mtu": 512})
        with pytest.raises(SettingsError, match="another tenant's"):
            await house.open("c", tenant="other", securePort=number)
        await house.open("d", securePort=number)

    @pytest_twisted.ensureDeferred
    async def test_files_that_do_not_serve_are_said_with_their_setting(self, house):
        x509 = {"pem": {"certFile": "/nowhere.pem"}, "trustAnchors": ["/nowhere.pem"]}
        with pytest.raises(
            SettingsError, match=r"pem\.certFile: expected certificates, as PEM text, or by the name"
        ):
            await house.open(dtls={"x509": x509})

    @pytest_twisted.ensureDeferred
    async def test_a_certificate_that_was_renewed_is_shown_to_the_next_device(self, house, tmp_path):
        ca = Authority()
        cert_file, key_file = ca.issue("gateway").write(tmp_path, "server")
        x509 = {"pem": {"certFile": cert_file, "keyFile": key_file}, "clientCertificates": "none"}
        intake = await house.open(dtls={"x509": x509})
        profiles = house.port().profiles
        before = profiles.files
        renewed = ca.issue("gateway")
        renewed.write(tmp_path, "server")
        await house.port()._look()
        assert profiles.files[cert_file] == renewed.pem() != before[cert_file]
        assert ("dtls.certificate", "the files changed and were read again") in intake.events
        (tmp_path / "server.key").unlink()
        await house.port()._look()
        assert profiles.files[key_file] == renewed.key_pem()
        assert "can't be used" in intake.events[-1][1]


def house_port():
    from tests.peers.process import free_udp_port

    return free_udp_port()


class TestWhoSpeaksForWhom:
    """meter-7 and meter-8 have credentials, meter-9 has none."""

    PSK = b'{"identity":"meter-7","identityType":"psk"}'

    @pytest.mark.parametrize(
        ("metadata", "device", "objection"),
        [
            (b"{}", "meter-7", ""),
            (b'{"identity":"meter-7","identityType":"none"}', "meter-9", ""),
            (PSK, "meter-7", ""),
            (PSK, "meter-9", "device 'meter-9' is not 'meter-7', which its sender proved to be"),
        ],
    )
    def test_who_must_agree_speaks_for_nobody_else(self, metadata, device, objection):
        assert IdentityGuard().objection(metadata, [Output(device, "t", b"{}")]) == objection

    def test_every_output_counts(self):
        outputs = [Output("meter-7", "t", b"{}"), Output("meter-8", "t", b"{}")]
        assert "meter-8" in IdentityGuard().objection(self.PSK, outputs)

    @pytest_twisted.ensureDeferred
    async def test_nobody_takes_the_downlinks_of_another(self, house, device):
        for name in ("meter-7", "meter-8"):
            house.registry.put(name, secrets=[{"value": "secret"}])
        intake = await house.open(securityMode="MIXED")
        intake.forbidden = {"meter-7", "meter-8"}
        seven = device(house.port(), psk())
        codes = [
            (await seven.post("i/k/downlink/meter-7", code=n.GET)).code,
            (await seven.post("i/k/downlink/meter-8", code=n.GET)).code,
            (
                await device(house.datasources[0]._shares[0].port).post("i/k/downlink/meter-7", code=n.GET)
            ).code,
        ]
        assert codes == [n.CONTENT, n.UNAUTHORIZED, n.UNAUTHORIZED]

    @pytest_twisted.ensureDeferred
    async def test_the_path_of_the_uplinks_has_the_items_of_who_proved_what_it_is(self, house, device):
        for name in ("meter-7", "meter-8"):
            house.registry.put(name, secrets=[{"value": "secret"}])
        intake = await house.open(securityMode="MIXED")
        intake.forbidden = {"meter-7", "meter-8"}
        seven = device(house.port(), psk())
        plain = device(house.datasources[0]._shares[0].port)
        codes = [
            (await seven.post("i/k", code=n.GET)).code,
            (await seven.post("i/k/meter-7", code=n.GET)).code,
            (await seven.post("i/k/meter-8", code=n.GET)).code,
            (await plain.post("i/k/meter-7", code=n.GET)).code,
            (await plain.post("i/k", code=n.GET)).code,
        ]
        assert codes == [n.CONTENT, n.CONTENT, n.UNAUTHORIZED, n.UNAUTHORIZED, n.BAD_REQUEST]

    @pytest_twisted.ensureDeferred
    async def test_a_path_without_a_routing_key_has_the_same_credentials(self, house, device):
        house.registry.put("meter-7", secrets=[{"value": "secret"}])
        intake = await house.open(securityMode="MIXED", paths=["m"], lenient=["no-path"])
        for path in ("m", ""):
            assert (await device(house.port(), psk()).post(path)).code == n.CHANGED
            assert intake.received[-1][1]["identity"] == "meter-7"
            assert (await device(house.datasources[0]._shares[0].port).post(path)).code == n.CHANGED
            _, metadata = intake.received[-1]
            assert "identity" not in metadata
            assert proved(msgspec.json.encode(metadata)) == ""

    @pytest_twisted.ensureDeferred
    async def test_a_push_goes_to_the_peer_of_its_device(self, house, device):
        house.registry.put("meter-*", identity="meter-*", secrets=[{"value": "secret"}])
        intake = await house.open()
        for name in (b"meter-7", b"meter-8"):
            await device(house.port(), psk(name)).post()
        (_, of_seven), (_, of_eight) = intake.received
        find = house.port().peer_of
        assert find(of_seven).identity.name == "meter-7"
        # the address that meter-7 had is another's by now
        assert find({**of_seven, "remotePort": of_eight["remotePort"]}).identity.name == "meter-7"
        assert find({"remoteIp": of_seven["remoteIp"], "remotePort": of_seven["remotePort"]}) is None

    @pytest_twisted.ensureDeferred
    async def test_proofs_are_checked_where_there_is_dtls_and_a_guard_stands_where_it_is_asked_for(
        self, house
    ):
        secure, plain = await house.open("a"), await house.open("b", securityMode="NO_SECURE")
        assert (secure.proves, plain.proves) == (True, False)
        assert secure.guard is None and (await house.open("c", requireIdentity=True)).guard is not None

    @pytest_twisted.ensureDeferred
    async def test_what_comes_without_dtls_beside_it_can_not_say_that_it_has_proved_anything(
        self, house, device
    ):
        house.registry.put("meter-7", secrets=[{"value": "secret"}])
        intake = await house.open(securityMode="MIXED")
        await device(house.datasources[0]._shares[0].port).post("i/k")
        (_, metadata) = intake.received[-1]
        assert metadata["identityType"] == "none"


@pytest.mark.parametrize(("mtu", "size"), [(1232, 1024), (1168, 512), (512, 256), (256, 64)])
def test_a_block_fits_one_datagram(mtu, size):
    assert fitting_block(1024, mtu - RECORD_OVERHEAD) == size
    assert fitting_block(32, mtu - RECORD_OVERHEAD) == 32

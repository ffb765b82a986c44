"""Certificates: who gets in, under which name, and what the refused are told."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from iotgw.core.errors import SettingsError
from iotgw.dtls.certificate import load_anchors, load_pem, load_pkcs12
from iotgw.dtls.identity import fingerprint, plain
from iotgw.dtls.settings import DtlsSettings, KeystoreSettings, PemSettings, X509Settings
from tests.certificates import DAY, NOW, Authority
from tests.dtls_peer import ECDSA_CCM8, Client, Link, Secrets

HERE = ("10.0.0.1", 40000)
GCM = "ECDHE-ECDSA-AES128-GCM-SHA256"


@pytest.fixture(scope="module")
def ca():
    return Authority()


@pytest.fixture(scope="module")
def device(ca):
    return ca.issue("meter-7")


@pytest.fixture
def files(ca, tmp_path):
    """The server's files: settings for `X509Settings`."""
    cert_file, key_file = ca.issue("gateway.example").write(tmp_path, "server")
    anchor = tmp_path / "ca.pem"
    anchor.write_bytes(ca.pem())
    return {"pem": PemSettings(cert_file, key_file), "trust_anchors": [str(anchor)]}


@pytest.fixture
def link_with(files):
    def make(credentials=None, psk=False, resumption=False, **changes):
        x509 = X509Settings(**(files | changes))
        settings = DtlsSettings(psk=psk, x509=x509, resumption=resumption)
        return Link(settings, credentials or Secrets({"dev": b"secret"}))

    return make


def read(*paths):
    """The contents of those that are regular files, by their names."""
    return {str(path): Path(path).read_bytes() for path in paths if Path(path).is_file()}


def load(certificate, key, password=""):
    return load_pem(PemSettings(certificate, key, password), read(certificate, key))


def refusal(link):
    [(_, message, _)] = link.events
    return message.removeprefix("10.0.0.1:40000: ")


class TestWhoGetsIn:
    @pytest.mark.parametrize("cipher", [ECDSA_CCM8, GCM, "ECDHE-ECDSA-CHACHA20-POLY1305"])
    def test_a_certificate_of_a_trust_anchor(self, link_with, device, ca, cipher):
        link = link_with()
        client = link.connect(HERE, Client(certificate=device, ciphers=cipher, trust=ca))
        assert link.say(HERE, b"up") == [b"up"]
        session = link.session()
        assert (session.identity.type, session.identity.name, session.cipher) == ("x509", "meter-7", cipher)
        assert session.identity.fingerprint == fingerprint(device.certificate)
        assert session.identity.anchor == fingerprint(ca.certificate)
        assert client.error == ""

    def test_a_chain_with_an_intermediate(self, link_with, ca):
        link = link_with()
        link.connect(HERE, Client(certificate=Authority("Intermediate", ca).issue("deep"), ciphers=GCM))
        assert link.session().identity.name == "deep"
        assert link.session().identity.anchor == fingerprint(ca.certificate)

    def test_rsa_on_both_sides(self, link_with, ca, tmp_path):
        cert_file, key_file = ca.issue("rsa.example", kind="rsa").write(tmp_path, "rsa")
        link = link_with(pem=PemSettings(cert_file, key_file))
        link.connect(
            HERE, Client(certificate=ca.issue("r", kind="rsa"), ciphers="ECDHE-RSA-AES128-GCM-SHA256")
        )
        assert link.session().identity.name == "r"

    def test_a_small_mtu_cuts_the_servers_flight(self, files, device):
        link = Link(DtlsSettings(psk=False, x509=X509Settings(**files), mtu=256))
        link.connect(HERE, Client(certificate=device, ciphers=GCM, mtu=256))
        assert link.say(HERE, b"up") == [b"up"]
        assert max(len(datagram) for datagram, _ in link.sent) <= 256

    @pytest.mark.parametrize(
        ("issue", "reason"),
        [
            (
                lambda ca: Authority("Rogue").issue("meter-7"),
                "certificate of 'CN=meter-7': its issuer is no trust anchor",
            ),
            (
                lambda ca: ca.issue("old", start=NOW - 9 * DAY, end=NOW - DAY),
                "certificate of 'CN=old': expired",
            ),
            (
                lambda ca: ca.issue("new", start=NOW + DAY),
                "certificate of 'CN=new': not yet valid",
            ),
            (
                lambda ca: ca.issue(),
                "certificate of '' names no device (looked for sanUri, cn)",
            ),
            (lambda ca: None, "peer did not return a certificate"),
        ],
    )
    def test_the_others_are_refused_with_an_alert_and_a_reason(self, link_with, ca, issue, reason):
        link = link_with()
        client = link.connect(HERE, Client(certificate=issue(ca), ciphers=GCM))
        assert "alert" in client.error
        assert (refusal(link), list(link.layer.sessions())) == (reason, [])

    @pytest.mark.parametrize("cipher", [GCM, ECDSA_CCM8])
    def test_a_weak_key_is_refused_at_every_security_level(self, link_with, ca, cipher):
        # Suites of an eight-byte tag need OpenSSL's level 0, which by itself would take 1024 bits.
        link = link_with()
        client = link.connect(HERE, Client(certificate=ca.issue("weak", kind="rsa1024"), ciphers=cipher))
        assert "alert" in client.error
        assert list(link.layer.sessions()) == []

    def test_an_expired_one_gets_in_where_validity_is_skipped(self, link_with, ca):
        link = link_with(skip_validity_check_for_client_cert=True)
        expired = ca.issue("old", start=NOW - 9 * DAY, end=NOW - DAY)
        link.connect(HERE, Client(certificate=expired, ciphers=GCM))
        assert link.session().identity.name == "old"

    def test_skipping_validity_does_not_skip_trust(self, link_with):
        link = link_with(skip_validity_check_for_client_cert=True)
        link.connect(HERE, Client(certificate=Authority("Rogue").issue("x"), ciphers=GCM))
        assert list(link.layer.sessions()) == []

    @pytest.mark.parametrize("mode", ["optional", "none"])
    def test_without_a_certificate_where_none_is_required_the_peer_is_anonymous(self, link_with, mode):
        link = link_with(client_certificates=mode)
        link.connect(HERE, Client(ciphers=GCM))
        assert link.session().identity.type == "none"

    def test_optional_does_not_mean_that_any_certificate_will_do(self, link_with):
        link = link_with(client_certificates="optional")
        link.connect(HERE, Client(certificate=Authority("Rogue").issue("x"), ciphers=GCM))
        assert list(link.layer.sessions()) == []

    def test_a_client_that_does_not_trust_the_server_says_so(self, link_with, device):
        link = link_with()
        link.connect(HERE, Client(certificate=device, ciphers=GCM, trust=Authority("Other")))
        assert "unknown ca" in refusal(link)

    def test_only_registered_devices_where_provisioning_is_off(self, link_with, ca, device):
        link = link_with(Secrets(known={"meter-7": True, "gone": False}), provision_devices=False)
        link.connect(HERE, Client(certificate=device, ciphers=GCM))
        assert link.session().identity.name == "meter-7"
        for port, name in enumerate(["stranger", "gone"]):
            client = link.connect(("10.0.0.2", port), Client(certificate=ca.issue(name), ciphers=GCM))
            assert "alert" in client.error
        assert [message.split(": ")[1] for _, message, _ in link.events] == [
            "device 'stranger' is not admitted",
            "device 'gone' is not admitted",
        ]

    def test_a_disabled_device_is_refused_even_with_provisioning(self, link_with, device):
        link = link_with(Secrets(known={"meter-7": False}))
        assert "alert" in link.connect(HERE, Client(certificate=device, ciphers=GCM)).error


class TestNames:
    @pytest.mark.parametrize(
        ("urn", "name"),
        [
            ("urn:dev:mac:70B3D5E050020901", "70b3d5e050020901"),
            ("urn:imei:351358811124772", "351358811124772"),
            ("urn:gsma:imei:90420156-025763-0", "904201560257630"),
            ("urn:dev:imei:351358811124772", "351358811124772"),
            ("coap://meter", "coap://meter"),
            ("urn:dev:mac:nonsense", "urn:dev:mac:nonsense"),
        ],
    )
    def test_a_urn_names_hardware(self, urn, name):
        assert plain(urn) == name

    def test_the_san_uri_goes_before_the_common_name(self, link_with, ca):
        link = link_with()
        lobaro = ca.issue("something", uris=["https://x.example", "urn:dev:mac:70b3d5e050020901"])
        link.connect(HERE, Client(certificate=lobaro, ciphers=GCM))
        assert link.session().identity.name == "70b3d5e050020901"

    def test_a_common_name_may_be_a_urn(self, link_with, ca):
        link = link_with(naming=["cn"])
        link.connect(HERE, Client(certificate=ca.issue("urn:imei:351358811124772"), ciphers=GCM))
        assert link.session().identity.name == "351358811124772"

    def test_by_fingerprint(self, link_with, device):
        link = link_with(naming=["fingerprint"])
        link.connect(HERE, Client(certificate=device, ciphers=GCM))
        assert link.session().identity.name == fingerprint(device.certificate)


class TestBothOnOneListener:
    def test_the_suites_decide(self, link_with, device):
        link = link_with(psk=True)
        link.connect(("10.0.0.1", 1), Client(psk=(b"dev", b"secret")))
        link.connect(("10.0.0.1", 2), Client(certificate=device, ciphers=ECDSA_CCM8))
        assert [session.identity.type for session in link.layer.sessions()] == ["psk", "x509"]


class TestResumption:
    @pytest.mark.parametrize("kind", ["psk", "x509"])
    def test_a_resumed_session_keeps_the_identity(self, link_with, device, kind):
        link = link_with(psk=True, resumption=True)
        options = {
            "psk": {"psk": (b"dev", b"secret"), "ciphers": "PSK-AES128-CCM8"},
            "x509": {"certificate": device, "ciphers": GCM},
        }[kind]
        client = link.connect(HERE, Client(**options))
        link.connect(("10.0.0.1", 40001), client.connect(client.conn.get_session()))
        assert SSL._lib.SSL_session_reused(client.conn._ssl) == 1
        assert link.session(1).identity == link.session(0).identity
        assert link.say(("10.0.0.1", 40001), b"x") == [b"x"]

    def test_it_is_off_by_default(self, link_with):
        link = link_with(psk=True)
        client = link.connect(HERE, Client(psk=(b"dev", b"secret")))
        link.connect(("10.0.0.1", 40001), client.connect(client.conn.get_session()))
        assert SSL._lib.SSL_session_reused(client.conn._ssl) == 0
        assert client.done

    def test_a_revoked_identity_can_not_resume(self, link_with):
        link = link_with(psk=True, resumption=True)
        client = link.connect(HERE, Client(psk=(b"dev", b"secret")))
        session = client.conn.get_session()
        link.layer.end_identities(lambda identity: identity.name == "dev", "revoked")
        link.run()
        link.connect(("10.0.0.1", 40001), client.connect(session))
        assert list(link.layer.sessions()) == []
        assert "no longer known" in link.events[-1][1]


class TestFiles:
    def test_a_pkcs12_store_serves_as_well(self, link_with, ca, device, tmp_path):
        store = tmp_path / "server.p12"
        store.write_bytes(ca.issue("gateway.example").pkcs12("changeit", "server"))
        link = link_with(pem=None, keystore=KeystoreSettings(str(store), "changeit", "SERVER"))
        link.connect(HERE, Client(certificate=device, ciphers=GCM, trust=ca))
        assert link.session().identity.name == "meter-7"

    def test_a_key_with_a_password(self, ca, tmp_path):
        paths = ca.issue("x").write(tmp_path, "locked", "pass")
        assert load(*paths, "pass").certificate
        for wrong in ("wrong", ""):
            with pytest.raises(SettingsError, match=r"^pem\.keyFile: "):
                load(*paths, wrong)

    def test_certificate_and_key_may_be_text(self, ca):
        issued = ca.issue("x")
        pem, key = issued.pem().decode(), issued.key_pem().decode()
        assert load_pem(PemSettings(pem, key), {}).key.public_key() == issued.key.public_key()
        assert load_pem(PemSettings(pem + key), {}).certificate == issued.certificate
        assert load_anchors([ca.pem().decode()], {}) == (ca.certificate,)

    def test_a_key_that_is_text_is_not_encrypted_for_opening_it_may_take_long(self, ca):
        issued = ca.issue("x")
        pem, key = issued.pem().decode(), issued.key_pem("pass").decode()
        with pytest.raises(
            SettingsError, match=r"^pem\.keyFile: expected a private key that isn't encrypted"
        ):
            load_pem(PemSettings(pem, key, "pass"), {})

    def test_a_key_that_takes_too_long_is_refused(self, monkeypatch, ca):
        issued = ca.issue("x", kind="rsa")
        monkeypatch.setattr("iotgw.dtls.certificate.LARGEST_RSA", 2047)
        with pytest.raises(SettingsError, match=r"^pem\.keyFile: .* at most 2047 bits, got 2048"):
            load_pem(PemSettings(issued.pem().decode(), issued.key_pem().decode()), {})

    def test_no_error_tells_which_files_exist(self, ca, tmp_path):
        certificate, key = ca.issue("a").write(tmp_path, "a")
        missing = str(tmp_path / "none")
        junk = tmp_path / "junk"
        junk.write_bytes(b"\x00")
        for name, good, load_one in (
            ("pem.certFile", key, lambda name: load(name, key)),
            ("pem.keyFile", certificate, lambda name: load(certificate, name)),
            ("trustAnchors", key, lambda name: load_anchors([name], read(name))),
            ("keystore.storeFile", key, lambda name: load_pkcs12(KeystoreSettings(name, "x"), read(name))),
        ):
            said = set()
            for file in (missing, good, str(junk), "/dev/zero", "../x"):
                with pytest.raises(SettingsError) as caught:
                    load_one(file)
                said.add(str(caught.value))
            assert len(said) == 1 and said.pop().startswith(f"{name}: expected ")

    def test_a_key_of_another_certificate_is_said(self, ca, tmp_path):
        certificate, _ = ca.issue("a").write(tmp_path, "a")
        _, other_key = ca.issue("b").write(tmp_path, "b")
        with pytest.raises(SettingsError, match=r"pem\.keyFile: the private key doesn't belong"):
            load(certificate, other_key)

    def test_a_store_that_does_not_open_or_has_another_alias(self, ca, tmp_path):
        store = tmp_path / "s.p12"
        store.write_bytes(ca.issue("x").pkcs12("changeit", "server"))
        with pytest.raises(SettingsError, match=r"keystore\.storeFile: .* that storePassword opens"):
            load_pkcs12(KeystoreSettings(str(store), "wrong"), read(store))
        with pytest.raises(
            SettingsError, match=r"keystore\.keyAlias: the store's key is called 'server', not"
        ):
            load_pkcs12(KeystoreSettings(str(store), "changeit", "client"), read(store))

    def test_changed_files_serve_the_next_handshake_and_old_sessions_live_on(
        self, link_with, files, device, tmp_path
    ):
        link = link_with()
        link.connect(HERE, Client(certificate=device, ciphers=GCM))
        other = Authority("Other")
        other.issue("gateway.example").write(tmp_path, "server")
        (tmp_path / "ca.pem").write_bytes(other.pem())
        events = []
        link.profiles.reread(link.files(), lambda *what: events.append(what))
        newer = Client(certificate=other.issue("newer"), ciphers=GCM, trust=other)
        link.connect(("10.0.0.1", 40001), newer)
        assert newer.error == "" and newer.done
        assert link.say(HERE, b"still here") == [b"still here"]
        assert events == [("dtls.certificate", "the files changed and were read again", "info")]

    def test_bad_files_are_reported_once_and_the_old_ones_stay(self, link_with, device, tmp_path):
        link = link_with()
        (tmp_path / "server.pem").write_bytes(b"half a file")
        events = []
        for _ in range(2):
            link.profiles.reread(link.files(), lambda *what: events.append(what))
        assert len(events) == 1 and events[0][2] == "error"
        link.connect(HERE, Client(certificate=device, ciphers=GCM))
        assert link.session().identity.name == "meter-7"

    def test_settings_must_make_sense(self, files):
        with pytest.raises(ValueError, match="either pem or keystore"):
            X509Settings(trust_anchors=files["trust_anchors"])
        with pytest.raises(ValueError, match="trust anchors"):
            X509Settings(pem=files["pem"])
        with pytest.raises(ValueError, match="psk, x509 or both"):
            DtlsSettings(psk=False)


def test_anchors_may_share_a_file(files, link_with, device, tmp_path, ca):
    both = tmp_path / "both.pem"
    both.write_bytes(Authority("Other").pem() + ca.certificate.public_bytes(Encoding.PEM))
    link = link_with(trust_anchors=[str(both)])
    link.connect(HERE, Client(certificate=device, ciphers=GCM))
    assert link.session().identity.name == "meter-7"

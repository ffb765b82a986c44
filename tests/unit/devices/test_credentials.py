import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.core.credential import KIND, CredentialSpec, SecretSpec, check_secrets
from iotgw.core.errors import IotgwError, SettingsError
from iotgw.core.validate import convert
from iotgw.devices.credentials import Credentials, derived
from iotgw.testing import MemoryRegistry, fired
from iotgw.testing.contracts import CredentialsContract
from tests.credential_registry import Registry


class TestCredentials(CredentialsContract):
    def open(self):
        self.registry = Registry()
        return started(self.registry, lambda: 1000)

    def add_psk(self, identity, secret, device="", tenant="default"):
        name = f"{identity} of {tenant}"
        secrets = [one(secret.decode())]
        self.registry.put(name, tenant, identity=identity, device=device, secrets=secrets)

    def add_x509(self, name, device=""):
        self.registry.put(name, type="x509", identity=name, device=device)

    def revoke(self, grant):
        fired(self.registry.delete(KIND, grant.credential))


class Clock:
    ms = 1000

    def __call__(self):
        return self.ms


def one(value="key-1", **times):
    return {"value": value, **times}


@pytest.fixture
def registry():
    return Registry()


@pytest.fixture
def clock():
    return Clock()


def started(registry, clock):
    credentials = Credentials(registry, clock)
    credentials.start()
    return credentials


@pytest.fixture
def credentials(registry, clock):
    return started(registry, clock)


def keys(credentials, identity, tenant="default"):
    return [secret for secret, _ in credentials.of(tenant).psk(identity)]


class TestPsk:
    def test_what_was_saved_before_and_what_is_added_later_both_serve(self, registry, clock):
        registry.put("meter", secrets=[one()])
        credentials = started(registry, clock)
        registry.put("valve", secrets=[one("key-2")])
        assert (keys(credentials, "meter"), keys(credentials, "valve")) == ([b"key-1"], [b"key-2"])

    def test_nothing_stands_in_the_registry_in_the_clear(self, registry):
        registry.put("meter", secrets=[one("very secret")])
        assert "very secret" not in str(registry.get(KIND, "meter").body)

    def test_the_identity_is_not_the_device(self, registry, credentials):
        registry.put("c", identity="sim-4711", device="meter-7", secrets=[one()])
        [(_, grant)] = credentials.of("default").psk("sim-4711")
        assert (grant.device, grant.credential, grant.tenant) == (
            "meter-7",
            registry.get(KIND, "c").id,
            "default",
        )

    def test_a_disabled_one_is_unknown(self, registry, credentials):
        registry.put("meter", secrets=[one()], enabled=False)
        assert keys(credentials, "meter") == []

    def test_secrets_have_their_times_and_overlap_the_newest_first(self, registry, credentials, clock):
        registry.put("meter", secrets=[one("old!", notAfter=2000), one("new!", notBefore=1500)])
        seen = {}
        for clock.ms in (1000, 1499, 1500, 1999, 2000, 9000):
            seen[clock.ms] = keys(credentials, "meter")
        assert seen == {
            1000: [b"old!"],
            1499: [b"old!"],
            1500: [b"new!", b"old!"],
            1999: [b"new!", b"old!"],
            2000: [b"new!"],
            9000: [b"new!"],
        }

    @pytest.mark.parametrize(
        ("encoding", "value"), [("text", "\x01\x02\x03\x04"), ("hex", "01020304"), ("base64", "AQIDBA==")]
    )
    def test_a_secret_may_be_written_in_three_ways(self, registry, credentials, encoding, value):
        registry.put("meter", secrets=[one(value, encoding=encoding)])
        assert keys(credentials, "meter") == [b"\1\2\3\4"]

    def test_a_pattern_serves_all_that_match_with_one_secret(self, registry, credentials):
        registry.put("fleet", identity="meter-*-nb", secrets=[one()])
        assert keys(credentials, "meter-1-nb") == [b"key-1"]
        assert credentials.of("default").psk("meter-1-nb")[0][1].device == "meter-1-nb"
        for other in ("meter-1", "xmeter-1-nb", "meter-nb", "meter--n"):
            assert keys(credentials, other) == []

    def test_an_exact_identity_hides_the_pattern(self, registry, credentials):
        registry.put("fleet", identity="meter-*", secrets=[one()])
        registry.put("meter-7", secrets=[one("own")])
        assert keys(credentials, "meter-7") == [b"own"]

    def test_no_other_character_is_special(self, registry, credentials):
        registry.put("fleet", identity="m[0-9]?*", secrets=[one()])
        assert keys(credentials, "m[0-9]?x") == [b"key-1"]
        assert keys(credentials, "m1yx") == []

    def test_derived_keys_are_the_hmac_of_the_identity(self, registry, credentials):
        registry.put("fleet", identity="*", derive="hmac-sha256", secrets=[one("master")])
        # printf meter-7 | openssl dgst -sha256 -hmac master
        expected = bytes.fromhex("4668811c46b803a6c55e74016a23a65b5364e8ecf5f5e1680fa7d8422b3600b3")
        assert keys(credentials, "meter-7") == [expected]
        assert derived(b"master", "hmac-sha256-128", "meter-7") == expected[:16]
        assert keys(credentials, "meter-8") != [expected]

    def test_tenants_do_not_see_each_other(self, registry, credentials):
        registry.put("a", identity="meter", secrets=[one("of a")], tenant="a")
        registry.put("b", identity="meter", secrets=[one("of b")], tenant="b")
        assert (keys(credentials, "meter", "a"), keys(credentials, "meter", "b")) == ([b"of a"], [b"of b"])
        assert keys(credentials, "meter") == []

    def test_one_that_can_not_be_unsealed_does_not_take_the_others_along(self, registry, clock):
        registry.put("meter", secrets=[one()])
        registry.put("valve", secrets=[one("key-2")])

        def unseal(text):
            if text == registry.get(KIND, "meter").body["secrets"][0]["value"]:
                raise IotgwError("was secret.key replaced?")
            return MemoryRegistry.unseal(registry, text)

        registry.unseal = unseal
        credentials = started(registry, clock)
        assert (keys(credentials, "meter"), keys(credentials, "valve")) == ([], [b"key-2"])
        assert credentials.unusable == {registry.get(KIND, "meter").id: "was secret.key replaced?"}
        fired(registry.delete(KIND, registry.get(KIND, "meter").id))
        assert credentials.unusable == {}


class TestX509:
    def test_by_name_or_fingerprint(self, registry, credentials):
        registry.put("one", type="x509", identity="meter-7", device="seven")
        registry.put("two", type="x509", identity="ab" * 32)
        find = credentials.of("default").x509
        assert find("meter-7", "cd" * 32).device == "seven"
        assert find("meter-8", "ab" * 32).device == "meter-8"
        assert find("meter-9", "cd" * 32) is None

    def test_a_disabled_one_says_so(self, registry, credentials):
        registry.put("one", type="x509", identity="meter-7", enabled=False)
        assert credentials.of("default").x509("meter-7").enabled is False


class TestRevoking:
    def grant(self, credentials):
        return credentials.of("default").psk("meter")[0][1]

    @pytest.mark.parametrize(
        ("change", "is_good"),
        [
            (lambda r: r.drop("meter"), False),
            (lambda r: r.put("meter", secrets=[one()], enabled=False), False),
            (lambda r: r.put("meter", secrets=[one("key-2")]), False),
            (lambda r: r.put("meter", secrets=[one("key-2"), one()]), True),
            (lambda r: r.put("meter", secrets=[one()], description="x"), True),
            (lambda r: r.put("meter", secrets=[one()], device="another"), False),
            (lambda r: r.put("meter", secrets=[one()], device="meter"), True),
        ],
    )
    def test_a_grant_is_good_while_its_credential_and_secret_are(
        self, registry, credentials, change, is_good
    ):
        registry.put("meter", secrets=[one()])
        grant = self.grant(credentials)
        told = []
        credentials.watch(lambda: told.append(credentials.is_good(grant, "meter")))
        change(registry)
        assert told == [is_good]

    def test_watching_can_end(self, registry, credentials):
        told = []
        registry.put("meter", secrets=[one()])
        credentials.watch(lambda: told.append(1))()
        registry.drop("meter")
        assert told == []

    def test_a_new_key_ends_nobodys_session(self, registry, credentials):
        told = []
        credentials.watch(lambda: told.append(1))
        registry.put("meter", secrets=[one()])
        assert told == []
        registry.put("barred", type="x509", identity="x", enabled=False)
        assert told == [1]


class TestChanges:
    """The index follows the registry change by change: whatever the order, it is as if made anew."""

    @given(
        st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["put", "two", "x509", "pattern", "delete"])))
    )
    def test_the_index_is_as_if_made_anew(self, changes):
        registry = Registry()
        followed = started(registry, Clock())
        for number, change in changes:
            name, identity = f"c{number}", f"i{number % 3}"
            if change == "delete":
                if any(each.name == name for each in registry.list(KIND)):
                    registry.drop(name)
            elif change == "x509":
                registry.put(name, type="x509", identity=f"c{number}", device=f"d{number % 2}")
            elif change == "pattern":
                registry.put(name, identity=f"{identity}*", secrets=[one()])
            else:
                secrets = [one(f"key-{number}")] + [one("second")] * (change == "two")
                registry.put(name, identity=identity, device=f"d{number % 2}", secrets=secrets)
        anew = started(registry, Clock())
        for identity in ("i0", "i1", "i2", "i0x"):
            ours, theirs = followed.of("default"), anew.of("default")
            assert sorted(key for key, _ in ours.psk(identity)) == sorted(
                key for key, _ in theirs.psk(identity)
            )
            assert ours.several == theirs.several
            for name in ("d0", "d1", "c0", "i0"):
                assert ours.must_be_secure(name) == theirs.must_be_secure(name)
                assert (ours.x509(name) is None) == (theirs.x509(name) is None)


class TestPlainCoap:
    def test_a_device_with_a_credential_must_be_secure_unless_it_says_otherwise(self, registry, credentials):
        registry.put("a", device="meter-7", secrets=[one()])
        registry.put("b", device="meter-8", secrets=[one()], allowInsecure=True)
        registry.put("c", type="x509", identity="meter-9")
        registry.put("d", device="meter-11", secrets=[one()])
        registry.put("e", type="x509", identity="x", device="meter-11", allowInsecure=True)
        must = credentials.of("default").must_be_secure
        assert must("meter-11") is False
        assert [must(f"meter-{n}") for n in (7, 8, 9, 10)] == [True, False, True, False]
        may = credentials.of("default").may_be_insecure
        assert [may(f"meter-{n}") for n in (7, 8, 9, 10, 11)] == [False, True, False, False, True]

    def test_one_whose_credentials_are_disabled_is_barred_and_not_free(self, registry, credentials):
        registry.put("a", device="meter-7", secrets=[one()], enabled=False)
        registry.put("b", device="meter-8", secrets=[one()], enabled=False, allowInsecure=True)
        must = credentials.of("default").must_be_secure
        assert (must("meter-7"), must("meter-8")) == (True, True)

    @pytest.mark.parametrize(
        ("pattern", "name", "counts"),
        [
            ("meter-*", "meter-7", True),
            ("meter-*", "meter-", True),
            ("meter-*", "meter", False),
            ("*-meter", "7-meter", True),
            ("*-meter", "meter", False),
            ("a*a", "aba", True),
            ("a*a", "a", False),
            ("*", "meter-7", False),
        ],
    )
    def test_a_pattern_counts_for_the_names_that_match_unless_it_is_for_all(
        self, registry, credentials, pattern, name, counts
    ):
        registry.put("fleet", identity=pattern, secrets=[one()])
        assert credentials.of("default").must_be_secure(name) is counts
        registry.drop("fleet")
        assert credentials.of("default").must_be_secure(name) is False


class TestChecks:
    @pytest.mark.parametrize(
        ("spec", "problem"),
        [
            ({"identity": ""}, "identity"),
            ({"identity": "x"}, "secrets: expected at least one"),
            ({"identity": "a*b*", "secrets": [one()]}, "at most one"),
            ({"identity": "a*", "device": "d", "secrets": [one()]}, "device: a credential for many"),
            ({"identity": "x", "type": "x509", "secrets": [one()]}, "no secrets"),
            ({"identity": "x", "secrets": [one()] * 9}, "length <= 8"),
        ],
    )
    def test_what_could_never_serve_is_refused(self, spec, problem):
        with pytest.raises(SettingsError, match=problem):
            convert({"name": "n", **spec}, CredentialSpec)

    @pytest.mark.parametrize(
        ("secret", "problem"),
        [
            (SecretSpec(value="abc"), "expected 4 to 256 bytes, got 3"),
            (SecretSpec(value="xyz!", encoding="hex"), "expected hex"),
            (SecretSpec(value="A", encoding="base64"), "expected base64"),
            (SecretSpec(value="x" * 257), "got 257"),
        ],
    )
    def test_a_bad_secret_is_named_but_not_told(self, secret, problem):
        spec = CredentialSpec(name="n", identity="x", secrets=[SecretSpec(value="good"), secret])
        with pytest.raises(ValueError, match=problem) as caught:
            check_secrets(spec)
        assert (
            "secrets[1].value" in str(caught.value) and secret.value not in str(caught.value).split(": ")[1]
        )

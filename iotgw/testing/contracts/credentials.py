"""What any keeper of devices' credentials does."""

from __future__ import annotations

from iotgw.core.credential import Grant
from iotgw.core.ports.credentials import ICredentials
from iotgw.testing.contracts.base import Contract


class CredentialsContract(Contract[ICredentials]):
    """For `ICredentials`; the subclass saves and deletes credentials."""

    def add_psk(self, identity: str, secret: bytes, device: str = "", tenant: str = "default") -> None:
        """Save a pre-shared key as a credential of its own."""
        raise NotImplementedError

    def add_x509(self, name: str, device: str = "") -> None:
        """Save a certificate's name or fingerprint, of the tenant ``default``."""
        raise NotImplementedError

    def revoke(self, grant: Grant) -> None:
        """Delete a credential."""
        raise NotImplementedError

    def grant(self, identity: str = "meter", tenant: str = "default") -> Grant:
        """What the only key of an identity gives."""
        ((_, grant),) = self.part.of(tenant).psk(identity)
        return grant

    def test_a_key_gives_its_device(self) -> None:
        self.ready()
        self.add_psk("sim-4711", b"key-1", "meter-7")
        ((secret, grant),) = self.part.of("default").psk("sim-4711")
        assert (secret, grant.device, grant.tenant) == (b"key-1", "meter-7", "default")
        assert grant.enabled
        assert self.part.of("default").psk("sim-4712") == []

    def test_a_device_is_told_of_a_key_that_it_has_not_used(self) -> None:
        self.ready()
        self.add_psk("bs-7", b"key-1", "meter-7")
        find = self.part.of("default").account
        assert find("meter-7", "bs-7") == ("bs-7", b"key-1")
        self.add_psk("id-7", b"key-2", "meter-7")
        assert find("meter-7", "bs-7") == ("id-7", b"key-2")
        assert find("meter-7", "id-7") == ("bs-7", b"key-1")
        assert find("meter-8", "") is None

    def test_without_a_device_the_identity_is_it(self) -> None:
        self.ready()
        self.add_psk("meter", b"key-1")
        assert self.grant().device == "meter"

    def test_tenants_do_not_see_each_other(self) -> None:
        self.ready()
        self.add_psk("meter", b"of a", tenant="a")
        self.add_psk("meter", b"of b", tenant="b")
        assert [secret for secret, _ in self.part.of("a").psk("meter")] == [b"of a"]
        assert self.part.of("default").psk("meter") == []

    def test_a_certificate_is_known_by_any_of_its_names(self) -> None:
        self.ready()
        self.add_x509("meter-7", "seven")
        self.add_x509("ab" * 32)
        find = self.part.of("default").x509
        by_name, by_fingerprint = find("meter-7", "cd" * 32), find("meter-8", "ab" * 32)
        assert by_name is not None and by_fingerprint is not None
        assert (by_name.device, by_fingerprint.device) == ("seven", "meter-8")  # who goes by that name
        assert self.part.is_good(by_fingerprint, "meter-8")
        assert find("meter-9", "cd" * 32) is None

    def test_a_device_with_a_credential_must_be_secure(self) -> None:
        self.ready()
        self.add_psk("sim", b"key-1", "meter-7")
        must = self.part.of("default").must_be_secure
        assert (must("meter-7"), must("meter-8"), must("sim")) == (True, False, False)

    def test_whether_there_are_any_is_known_for_each_tenant(self) -> None:
        self.ready()
        assert not self.part.of("default").are_any
        self.add_psk("sim", b"key-1", "meter-7")
        assert (self.part.of("default").are_any, self.part.of("acme").are_any) == (True, False)

    def test_a_grant_is_good_until_its_credential_is_gone_and_who_watches_hears_of_it(self) -> None:
        self.ready()
        self.add_psk("meter", b"key-1")
        grant = self.grant()
        assert self.part.is_good(grant, "meter")
        told: list[bool] = []
        self.part.watch(lambda: told.append(self.part.is_good(grant, "meter")))
        self.revoke(grant)
        assert told == [False]

    def test_watching_can_end(self) -> None:
        self.ready()
        self.add_psk("meter", b"key-1")
        told: list[int] = []
        self.part.watch(lambda: told.append(1))()
        self.revoke(self.grant())
        assert told == []

    def test_one_secret_for_each_identity_is_not_several(self) -> None:
        assert not self.part.of("default").several
        self.add_psk("meter", b"key-1")
        assert not self.part.of("default").several

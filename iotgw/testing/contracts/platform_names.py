"""What any store of platforms' names does."""

from __future__ import annotations

from iotgw.core.ports.platform_names import Claimed, IPlatformNameRows, NameClaim
from iotgw.testing.contracts.base import Contract

A, B = "70b3d57ed0000001", "70b3d57ed0000002"


class PlatformNamesContract(Contract[IPlatformNameRows]):
    """For `IPlatformNameRows`."""

    def claim(self, *claims: tuple[str, str, str]) -> list[Claimed]:
        """Whose each name is, claimed together."""
        found: list[Claimed] = self.wait(self.part.claim([NameClaim(*each) for each in claims]))
        return found

    def test_a_name_is_the_first_identitys_that_claims_it(self) -> None:
        assert self.claim(("default", "boiler", A)) == [Claimed(A, True)]
        assert self.claim(("default", "boiler", B)) == [Claimed(A)]
        assert self.claim(("default", "boiler", A)) == [Claimed(A)]

    def test_of_two_that_claim_a_name_together_one_has_it(self) -> None:
        found = self.claim(("default", "boiler", A), ("default", "boiler", B), ("default", "boiler", A))
        assert found == [Claimed(A, True), Claimed(A), Claimed(A)]

    def test_it_outlasts_a_restart(self) -> None:
        self.claim(("default", "Küche\0/1", "ä\0"))
        self.reopen()
        assert self.claim(("default", "Küche\0/1", B)) == [Claimed("ä\0")]
        assert self.wait(self.part.owner("default", "Küche\0/1")) == "ä\0"

    def test_tenants_have_names_of_their_own(self) -> None:
        assert self.claim(("acme", "boiler", A), ("bolt", "boiler", B)) == [
            Claimed(A, True),
            Claimed(B, True),
        ]
        assert self.wait(self.part.forget_tenant("acme")) == 1
        assert self.claim(("acme", "boiler", B), ("bolt", "boiler", A)) == [Claimed(B, True), Claimed(B)]

    def test_a_name_that_nobody_has_has_no_owner(self) -> None:
        assert self.wait(self.part.owner("default", "boiler")) == ""

    def test_many_are_claimed_at_once(self) -> None:
        claims = [("default", f"d{number:04}", f"i{number}") for number in range(1200)]
        assert self.claim(*claims) == [Claimed(identity, True) for _, _, identity in claims]
        assert self.claim(*claims[::-1]) == [Claimed(identity) for _, _, identity in claims[::-1]]

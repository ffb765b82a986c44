"""What anything does that keeps rows for datasources."""

from __future__ import annotations

from iotgw.core.ports.kept import IKept
from iotgw.testing.contracts.base import Contract


class KeptContract(Contract[IKept]):
    """For `IKept`."""

    def test_rows_are_there_after_a_restart(self) -> None:
        self.wait(self.part.save("a", {"one": b"1", "two": b"2"}))
        assert self.wait(self.reopen().rows("a")) == {"one": b"1", "two": b"2"}

    def test_owners_see_their_own_rows_only(self) -> None:
        self.wait(self.part.save("a", {"one": b"1"}))
        self.wait(self.part.save("b", {"one": b"2"}))
        assert self.wait(self.part.rows("a")) == {"one": b"1"}
        assert self.wait(self.part.rows("c")) == {}

    def test_the_last_change_of_a_turn_holds(self) -> None:
        for value in (b"1", None, b"3"):
            self.part.save("a", {"one": value})
        assert self.wait(self.part.rows("a")) == {"one": b"3"}

    def test_a_row_is_removed(self) -> None:
        self.wait(self.part.save("a", {"one": b"1", "two": b"2"}))
        self.wait(self.part.save("a", {"one": None, "three": None}))
        assert self.wait(self.reopen().rows("a")) == {"two": b"2"}

    def test_an_owner_leaves_nothing(self) -> None:
        self.wait(self.part.save("a", {"one": b"1"}))
        self.wait(self.part.save("b", {"one": b"2"}))
        self.part.save("a", {"two": b"2"})
        self.wait(self.part.drop("a"))
        assert self.wait(self.reopen().rows("a")) == {}
        assert self.wait(self.part.rows("b")) == {"one": b"2"}

    def test_rows_of_nobody_go(self) -> None:
        for owner in ("a", "b", "c"):
            self.wait(self.part.save(owner, {"one": b"1"}))
        assert self.wait(self.part.drop_others(["b", "d"])) == ["a", "c"]
        assert self.wait(self.reopen().rows("a")) == {}
        assert self.wait(self.part.rows("b")) == {"one": b"1"}
        assert self.wait(self.part.drop_others(["b"])) == []

"""What any directory of the operator's files does."""

from __future__ import annotations

from iotgw.core.ports.files import IOperatorFiles
from iotgw.testing.contracts.base import Contract


class OperatorFilesContract(Contract[IOperatorFiles]):
    """For `IOperatorFiles`. Override `put`."""

    def put(self, name: str, content: bytes, tenant: str) -> None:
        """The operator puts a file into a tenant's directory."""
        raise NotImplementedError("override this in the suite's subclass")

    def test_files_are_read_by_their_names(self) -> None:
        self.put("a.pem", b"a", "default")
        self.put("sub/b.pem", b"b", "default")
        assert self.wait(self.part.read("default", ["a.pem", "sub/b.pem"])) == {
            "a.pem": b"a",
            "sub/b.pem": b"b",
        }

    def test_a_file_that_is_not_there_is_not_among_them(self) -> None:
        self.put("a.pem", b"a", "default")
        assert self.wait(self.part.read("default", ["none.pem", "a.pem"])) == {"a.pem": b"a"}
        assert self.wait(self.part.read("default", [])) == {}

    def test_a_changed_file_is_read_as_it_is_now(self) -> None:
        self.put("a.pem", b"one", "default")
        self.wait(self.part.read("default", ["a.pem"]))
        self.put("a.pem", b"two", "default")
        assert self.wait(self.part.read("default", ["a.pem"])) == {"a.pem": b"two"}

    def test_each_tenant_has_files_of_its_own(self) -> None:
        self.put("key.pem", b"ours", "default")
        self.put("key.pem", b"acme's", "acme")
        assert self.wait(self.part.read("acme", ["key.pem"])) == {"key.pem": b"acme's"}
        assert self.wait(self.part.read("north", ["key.pem"])) == {}

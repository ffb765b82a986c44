"""What anything does that keeps files for devices."""

from __future__ import annotations

import hashlib
from functools import partial

from iotgw.core.errors import Conflict, NotFound, SettingsError
from iotgw.core.ports.stored_files import IStoredFiles
from iotgw.testing.contracts.base import Contract


class StoredFilesContract(Contract[IStoredFiles]):
    """For `IStoredFiles`."""

    def test_a_file_comes_in_parts_and_is_hashed_when_it_is_whole(self) -> None:
        begun = self.wait(self.part.begin("default", "app.bin", 6, b"abc"))
        assert (begun.received, begun.is_whole) == (3, False)
        whole = self.wait(self.part.append("default", "app.bin", 3, b"def"))
        assert (whole.received, whole.sha256) == (6, hashlib.sha256(b"abcdef").hexdigest())
        assert self.part.get("default", "app.bin") == self.part.get("default", whole.id) == whole
        assert self.part.list("default") == [whole]

    def test_a_file_may_come_at_once(self) -> None:
        assert self.wait(self.part.begin("default", "app.bin", 3, b"abc")).is_whole

    def test_a_part_that_is_not_the_next_one_is_refused(self) -> None:
        self.wait(self.part.begin("default", "app.bin", 6, b"abc"))
        for offset, content in ((2, b"x"), (4, b"x"), (3, b"defg")):
            self.raises(Conflict, partial(self.part.append, "default", "app.bin", offset, content))
        self.raises(NotFound, lambda: self.part.append("default", "other", 0, b"x"))

    def test_a_name_is_taken_once_in_each_tenant(self) -> None:
        self.wait(self.part.begin("default", "app.bin", 3, b"abc"))
        self.raises(Conflict, lambda: self.part.begin("default", "app.bin", 3))
        assert self.wait(self.part.begin("acme", "app.bin", 3)).received == 0

    def test_what_can_be_no_file_is_refused(self) -> None:
        self.raises(SettingsError, lambda: self.part.begin("default", "app.bin", 0))
        for name in ("", "a/b", ".", ".."):
            self.raises(SettingsError, partial(self.part.begin, "default", name, 3))

    def test_a_file_that_is_removed_is_gone(self) -> None:
        self.wait(self.part.begin("default", "app.bin", 3, b"abc"))
        self.wait(self.part.delete("default", "app.bin"))
        assert self.part.list("default") == []
        self.raises(NotFound, lambda: self.part.delete("default", "app.bin"))

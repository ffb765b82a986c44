"""The admin token that a start writes to a file: the first one, and one that an operator asks for."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from iotgw.api.auth import ALL_TENANTS, Token, Tokens, ensure_admin_token, mint
from iotgw.store.sqlite.registry import Registry
from iotgw.testing import ThreadClock

NOW_MS = 1_000_000
OWNER = ("admin", ALL_TENANTS)


class Start:
    """One start after another over a data directory."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "admin-token"
        self.clock = ThreadClock()
        self.registry = Registry(self.clock, folder)
        self.clock.wait(self.registry.start())

    def ensure(self, is_asked: bool = False) -> bool:
        made: bool = self.clock.wait(ensure_admin_token(self.registry, str(self.file), NOW_MS, is_asked))
        return made

    def add(self, role: Any, tenant: str, expires_ms: int = 0) -> None:
        _, body = mint(role, tenant, expires_ms)
        self.clock.wait(self.registry.create("token", "default", "admin", body))

    @property
    def token(self) -> Token | None:
        """Whose the text in the file is."""
        return Tokens(self.registry).recognise(self.file.read_text().strip(), NOW_MS)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    start = Start(tmp_path)
    yield start
    start.clock.wait(start.registry.stop())


def test_the_first_token_is_written_once_to_a_file_of_its_owner(start: Start, tmp_path: Path) -> None:
    assert start.ensure() is True
    assert stat.S_IMODE(start.file.stat().st_mode) == 0o600
    text = start.file.read_text()
    assert start.ensure() is False
    assert start.file.read_text() == text
    assert start.token is not None
    assert (start.token.name, start.token.role, start.token.tenant) == ("admin", *OWNER)
    assert text.strip().split("_", 2)[2].encode() not in (tmp_path / "registry.db").read_bytes()


def test_a_crash_while_the_first_token_is_written_leaves_one_that_works(start: Start) -> None:
    start.ensure()
    start.file.rename(f"{start.file}.new")  # as it is when the process ends before the last step
    assert start.ensure() is False
    assert start.token is not None


def test_an_operator_who_asks_gets_a_further_one(start: Start) -> None:
    start.ensure()
    before = start.file.read_text()
    assert start.ensure(is_asked=True) is True
    assert start.file.read_text() != before
    assert start.token is not None
    assert (start.token.name, start.token.role, start.token.tenant) == ("admin-2", *OWNER)
    assert len(start.registry.list("token")) == 2


@pytest.mark.parametrize(
    ("role", "tenant", "expires_ms"),
    [("admin", "acme", 0), ("editor", ALL_TENANTS, 0), ("admin", ALL_TENANTS, NOW_MS)],
    ids=["of one tenant", "no admin", "expired"],
)
def test_a_start_makes_one_where_no_token_could_make_it(
    start: Start, role: str, tenant: str, expires_ms: int
) -> None:
    start.add(role, tenant, expires_ms)
    assert start.ensure() is True
    assert start.token is not None
    assert (start.token.role, start.token.tenant) == OWNER

"""Fixtures of the tests that need PostgreSQL."""

import pytest

from iotgw.store.postgres.connection import Address

from .postgres import Postgres


@pytest.fixture(scope="session")
def postgres():
    """A server for all tests of this process. It survives the end of its processes, and not that of the machine."""
    with Postgres("fsync = off") as server:
        yield server


@pytest.fixture
def address(postgres, tmp_path):
    """Where a new, empty database is."""
    return Address(postgres.dsn(postgres.new_database()), postgres.password_file(tmp_path))

import pytest

from iotgw.store.postgres.connection import Address
from tests.peers.postgres import Postgres


@pytest.fixture(scope="session")
def postgres():
    """A server for all tests of this process; each has a database of its own."""
    with Postgres() as server:
        yield server


@pytest.fixture
def address(postgres, tmp_path):
    """Where a new, empty database is."""
    return Address(postgres.dsn(postgres.new_database()), postgres.password_file(tmp_path))

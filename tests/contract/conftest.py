import pytest

from iotgw.store.postgres.connection import Address
from tests.contract.stores import OnPostgres, OnSqlite
from tests.peers.postgres_fixtures import postgres

__all__ = ["postgres"]


@pytest.fixture(scope="session")
def database(postgres):
    """The URL of one database for all tests of this process."""
    return postgres.dsn(postgres.new_database())


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.interop)])
def backend(request, tmp_path):
    """Where this test's parts store: each suite runs on either."""
    if request.param == "sqlite":
        return OnSqlite(tmp_path / "data")
    server, url = request.getfixturevalue("postgres"), request.getfixturevalue("database")
    return OnPostgres(Address(url, server.password_file(tmp_path)), tmp_path / "secret.key")

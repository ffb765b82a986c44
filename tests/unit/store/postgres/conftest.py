from tests.peers.postgres_fixtures import address, postgres

__all__ = ["address", "postgres"]

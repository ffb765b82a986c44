"""A SensorThings service: django-ogc-sensorthings, in a process of its own."""

import sqlite3
from contextlib import closing
from pathlib import Path

from .process import Process, accepts, free_port, missing

HOME = Path(__file__).with_name("sensorthings")


class SensorThings(Process):
    """It keeps what it has in ``folder``, and has a Datastream with each of these ids, which takes numbers. Its version 1.1 is at ``url``."""

    def __init__(self, folder, *datastreams):
        python = HOME / "venv" / "bin" / "python"
        if not python.exists():
            missing("django-ogc-sensorthings is not installed; tests/install-peers does it")
        folder.mkdir(parents=True, exist_ok=True)
        self._table = folder / "sensorthings.db"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/v1.1"
        super().__init__(
            [python, HOME / "serve.py", folder, str(self.port), *datastreams], folder / "sensorthings.log"
        )

    def ready(self):
        return accepts(self.port)

    def observations(self):
        """All of them, as they stand in its table: ``(datastream, time, result)``."""
        asked = "SELECT datastream_id, phenomenon_time_begin, result FROM sensorthings_v1_1_django_backend_observation"
        with closing(sqlite3.connect(self._table)) as table:
            return table.execute(asked).fetchall()

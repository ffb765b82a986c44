"""Hears what other nodes have changed: at once by NOTIFY, and in any case within a second, as it asks anyway."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

import psycopg
from twisted.internet.interfaces import IReactorThreads
from twisted.logger import Logger

from iotgw.core.errors import IotgwError
from iotgw.store.postgres.connection import Address, Connection

CHANNEL = "iotgw"
POLL = 1.0
"""Seconds after which all is asked for that was not told of."""
TELL = "SELECT pg_notify('iotgw', %s)"
"""Tell the listeners of all nodes, when the transaction is committed, that a topic has news."""


class DatabaseListener:
    """Calls ``topics[topic]()`` in the reactor's thread when a topic may have news. One thread, one connection.

    What was told while there was no connection isn't missed: each round asks for all topics."""

    _log = Logger()

    def __init__(
        self, reactor: IReactorThreads, address: Address, topics: Mapping[str, Callable[[], object]]
    ) -> None:
        self._reactor = reactor
        self._address = address
        self._topics = topics
        self._over = threading.Event()

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._run, name="listener", daemon=True).start()

    def stop(self) -> None:
        """Call nobody any more."""
        self._over.set()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                with self._address.connect() as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    self._listen(connection)
            except (psycopg.Error, IotgwError) as error:
                self._log.debug("the listener's connection: {error}", error=error)
                self._over.wait(POLL)

    def _listen(self, connection: Connection) -> None:
        asked = -POLL
        while not self._over.is_set():
            left = max(0.0, asked + POLL - time.monotonic())
            told = {each.payload for each in connection.notifies(timeout=left, stop_after=1)}
            if time.monotonic() - asked >= POLL:
                asked, told = time.monotonic(), set(self._topics)
            if told and not self._over.is_set():
                self._reactor.callFromThread(self._tell, told)

    def _tell(self, topics: set[str]) -> None:
        for topic in topics if not self._over.is_set() else ():
            call = self._topics.get(topic)
            if call is not None:
                call()

"""A token that a call of the API's own gives: fetched before the first call, and again before it ends or when it is
refused."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from iotgw.connect.http_pool import HttpPool
from iotgw.wire.http1 import Response

Read = Callable[[Response], tuple[bytes, float] | str]
"""``read(response)``: the header line and for how many seconds it counts, or why there is none."""


class LoginToken:
    """An `iotgw.connect.api_caller.Authority`. ``ask()`` are the bytes of the login's request."""

    def __init__(self, clock: IReactorTime, pool: HttpPool, ask: Callable[[], bytes], read: Read) -> None:
        self._clock = clock
        self._pool = pool
        self._ask = ask
        self._read = read
        self._until = 0.0
        self.header = b""

    def ready(self) -> bool:
        """See `Authority.ready`."""
        return bool(self.header) and self._clock.seconds() < self._until

    def refresh(self, done: Callable[[str], None]) -> None:
        """See `Authority.refresh`."""

        def answered(response: Response | None, reason: str) -> None:
            if response is None:
                done(f"no token: {reason}")
                return
            found = self._read(response)
            if isinstance(found, str):
                done(found)
                return
            self.header, seconds = found
            self._until = self._clock.seconds() + seconds
            done("")

        self._pool.request(self._ask(), answered)

    def refused(self) -> None:
        """See `Authority.refused`."""
        self._until = 0.0

    def close(self) -> None:
        """See `Authority.close`."""
        self._pool.close()

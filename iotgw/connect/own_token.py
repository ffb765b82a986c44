"""Tokens that the gateway makes itself from a key, and makes anew before they end."""

from __future__ import annotations

from collections.abc import Callable

LIFE = 3600.0
"""Seconds for which a token counts; Google takes no longer one."""
EARLY = 300.0
"""Seconds before its end at which a token is replaced."""


class OwnToken:
    """An `iotgw.connect.http_auth.Authenticator`; a base. ``secrets`` are what no text may show, ``date()`` gives the date in seconds
    since 1970."""

    def __init__(self, secrets: list[str], date: Callable[[], float]) -> None:
        self.header = b""
        self.secrets = secrets
        self._date = date
        self._until = 0.0

    def made(self, now: float, until: float) -> bytes:
        """The value of the header ``Authorization`` between two dates, in seconds since 1970; empty is no header."""
        raise NotImplementedError

    def sign(self, head: bytes, body: bytes) -> bytes:
        """The header with the present token."""
        return self.header

    def ready(self) -> bool:
        """Always: a token that ends soon is replaced."""
        now = self._date()
        if not now < self._until - EARLY < now + LIFE:
            self._until = now + LIFE
            value = self.made(now, self._until)
            self.header = b"Authorization: %b\r\n" % value if value else b""
        return True

    def refresh(self, done: Callable[[str], None]) -> None:
        """Nothing to do."""
        done("")

    def refused(self) -> None:
        """The service didn't take it: the next one is new."""
        self._until = 0.0

    def close(self) -> None:
        """Nothing to do."""

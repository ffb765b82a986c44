"""What has been started, to be ended the other way round."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from iotgw.core.errors import IotgwError


class Undo:
    """Steps that end what was begun; ``what`` names it where one fails."""

    _log = Logger()

    def __init__(self, what: str) -> None:
        self._what = what
        self._steps: list[Callable[[], object]] = []

    def append(self, step: Callable[[], object]) -> None:
        """This ends what was begun last; a Deferred that it returns is waited for."""
        self._steps.append(step)

    async def all(self) -> None:
        """End everything, once. An IotgwError of a step is logged, and keeps no other step from being done."""
        while self._steps:
            try:
                ended = self._steps.pop()()
                if isinstance(ended, Deferred):
                    await ended
            except IotgwError as error:
                self._log.warn("{what} ended badly: {error}", what=self._what, error=error)

"""What the gateway refuses, as it happens: events that have no message."""

from __future__ import annotations

from typing import Any

from iotgw.ctl.client import ApiClient

MOST = 100
"""Events that are shown of one look; there may have been more."""


class RefusalTail:
    """The events of refusals after the newest one that there is now; of one datasource, if it is named. ``first`` are the last
    ``lines`` that there are, oldest first."""

    def __init__(self, client: ApiClient, datasource: str | None = None, lines: int = 0) -> None:
        self._client = client
        self._query = {"source": "datasource", "name": datasource} if datasource else {}
        newest = self._look(max(1, lines))
        self._last: int = newest[0]["id"] if newest else 0
        self.first = newest[:lines][::-1]

    def fresh(self) -> list[dict[str, Any]]:
        """Those that came since the last look, oldest first; raises CtlError."""
        found = [each for each in self._look(MOST) if each["id"] > self._last]
        if found:
            self._last = found[0]["id"]
        return found[::-1]

    def _look(self, limit: int) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self._client.get("/events", type="refused", limit=limit, **self._query)[
            "items"
        ]
        return items

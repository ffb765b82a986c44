"""The way of single messages, for a person who looks for one."""

from __future__ import annotations

from collections.abc import Iterable

from zope.interface import Attribute, Interface

from iotgw.core.model import TelemetryRecord


class ITrace(Interface):
    """Debug lines that share a message id."""

    on: bool = Attribute("whether anybody reads them; ask before a batch is made ready for it")

    def delivered(records: Iterable[TelemetryRecord], integration: str, verdict: str) -> None:
        """A target took these, or did not."""

"""Traces single messages, for a person who looks for one."""

from __future__ import annotations

from collections.abc import Iterable

from zope.interface import Attribute, Interface

from iotgw.core.model import TelemetryRecord


class ITrace(Interface):
    """Debug lines that share a message id."""

    on: bool = Attribute("whether debug lines are logged; check this before preparing a batch")

    def delivered(records: Iterable[TelemetryRecord], integration: str, verdict: str) -> None:
        """A target accepted or refused these records."""

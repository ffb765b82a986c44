"""Metadata that many messages have alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iotgw.core.specs import DatasourceSpec


class FixedMetadata(dict[str, Any]):
    """Metadata that doesn't change any more, such as that of all messages of a device.

    A datasource keeps it and hands it in again with each of those messages, so that its text is made once. ``encoded`` is
    the intake's: the settings that the text was made with, the text (JSON), and the identity in it.
    """

    __slots__ = ("encoded",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.encoded: tuple[DatasourceSpec, bytes, str] | None = None

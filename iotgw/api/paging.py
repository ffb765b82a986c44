"""Pages of lists that end where they have become large, however many entries were asked for: ``next`` leads on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

LARGEST = 4 << 20
"""Bytes of JSON after which a page ends,"""
LARGEST_OF_RESOURCES = 16 << 20
"""or one of what is saved, such as converters with their scripts: of these there are few, and people want to see all."""


class PageItems:
    """The entries of a page, as JSON."""

    def __init__(self, largest: int = LARGEST) -> None:
        self.items: list[msgspec.Raw] = []
        self._left = largest

    @property
    def is_full(self) -> bool:
        """Whether it should have no more of them."""
        return self._left <= 0

    def take(self, entries: Iterable[Any]) -> None:
        """Take entries until it is full. Further ones aren't asked for."""
        if self.is_full:
            return
        for entry in entries:
            self.items.append(msgspec.Raw(msgspec.json.encode(entry)))
            self._left -= len(self.items[-1])
            if self.is_full:
                return


def fitting(entries: Iterable[Any], largest: int) -> list[msgspec.Raw]:
    """The first entries, as many as a page may have; at least one, if there is one."""
    page = PageItems(largest)
    page.take(entries)
    return page.items

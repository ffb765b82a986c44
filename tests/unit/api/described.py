"""Whether an answer is one that the API's description names."""

from __future__ import annotations

import re
from typing import Any

from iotgw.api.app import routes
from iotgw.api.openapi import OpenApiRoutes
from iotgw.api.parts import Parts

FROM_ANYWHERE = 400
"""Statuses from here on are `default`, a problem, for every operation."""


class Description:
    """The operations of a description, by method and path."""

    def __init__(self, parts: Parts) -> None:
        found = routes(parts)
        document = OpenApiRoutes(parts.datasource_types, parts.integration_types, found).document()
        self._operations = [
            (method.upper(), re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), operation["responses"])
            for path, operations in document["paths"].items()
            for method, operation in operations.items()
        ]

    def check(self, method: str, path: str, status: int, media_type: str) -> None:
        """Raise AssertionError for an answer with another status or another type of content than the operation's description has."""
        for of, pattern, responses in self._operations:
            if of == method and pattern.fullmatch(path.partition("?")[0]):
                named: dict[str, Any] | None = responses.get(str(status))
                if named is None:
                    assert status >= FROM_ANYWHERE or status == 304, (
                        f"{method} {path}: {status} isn't described"
                    )
                elif media_type:
                    assert media_type in named.get("content", {}), (
                        f"{method} {path}: {media_type} isn't described"
                    )
                return

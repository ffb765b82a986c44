"""Names that the gateway knows, for a shell that completes: whoever presses a key waits for them a moment, and no longer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from iotgw.ctl.command import Context, shared_defaults
from iotgw.ctl.errors import CtlError
from iotgw.ctl.parsing import given

PATIENCE = 1.0
"""Seconds."""
MOST = 200


def named(*collections: str) -> Callable[[click.Context, str], list[str]]:
    """Completes to the names in these collections of the API; to nothing where no gateway answers."""

    def complete(ctx: click.Context, text: str) -> list[str]:
        options: Any = given(ctx, shared_defaults())
        options.timeout = PATIENCE
        try:
            client = Context(options).client
            pages = [client.get(f"/{each}", limit=1000) for each in collections]
        except CtlError:
            return []
        names = [str(item["name"]) for page in pages for item in page["items"]]
        return sorted(name for name in names if name.startswith(text))[:MOST]

    return complete

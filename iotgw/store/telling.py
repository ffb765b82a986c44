"""Calls the journal's listeners. A fault of theirs is logged and doesn't stop the journal."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec

from twisted.logger import Logger

P = ParamSpec("P")
_log = Logger(namespace="iotgw.store")


def tell(hear: Callable[P, None], *what: P.args, **more: P.kwargs) -> None:
    """Call a listener, and log whatever it raises."""
    try:
        hear(*what, **more)
    except Exception:
        _log.failure("the journal's listener failed")

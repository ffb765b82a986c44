"""The facts of a connection: what converters found out about its device, for the metadata of its later messages."""

from __future__ import annotations

import msgspec

from iotgw.core.model import Metadata

MAX_FACTS = 32
"""Facts of one connection."""
MAX_BYTES = 4096
"""Their size as JSON."""

_encode = msgspec.json.Encoder().encode


def merged(facts: Metadata, news: Metadata) -> Metadata:
    """The facts with newer ones; a newer one that is None takes one away. Raises ValueError if they are too many."""
    found = {name: fact for name, fact in {**facts, **news}.items() if fact is not None}
    if problem := excess(found):
        raise ValueError(problem)
    return found


def excess(facts: Metadata) -> str:
    """Why these are too many facts; empty if they aren't."""
    if len(facts) > MAX_FACTS:
        return f"expected at most {MAX_FACTS} facts of a connection, got {len(facts)}"
    size = len(_encode(facts))
    return "" if size <= MAX_BYTES else f"expected at most {MAX_BYTES} bytes of facts, got {size}"

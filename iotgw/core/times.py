"""Two kinds of times, which must not be mixed up. See `iotgw.core.ports.clock`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NewType, cast

DateMs = NewType("DateMs", int)
"""A date in milliseconds since 1970 UTC."""
SteadyMs = NewType("SteadyMs", int)
"""Gateway time in milliseconds: it passes as evenly as time does, over restarts too. It is close to the date, where the
machine's clock was never wrong."""

whole_date = cast(Callable[[float], DateMs], int)
"""A date in milliseconds without its fraction; a call of a NewType costs a third of it."""

"""The clocks. There are two, and a part gets the one that it needs.

* **Time that can't jump** is the reactor's: `IReactorTime.seconds`, `SteadyMs`. Timers, waits and ages are measured with it.
* **The date** is `IDates`, `DateMs`: what people, devices and targets read. It jumps when somebody sets the machine's clock,
  so a difference of two dates says nothing about how much time passed. `ICalendar` finds the time that belongs to a date.
"""

from __future__ import annotations

from zope.interface import Attribute, Interface

from iotgw.core.times import DateMs, SteadyMs


class IDates(Interface):
    """What date it is."""

    def seconds() -> float:
        """The date in seconds since 1970 UTC. It may jump."""


class ICalendar(IDates):
    """The date, and how old something is that has a date."""

    has_doubts: bool = Attribute("whether any date that was given out can't be right")

    def now_ms() -> DateMs:
        """The date."""

    def date_ms(moment_ms: SteadyMs) -> DateMs:
        """The date at a gateway time, as it runs now."""

    def is_before(date_ms: DateMs, bound_ms: DateMs) -> bool:
        """Whether it was this date before a time, which is given as a date as it runs now."""

    def moment_ms(date_ms: DateMs) -> SteadyMs:
        """The gateway time at which it was this date. Of several, the latest: what is in doubt is young."""

    def mended_ms(date_ms: DateMs) -> DateMs:
        """The date that it really was when the machine's clock said this one; the same where nobody knows better."""

    def is_unsure(date_ms: DateMs) -> bool:
        """Whether the machine's clock was certainly wrong when it said this date."""

    def comes_again(date_ms: DateMs) -> bool:
        """Whether it may have been this date before, because the machine's clock was set back since."""

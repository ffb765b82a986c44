"""What an envelope reads besides uplinks: a network's receipts, and valid messages that converters don't
need."""

from __future__ import annotations

from collections import Counter
from functools import partial

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from iotgw.core.allowance import Allowance
from iotgw.core.ports.intake import IIntake
from iotgw.core.proof import Proved
from iotgw.datasources.feed import Write
from iotgw.datasources.sampling import SampledEvents
from iotgw.envelopes.envelope import Asked, Happened, Ignored, Receipt

EVENTS = 1000
"""Events of a datasource's network in a minute; beyond, they are counted only. One request may have ten times as many, and the record of events is a
ring."""


class Notices:
    """Hands receipts to the intake and counts the rest; one for each datasource.

    ``counts`` are shown with the datasource's status. A receipt of an item that nobody knows is counted there as
    ``unknownReceipts``, and said once a minute.
    """

    def __init__(self, intake: IIntake, clock: IReactorTime, counts: Counter[str]) -> None:
        self._intake = intake
        self._counts = counts
        self._events = Allowance(clock, EVENTS)
        self._unknown = SampledEvents(clock, intake, "downlink.unknown")

    def take(
        self, notice: Receipt | Happened | Ignored | Asked, proved: Proved = ""
    ) -> Deferred[bool] | None:
        """Handle a receipt, record what happened, or count a notice, of a sender that has proved to be a device or not.

        Of a receipt it returns what fires when that is durable, with False if it couldn't be written."""
        if not isinstance(notice, Receipt):
            self._note(notice)
            return None
        return self._confirm(notice, proved)

    def in_turn(self, notice: Receipt | Happened | Ignored | Asked) -> Write | None:
        """For a source that acknowledges in order: what `take`s a receipt when it is its turn, and again if it couldn't be
        written. What else there is, is handled at once."""
        if not isinstance(notice, Receipt):
            self._note(notice)
            return None
        return partial(self._confirm, notice)

    def _note(self, notice: Happened | Ignored | Asked) -> None:
        if isinstance(notice, Ignored):
            self._counts[notice.why] += 1
            return
        if isinstance(notice, Asked):  # over a transport whose answer carries nothing
            self._counts["unanswered"] += 1
            return
        self._counts["networkEvents"] += 1
        if (hidden := self._events.take("")) is None:
            return
        whose, more = notice.device or "a device", f" ({hidden} more before)" if hidden else ""
        self._intake.event(
            f"network.{notice.kind}",
            f"the network reports {notice.kind} of {whose}{more}",
            device=notice.device,
            report=notice.detail,
        )

    def _confirm(self, receipt: Receipt, proved: Proved = "") -> Deferred[bool]:
        taken = self._intake.downlink_confirmed(
            receipt.device, receipt.became, receipt.reason, receipt.item, receipt.network, proved
        )
        if receipt.item or receipt.network:
            taken.addCallback(self._found, receipt)
        return taken.addCallbacks(lambda _: True, lambda _: False)

    def _found(self, is_known: bool, receipt: Receipt) -> None:
        if not is_known and not receipt.item:
            self._counts["foreignReceipts"] += 1
        elif not is_known:
            self._counts["unknownReceipts"] += 1
            self._unknown.note("", f"a receipt names an unknown item: {receipt.item[:80]!r}")

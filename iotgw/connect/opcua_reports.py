"""A subscription of asyncua whose reports are taken in the order of their numbers, and whose gaps are closed.

A server numbers its reports, and keeps each until it is acknowledged (OPC 10000-4 §5.14.1). After a reconnection
the next one may come before those are repeated that went into the cut. So one is looked at after the other. Where
numbers are missing, they are asked for first, and what was repeated isn't taken again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from asyncua import ua
from asyncua.client.ua_session import UaSession
from asyncua.common.subscription import Subscription

MOST_REPEATED = 1000
"""Reports that a server may repeat at a time."""


class Reports(Subscription):
    """See above. ``take(handle, value)`` gets the values, ``trouble(reason)`` what the server says of the subscription, and that it
    doesn't repeat reports, once until the next reconnection.

    ``told`` is set with each report after which the server has no more. ``gone`` is set when it doesn't have the subscription any more.
    """

    def __init__(
        self,
        session: UaSession,
        asked: ua.CreateSubscriptionParameters,
        take: Callable[[int, ua.DataValue], None],
        trouble: Callable[[str], None],
    ) -> None:
        super().__init__(session, asked)
        self._session = session
        self._take = take
        self._trouble = trouble
        self._turn = asyncio.Lock()
        """Whoever has it hands over."""
        self._repeated: set[int] = set()
        self._has_missed = False
        self.told = asyncio.Event()
        self.gone = asyncio.Event()

    @property
    def interval(self) -> float:
        """Seconds between two reports, as the server has them."""
        return float(self.parameters.RequestedPublishingInterval) / 1000

    async def taken(self) -> None:
        """Wait until what has come is handed over."""
        async with self._turn:
            pass

    async def publish_callback(self, publish_result: ua.PublishResult) -> None:
        """Called by asyncua with each report, and each sign of life. One that raises isn't acknowledged, as the connection breaks."""
        self.last_publish_at = time.monotonic()
        message = publish_result.NotificationMessage
        async with self._turn:
            if message.SequenceNumber in self._repeated:
                self._repeated.discard(message.SequenceNumber)
            else:
                await self._close_gap(message.SequenceNumber)
                self._hand_over(message)
        if not publish_result.MoreNotifications:
            self.told.set()

    def _hand_over(self, message: ua.NotificationMessage) -> None:
        if not message.NotificationData:
            return  # a sign of life has the number of the next report
        self.last_sequence_number = message.SequenceNumber
        for part in message.NotificationData:
            if isinstance(part, ua.DataChangeNotification):
                for item in part.MonitoredItems:
                    self._take(item.ClientHandle, item.Value)
            elif isinstance(part, ua.StatusChangeNotification):
                self._trouble(f"the server says of the subscription: {part.Status.name}")
                if part.Status.is_bad():
                    self.gone.set()

    async def _close_gap(self, number: int) -> None:
        """Have the server repeat what is missing before this report."""
        if self.last_sequence_number is None:
            return
        missing = range(max(self.last_sequence_number + 1, number - MOST_REPEATED), number)
        found = 0
        try:
            for each in missing:
                found += await self._repeat(each)
        except TimeoutError:
            pass
        if found < len(missing) and not self._has_missed:
            self._has_missed = True
            self._trouble(f"the server doesn't repeat reports that were lost: {len(missing) - found}")

    async def _repeat(self, number: int) -> bool:
        """Whether the server had this report."""
        assert self.subscription_id is not None
        try:
            message = await self._session.republish(self.subscription_id, number)
        except ua.UaError:  # BadMessageNotAvailable
            return False
        if message.SequenceNumber != number:  # asyncua's server answers with an empty one
            return False
        self._hand_over(message)
        return True

    async def restore(self) -> None:
        """Called by asyncua after a reconnection, in place of its own, which transfers a subscription even to the session that has
        it, and asks for repetitions without an end where a server answers each such request."""
        async with self._turn:
            self._has_missed = False
            self._repeated.clear()
            try:
                (result,) = await self.set_publishing_mode(self.parameters.PublishingEnabled)
                is_there = result.is_good()
            except (ua.UaError, ValueError):
                is_there = False
            if not is_there:
                self.gone.set()
                return
            number = (self.last_sequence_number or 0) + 1
            while len(self._repeated) < MOST_REPEATED and await self._repeat(number):
                self._repeated.add(number)  # it may be on its way, too
                number += 1
            self.last_publish_at = time.monotonic()

    async def recreate(self) -> None:
        """Called by asyncua when nothing comes: its own asks for all variables in one request, and forgets them where that fails."""
        self.gone.set()

"""The order in which a server's reports are handed over, whatever comes between them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from asyncua import ua
from asyncua.client.ua_client import UaClient
from asyncua.client.ua_session import UaSession

from iotgw.connect.opcua_reports import MOST_REPEATED, Reports


class Session(UaSession):
    """One whose server keeps the reports ``kept``, and answers for them when ``may_answer`` is set."""

    def __init__(self) -> None:
        super().__init__(UaClient())
        self.kept: set[int] = set()
        self.is_there = True
        self.fault: Exception | None = None
        self.asked: list[int] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def republish(self, subscription_id: int, number: int) -> ua.NotificationMessage:
        self.asked.append(number)
        await self.may_answer.wait()
        if self.fault is not None:
            raise self.fault
        if number not in self.kept:
            raise ua.UaStatusCodeError(ua.StatusCodes.BadMessageNotAvailable)
        return report(number).NotificationMessage

    async def set_publishing_mode(self, asked: Any) -> list[ua.StatusCode]:
        return [ua.StatusCode(0 if self.is_there else ua.StatusCodes.BadSubscriptionIdInvalid)]


def report(number: int, has_more: bool = False, status: int | None = None) -> ua.PublishResult:
    """A report whose only value is its number."""
    item = ua.MonitoredItemNotification(1, ua.DataValue(ua.Variant(number, ua.VariantType.UInt32)))
    data: Any = ua.DataChangeNotification(MonitoredItems=[item])
    if status is not None:
        data = ua.StatusChangeNotification(ua.StatusCode(status))
    return ua.PublishResult(
        7, [], has_more, ua.NotificationMessage(SequenceNumber=number, NotificationData=[data])
    )


def sign_of_life(number: int) -> ua.PublishResult:
    return ua.PublishResult(7, NotificationMessage=ua.NotificationMessage(SequenceNumber=number))


class Heard:
    """What comes of a subscription."""

    def __init__(self) -> None:
        self.session = Session()
        self.values: list[int] = []
        self.troubles: list[str] = []
        asked = ua.CreateSubscriptionParameters()
        self.reports = Reports(
            self.session, asked, lambda _, said: self.values.append(said.Value.Value), self.troubles.append
        )
        self.reports.subscription_id = 7

    async def come(self, *reports: ua.PublishResult) -> None:
        for each in reports:
            await self.reports.publish_callback(each)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def test_what_is_missing_is_repeated_before_what_came_after_it() -> None:
    async def it() -> None:
        heard = Heard()
        heard.session.kept = {2, 3, 4}
        await heard.come(report(1), report(5))
        assert heard.values == [1, 2, 3, 4, 5]
        assert heard.session.asked == [2, 3, 4]
        assert not heard.troubles

    run(it())


def test_a_sign_of_life_tells_what_is_missing_too() -> None:
    async def it() -> None:
        heard = Heard()
        heard.session.kept = {2}
        await heard.come(report(1), sign_of_life(2), sign_of_life(3), sign_of_life(3), report(3))
        assert heard.values == [1, 2, 3]
        assert heard.session.asked == [2]

    run(it())


def test_a_report_that_comes_while_others_are_repeated_waits() -> None:
    async def it() -> None:
        heard = Heard()
        heard.session.kept = {2, 3}
        await heard.come(report(1))
        heard.session.may_answer.clear()
        restoring = asyncio.ensure_future(heard.reports.restore())
        while not heard.session.asked:
            await asyncio.sleep(0)
        coming = asyncio.ensure_future(heard.come(report(4)))
        await asyncio.sleep(0)
        assert heard.values == [1]
        heard.session.may_answer.set()
        await asyncio.gather(restoring, coming)
        assert heard.values == [1, 2, 3, 4]

    run(it())


def test_a_report_that_was_repeated_while_it_was_on_its_way_is_taken_once() -> None:
    async def it() -> None:
        heard = Heard()
        heard.session.kept = {2, 3}
        await heard.come(report(1))
        await heard.reports.restore()
        await heard.come(report(3), report(4))
        assert heard.values == [1, 2, 3, 4]

    run(it())


def test_a_report_that_came_before_the_repetitions_has_them_first() -> None:
    async def it() -> None:
        heard = Heard()
        heard.session.kept = {2, 3, 4}
        await heard.come(report(1), report(4))
        await heard.reports.restore()
        assert heard.values == [1, 2, 3, 4]
        assert heard.session.asked == [2, 3, 5]

    run(it())


def test_what_a_server_does_not_repeat_is_told_once_until_the_next_reconnection() -> None:
    async def it() -> None:
        heard = Heard()
        await heard.come(report(1), report(4), report(6))
        assert heard.values == [1, 4, 6]
        assert heard.troubles == ["the server doesn't repeat reports that were lost: 2"]
        await heard.reports.restore()
        await heard.come(report(8))
        assert len(heard.troubles) == 2

    run(it())


def test_a_server_that_does_not_answer_is_asked_for_one_report() -> None:
    async def it() -> None:
        heard = Heard()
        heard.session.fault = TimeoutError()
        await heard.come(report(1), report(100))
        assert heard.values == [1, 100]
        assert heard.session.asked == [2]

    run(it())


def test_when_the_connection_breaks_meanwhile_the_report_is_repeated_later() -> None:
    async def it() -> None:
        heard = Heard()
        heard.session.kept = {2, 3}
        heard.session.fault = ConnectionError()
        await heard.come(report(1))
        with pytest.raises(ConnectionError):
            await heard.come(report(3))
        heard.session.fault = None
        await heard.reports.restore()
        assert heard.values == [1, 2, 3]

    run(it())


@pytest.mark.parametrize("number", [1_000_000, 2**32 - 1])
def test_a_number_far_ahead_costs_a_bounded_number_of_requests(number: int) -> None:
    async def it() -> None:
        heard = Heard()
        await heard.come(report(1), report(number), report(1))
        assert heard.values == [1, number, 1]
        assert len(heard.session.asked) == MOST_REPEATED

    run(it())


def test_a_server_that_repeats_without_end_is_not_asked_without_end() -> None:
    async def it() -> None:
        heard = Heard()
        heard.session.kept = set(range(10 * MOST_REPEATED))
        await heard.reports.restore()
        assert len(heard.values) == MOST_REPEATED

    run(it())


def test_it_is_told_when_the_server_has_no_more() -> None:
    async def it() -> None:
        heard = Heard()
        await heard.come(report(1, has_more=True))
        assert not heard.reports.told.is_set()
        await heard.come(report(2))
        assert heard.reports.told.is_set()

    run(it())


def test_a_subscription_that_the_server_has_forgotten_is_gone() -> None:
    async def it() -> None:
        heard = Heard()
        await heard.reports.restore()
        assert not heard.reports.gone.is_set()
        heard.session.is_there = False
        await heard.reports.restore()
        assert heard.reports.gone.is_set()

    run(it())


def test_one_that_the_server_ends_is_gone_and_people_are_told() -> None:
    async def it() -> None:
        heard = Heard()
        await heard.come(report(1, status=ua.StatusCodes.BadTimeout))
        assert heard.reports.gone.is_set()
        assert heard.troubles == ["the server says of the subscription: BadTimeout"]

    run(it())

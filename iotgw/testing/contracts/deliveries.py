"""What any delivery service does, as far as can be tested without targets."""

from __future__ import annotations

from collections.abc import Callable

from iotgw.core.errors import NotFound, SettingsError
from iotgw.core.ports.delivery import IDeliveries, IDelivery
from iotgw.core.specs import IntegrationSpec
from iotgw.testing.contracts.base import Contract
from iotgw.testing.integrations import telemetry


class IService(IDelivery, IDeliveries):
    """A service as the pipeline and as a person sees it."""


class DeliveriesContract(Contract[IService]):
    """For `IDelivery` and `IDeliveries` of one part, which runs no integration with the id ``nobody``, and has a type called
    ``fake`` and none called ``unheard-of``."""

    def test_there_is_room_and_records_can_be_fed_without_any_integration(self) -> None:
        assert self.part.room() is True
        assert self.part.holding_up() == []
        self.part.feed([telemetry(1)])

    def test_what_could_not_run_is_refused_before_it_is_saved(self) -> None:
        self.part.validate(IntegrationSpec(name="out", type="fake"))
        bad = IntegrationSpec(name="out", type="unheard-of")
        self.raises(SettingsError, lambda: self.part.validate(bad))

    def test_nobody_acts_on_an_integration_that_does_not_run(self) -> None:
        part = self.part
        calls: list[Callable[[], object]] = [
            lambda: part.stats("nobody"),
            lambda: part.pause("nobody"),
            lambda: part.resume("nobody"),
            lambda: part.drain("nobody"),
            lambda: part.purge("nobody"),
            lambda: part.seek("nobody", 0),
            lambda: part.dead_letters("nobody"),
            lambda: part.retry("nobody"),
            lambda: part.check("nobody"),
            lambda: part.test("nobody"),
        ]
        for call in calls:
            self.raises(NotFound, call)

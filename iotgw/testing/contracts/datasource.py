"""What any datasource does with a gateway in memory."""

from __future__ import annotations

from functools import cached_property

import msgspec

from iotgw.core.model import Status
from iotgw.core.ports.datasources import DatasourceContext, IDatasource
from iotgw.testing.contracts.base import Contract
from iotgw.testing.datasources import datasource_context
from iotgw.testing.intake import FakeIntake
from iotgw.testing.reactor import MemoryReactor

HOSTILE = (b"", b"\x00", b"\xff" * 70_000, b"\r\n\r\n", b"{" * 500, b"\xed\xa0\x80 1", bytes(range(256)))
"""What a network may send."""


class DatasourceContract(Contract[IDatasource]):
    """For `IDatasource`: `open` builds one in `context` and starts it, `send` has a device send to it.

    ``message`` is a valid message of a device that waits for an answer; ``identity`` is that device's identity,
    if the datasource knows one.
    """

    message: bytes
    identity: str = ""

    @cached_property
    def clock(self) -> MemoryReactor:
        """The reactor in memory."""
        return MemoryReactor()

    @cached_property
    def intake(self) -> FakeIntake:
        """The gateway."""
        return FakeIntake(clock=self.clock)

    @cached_property
    def context(self) -> DatasourceContext:
        """What the datasource is given."""
        return datasource_context(self.intake, self.clock)

    def send(self, data: bytes) -> None:
        """A device sends this, however its bytes come."""
        raise NotImplementedError

    def close(self, datasource: IDatasource) -> None:
        """Stop it."""
        self.wait(datasource.stop())

    def test_its_status_is_json_with_a_state(self) -> None:
        status = msgspec.json.decode(msgspec.json.encode(self.part.status()))
        assert isinstance(status["state"], str)

    def test_a_message_is_handed_over_once_with_facts_that_are_json(self) -> None:
        self.ready()
        self.send(self.message)
        self.until(lambda: self.intake.received)
        ((payload, facts),) = self.intake.received
        assert payload
        assert msgspec.json.decode(msgspec.json.encode(facts)) == facts
        assert facts.get("identity", "") == self.identity

    def test_nothing_that_a_network_sends_raises(self) -> None:
        self.ready()
        for data in HOSTILE:
            self.send(data)
        self.send(self.message)
        self.until(lambda: self.intake.received)

    def test_no_answer_of_the_gateway_raises(self) -> None:
        self.ready()
        self.intake.auto = False
        for number, status in enumerate(Status):
            self.send(self.message)
            self.until(lambda number=number: len(self.intake.answers) > number)  # type: ignore[misc]
            self.intake.answer(number, status)

    def test_a_full_gateway_gets_nothing_and_a_device_can_go_on_later(self) -> None:
        self.ready()
        self.intake.fill()
        self.send(self.message)
        assert self.intake.received == []
        self.intake.drain()
        self.send(self.message)
        self.until(lambda: self.intake.received)

    def test_each_downlink_of_an_answer_is_reported(self) -> None:
        self.ready()
        if self.identity:
            self.intake.put(self.identity, b"\x01")
            self.send(self.message)
            self.until(lambda: self.intake.outcomes)
            assert {id for id, _ in self.intake.outcomes} == {f"{self.identity}-0"}

    def test_stopping_twice_does_no_harm_and_leaves_no_timer(self) -> None:
        self.ready()
        self.send(self.message)
        self.wait(self.part.stop())
        self.wait(self.part.stop())
        assert self.intake.sessions == {}
        assert self.clock.getDelayedCalls() == []

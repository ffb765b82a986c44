"""What any integration does with records."""

from __future__ import annotations

from functools import cached_property

import msgspec

from iotgw.core.ports.integrations import IIntegration, IntegrationContext
from iotgw.core.verdict import Delivered
from iotgw.testing.contracts.base import Contract
from iotgw.testing.integrations import Verdicts, integration_context, telemetry
from iotgw.testing.reactor import MemoryReactor


class IntegrationContract(Contract[IIntegration]):
    """For `IIntegration`: `open` builds one in `context`, towards a target that takes everything, and starts it. One that
    needs real connections has a `context` with the real reactor, and waits in `wait` and `until`."""

    @cached_property
    def context(self) -> IntegrationContext:
        """What the integration is given."""
        return integration_context(reactor=MemoryReactor())

    def close(self, integration: IIntegration) -> None:
        """Stop it."""
        self.wait(integration.stop())

    def send(self, *seqs: int) -> Verdicts:
        """Send records at these positions, each of a device of its own; returns what becomes of them."""
        verdicts = Verdicts()
        self.part.send([telemetry(seq, f"d{seq}", received_ms=1) for seq in seqs], verdicts)
        return verdicts

    def test_it_says_how_much_it_takes(self) -> None:
        assert self.part.capacity >= 1
        assert self.part.max_batch >= 1
        assert isinstance(self.part.whole, bool)

    def test_its_status_is_json_with_a_state(self) -> None:
        status = msgspec.json.decode(msgspec.json.encode(self.part.status()))
        assert isinstance(status["state"], str)

    def test_a_record_is_settled_once(self) -> None:
        verdicts = self.send(1)
        self.until(lambda: verdicts.of)
        assert isinstance(verdicts.of[1], Delivered)

    def test_each_record_of_the_largest_batch_is_settled_once(self) -> None:
        seqs = range(1, min(self.part.max_batch, self.part.capacity) + 1)
        verdicts = self.send(*seqs)
        self.until(lambda: len(verdicts.of) == len(seqs))
        assert all(isinstance(verdict, Delivered) for verdict in verdicts.of.values())

    def test_sends_that_overlap_are_settled_each_for_its_own_records(self) -> None:
        several = [self.send(seq) for seq in range(1, min(self.part.capacity, 5) + 1)]
        self.until(lambda: all(verdicts.of for verdicts in several))
        assert [list(verdicts.of) for verdicts in several] == [[seq] for seq in range(1, len(several) + 1)]

    def test_a_check_says_whether_the_target_is_there(self) -> None:
        checked = self.wait(self.part.check())
        assert checked["ok"] is True
        assert isinstance(checked["detail"], str)

    def test_stopping_with_records_in_flight_settles_none_twice(self) -> None:
        self.send(1)
        self.wait(self.part.stop())
        self.wait(self.part.stop())

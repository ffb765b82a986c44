"""What any pipeline and any list of datasources does, as far as can be tested without traffic."""

from __future__ import annotations

from iotgw.core.errors import NotFound
from iotgw.core.model import Message, State, Uplink
from iotgw.core.ports.datasources import IDatasource
from iotgw.core.ports.pipeline import IPipeline, Room
from iotgw.core.ports.sources import ISources
from iotgw.core.times import DateMs
from iotgw.testing.contracts.base import Contract
from iotgw.testing.datasources import FakeDatasource, datasource_context


class PipelineContract(Contract[IPipeline]):
    """For `IPipeline` of a part that runs one datasource, `id`, called ``ds``, and none with the id ``gone``."""

    id: str

    def test_a_datasource_that_runs_is_there_by_its_name_and_status(self) -> None:
        self.ready()
        self.wait(self.part.applied(self.id))
        assert self.part.datasource_name(self.id) == "ds"
        assert self.part.datasource(self.id) is not None
        assert self.part.status(self.id)["state"] == "listening"

    def test_there_is_room_and_no_reason_against_it(self) -> None:
        self.ready()
        assert self.part.room() == Room()

    def test_one_that_is_gone_goes_by_its_id_and_is_stopped(self) -> None:
        self.wait(self.part.applied("gone"))
        assert self.part.datasource_name("gone") == "gone"
        assert self.part.datasource("gone") is None
        assert self.part.status("gone")["state"] == "stopped"

    def test_nothing_is_injected_into_one_that_is_gone_nor_converted_again(self) -> None:
        self.raises(NotFound, lambda: self.part.inject("gone", b"x", {}))
        message = Message(1, Uplink("default", "gone", DateMs(1), b"x", b"{}"), State.FAILED, "", None, ())
        self.raises(NotFound, lambda: self.part.reprocess(message))


class SourcesContract(Contract[ISources]):
    """For `ISources`; its subclass says how a datasource is there."""

    def put(self, id: str, name: str, datasource: IDatasource | None) -> None:
        """This datasource is there, and open if it is not None."""
        raise NotImplementedError

    def datasource(self, can_push: bool) -> FakeDatasource:
        """An open datasource."""
        made = FakeDatasource(None, datasource_context())
        made.can_push = can_push
        return made

    def test_a_datasource_is_found_by_its_id(self) -> None:
        self.ready()
        datasource = self.datasource(can_push=True)
        self.put("ds1", "field", datasource)
        assert self.part.name("ds1") == "field"
        assert self.part.running("ds1") is datasource
        assert self.part.pushing("ds1") is datasource

    def test_one_that_can_not_push_is_open_all_the_same(self) -> None:
        self.ready()
        datasource = self.datasource(can_push=False)
        self.put("ds1", "field", datasource)
        assert self.part.running("ds1") is datasource
        assert self.part.pushing("ds1") is None

    def test_one_that_is_closed_has_a_name_only(self) -> None:
        self.ready()
        self.put("ds1", "field", None)
        assert self.part.name("ds1") == "field"
        assert self.part.running("ds1") is None

    def test_one_that_is_gone_goes_by_its_id(self) -> None:
        assert self.part.name("gone") == "gone"
        assert self.part.running("gone") is None
        assert self.part.pushing("gone") is None

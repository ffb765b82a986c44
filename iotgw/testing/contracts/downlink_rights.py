"""What any queue of downlinks does for those who may not speak for a device."""

from __future__ import annotations

from iotgw.core.downlink_item import ItemState
from iotgw.core.model import Downlink
from iotgw.testing.contracts.downlinks import DownlinksContract


class DownlinkRightsContract(DownlinksContract):
    """For a part that knows who may speak for a device (`iotgw.core.ports.speakers.ISpeakers`), besides what it does for
    all."""

    def forbid(self, datasource: str, device: str) -> None:
        """From now on nobody speaks for this device at this datasource who hasn't proved to be it."""
        raise NotImplementedError

    def test_nobody_takes_the_items_of_a_device_that_it_may_not_speak_for(self) -> None:
        self.ready()
        self.push("1")
        assert self.part.waits("default", "dev", "ds")
        self.forbid("ds", "dev")
        assert self.take() == []
        assert not self.part.waits("default", "dev", "ds")
        assert self.part.waits("default", "dev", "ds", "dev")
        taken: list[tuple[Downlink, ...]] = []
        self.part.take("default", "dev", "ds", 1, taken.append, "dev")
        self.until(lambda: taken)
        assert [each.payload for each in taken[0]] == [b"1"]

    def test_an_identity_that_a_stranger_shares_is_no_way_to_them_and_does_not_hide_them(self) -> None:
        self.ready()
        self.know("dev", "356938035643809")
        self.know("evil", "356938035643809")
        self.push("1")
        self.push("2", device="evil")
        self.forbid("strange", "dev")
        self.forbid("ds", "evil")
        taken: list[tuple[Downlink, ...]] = []
        self.part.take("default", "356938035643809", "strange", 9, taken.append)
        self.until(lambda: taken)
        assert [each.payload for each in taken[0]] == [b"2"]
        assert [each.payload for each in self.take("356938035643809")] == [b"1"]

    def test_a_session_of_who_may_not_speak_for_the_device_is_passed_over(self) -> None:
        sent: dict[str, list[bytes]] = {"own": [], "strange": []}
        self.ready()
        self.forbid("strange", "dev")
        for datasource in ("own", "strange"):
            self.part.reachable(
                "default",
                "dev",
                datasource,
                lambda items, name=datasource: sent[name].extend(each.payload for each in items),  # type: ignore[misc]
            )
        self.push("a")
        assert sent == {"own": [b"a"], "strange": []}

    def test_a_session_of_who_has_proved_to_be_the_device_is_its_own(self) -> None:
        sent: list[Downlink] = []
        self.ready()
        self.forbid("ds", "dev")
        self.part.reachable("default", "dev", "ds", sent.extend, "dev")
        self.push("a")
        assert [each.payload for each in sent] == [b"a"]

    def test_who_may_not_speak_for_a_device_confirms_nothing(self) -> None:
        item = self.send(msg_type="reboot", confirmed=True)
        self.forbid("strange", "dev")
        for receipt in ({"id": item.id}, {"msgType": "reboot"}):
            self.part.acknowledged("default", "dev", "strange", "", receipt)
            self.wait(self.part.list("default", "dev"))
        assert not self.wait(self.part.confirmed("default", "dev", "strange", "delivered"))
        assert not self.wait(self.part.confirmed("default", "", "strange", "delivered", "", item.id))
        assert self.state(item) is ItemState.SENT
        self.acknowledge(id=item.id)
        assert self.state(item) is ItemState.SUCCESSFUL

    def test_a_network_s_receipt_counts_where_its_sender_has_proved_to_be_the_device(self) -> None:
        item = self.send(msg_type="reboot")
        self.forbid("ds", "dev")
        confirmed = self.part.confirmed
        assert not self.wait(confirmed("default", "dev", "ds", "delivered", "", item.id, proved="another"))
        assert self.wait(confirmed("default", "dev", "ds", "delivered", "", item.id, proved="dev"))

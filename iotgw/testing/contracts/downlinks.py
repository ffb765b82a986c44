"""What any queue of downlinks does, for datasources and for people."""

from __future__ import annotations

import itertools
from typing import Any, get_args

from iotgw.core.downlink_item import Item, ItemState, attempt_name
from iotgw.core.errors import Conflict, NotFound, SettingsError
from iotgw.core.model import Became, Downlink
from iotgw.core.ports.downlinks import ItemQuery, Report
from iotgw.core.specs import DownlinkSpec
from iotgw.testing.contracts.downlink_world import DownlinkWorld, text


class DownlinksContract(DownlinkWorld):
    """For `IDownlinks` and `IDownlinkQueue` of one part, without any downlink converter.

    Many methods: each is a test.
    """

    # --- of a job ---

    def test_a_job_queues_one_item_for_each_device_and_counts_them_by_state(self) -> None:
        first, sent, again = (
            self.wait(self.part.push("default", device, text("x"), "job1")) for device in ("a", "b", "a")
        )
        assert (again.id, first.job) == (first.id, "job1")
        self.take("b")
        self.part.outcome(sent.id, "sent")
        found = self.wait(self.part.of_job("default", "job1"))
        assert (found.states, found.items) == ({"QUEUED": 1, "SENT": 1}, [first, self.item(sent)])
        assert self.wait(self.part.of_job("default", "job1", ItemState.SENT)).items == found.items[1:]
        assert self.wait(self.part.of_job("default", "job1", after=first.seq)).items == found.items[1:]
        assert self.wait(self.part.clear_job("default", "job1")) == 1
        assert self.wait(self.part.of_job("default", "job1")).states == {"DELETED": 1, "SENT": 1}

    def test_all_devices_items_are_found_by_state_and_device_page_by_page(self) -> None:
        first, second, third = (self.push("x", device) for device in ("a", "b", "a"))
        self.take("b")
        self.part.outcome(second.id, "sent")

        def found(**query: Any) -> list[str]:
            return [item.id for item in self.wait(self.part.find("default", ItemQuery(**query)))]

        assert found() == [third.id, second.id, first.id]
        assert found(states=(ItemState.SENT,)) == [second.id]
        assert found(device="a", before=third.seq) == [first.id]
        assert self.wait(self.part.find("another", ItemQuery())) == []
        assert self.wait(self.part.of_job("other", "job1")).states == {}

    # --- waiting and leaving ---

    def test_an_item_waits_for_a_device_that_was_never_seen(self) -> None:
        assert self.push("hello").state is ItemState.QUEUED
        assert "dev" in self.part.waited_for("default")
        assert not self.part.waited_for("other")
        assert self.part.depth() == 1
        assert self.texts() == [b"hello"]

    def test_an_item_leaves_once_and_its_states_follow(self) -> None:
        item = self.push("hello")
        assert self.take()
        assert self.take() == []
        self.part.outcome(item.id, "sent")
        assert self.state(item) is ItemState.SENT
        self.part.outcome(item.id, "delivered")
        assert self.state(item) is ItemState.DELIVERED
        assert self.take() == []
        self.acknowledge(id=item.id, success=True, response={"ok": 1})
        over = self.item(item)
        assert (over.state, over.response) == (ItemState.SUCCESSFUL, {"ok": 1})

    def test_higher_priority_leaves_first_then_the_oldest(self) -> None:
        for content, priority in (("b", 0), ("c", 0), ("a", 5)):
            self.push(content, priority=priority)
        assert self.texts() == [b"a", b"b", b"c"]

    def test_a_lost_item_is_queued_again_until_its_attempts_are_used_up(self) -> None:
        item = self.push("hello", max_attempts=2)
        for _ in range(2):
            assert self.take()
            self.part.outcome(item.id, "sent")
            self.part.outcome(item.id, "lost", "no ack")
        assert self.state(item) is ItemState.FAILED
        assert "no ack" in self.item(item).reason

    def test_a_device_s_answer_is_the_item_s_result_and_stays_it(self) -> None:
        item = self.send()
        self.part.outcome(item.id, "delivered", "", {"code": "2.04"})
        assert self.item(item).result == {"code": "2.04"}
        self.acknowledge(id=item.id)
        over = self.item(item)
        assert (over.state, over.result) == (ItemState.SUCCESSFUL, {"code": "2.04"})

    def test_an_item_that_the_device_refuses_is_over_at_once(self) -> None:
        item = self.send()
        self.part.outcome(item.id, "refused", "the device answered 4.04", {"code": "4.04"})
        over = self.item(item)
        assert (over.state, over.reason, over.attempts) == (ItemState.FAILED, "the device answered 4.04", 1)
        assert over.result == {"code": "4.04"}
        assert self.take() == []

    def test_an_item_that_the_device_can_t_take_now_keeps_the_answer_and_waits(self) -> None:
        item = self.send()
        self.part.outcome(item.id, "lost", "the device answered 5.03", {"code": "5.03"})
        assert (self.state(item), self.item(item).result) == (ItemState.QUEUED, {"code": "5.03"})
        assert len(self.take()) == 1

    def test_an_item_that_was_returned_is_as_if_it_had_not_been_taken(self) -> None:
        item = self.push("x", max_attempts=1)
        self.take()
        self.part.outcome(item.id, "returned")
        assert (self.state(item), self.item(item).attempts) == (ItemState.QUEUED, 0)
        assert len(self.take()) == 1

    def test_an_answer_delivers_an_item_unless_it_must_be_confirmed(self) -> None:
        plain, sure = self.push("x", device="a"), self.push("x", device="b", confirmed=True)
        for item in (plain, sure):
            self.take(item.device)
            self.part.outcome(item.id, "sent")
            self.part.outcome(item.id, "answered")
        assert (self.state(plain), self.state(sure)) == (ItemState.DELIVERED, ItemState.SENT)

    def test_a_confirmed_item_is_sent_again_until_it_times_out(self) -> None:
        item = self.push("sure", confirmed=True, ttl=60)
        for _ in range(2):
            assert len(self.take()) == 1
            self.part.outcome(item.id, "sent")
        self.clock.pump([15] * 5)
        assert self.state(item) is ItemState.TIMEOUT

    def test_an_item_expires_when_its_time_to_live_is_over(self) -> None:
        item = self.push("late", ttl=5)
        self.clock.advance(6)
        assert self.take() == []
        assert self.state(item) is ItemState.EXPIRED

    def test_any_series_of_reports_leaves_a_state_that_a_transition_allows(self) -> None:
        for series in itertools.product(get_args(Report), repeat=3):
            item = self.push("x", device="-".join(series))
            for report in series:
                self.part.outcome(item.id, report)
            if not {"sent", "offered", "delivered", "answered", "carried out"} & {*series}:
                assert self.state(item) in (ItemState.QUEUED, ItemState.FAILED)

    def test_an_item_that_its_device_has_carried_out_was_successful(self) -> None:
        item = self.push("read")
        assert len(self.take()) == 1
        self.part.outcome(item.id, "sent")
        self.part.outcome(item.id, "carried out", "", {"code": "2.05"})
        assert self.state(item) is ItemState.SUCCESSFUL
        self.part.outcome(item.id, "lost", "too late")
        assert self.state(item) is ItemState.SUCCESSFUL

    def test_a_report_of_an_unknown_item_changes_nothing(self) -> None:
        self.part.outcome("nobody's", "sent")
        assert self.part.depth() == 0

    # --- by people ---

    def test_policy_last_takes_the_place_of_what_waits(self) -> None:
        first = self.push("old")
        self.push("new", policy="last")
        assert self.state(first) is ItemState.DELETED
        assert self.texts() == [b"new"]

    def test_items_can_be_cancelled_cleared_and_replaced(self) -> None:
        first = self.push("1")
        self.wait(self.part.cancel("default", first.id))
        assert self.state(first) is ItemState.DELETED
        self.raises(Conflict, lambda: self.part.cancel("default", first.id))
        self.push("2")
        self.push("3")
        assert self.wait(self.part.clear("default", "dev")) == 2
        self.push("4")
        self.wait(self.part.replace("default", "dev", [text("5")]))
        assert self.texts() == [b"5"]
        self.raises(NotFound, lambda: self.part.get("other", first.id))
        self.raises(NotFound, lambda: self.part.cancel("other", first.id))

    def test_data_that_is_no_base64_is_refused(self) -> None:
        self.raises(SettingsError, lambda: self.part.push("default", "dev", DownlinkSpec(data="€€")))

    def test_an_item_that_is_refused_in_a_replacement_leaves_the_queue_as_it_was(self) -> None:
        item = self.push("old")
        specs = [DownlinkSpec(data="eA=="), DownlinkSpec(data="€€")]
        self.raises(SettingsError, lambda: self.part.replace("default", "dev", specs))
        assert self.state(item) is ItemState.QUEUED

    def test_a_device_s_items_are_listed_those_that_wait_in_their_order_then_the_newest(self) -> None:
        over = [self.push(content) for content in "ab"]
        self.wait(self.part.clear("default", "dev"))
        new = self.push("c")
        shown = self.wait(self.part.list("default", "dev"))
        assert [item.id for item in shown] == [each.id for each in (new, *reversed(over))]
        assert len(self.wait(self.part.list("default", "dev", 2))) == 2

    # --- devices that can be reached, and who listens ---

    def test_a_reachable_device_gets_an_item_at_once_unless_it_is_sync(self) -> None:
        sent: list[Downlink] = []
        gone = self.part.reachable("default", "dev", "ds", sent.extend)
        self.push("now")
        self.push("later", mode="sync")
        assert [each.payload for each in sent] == [b"now"]
        gone()
        self.push("not now")
        assert len(sent) == 1

    def test_the_session_that_began_last_gets_the_item_and_then_the_one_before(self) -> None:
        sent: dict[str, list[bytes]] = {"old": [], "new": []}
        self.know("dev", "i")
        gone = {}
        for age, name in (("old", "i"), ("new", "dev")):
            gone[age] = self.part.reachable(
                "default",
                name,
                "ds",
                lambda items, age=age: sent[age].extend(each.payload for each in items),  # type: ignore[misc]
            )
        self.push("a")
        assert sent == {"old": [], "new": [b"a"]}
        gone["new"]()
        self.push("b")
        assert sent == {"old": [b"b"], "new": [b"a"]}

    def test_what_waits_behind_a_delivered_item_follows_while_the_device_can_be_reached(self) -> None:
        sent: list[Downlink] = []
        for content in "abc":
            self.push(content)
        self.part.reachable("default", "dev", "ds", sent.extend)
        (item,) = self.take()
        for number, expected in enumerate((b"b", b"c"), 1):
            self.part.outcome(item.id, "delivered")
            self.until(lambda number=number: len(sent) == number)  # type: ignore[misc]  # mypy can't infer it
            item = sent[-1]
            assert item.payload == expected

    def test_who_listens_is_called_for_items_of_the_device_by_its_name_and_by_its_identity(self) -> None:
        calls: list[str] = []
        self.know("dev", "i")
        gone = [
            self.part.listen("default", name, lambda name=name: calls.append(name))  # type: ignore[misc]
            for name in ("dev", "i", "x")
        ]
        self.push("1", mode="sync")
        self.wait(self.part.push("other", "dev", text("2")))
        assert calls == ["dev", "i"]
        for each in gone:
            each()
        self.push("3")
        assert len(calls) == 2

    def test_a_device_known_by_its_identity_gets_what_waits_for_its_name(self) -> None:
        self.ready()
        self.know("dev", "356938035643809")
        self.push("1")
        assert "356938035643809" in self.part.waited_for("default")
        assert len(self.take("356938035643809")) == 1

    def test_two_devices_behind_one_identity_do_not_forget_each_other(self) -> None:
        self.ready()
        self.know("a", "gateway")
        self.know("b", "gateway")
        first = self.push("1", device="a")
        self.push("2", device="b")
        self.wait(self.part.cancel("default", first.id))
        assert [each.payload for each in self.take("gateway")] == [b"2"]

    # --- receipts ---

    def test_a_receipt_by_message_type_finds_the_item_that_was_sent(self) -> None:
        item = self.send(msg_type="reboot", confirmed=True)
        self.acknowledge(msgType="reboot", success=False, error="busy")
        assert (self.state(item), self.item(item).reason) == (ItemState.FAILED, "busy")

    def test_a_receipt_by_message_type_means_the_oldest_that_was_sent_and_is_not_over(self) -> None:
        items = [self.push(content, msg_type="set") for content in "abc"]
        for item in items[:2]:
            self.take()
            self.part.outcome(item.id, "sent")
        self.acknowledge(msgType="set")
        states = [ItemState.SUCCESSFUL, ItemState.SENT, ItemState.QUEUED]
        assert [self.state(item) for item in items] == states

    def test_a_receipt_of_an_unknown_id_another_tenant_or_another_device_changes_nothing(self) -> None:
        item = self.send(msg_type="set")
        self.acknowledge(id="dl0000")
        self.acknowledge(msgType="get")
        self.acknowledge(tenant="other", id=item.id)
        self.acknowledge(tenant="other", msgType="set")
        self.acknowledge("somebody", msgType="set")
        self.acknowledge("somebody", id=item.id)
        self.acknowledge("", id=item.id)
        assert self.state(item) is ItemState.SENT

    def test_a_receipt_by_the_device_s_name_confirms_an_item_that_was_queued_for_its_identity(self) -> None:
        imei = "356938035643809"
        items = [self.send(device=imei, msg_type="set") for _ in range(2)]
        self.acknowledge("meter", imei, msgType="set")
        self.acknowledge("meter", imei, id=items[1].id, success=False)
        assert [self.state(item) for item in items] == [ItemState.SUCCESSFUL, ItemState.FAILED]

    def offer(self, *contents: str) -> list[Item]:
        """Queue texts, and hand them to a network."""
        items = [self.push(content) for content in contents]
        for downlink in self.take(limit=len(items)):
            self.part.outcome(downlink.id, "offered", "offered to the network")
        return items

    def test_an_offered_item_waits_for_the_network_s_word(self) -> None:
        (item,) = self.offer("x")
        assert self.take() == []
        assert self.wait(self.part.confirmed("default", "dev", "ds", "lost", "no answer"))
        assert self.state(item) is ItemState.QUEUED
        self.take()
        self.part.outcome(item.id, "offered", "offered to the network")
        assert self.wait(self.part.confirmed("default", "dev", "ds", "delivered"))
        assert self.state(item) is ItemState.DELIVERED
        assert not self.wait(self.part.confirmed("default", "nobody", "ds", "delivered"))

    def test_a_network_s_word_on_an_item_is_about_no_other(self) -> None:
        first, second, third = self.offer("a", "b", "c")
        assert self.wait(self.part.confirmed("default", "dev", "ds", "delivered", "", second.id))
        assert self.wait(self.part.confirmed("default", "", "ds", "lost", "no answer", first.id))
        states = [ItemState.QUEUED, ItemState.DELIVERED, ItemState.SENT]
        assert [self.state(item) for item in (first, second, third)] == states
        assert self.item(first).reason == "no answer"

    def test_a_networks_word_on_one_attempt_says_nothing_of_a_later_one(self) -> None:
        item = self.push("x", max_attempts=9)

        def offer() -> int:
            (downlink,) = self.take()
            self.part.outcome(item.id, "offered")
            return downlink.attempt

        def hear(became: Became, attempt: int) -> ItemState:
            name = attempt_name(item.id, attempt)
            assert self.wait(self.part.confirmed("default", "", "ds", became, "", name))
            return self.state(item)

        assert (offer(), hear("lost", 1)) == (1, ItemState.QUEUED)
        assert (hear("lost", 1), self.item(item).attempts) == (ItemState.QUEUED, 1)
        assert (offer(), hear("lost", 1), hear("refused", 1), hear("sent", 1)) == (2, *[ItemState.SENT] * 3)
        assert hear("lost", 2) is ItemState.QUEUED
        assert offer() == 3
        assert hear("delivered", 1) is ItemState.DELIVERED  # it has it, whichever it was

    def test_a_networks_word_may_come_before_its_answer(self) -> None:
        item = self.push("x")
        self.take()
        assert self.wait(self.part.confirmed("default", "", "ds", "lost", "no answer", item.id))
        assert self.state(item) is ItemState.QUEUED
        self.part.outcome(item.id, "offered")
        now = self.item(item)
        assert (now.state, now.reason, now.attempts) == (ItemState.QUEUED, "no answer", 1)

    def test_an_item_that_must_be_confirmed_stays_with_its_network_until_that_says_more(self) -> None:
        """The network sends it again by itself."""
        item = self.push("x", confirmed=True)
        assert self.part.is_waiting(item.id)
        self.take()
        self.part.outcome(item.id, "offered", "offered to the network")
        assert self.take() == [] and not self.part.is_waiting(item.id)
        assert self.wait(self.part.confirmed("default", "dev", "ds", "lost", "no answer", item.id))
        assert [each.id for each in self.take()] == [item.id]

    def test_a_network_may_have_names_of_its_own_for_items(self) -> None:
        first, second = self.push("a"), self.push("b")
        for downlink, name in zip(self.take(limit=2), ("ds/7", "ds/8"), strict=True):
            self.part.outcome(downlink.id, "offered", "offered to the network", None, name)
        assert not self.wait(self.part.confirmed("other", "", "ds", "delivered", "", "", "ds/8"))
        assert self.wait(self.part.confirmed("default", "", "ds", "delivered", "", "", "ds/8"))
        assert [self.state(item) for item in (first, second)] == [ItemState.SENT, ItemState.DELIVERED]

    def test_a_receipt_may_come_before_the_network_s_answer(self) -> None:
        item = self.push("a")
        self.take()
        assert not self.wait(self.part.confirmed("default", "", "ds", "delivered", "", "", "ds/9"))
        self.part.outcome(item.id, "offered", "offered to the network", None, "ds/9")
        assert self.state(item) is ItemState.DELIVERED

    def test_a_network_s_word_on_an_item_that_is_not_known_touches_none(self) -> None:
        (item,) = self.offer("a")
        assert not self.wait(self.part.confirmed("default", "dev", "ds", "delivered", "", "nobody's"))
        assert not self.wait(self.part.confirmed("other", "dev", "ds", "delivered", "", item.id))
        assert self.state(item) is ItemState.SENT

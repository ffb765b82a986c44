"""A record's parts are sent one by one and counted together."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.core.specs import IntegrationSpec, RetrySpec, RouteSpec
from iotgw.core.verdict import DELIVERED, Apart, Rejected, Retry, Unavailable
from iotgw.delivery.parted_target import TURN
from tests.unit.counting import counted

from .worlds import World


def body(device, *readings):
    return json.dumps({
        "deviceName": device, "deviceType": "t", "attributes": {},
        "telemetry": [{"ts": ts, "values": values} for ts, values in enumerate(readings)],
    }).encode()  # fmt: skip


class Parted(World):
    """``got`` are the values that the target took, in order; ``says(name, value)`` is what it says of each."""

    def __init__(self, split="value", says=lambda name, value: DELIVERED, **more):
        self.of_value = says
        self.got = []
        self.asked = []
        super().__init__(split=split, says=self._says, **more)

    def _says(self, records):
        verdicts = []
        for part in records:
            ((name, value),) = json.loads(part.body)["telemetry"][0]["values"].items()
            verdicts.append((part, (name, value), self.of_value(name, value)))
        if any(isinstance(verdict, Apart) for _, _, verdict in verdicts):
            self.asked.append([pair for _, pair, _ in verdicts])
            return next(verdict for _, _, verdict in verdicts if isinstance(verdict, Apart))
        self.asked.append([pair for _, pair, _ in verdicts])
        settle = self._settles
        for part, pair, verdict in verdicts:
            if verdict is DELIVERED:
                self.got.append(pair)
            settle.setdefault(part.seq, verdict)
        return None

    _settles = None

    def store_values(self, *values, device="a"):
        """A record with one reading per dict of values; then what the target said is reported."""
        self._settles = {}
        seqs = self.store(device, body=body(device, *values))
        self.report()
        return seqs

    def report(self):
        """Tell what the target said, until nothing is open."""
        while self.target.open:
            records, settle = self.target.open.pop(0)
            for part in records:
                settle([part.seq], self._settles.pop(part.seq))

    def wait(self, seconds):
        for _ in range(seconds):
            self.clock.advance(1)
            self.report()


def test_each_value_is_sent_by_itself_and_the_record_counts_once():
    world = Parted()
    world.store_values({"t": 1, "h": 2}, {"t": 3})
    assert world.asked == [[("t", 1)], [("h", 2)], [("t", 3)]]
    assert world.accounts() == {
        "queued": 1, "delivered": 1, "inflight": 0, "waiting": 0, "dead": 0, "expired": 0,
    }  # fmt: skip


def test_a_record_is_in_flight_until_its_last_part_is_accepted():
    world = Parted()
    world._settles = {}
    world.store("a", body=body("a", {"t": 1, "h": 2}))
    assert world.stats()["inflight"] == 1
    assert world.asked == [[("t", 1)]]  # the second waits for the first
    world.report()
    assert world.stats()["inflight"] == 0


def test_only_the_part_that_was_refused_is_sent_again():
    says = {"h": [Retry("no h"), Retry("no h"), DELIVERED]}
    world = Parted(says=lambda name, value: says[name].pop(0) if says.get(name) else DELIVERED)
    world.store_values({"t": 1, "h": 2, "p": 3})
    assert world.got == [("t", 1), ("p", 3)]
    assert world.stats()["retrying"] == 1
    assert world.stats()["lastError"] == "part 2 of 3 (h): no h"
    world.wait(30)
    assert world.got == [("t", 1), ("p", 3), ("h", 2)]
    assert world.accounts()["delivered"] == 1


def test_a_dead_letter_that_is_sent_again_has_only_its_refused_part():
    world = Parted(says=lambda name, value: Rejected("no h") if name == "h" and not fixed else DELIVERED)
    fixed = []
    world.store_values({"t": 1, "h": 2})
    assert (world.accounts()["dead"], world.got) == (1, [("t", 1)])
    fixed.append(1)
    world.service.retry("i1")
    world.report()
    assert (world.accounts()["dead"], world.got) == (0, [("t", 1), ("h", 2)])


def test_what_may_be_tried_again_outranks_what_may_not():
    verdicts = {"a": Rejected("never"), "b": Retry("later")}
    world = Parted(says=lambda name, value: verdicts.get(name, DELIVERED))
    world.store_values({"a": 1, "b": 2, "c": 3})
    assert world.stats()["lastError"] == "part 2 of 3 (b), and 1 more: later"
    assert world.accounts()["waiting"] == 1
    verdicts.pop("b")
    world.wait(5)
    assert world.accounts()["dead"] == 1
    assert world.stats()["lastError"] == "part 1 of 3 (a): never"


def test_a_target_that_is_down_gets_no_further_parts_and_the_accepted_ones_not_again():
    verdicts = {"b": Unavailable("down")}
    world = Parted(says=lambda name, value: verdicts.get(name, DELIVERED))
    world.store_values({"a": 1, "b": 2, "c": 3})
    tries = len(world.asked)
    assert world.got == [("a", 1)]
    assert world.asked[-1] == [("b", 2)]
    verdicts.clear()
    world.wait(120)
    assert world.got == [("a", 1), ("b", 2), ("c", 3)]
    assert world.asked[tries:] == [[("b", 2)], [("c", 3)]]
    assert world.accounts()["delivered"] == 1


def test_devices_do_not_wait_for_each_other_s_parts():
    world = Parted()
    world._settles = {}
    world.store("a", body=body("a", {"t": 1, "h": 2}))
    world.store("b", body=body("b", {"t": 3, "h": 4}))
    assert world.asked == [[("t", 1)], [("t", 3)]]
    world.report()
    assert world.accounts()["delivered"] == 2


def test_a_batch_carries_the_parts_of_several_records():
    world = Parted(batch=4, window=4)
    world._settles = {}
    world.service.pause("i1")
    for device in ("a", "b"):
        world.store(device, body=body(device, {"t": 1, "h": 2, "p": 3}))
    world.service.resume("i1")
    world.report()
    assert world.asked == [[("t", 1), ("h", 2), ("p", 3), ("t", 1)], [("h", 2), ("p", 3)]]
    assert world.accounts()["delivered"] == 2


def test_of_a_batch_only_the_records_with_a_refused_part_fail():
    world = Parted(
        batch=4, window=4, says=lambda name, value: Rejected("bad") if value == "bad" else DELIVERED
    )
    world._settles = {}
    world.service.pause("i1")
    world.store("a", body=body("a", {"t": 1, "h": "bad"}))
    world.store("b", body=body("b", {"t": 2, "h": 3}))
    world.service.resume("i1")
    world.report()
    assert (world.accounts()["delivered"], world.accounts()["dead"]) == (1, 1)
    assert world.got == [("t", 1), ("t", 2), ("h", 3)]


def test_a_batch_that_fails_as_a_whole_is_taken_apart_down_to_the_part_at_fault():
    world = Parted(batch=4, window=4, retry=RetrySpec(max_attempts=1))

    def says(name, value):
        return Apart("one of them") if value == "bad" else DELIVERED

    world.of_value = says
    world._settles = {}
    world.service.pause("i1")
    world.store("a", body=body("a", {"t": 1, "h": "bad", "p": 5}))
    world.store("b", body=body("b", {"t": 2, "h": 3}))
    world.service.resume("i1")
    world.report()
    world.wait(3)
    assert (world.accounts()["delivered"], world.accounts()["dead"]) == (1, 1)
    assert sorted(world.got) == [("h", 3), ("p", 5), ("t", 1), ("t", 2)]
    assert world.stats()["lastError"] == "part 2 of 3 (h): one of them"


def test_a_record_without_parts_is_delivered():
    world = Parted(route=RouteSpec(wants=["telemetry"]))
    world.store("a", body=b'{"deviceName":"a","deviceType":"t","telemetry":[{"ts":1,"values":{}}]}')
    assert (world.accounts()["delivered"], world.asked) == (1, [])


def test_a_record_with_too_many_parts_is_a_dead_letter_that_says_so():
    world = Parted()
    world.store_values({f"k{n}": n for n in range(10_001)})
    assert world.accounts()["dead"] == 1
    assert "10001 parts" in world.stats()["lastError"]


def test_thousands_of_parts_that_fail_at_once_neither_overflow_nor_block():
    world = World(split="value", says=lambda records: Rejected("no"))
    world.store("a", body=body("a", {f"k{n}": n for n in range(5000)}))
    assert len(world.target.sent) == TURN
    while world.accounts()["dead"] == 0:
        world.clock.advance(0)
    assert len(world.target.sent) == 5000


def test_a_part_costs_few_calls_beyond_what_its_record_costs():
    world = World(split="value", says=lambda records: DELIVERED)

    def calls(values):
        with counted() as count:
            world.store("a", body=body("a", {f"k{n}": n for n in range(values)}))
        return count.made

    calls(1)
    assert 0 < calls(101) - calls(1) <= 100 * 30


def test_a_target_that_raises_is_the_part_s_failure():
    world = World(split="value")

    def says(records):
        raise RuntimeError("a bug")

    world.target.says = says
    world.store("a", body=body("a", {"t": 1}))
    assert world.stats()["retrying"] == 1
    assert "a bug" in world.stats()["lastError"]


def test_a_test_message_is_sent_in_parts_and_says_what_failed():
    world = World(
        split="value", says=lambda records: Rejected("no") if records[0].name == "humidity" else DELIVERED
    )
    found = []
    world.service.test("i1").addCallback(found.append)
    assert found == [{"ok": False, "detail": "part 2 of 2 (humidity): no", "exchanges": []}]
    assert world.target.sent != [[0], [0]]
    assert world.service.stats("i1")["target"]["partly"] == 0


def parted_on_disk(folder, says, journal=None, clock=None, split="value"):
    """A world whose service has a data directory. ``sent`` are the names of the parts that were sent."""
    world = World(journal, clock, apply=False)
    world.service._targets._data_dir = str(folder)
    spec = IntegrationSpec(
        name="one", type="fake", configuration={"batch": 1, "window": 4}, split=split,
        retry=RetrySpec(initial=1.0, multiplier=1.0, cap=1.0, max_attempts=100),
    )  # fmt: skip
    world.sent = []
    world.service.hold()
    world.service.apply("i1", "one", "default", spec)
    world.target.says = lambda records: world.sent.append(records[0].name) or says(records[0].name)
    world.service.release()
    return world


def no_h(name):
    return Retry("no h") if name == "h" else DELIVERED


def takes_all(name):
    return DELIVERED


@pytest.mark.parametrize("graceful", [True, False])
def test_accepted_parts_are_remembered_over_a_restart(tmp_path, graceful):
    world = parted_on_disk(tmp_path, no_h)
    world.store("a", body=body("a", {"t": 1, "h": 2, "p": 3}), uplink=0)
    if graceful:
        world.service.stop()
    world.clock.advance(2)
    again = parted_on_disk(tmp_path, takes_all, world.journal.crashed(), world.clock)
    again.clock.advance(2)
    assert again.sent == ["h"]
    assert again.accounts()["delivered"] == 1


def test_parts_of_another_split_were_not_accepted(tmp_path):
    world = parted_on_disk(tmp_path, no_h)
    world.store("a", body=body("a", {"t": 1, "h": 2}))
    world.clock.advance(2)
    again = parted_on_disk(tmp_path, takes_all, world.journal.crashed(), world.clock, split="entity")
    again.clock.advance(2)
    assert again.sent == ["t", "h"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"split":"value","parts":{"E-1.1":"zz"}}'])
def test_a_damaged_file_of_accepted_parts_means_that_none_are_known(tmp_path, content):
    (tmp_path / "parts-i1.json").write_bytes(content)
    world = parted_on_disk(tmp_path, takes_all)
    world.store("a", body=body("a", {"t": 1}))
    assert world.accounts()["delivered"] == 1


_SAYS = st.sampled_from(
    [DELIVERED, DELIVERED, DELIVERED, Retry("r"), Rejected("x"), Unavailable("u"), Apart("a")]
)


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=5), st.lists(_SAYS, max_size=40), st.sampled_from([1, 3])
)
def test_whatever_the_target_says_each_part_is_accepted_once_and_the_accounts_balance(sizes, said, batch):
    world = World(
        split="value", batch=batch, window=6, retry=RetrySpec(initial=1, multiplier=1, cap=1, max_attempts=50)
    )
    took, said = [], list(said)

    def says(records):
        verdict = said.pop(0) if said else DELIVERED
        if verdict == Apart("a") and len(records) == 1:
            verdict = Retry("alone")
        if verdict is DELIVERED:
            took.extend(part.seq for part in records)
        return verdict

    world.target.says = says
    for number, size in enumerate(sizes):
        device = "ab"[number % 2]
        world.store(device, body=body(device, {f"k{n}": n for n in range(size)}))
    for _ in range(700):
        world.clock.advance(1)
        if not world.stats()["waiting"]:
            break
    while world.stats()["dead"]:
        world.service.retry("i1")
        world.clock.advance(1)
    assert len(took) == len(set(took)) == sum(sizes)
    assert world.accounts()["delivered"] == len(sizes)

from hypothesis import given
from hypothesis import strategies as st

from iotgw.delivery.losses import EXACT, RANGES, UNSURE, Losses


def test_neighbours_of_one_fate_are_one_range():
    losses = Losses([], 0)
    losses.deliver([1])
    for seq in (2, 3, 7):
        losses.lose(seq, "expired")
    losses.lose(8, "purged")
    assert losses.ranges() == [(2, 7, "expired"), (8, 8, "purged")]
    assert [losses.outcome(seq) for seq in (1, 2, 7, 8, 9)] == [None, "expired", "expired", "purged", None]


def test_what_is_delivered_late_leaves_its_range():
    losses = Losses([(2, 7, "expired")], 1)
    losses.deliver([4])
    assert losses.ranges() == [(2, 3, "expired"), (5, 7, "expired")]


def test_after_a_restart_a_range_does_not_grow_over_what_was_delivered():
    losses = Losses([(5, 5, "expired")], 100)
    losses.lose(101, "expired")
    assert losses.ranges() == [(5, 5, "expired"), (101, 101, "expired")]


def test_what_is_sent_again_has_no_fate_yet():
    losses = Losses([(2, 7, "expired"), (9, 9, "purged")], 10)
    losses.forget(4)
    assert losses.ranges() == [(2, 4, "expired")]
    losses.lose(6, "purged")
    assert losses.ranges() == [(2, 4, "expired"), (6, 6, "purged")]


def test_doubt_leaves_what_is_known_as_lost():
    losses = Losses([(3, 4, "expired"), (8, 12, "purged")], 12)
    losses.doubt(10)
    assert losses.ranges() == [(1, 2, UNSURE), (3, 4, "expired"), (5, 7, UNSURE), (8, 12, "purged")]
    losses.doubt(14)
    assert losses.outcome(14) == UNSURE
    assert losses.outcome(15) is None


def test_of_many_ranges_the_newest_stay_exact_and_the_older_become_unsure():
    losses = Losses([], 0)
    for seq in range(1, 20_001):
        if seq % 2:
            losses.deliver([seq])
        else:
            losses.lose(seq, "expired")
    assert len(losses.ranges()) <= RANGES
    newest = range(20_001 - 2 * EXACT, 20_001)
    assert [losses.outcome(seq) for seq in newest] == [None, "expired"] * EXACT
    assert {losses.outcome(seq) for seq in range(2, 1000)} == {UNSURE}


steps = st.lists(
    st.tuples(st.sampled_from(["lose", "lose", "deliver", "seek", "restart"]), st.integers(1, 60)),
    max_size=400,
)


@given(steps, st.sampled_from(["expired", "purged"]))
def test_nothing_that_was_lost_is_called_delivered_and_nothing_delivered_lost(steps, other):
    """Positions end in about the order of the stream, as an outbox has them."""
    losses, truth, at = Losses([], 0), {}, 0
    for n, (what, number) in enumerate(steps):
        if what == "seek":
            at = min(at, number)
            losses.forget(at)
            truth = {seq: fate for seq, fate in truth.items() if seq <= at}
        elif what == "restart":
            losses = Losses(losses.ranges(), max(truth, default=0))
        else:
            open_ = [seq for seq in range(max(1, at - 5), at) if seq not in truth]
            at += 1
            seq = open_[0] if open_ and number % 3 == 0 else at
            if number % 4 == 1 and what == "deliver":
                continue  # stays open for a while
            truth[seq] = "delivered" if what == "deliver" else ("expired" if n % 7 else other)
            if what == "deliver":
                losses.deliver([seq])
            else:
                losses.lose(seq, truth[seq])
        assert len(losses.ranges()) <= RANGES
        assert all(first <= last for first, last, _ in losses.ranges())
    for seq, fate in truth.items():
        assert losses.outcome(seq) in ((None, UNSURE) if fate == "delivered" else (fate, UNSURE)), (seq, fate)

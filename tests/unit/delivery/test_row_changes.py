"""Which rows changed since the journal was told."""

from iotgw.core.model import DeliveryState
from iotgw.delivery.row_changes import RowChanges
from tests.unit.delivery.worlds import record


def test_the_last_word_on_a_row_is_handed_over_once():
    rows = RowChanges("i1")
    rows.put(record(1), DeliveryState.RETRYING, 1, 5000, "no")
    rows.put(record(1), DeliveryState.RETRYING, 2, 9000, "still no")
    (row,), released = rows.changes()
    assert (row.integration, row.attempts, row.next_try_ms, row.error, released) == (
        "i1", 2, 9000, "still no", (),
    )  # fmt: skip
    assert rows.changes() == ((), ())


def test_a_row_that_goes_is_not_written_before():
    rows = RowChanges("i1")
    rows.put(record(1), DeliveryState.RETRYING, 1, 5000, "no")
    rows.release(1)
    assert rows.is_released(1)
    assert rows.changes() == ((), (1,))
    assert not rows.is_released(1)


def test_a_row_that_comes_again_before_it_went_stays():
    rows = RowChanges("i1")
    rows.release(1)
    rows.put(record(1), DeliveryState.RETRYING, 1, 5000, "no")
    assert not rows.is_released(1)
    (row,), released = rows.changes()
    assert (row.record.seq, released) == (1, ())


def test_the_rows_after_a_position_are_known():
    rows = RowChanges("i1")
    for seq in (3, 5, 9):
        rows.put(record(seq), DeliveryState.QUEUED, 0, 0, "")
    assert rows.after(3) == {5, 9}

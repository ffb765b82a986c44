"""Receipts that come before the answer that names their downlink."""

from iotgw.downlinks.early import KEEP_MS, MOST, PER_NAME, EarlyReceipts


class Now:
    ms = 0

    def __call__(self):
        return self.ms


def test_a_receipt_is_given_once_and_for_a_minute():
    now = Now()
    early = EarlyReceipts(now)
    early.keep(("t", "7"), ("sent", ""))
    early.keep(("t", "7"), ("delivered", ""))
    early.keep(("t", "7"), ("delivered", ""))
    assert early.pop(("t", "7")) == [("sent", ""), ("delivered", "")]
    assert early.pop(("t", "7")) == []
    early.keep(("t", "8"), ("sent", ""))
    now.ms = KEEP_MS + 1
    assert early.pop(("t", "8")) == []


def test_there_are_only_so_many():
    early = EarlyReceipts(Now())
    for number in range(MOST + 3):
        early.keep(("t", str(number)), ("sent", ""))
    assert early.pop(("t", "2")) == [] and early.pop(("t", "3")) == [("sent", "")]
    for number in range(PER_NAME + 3):
        early.keep(("t", "x"), ("lost", str(number)))
    assert len(early.pop(("t", "x"))) == PER_NAME

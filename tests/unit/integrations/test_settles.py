"""Who is told of which record."""

from iotgw.core.verdict import DELIVERED, Unavailable
from iotgw.integrations.settles import Settles
from iotgw.testing import Verdicts


def test_each_settle_hears_of_its_own_records_only():
    settles, one, other = Settles(), Verdicts(), Verdicts()
    for seq, settle in ((1, one), (2, other), (3, one)):
        settles.put(seq, settle)
    settles.report([1, 2, 9], DELIVERED)
    assert (one.of, other.of) == ({1: DELIVERED}, {2: DELIVERED})
    assert len(settles) == 1 and 3 in settles and 1 not in settles
    settles.report_all(Unavailable("gone"))
    assert one.of[3] == Unavailable("gone")
    assert len(settles) == 0

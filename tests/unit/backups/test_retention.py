"""Which backups are kept."""

from datetime import UTC, datetime, timedelta

import pytest

from iotgw.backups.retention import made_at, name_of, superfluous
from iotgw.core.backup_plan import BackupPlan

FIRST = datetime(2026, 1, 1, 3, 30, tzinfo=UTC)


def nightly(nights):
    return [name_of("n", (FIRST + timedelta(days=night)).timestamp()) for night in range(nights)]


def kept(there, **rules):
    gone = superfluous("n", BackupPlan(to="/b", **rules), there)
    return [each for each in there if each not in gone]


def test_a_name_tells_the_time():
    assert name_of("n", FIRST.timestamp()) == "n-2026-01-01T03-30-00Z"
    assert made_at("n", "n-2026-01-01T03-30-00Z") == FIRST


@pytest.mark.parametrize(
    "name",
    ["n", "n-", "m-2026-01-01T03-30-00Z", "n-2026-1-1T3-30-0Z", "n-x-2026-01-01T03-30-00Z", "before-upgrade"],
)
def test_what_others_made_has_no_time(name):
    assert made_at("n", name) is None


def test_without_rules_all_are_kept():
    assert kept(nightly(40)) == nightly(40)


def test_the_newest_are_kept():
    assert kept(nightly(9), keep_last=3) == nightly(9)[-3:]


def test_of_each_day_the_last_is_kept():
    there = sorted(
        [*nightly(4), name_of("n", FIRST.timestamp() + 60), name_of("n", FIRST.timestamp() + 86_460)]
    )
    assert kept(there, keep_daily=4) == ["n-2026-01-01T03-31-00Z", "n-2026-01-02T03-31-00Z", *nightly(4)[2:]]


def test_days_weeks_and_months_are_kept_together():
    found = kept(nightly(90), keep_daily=3, keep_weekly=2, keep_monthly=3)
    assert [made_at("n", each).strftime("%m-%d") for each in found] == [
        "01-31",
        "02-28",
        "03-29",
        "03-30",
        "03-31",
    ]


def test_a_day_without_a_backup_does_not_count():
    there = [nightly(100)[0], nightly(100)[50], nightly(100)[99]]
    assert kept(there, keep_daily=2) == there[1:]


def test_what_others_made_stays():
    theirs = ["before-upgrade", "m-2020-01-01T00-00-00Z"]
    assert superfluous("n", BackupPlan(to="/b", keep_last=1), [*theirs, *nightly(3)]) == nightly(2)

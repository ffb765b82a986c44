"""Times as people type them."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from iotgw.ctl import times


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("2h", 7200), ("1.5h", 5400), ("3d", 259_200), ("1w", 604_800)],
)
def test_a_duration_is_a_number_with_a_unit(text: str, seconds: float) -> None:
    assert times.duration(text) == seconds


def test_a_time_to_come_is_so_far_ahead_or_a_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(times.time, "time", lambda: 1000.0)
    assert times.coming_ms("+2h") == 8_200_000
    assert times.coming_ms("2030-01-02T03:04:05Z") == times.moment_ms("2030-01-02T03:04:05Z")
    with pytest.raises(ValueError, match="expected a duration"):
        times.coming_ms("+soon")


@pytest.mark.parametrize("text", ["", "2", "h", "0h", "-1h", "2 h", "1e9h", "²h"])
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration such as 90s"):
        times.duration(text)


def test_a_duration_is_so_long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(times.time, "time", lambda: 10_000.0)
    assert times.moment_ms("2h") == 2_800_000


def test_a_date_is_local_unless_it_says_its_zone() -> None:
    assert times.moment_ms("2026-11-28T12:00:00+00:00") == 1_795_867_200_000
    assert times.moment_ms("2026-11-28T12:00Z") == 1_795_867_200_000
    assert times.moment_ms("2026-11-28") == int(datetime(2026, 11, 28).timestamp() * 1000)


def test_days_begin_at_midnight() -> None:
    today = datetime.now().replace(hour=0, minute=0, second=0, microsecond=0)
    assert times.moment_ms("today") == int(today.timestamp() * 1000)
    assert times.moment_ms("yesterday") == int((today - timedelta(days=1)).timestamp() * 1000)


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "1900-01-01", "99999999d"])
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a duration such as 90s.* or a date such as"):
        times.moment_ms(text)

"""Which backups are kept. Their names tell their times, so nothing else has to be remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from iotgw.core.backup_plan import BackupPlan

FORM = "%Y-%m-%dT%H-%M-%SZ"


def name_of(plan: str, date: float) -> str:
    """The name of a plan's backup of a date (seconds since 1970)."""
    return f"{plan}-{datetime.fromtimestamp(date, UTC).strftime(FORM)}"


def made_at(plan: str, name: str) -> datetime | None:
    """When a plan's backup was made, by its name; None for what the plan hasn't made."""
    head, text = name[: len(plan) + 1], name[len(plan) + 1 :]
    if head != f"{plan}-":
        return None
    try:
        moment = datetime.strptime(text, FORM).replace(tzinfo=UTC)
    except ValueError:
        return None
    return moment if moment.strftime(FORM) == text else None


def superfluous(name: str, plan: BackupPlan, there: Iterable[str]) -> list[str]:
    """Those of a plan's backups that need not be kept, the oldest first. The newest always is, and what others made."""
    made = {each: moment for each in there if (moment := made_at(name, each)) is not None}
    newest_first = sorted(made, key=lambda each: made[each], reverse=True)
    rules: list[tuple[int, Callable[[datetime], object]]] = [
        (plan.keep_last, lambda moment: moment),
        (plan.keep_daily, lambda moment: moment.date()),
        (plan.keep_weekly, lambda moment: moment.isocalendar()[:2]),
        (plan.keep_monthly, lambda moment: (moment.year, moment.month)),
    ]
    if not any(count for count, _ in rules):
        return []
    kept = set(newest_first[:1])
    for count, period in rules:
        seen: set[object] = set()
        for each in newest_first:
            if len(seen) == count:
                break
            if period(made[each]) not in seen:
                seen.add(period(made[each]))
                kept.add(each)
    return [each for each in reversed(newest_first) if each not in kept]

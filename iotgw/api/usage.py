"""`/usage`: what was received, converted and delivered, by hour or by day, for each datasource, integration, converter, device or tenant."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta, Struct

from iotgw.api.auth import Permission
from iotgw.api.queries import Query
from iotgw.api.routes import Call, Reply, Route
from iotgw.core.device_table import safe
from iotgw.core.errors import SettingsError
from iotgw.core.ports.usage import Every, IUsage, Per, UsageQuery, UsageRow

MOST = 10_000
"""Rows of one answer."""
COLUMNS = ("at", "tenant", "id", "name", "messages", "bytes", "errors", "refused", "deliveries", "cpu")
QUERY = (
    Query(
        "per", str, "datasource", "what each row is about",
        choices=("tenant", "datasource", "integration", "converter", "device"),
    ),
    Query("every", str, "all", "a row for each hour or day, or one for all of the time", choices=("hour", "day", "all")),
    Query("since", int, 0, "milliseconds since 1970: the hour or day in which this is, and later ones"),
    Query("until", int, 0, "milliseconds since 1970: hours or days that begin before"),
    Query("name", str, None, "only this one, by name or id"),
    Query("format", str, "json", "how the rows are written", choices=("json", "csv")),
    Query("limit", int, 1000, "how many at most", range=(1, MOST)),
    Query("after", int, 0, "`next` of the page before"),
)  # fmt: skip


class UsageItem(Struct, frozen=True):
    """What one thing used in a period. What doesn't count for a kind of thing is 0."""

    at: Annotated[
        int,
        Meta(
            description="When the period begins: milliseconds since 1970; 0 is all of the time that was asked for."
        ),
    ]
    tenant: Annotated[str, Meta(description="The tenant whose use it is.")]
    id: Annotated[str, Meta(description="The thing's id; empty for all of the tenant.")]
    name: Annotated[str, Meta(description="The thing's name.")]
    messages: Annotated[int, Meta(description="Messages that were received.")]
    bytes: Annotated[int, Meta(description="Bytes of these messages.")]
    errors: Annotated[int, Meta(description="Conversions that failed.")]
    refused: Annotated[int, Meta(description="Messages that were refused.")]
    deliveries: Annotated[int, Meta(description="Messages that were delivered.")]
    cpu: Annotated[float, Meta(description="Seconds of processor time of conversions.")]


class UsagePage(Struct, frozen=True):
    """A page of them."""

    items: Annotated[list[UsageItem], Meta(max_length=MOST, description="What each thing used.")]
    next: Annotated[
        int | None, Meta(description="Goes into `after` for the following page; null at the end.")
    ]


class UsageRoutes:
    """The route of usage."""

    def __init__(self, usage: IUsage) -> None:
        self._usage = usage

    def routes(self) -> list[Route]:
        """What was used."""
        return [
            Route("GET", "/usage", Permission.READ, self.read, "What was received, converted and delivered, by hour or day", answer=UsagePage, query=QUERY, answer_text="text/csv"),
        ]  # fmt: skip

    async def read(self, call: Call) -> UsagePage | Reply:
        """Rows; those of a tenant, or of all where tenants are asked for by a token of all of them."""
        per, limit, offset = cast(Per, call.query("per")), call.query("limit"), call.query("after")
        every, since, until = cast(Every, call.query("every")), call.query("since"), call.query("until")
        if per == "device" and every == "hour":
            raise SettingsError("every", "expected day or all for devices, whose usage is kept by day")
        if until and until <= since:
            raise SettingsError("until", "expected a time after since")
        tenant = (call.query("tenant") or call.tenants) if per == "tenant" else call.tenant
        query = UsageQuery(tenant, per, every, since, until, call.query("name") or "", offset, limit + 1)
        rows = await self._usage.rows(query)
        next_ = offset + limit if len(rows) > limit else None
        items = [item_of(row) for row in rows[:limit]]
        if call.query("format") == "json":
            return UsagePage(items, next_)
        headers = {"Content-Disposition": 'attachment; filename="usage.csv"'}
        if next_ is not None:
            headers["X-Next"] = str(next_)
        return Reply(headers=headers, content=_csv(items).encode(), content_type="text/csv; charset=utf-8")


def item_of(row: UsageRow) -> UsageItem:
    """A row as the API shows it."""
    amounts = row.amounts
    return UsageItem(
        row.at, row.tenant, row.id, row.name, amounts.messages, amounts.bytes, amounts.errors, amounts.refused,
        amounts.deliveries, round(amounts.cpu, 6),
    )  # fmt: skip


def _csv(items: list[UsageItem]) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\r\n")
    rows.writerow(COLUMNS)
    for item in items:
        value: dict[str, Any] = msgspec.to_builtins(item)
        begun = datetime.fromtimestamp(item.at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if item.at else ""
        rows.writerow(
            [
                begun,
                *(
                    safe(each) if isinstance(each, str) else each
                    for each in [value[name] for name in COLUMNS[1:]]
                ),
            ]
        )
    return text.getvalue()

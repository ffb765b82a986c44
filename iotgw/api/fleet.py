"""`/fleet`: lists of devices, in and out, with their keys.

Rows stand for themselves: one that is refused is reported with its line, and the others are taken. A list is worked
through some rows at a time, so that devices are answered meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from iotgw.api.auth import Permission
from iotgw.api.catalogue import Page, merged
from iotgw.api.credentials import CredentialRoutes
from iotgw.api.devices import FILTERS, wanted
from iotgw.api.paging import PageItems
from iotgw.api.problems import Problem
from iotgw.api.queries import Query
from iotgw.api.routes import Call, Reply, Route
from iotgw.core import device_table
from iotgw.core.credential import CredentialSpec
from iotgw.core.device_entry import DeviceSpec, same_eui
from iotgw.core.device_table import NoTable, Row
from iotgw.core.errors import IotgwError, SettingsError
from iotgw.core.ports.devices import IFleet
from iotgw.core.ports.registry import IRegistry
from iotgw.core.recorder import Recorder
from iotgw.core.specs import Resource
from iotgw.core.validate import convert

ROWS = 10_000
"""Rows of one request."""
LINES = 10 * ROWS
"""Lines of one request in CSV: rows may have several, and empty ones are none."""
PIECE = 50
"""Rows that are worked on between two breaths."""
TABLE = 128 << 10
"""Bytes of JSON whose rows are written as CSV between two breaths."""
CREDENTIALS = 8
"""Credentials of one row."""
CREDENTIAL = 5
"""How many rows the work on a credential is worth: its secrets are sealed."""
TOO_LONG = "expected at most {} {}; `iotgwctl device import` sends more in parts"
CSV = "text/csv"
DRY = Query("dryRun", bool, False, "say what would happen, and change nothing")
EXPORT = (
    *FILTERS,
    Query("format", str, "json", "how the devices are written", choices=("json", "csv")),
    Query("limit", int, 1000, "how many at most", range=(1, 5000)),
    Query("after", str, None, "a name; the list goes on behind it"),
)


class DeviceList(Struct, frozen=True, forbid_unknown_fields=True):
    """Devices as `/devices` takes them, each perhaps with ``credentials`` as `/credentials` takes them. What a stored device has and a
    new one doesn't say stays. ``lines`` are where they stood in a file, for errors."""

    devices: Annotated[
        list[Any],
        Meta(
            max_length=ROWS,
            description="Devices as `/devices` takes them, each perhaps with `credentials` as `/credentials` takes them.",
        ),
    ]
    lines: Annotated[
        list[int],
        Meta(max_length=ROWS, description="The line of each in the file that they are from, for errors."),
    ] = []


class RefusedRow(Struct, frozen=True):
    """A row that wasn't taken."""

    line: Annotated[int, Meta(description="Its line in a CSV file; else its place, from 1.")]
    name: Annotated[str, Meta(description="Its device.")]
    error: Annotated[str, Meta(description="Why it was refused.")]


class Imported(Struct, frozen=True):
    """What became of the rows."""

    created: Annotated[int, Meta(description="How many devices were new.")]
    changed: Annotated[int, Meta(description="How many devices were changed.")]
    unchanged: Annotated[int, Meta(description="How many devices were so already.")]
    refused: Annotated[list[RefusedRow], Meta(description="The rows that weren't taken.")]


class _Ready(Struct):
    """A row that may be saved."""

    line: int
    spec: DeviceSpec
    credentials: list[tuple[CredentialSpec, Resource | None]]


class _Seen(Struct):
    """What the rows so far have: devices and credentials' identities with their lines, and credentials' names."""

    names: dict[str, int] = {}
    identities: dict[tuple[str, str], int] = {}
    credentials: set[str] = set()


class FleetRoutes:
    """The routes of lists of devices."""

    def __init__(
        self,
        fleet: IFleet,
        registry: IRegistry,
        credentials: CredentialRoutes,
        recorder: Recorder,
        clock: IReactorTime,
    ) -> None:
        self._fleet = fleet
        self._registry = registry
        self._credentials = credentials
        self._recorder = recorder
        self._clock = clock

    def routes(self) -> list[Route]:
        """In and out."""
        return [
            Route(
                "POST", "/fleet/import", Permission.WRITE, self.take_in,
                "Create or change the devices of a list, in JSON or CSV", DeviceList, Imported, (DRY,), body_text=CSV,
            ),
            Route(
                "GET", "/fleet/export", Permission.READ, self.hand_out, "Devices as a list that can be imported; without keys",
                answer=Page, query=EXPORT, answer_text=CSV,
            ),
            Route(
                "GET", "/fleet/export-with-keys", Permission.ADMIN, self.hand_out_keys,
                "The same with their keys in the clear; who does that is an event", answer=Page, query=EXPORT, answer_text=CSV,
            ),
            Route("GET", "/fleet/groups", Permission.READ, self.groups, "The groups in which devices are", answer=dict),
        ]  # fmt: skip

    async def groups(self, call: Call) -> dict[str, int]:
        """How many devices are in each."""
        return self._fleet.groups(call.tenant)

    # --- in ---

    async def take_in(self, call: Call) -> Imported:
        """Row by row."""
        is_dry, rows = call.query("dryRun"), await self._rows(call)
        counts = {"created": 0, "changed": 0, "unchanged": 0}
        refused: list[RefusedRow] = []
        seen = _Seen()
        for start in range(0, len(rows), PIECE):
            if start:
                await deferLater(self._clock, 0)
            ready: list[_Ready] = []
            work = 0
            for row in rows[start : start + PIECE]:
                if work >= PIECE:
                    work = 0
                    await deferLater(self._clock, 0)
                try:
                    ready.append(await self._checked(call.tenant, row, seen))
                    work += CREDENTIAL * len(ready[-1].credentials)
                except (SettingsError, ValueError) as error:
                    refused.append(RefusedRow(row.line, _name(row), " ".join(str(error).split())))
            saved = await self._fleet.save_all(call.tenant, [each.spec for each in ready], is_dry)
            taken = [each for each, became in zip(ready, saved, strict=True) if became.outcome != "refused"]
            are_new_given = not is_dry and await self._give_new(call, taken)
            for each, became in zip(ready, saved, strict=True):
                why = became.error
                if became.outcome != "refused":
                    counts[became.outcome] += 1
                    why = "" if is_dry else await self._give(call, each, are_new_given)
                if why:
                    refused.append(RefusedRow(each.line, each.spec.name, why))
        created, changed = counts["created"], counts["changed"]
        if not is_dry and (created or changed):
            by = call.token.name
            text = f"{created} devices created and {changed} changed by {by}, from a list"
            self._recorder.note(
                "imported", "gateway", "devices", text, call.tenant, by=by, created=created, changed=changed
            )
        return Imported(**counts, refused=refused)

    async def _rows(self, call: Call) -> Sequence[Row]:
        raw = call.content(CSV)
        if raw is None:
            said = call.body()
            lines = said.lines if len(said.lines) == len(said.devices) else range(1, len(said.devices) + 1)
            return [
                Row(line, value) if isinstance(value, dict) else Row(line, {}, "expected an object")
                for line, value in zip(lines, said.devices, strict=True)
            ]
        try:
            text = device_table.text_of(raw)
            if text.count("\n") + text.count("\r") > LINES:
                raise Problem(413, TOO_LONG.format(LINES, "lines"))
            rows: list[Row] = []
            for row in device_table.read(device_table.lines_of(text)):
                rows.append(row)
                if len(rows) > ROWS:
                    raise Problem(413, TOO_LONG.format(ROWS, "rows"))
                if len(rows) % PIECE == 0:
                    await deferLater(self._clock, 0)
        except NoTable as error:
            raise SettingsError("", str(error)) from error
        return rows

    async def _checked(self, tenant: str, row: Row, seen: _Seen) -> _Ready:
        """What a row asks for; raises SettingsError or ValueError."""
        if row.error:
            raise ValueError(row.error)
        said = dict(row.device)
        keys = said.pop("credentials", None) or []
        name = said.get("name")
        if not isinstance(name, str):
            raise SettingsError("name", "expected a text")
        if (other := seen.names.setdefault(same_eui(name) or name, row.line)) != row.line:
            raise SettingsError("name", f"row {other} is about the same device")
        old = self._fleet.get(tenant, name)
        spec = convert(merged(msgspec.to_builtins(old.spec) if old is not None else {}, said), DeviceSpec)
        if not isinstance(keys, list):
            raise SettingsError("credentials", "expected a list")
        if len(keys) > CREDENTIALS:
            raise SettingsError("credentials", f"expected at most {CREDENTIALS}, got {len(keys)}")
        held = [await self._credentials.checked(tenant, name, key, seen.credentials) for key in keys]
        for key, _ in held:
            if (other := seen.identities.setdefault((key.type, key.identity), row.line)) != row.line:
                raise SettingsError("credentials.identity", f"row {other} has it, too")
        return _Ready(row.line, spec, held)

    async def _give_new(self, call: Call, rows: Sequence[_Ready]) -> bool:
        """Save the credentials of rows that are new, at once. Returns whether that was done; otherwise none is."""
        new = [spec for row in rows for spec, stored in row.credentials if stored is None]
        try:
            await self._credentials.put_new(call.tenant, new, call.token.name)
        except IotgwError:  # one by one, then, each with its own reason
            return False
        return True

    async def _give(self, call: Call, ready: _Ready, but_new: bool) -> str:
        """Save a device's credentials. Returns why one couldn't be; the device itself is saved."""
        try:
            for spec, stored in ready.credentials:
                if stored is None and but_new:
                    continue
                await self._credentials.put(call.tenant, spec, stored, call.token.name)
        except IotgwError as error:
            return f"credentials: {error}"
        return ""

    # --- out ---

    async def hand_out(self, call: Call) -> Page | Reply:
        """Without keys."""
        return await self._out(call, with_keys=False)

    async def hand_out_keys(self, call: Call) -> Page | Reply:
        """With keys."""
        text = f"devices' keys were exported by {call.token.name}"
        self._recorder.note(
            "exported", "gateway", "devices", text, call.tenant, "warning", by=call.token.name
        )
        return await self._out(call, with_keys=True)

    async def _out(self, call: Call, with_keys: bool) -> Page | Reply:
        limit = call.query("limit")
        names = self._fleet.names(
            call.tenant, wanted(call, self._registry), call.query("after") or "", limit + 1
        )
        held = self._credentials.held_by(call.tenant) if with_keys else {}
        devices, page, looked_at = list[dict[str, Any]](), PageItems(), 0
        for name in names[:limit]:
            if page.is_full:
                break
            if devices and len(devices) % PIECE == 0:
                await deferLater(self._clock, 0)
            looked_at += 1
            if self._fleet.get(call.tenant, name) is not None:  # it may be gone meanwhile
                devices.append(self._one(call.tenant, name, held.get(name, ())))
                page.take(devices[-1:])
        next_ = names[looked_at - 1] if len(names) > looked_at else None
        if call.query("format") == "json":
            return Page(page.items, next_)
        size = max(1, sum(map(len, page.items)))
        step = max(1, min(PIECE, len(devices) * TABLE // size))
        text = "".join([each async for each in self._table(devices, with_keys, step)])
        headers = {"Content-Disposition": 'attachment; filename="devices.csv"'}
        if next_ is not None:
            headers["X-Next"] = next_.encode("unicode_escape").decode()
        return Reply(headers=headers, content=text.encode(), content_type=f"{CSV}; charset=utf-8")

    async def _table(
        self, devices: Sequence[dict[str, Any]], with_keys: bool, step: int
    ) -> AsyncIterator[str]:
        """A list as CSV, ``step`` rows at a time. Raises Problem 413 for one that has too many columns."""
        tags = device_table.tags_of(devices)
        most = device_table.MOST_COLUMNS - len((*device_table.COLUMNS, *device_table.KEYS))
        if len(tags) > most:
            text = f"expected at most {most} different tags for CSV, there are {len(tags)}: take format=json, or fewer devices"
            raise Problem(413, text)
        for start in range(0, max(1, len(devices)), step):
            if start:
                await deferLater(self._clock, 0)
            yield device_table.write(devices[start : start + step], tags, with_keys, with_header=not start)

    def _one(self, tenant: str, name: str, held: Iterable[Resource]) -> dict[str, Any]:
        entry = self._fleet.get(tenant, name)
        assert entry is not None
        device: dict[str, Any] = msgspec.to_builtins(entry.spec)
        keys = [self._credentials.in_the_clear(each) for each in held]
        return {**device, "credentials": keys} if keys else device


def _name(row: Row) -> str:
    name = row.device.get("name", "")
    return name[:255] if isinstance(name, str) else ""

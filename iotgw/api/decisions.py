"""The decision to apply a document as a whole. It is one row in the registry: from the moment when that is durable, all of the document will
be applied, also if the process dies; before, nothing is.

The changes are carried out one by one, and carrying them out again changes nothing. When a datasource can't be opened, the decision is
turned round in the same way: what was before is put back.

    decided ──▶ closed what goes ──▶ saved ──▶ are the datasources open? ──▶ taken away what goes ──▶ done
                                                    │ no
                                                    ▼
                                               turned round ──▶ put back ──▶ refused
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct
from twisted.internet.defer import ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from iotgw.api.keepers import Backlog, Entry, Keeper
from iotgw.api.plans import Change
from iotgw.api.problems import Problem
from iotgw.core.errors import Conflict, IotgwError, StillReferenced, Unavailable
from iotgw.core.ports.registry import IRegistry
from iotgw.core.specs import Resource

KIND = "decision"
AGAIN = 2.0
"""Seconds after which what couldn't be finished is tried again: a disk was full, or a converter still has messages to convert."""


class Decision(Struct, frozen=True):
    """What was decided. ``is_back`` is whether it was turned round."""

    by: str
    backlog: Backlog
    changes: list[Change]
    is_back: bool = False


class _Left(Struct):
    """What is still going, by kind and name, and whether some of it is needed by others until they are gone."""

    going: set[tuple[str, str]] = set()
    is_needed: bool = False


class Decisions:
    """Makes decisions, and carries them out. ``keepers`` are those of all kinds, in the order in which entries are saved; their datasources
    are kept when they can't be opened."""

    _log = Logger()

    def __init__(self, keepers: Sequence[Keeper], registry: IRegistry, clock: IReactorTime) -> None:
        self._keepers = {keeper.kind: keeper for keeper in keepers}
        self._registry = registry
        self._clock = clock

    async def decide(self, tenant: str, decision: Decision) -> Resource:
        """Make a decision durable; raises Conflict while another one is being carried out."""
        try:
            return await self._registry.create(KIND, tenant, KIND, msgspec.to_builtins(decision))
        except Conflict as error:
            raise Conflict("another document is still being applied; try again when it is") from error

    async def withdraw(self, row: Resource) -> None:
        """Take a decision back of which nothing was carried out."""
        await self._registry.delete(KIND, row.id)

    async def carry_out(self, row: Resource) -> set[tuple[str, str]]:
        """Carry out a decision that was just made. Returns what is still going, by kind and name; that goes on by itself.

        Raises Problem 409 when a datasource can't be opened: then all is as before. Other errors are those of the disk: then it
        is tried again until it is done.
        """
        decision = _decision(row)
        try:
            worked = self._worked(row.tenant, decision)
            await self._save(row.tenant, decision)
            problems = await self._unopened(row.tenant, decision, worked)
            if problems:
                turned = msgspec.structs.replace(decision, is_back=True)
                row = await self._registry.replace(KIND, row.id, msgspec.to_builtins(turned))
                await self._put_back(row, turned)
                raise Problem(409, f"nothing was changed: {'; '.join(problems)}")
            left = await self._take_away(row.tenant, decision)
            await self._end(row, left)
        except IotgwError:
            self._later(row)
            raise
        return left.going

    async def finish(self) -> None:
        """Carry out what an earlier process has decided, to the end that it was going to."""
        for row in self._registry.list(KIND):
            await self._go_on(row)

    async def _go_on(self, row: Resource) -> None:
        decision = _decision(row)
        try:
            if decision.is_back:
                await self._put_back(row, decision)
                return
            await self._save(row.tenant, decision)
            await self._end(row, await self._take_away(row.tenant, decision))
        except Unavailable:  # the gateway stops; the next start goes on
            return
        except IotgwError as error:
            self._log.warn("a document is not applied yet: {error}", error=error)
            self._later(row)

    def _later(self, row: Resource) -> None:
        self._clock.callLater(AGAIN, self._begin, row)

    def _begin(self, row: Resource) -> None:
        def failed(failure: Failure) -> None:
            self._log.failure("a document could not be applied to its end", failure)

        ensureDeferred(self._go_on(row)).addErrback(failed)

    # --- steps; each may be done again ---

    async def _save(self, tenant: str, decision: Decision) -> None:
        going = [each for each in decision.changes if each.after is None and each.kind == "datasource"]
        for change in going:  # what they have open may be for others
            if self._keepers[change.kind].status(tenant, change.name) and change.before is not None:
                await self._close(tenant, change.name, change.before, decision.by)
        for kind, keeper in self._keepers.items():
            saved = [
                (each.name, each.after)
                for each in decision.changes
                if each.kind == kind and each.after is not None
            ]
            if saved:
                await keeper.put(tenant, saved, decision.by)

    async def _close(self, tenant: str, name: str, body: Entry, by: str) -> None:
        keeper = self._keepers["datasource"]
        try:
            is_there = keeper.get(tenant, name) is not None
        except Conflict:  # it is going already
            return
        if is_there and body.get("enabled", True):
            await keeper.put(tenant, [(name, {**body, "enabled": False})], by)

    def _worked(self, tenant: str, decision: Decision) -> set[str]:
        """The datasources that must be open afterwards: those that are new, and those that are open now."""
        keeper = self._keepers["datasource"]
        return {
            each.name
            for each in decision.changes
            if each.kind == "datasource"
            and each.after is not None
            and (each.before is None or keeper.status(tenant, each.name).get("state") != "failed")
        }

    async def _unopened(self, tenant: str, decision: Decision, worked: set[str]) -> list[str]:
        """Why datasources can't be opened. One may have waited for a port that another one had, so each is tried again."""
        keeper, problems = self._keepers["datasource"], []
        for change in decision.changes:
            if change.kind != "datasource" or change.name not in worked or change.after is None:
                continue
            if keeper.status(tenant, change.name).get("state") == "failed":
                await self._close(tenant, change.name, change.after, decision.by)
                await keeper.put(tenant, [(change.name, change.after)], decision.by)
            status = keeper.status(tenant, change.name)
            if status.get("state") == "failed":
                problems.append(f"datasource {change.name!r} could not be opened: {status.get('error', '')}")
        return problems

    async def _put_back(self, row: Resource, decision: Decision) -> None:
        for kind in reversed(self._keepers):
            for change in decision.changes:
                if change.kind == kind and change.before is None:
                    await self._keepers[kind].remove(row.tenant, change.name, "drop", decision.by)
        for kind, keeper in self._keepers.items():
            before = [
                (each.name, each.before)
                for each in decision.changes
                if each.kind == kind and each.before is not None
            ]
            if before:
                await keeper.put(row.tenant, before, decision.by)
        await self.withdraw(row)

    async def _end(self, row: Resource, left: _Left) -> None:
        """A datasource that is marked goes by itself. A converter that it needs until then is tried again."""
        if left.is_needed:
            self._later(row)
        else:
            await self.withdraw(row)

    async def _take_away(self, tenant: str, decision: Decision) -> _Left:
        left = _Left()
        for kind in reversed(self._keepers):
            for change in decision.changes:
                if change.kind != kind or change.after is not None:
                    continue
                try:
                    gone = await self._keepers[kind].remove(
                        tenant, change.name, decision.backlog, decision.by
                    )
                except StillReferenced:
                    gone, left.is_needed = False, True
                if not gone:
                    left.going.add((kind, change.name))
        return left


def _decision(row: Resource) -> Decision:
    return msgspec.convert(row.body, Decision)

"""Makes backups on a schedule, brings them where they go, and takes away what need not be kept.

A backup for a server is made on the gateway's disk first, sent, and removed there. When the gateway was stopped at a plan's time, the backup
is made soon after its start; one that failed is tried again.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.defer import CancelledError, Deferred, DeferredLock, fail
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from zope.interface import implementer

from iotgw.backups.directory import DirectoryPlace
from iotgw.backups.places import Place
from iotgw.backups.retention import name_of, superfluous
from iotgw.core.backup_plan import BackupPlan
from iotgw.core.cron import Cron
from iotgw.core.errors import IotgwError, NotFound, SettingsError, Unavailable
from iotgw.core.model import DEFAULT_TENANT
from iotgw.core.ports.backups import (
    BackupFailure,
    IBackupPlans,
    IBackups,
    KnownBackup,
    MadeBackup,
    PlanStatus,
)
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.kept import IKept
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.core.recorder import Recorder

OWNER = "backups"
"""Of the rows that remember each plan's last backup."""
LOOK = 60.0
"""Seconds between two looks at the date, which may jump; also how long after a start a backup that was missed is made."""
AGAIN = (300.0, 900.0, 2700.0)
"""Seconds after a failure at which it is tried again; the last one for each further."""
MANIFEST = "manifest.json"


class Sending(Struct, frozen=True):
    """Where a backup is made that goes elsewhere. Nothing else is in ``folder``."""

    folder: Path
    in_thread: Callable[..., Deferred[Any]]


class RunningPlan:
    """One plan, and how it goes."""

    def __init__(self, name: str, plan: BackupPlan, place: Place) -> None:
        self.plan = plan
        self.place = place
        try:
            self.cron = Cron(plan.schedule, f"backup.{name}.schedule") if plan.schedule else None
        except SettingsError as error:
            raise SettingsError(f"backup.{name}.schedule", error.problem) from error
        keep = {"last": plan.keep_last, "daily": plan.keep_daily, "weekly": plan.keep_weekly, "monthly": plan.keep_monthly}  # fmt: skip
        self.status = PlanStatus(
            name, place.where, plan.schedule, {each: count for each, count in keep.items() if count},
            "idle", None, None, None, 0, 0,
        )  # fmt: skip
        self.tries = 0
        """That failed since the last backup."""

    def set(self, **changes: Any) -> None:
        """Change its status."""
        self.status = replace(self.status, **changes)


@implementer(IBackupPlans)
class BackupPlans:
    """An `IBackupPlans`. ``backups`` makes them; those that are sent are made in ``sending`` first."""

    _log = Logger()

    def __init__(
        self,
        plans: Mapping[str, tuple[BackupPlan, Place]],
        backups: IBackups,
        sending: Sending,
        kept: IKept,
        recorder: Recorder,
        reactor: IThreadedClock,
        calendar: ICalendar,
    ) -> None:
        self._plans = {name: RunningPlan(name, *plans[name]) for name in sorted(plans)}
        self._backups = backups
        self._sending = sending
        self._kept = kept
        self._recorder = recorder
        self._reactor = reactor
        self._calendar = calendar
        self._one = DeferredLock()
        self._call: IDelayedCall | None = None
        self._under_way: set[Deferred[Any]] = set()
        self._is_stopping = False

    # --- life ---

    async def start(self) -> None:
        """Remember the last backups, remove what a kill left, and wait for the next time."""
        await self._sending.in_thread(shutil.rmtree, self._sending.folder, True)
        for name, row in (await self._kept.rows(OWNER)).items():
            if name in self._plans:
                try:
                    self._plans[name].set(last=msgspec.json.decode(row, type=KnownBackup))
                except msgspec.MsgspecError:  # of another version
                    continue
        now = self._calendar.seconds()
        for plan in self._plans.values():
            last = plan.status.last
            after = now if last is None else min(now, last.made_at / 1000)
            due = self._next(plan, after)
            plan.set(next=due, due=due)
        if self._plans:
            self._call = self._reactor.callLater(LOOK, self._look)

    async def stop(self) -> None:
        """Give up what is under way."""
        self._is_stopping = True
        if self._call is not None and self._call.active():
            self._call.cancel()
        for running in [*self._under_way]:
            running.cancel()
        for plan in self._plans.values():
            await plan.place.close()

    def plans(self) -> list[PlanStatus]:
        """See `IBackupPlans.plans`."""
        return [plan.status for plan in self._plans.values()]

    def run(self, name: str) -> Deferred[MadeBackup]:
        """See `IBackupPlans.run`."""
        plan = self._plans.get(name)
        if plan is None:
            known = ", ".join(self._plans) or "none"
            return fail(
                NotFound(f"there is no backup plan {name!r} in the settings; expected one of: {known}")
            )
        if self._is_stopping:
            return fail(Unavailable("the gateway stops"))
        running: Deferred[MadeBackup] = Deferred.fromCoroutine(self._in_turn(plan))
        self._under_way.add(running)

        def over(result: Any) -> Any:
            self._under_way.discard(running)
            return result

        return running.addBoth(over)

    # --- the schedule ---

    def _next(self, plan: RunningPlan, after: float) -> int | None:
        return int(plan.cron.next(after) * 1000) if plan.cron is not None else None

    def _look(self) -> None:
        self._call = self._reactor.callLater(LOOK, self._look)
        if self._calendar.has_doubts:  # a date that can't be right would be in its name
            return
        now = self._calendar.now_ms()
        for name, plan in self._plans.items():
            due = plan.status.next
            if due is not None and due <= now and plan.status.state == "idle":
                plan.set(next=self._next(plan, now / 1000))
                self.run(name).addErrback(lambda _: None)  # it was noted

    async def _in_turn(self, plan: RunningPlan) -> MadeBackup:
        await self._one.acquire()
        try:
            made = await self._make(plan)
        except (CancelledError, GeneratorExit):
            plan.set(state="idle")
            raise
        except Exception as error:
            self._failed(plan, error)
            raise
        finally:
            self._one.release()
        return made

    def _failed(self, plan: RunningPlan, error: Exception) -> None:
        said = str(error) if isinstance(error, IotgwError | OSError) else type(error).__name__
        if not isinstance(error, IotgwError | OSError):
            self._log.failure("a backup failed")
        status, now = plan.status, self._calendar.now_ms()
        pause = AGAIN[min(plan.tries, len(AGAIN) - 1)]
        again = now + int(pause * 1000)
        next_ = min(again, status.next) if status.next is not None else None
        plan.tries += 1
        plan.set(
            state="idle", failed=BackupFailure(now, said), failures=status.failures + 1, next=next_
        )  # fmt: skip
        text = f"to {status.to}: {said}"
        self._recorder.note("backup-failed", "backup", status.name, text, DEFAULT_TENANT, "error")

    # --- one backup ---

    async def _make(self, plan: RunningPlan) -> MadeBackup:
        status, place, begun = plan.status, plan.place, time.monotonic()
        name = name_of(status.name, self._calendar.seconds())
        plan.set(state="copying")
        try:
            await place.tidy(f"{status.name}-")
            if isinstance(place, DirectoryPlace):
                made = await self._backups.take(name, plan.plan.with_key, place.folder)
            else:
                made = await self._send(plan, place, name)
            seconds = round(time.monotonic() - begun, 3)
            last = KnownBackup(name, made.made_at, seconds, made.bytes)
            plan.tries = 0
            due = self._next(plan, made.made_at / 1000)
            plan.set(state="removing", last=last, failed=None, made=plan.status.made + 1, due=due)
            await self._kept.save(OWNER, {status.name: msgspec.json.encode(last)})
            text = f"{name} is in {status.to}, {made.bytes} bytes"
            self._recorder.note("backup", "backup", status.name, text, DEFAULT_TENANT, "info")
            await self._thin_out(plan)
        finally:
            await place.close()
        plan.set(state="idle")
        return replace(made, seconds=seconds)

    async def _send(self, plan: RunningPlan, place: Place, name: str) -> MadeBackup:
        folder = self._sending.folder
        await self._sending.in_thread(shutil.rmtree, folder, True)
        try:
            made = await self._backups.take(name, plan.plan.with_key, folder)
            plan.set(state="sending")
            await place.send(name, folder / name, [*made.files, MANIFEST])
        finally:
            if not self._is_stopping:  # else the next start does it
                await self._sending.in_thread(shutil.rmtree, folder, True)
        return replace(made, directory=f"{place.where.rstrip('/')}/{name}")

    async def _thin_out(self, plan: RunningPlan) -> None:
        """Remove what need not be kept. That it fails makes the backup no worse: the next one tries it again."""
        try:
            there = await plan.place.names()
            for each in superfluous(plan.status.name, plan.plan, there):
                await plan.place.remove(each)
        except IotgwError as error:
            text = f"old backups in {plan.status.to} could not be removed: {error}"
            self._recorder.note("backups-kept", "backup", plan.status.name, text, DEFAULT_TENANT, "warning")

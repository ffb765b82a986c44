"""Opens, changes and closes a datasource while the gateway runs, without disturbing others."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from twisted.internet.defer import DeferredLock
from twisted.logger import Logger
from twisted.python.failure import Failure

from iotgw.core.errors import IotgwError, SettingsError
from iotgw.core.needs import Need
from iotgw.core.networks import Networks
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.credentials import ICredentials
from iotgw.core.ports.datasources import (
    DatasourceContext,
    IChecksAddresses,
    IDatasourceType,
    IForgets,
    IListens,
    INeeds,
    IVouches,
)
from iotgw.core.ports.files import IOperatorFiles
from iotgw.core.ports.kept import IKept
from iotgw.core.ports.reactor import IReactor
from iotgw.core.ports.registry import IRegistry
from iotgw.core.shared import SharedResources
from iotgw.core.specs import DatasourceSpec, SpeaksFor
from iotgw.core.types import Types
from iotgw.pipeline.checkpoints import RegistryCheckpoints
from iotgw.pipeline.claims import Claims
from iotgw.pipeline.conversions import Conversions
from iotgw.pipeline.intake import Intake
from iotgw.pipeline.limits import Limits
from iotgw.pipeline.reprocessing import Reprocessing
from iotgw.pipeline.sources import Source


class DatasourceRunner:
    """Runs one datasource of the registry, with its intake and its conversions. Changes are made one after another.

    ``error`` says why the datasource isn't open; empty if it is.
    """

    _log = Logger()

    def __init__(
        self,
        source: Source,
        intake: Intake,
        conversions: Conversions,
        reprocessing: Reprocessing,
        types: Types[IDatasourceType],
        registry: IRegistry,
        credentials: ICredentials,
        reactor: IReactor,
        data_dir: str,
        shares: SharedResources,
        claims: Claims,
        in_background: Callable[[Coroutine[Any, Any, None]], object],
        *,
        limits: Limits,
        calendar: ICalendar,
        files: IOperatorFiles | None,
        kept: IKept | None = None,
    ) -> None:
        self.source = source
        self.intake = intake
        self.conversions = conversions
        self.reprocessing = reprocessing
        self.error = ""
        self.lock = DeferredLock()
        self._types = types
        self._registry = registry
        self._credentials = credentials
        self._reactor = reactor
        self._data_dir = data_dir
        self._shares = shares
        self._claims = claims
        self._limits = limits
        self._in_background = in_background
        self._calendar = calendar
        self._files = files
        self._kept = kept

    async def apply(self, spec: DatasourceSpec, enabled: bool) -> None:
        """Close what is open, and open the datasource as the spec says. A failure is kept in `error`."""
        await self.lock.acquire()
        source = self.source
        try:
            if enabled and source.datasource is not None and _listener(spec) == _listener(source.spec):
                source.turned_away.forget()
                source.spec = spec  # a change of converter is no reason to cut connections
                self._limits.apply(source, spec)
                source.speaks_for = self._speaks_for(spec)
                self._when_away(spec)
                self.conversions.look_up()
                return
            await self._close()
            before, source.spec = source.spec, spec
            self._limits.apply(source, spec)
            source.speaks_for = self._speaks_for(spec)
            self.conversions.look_up()
            self._be_away()
            source.guard = None
            source.never_waits = source.is_shared = source.sends_once = False
            self.intake.proves = False
            self._in_background(self._let_go(before, spec))
            self.error = ""
            if enabled:
                await self._open(spec)
            self._when_away(spec)
            self.conversions.start()  # not before the datasource has set its guard
        finally:
            self.lock.release()

    async def forget(self) -> None:
        """The datasource is being deleted and is closed: clean up what other systems keep for it, such as a broker's
        session. Takes bounded time, and may be done again."""
        await self._let_go(self.source.spec, None)

    async def close(self) -> None:
        """Close the datasource, so that it takes no more messages."""
        await self.lock.acquire()
        try:
            await self._close()
        finally:
            self.lock.release()

    def status(self) -> dict[str, Any]:
        """State, address, counts, and what was refused by reason, as JSON."""
        status: dict[str, Any] = {"state": "stopped"}
        if self.error:
            status = {"state": "failed", "error": self.error}
        elif self.source.datasource is not None:
            status = dict(self.source.datasource.status())
        status |= {"counts": dict(self.source.counts), "pending": self.conversions.pending}
        if self.intake.repeats.count:
            status["repeats"] = self.intake.repeats.count
        if self.intake.naming.taken:
            status["takenNames"] = dict(self.intake.naming.taken)
        if self.intake.refusals.counts:
            status["refusals"] = dict(self.intake.refusals.counts)
        return status

    def _context(self, spec: DatasourceSpec) -> DatasourceContext:
        source = self.source
        return DatasourceContext(
            source.id, spec.name, source.tenant, spec.routing_key, spec.metadata, self.intake,
            self._reactor, self._credentials, self._data_dir, source.created_ms,
            self._shares, self._calendar, Networks(spec.allow), self._files,
            RegistryCheckpoints(self._registry, source.tenant, source.id),
            self._kept,
        )  # fmt: skip

    async def _let_go(self, before: DatasourceSpec, after: DatasourceSpec | None) -> None:
        """Tell the type that a datasource with the settings ``before`` won't come back."""
        try:
            type_ = self._types.get(before.type)
            if not IForgets.providedBy(type_) or (
                after is not None and (before.type, before.configuration) == (after.type, after.configuration)
            ):
                return
            unseal = self._registry.unseal
            settings = self._types.configure(before.type, before.configuration, unseal)
            successor = None
            if after is not None:
                successor = self._types.configure(after.type, after.configuration, unseal)
            forgotten = IForgets(type_).forget(settings, self._context(before), successor)
            if forgotten is not None:
                await forgotten
        except Exception as error:
            self._log.warn(
                "what other systems keep for datasource {name} could not be removed: {reason}",
                name=before.name,
                reason=error,
            )

    def _speaks_for(self, spec: DatasourceSpec) -> SpeaksFor:
        """For which devices a datasource with this spec may speak; its own where the type can't say."""
        if spec.speaks_for != "auto":
            return spec.speaks_for
        try:
            type_ = self._types.get(spec.type)
            if not IVouches.providedBy(type_):
                return "own"
            settings = self._types.configure(spec.type, spec.configuration, self._registry.unseal)
            return "all" if IVouches(type_).vouches(settings) else "own"
        except Exception:  # as in `_needs`
            return "own"

    def open_to_all(self) -> str:
        """Why anybody may send to it; empty if it isn't so, or the datasource isn't open."""
        spec = self.source.spec
        if self.source.datasource is None or spec.allow:
            return ""
        try:
            type_ = self._types.get(spec.type)
            if not IListens.providedBy(type_):
                return ""
            settings = self._types.configure(spec.type, spec.configuration, self._registry.unseal)
            return IListens(type_).open_to_all(settings, self._context(spec))
        except Exception:  # as in `_needs`
            return ""

    def _when_away(self, spec: DatasourceSpec) -> None:
        """Say what becomes of its messages while the database is away."""
        spills = spec.when_away == "spill" or (spec.when_away == "auto" and self.source.sends_once)
        self.intake.when_away(spills)

    def _be_away(self) -> None:
        """Note what it would open, for those who send there meanwhile."""
        source = self.source
        needs = () if source.is_leaving else self._needs(source.spec)
        self._claims.away.put(source.id, needs)

    def _needs(self, spec: DatasourceSpec) -> Sequence[Need]:
        """What a datasource with this spec opens; nothing where its settings can't be read."""
        try:
            type_ = self._types.get(spec.type)
            if not INeeds.providedBy(type_):
                return ()
            settings = self._types.configure(spec.type, spec.configuration, self._registry.unseal)
            return INeeds(type_).needs(settings, self._context(spec))
        except Exception:  # a type may be anybody's; `_open` says what is wrong
            return ()

    async def _open(self, spec: DatasourceSpec) -> None:
        context = self._context(spec)
        try:
            settings = self._types.configure(spec.type, spec.configuration, self._registry.unseal)
            type_ = self._types.get(spec.type)
            if spec.allow and not IChecksAddresses.providedBy(type_):
                raise SettingsError(
                    "allow", f"expected none for {spec.type}, which sees no addresses of devices"
                )
            datasource = type_.build(settings, context)
            if INeeds.providedBy(type_):
                self._claims.take(self.source, INeeds(type_).needs(settings, context))
            await datasource.start()
        except Exception as error:
            self._claims.release(self.source)
            expected = isinstance(error, IotgwError | OSError)
            if not expected and not type(error).__module__.startswith("twisted.internet"):
                self._log.failure("datasource {name} could not be opened", Failure(), name=spec.name)
            self.error = str(error)
            self.intake.event("failed", f"cannot open: {error}", "error")
            return
        self.source.datasource = datasource
        self._claims.away.remove(self.source.id)
        address = datasource.status().get("address", "")
        self.intake.event("started", f"{spec.type} is open: {address}")

    async def _close(self) -> None:
        datasource, self.source.datasource = self.source.datasource, None
        if datasource is not None:
            self._be_away()
            try:
                await datasource.stop()
            finally:
                self._claims.release(self.source)
            self.intake.event("stopped", f"{self.source.spec.type} is closed")


def _listener(spec: DatasourceSpec) -> tuple[Any, ...]:
    """The settings that need the datasource to be opened again; all others are read when they are needed."""
    return (spec.type, spec.name, spec.routing_key, spec.metadata, spec.configuration, spec.allow)

"""How much a tenant, a datasource and each of its devices may send, and what becomes of more.

A datasource without limits has none of this, and asks nothing. What is refused doesn't count, so that who sends too much all the time
gets as much as the limit says. Windows begin anew with the process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import msgspec
from msgspec import Struct
from twisted.internet.interfaces import IReactorTime

from iotgw.core.allowance import Allowance
from iotgw.core.ports.intake import Severity
from iotgw.core.ports.registry import IRegistry
from iotgw.core.rate_limit import RateLimit, Reached, read_rules
from iotgw.core.recorder import Recorder
from iotgw.core.specs import TENANT, DatasourceSpec, Resource
from iotgw.core.tenant_spec import TenantSpec
from iotgw.pipeline.sources import Beyond, Source

DEVICES = 20_000
"""Devices of a datasource whose windows are known at a time. A further one takes the place of the one whose window began longest ago."""
EVENTS = 60
"""Events of all limits in a minute."""
_SCOPES = {"tenant": "its tenant", "datasource": "its datasource", "device": "each device"}

Scope = Literal["tenant", "datasource", "device"]
Tell = Callable[[Source, "RateLimited", str, Reached], None]


class RateLimited(Struct):
    """A limit of a tenant, a datasource or its devices."""

    scope: Scope
    text: str
    beyond: Literal["refuse", "keep"]
    rates: RateLimit

    def keeps(self, source: Source) -> bool:
        """Whether a datasource keeps what is beyond. Who brings messages of many devices must not wait for one of them."""
        return self.beyond == "keep" or (self.scope == "device" and source.is_shared)

    def __str__(self) -> str:
        """As people read it."""
        return f"the limit {self.text} of {_SCOPES[self.scope]}"


class SourceLimits:
    """The limits that hold for one datasource, the narrowest first."""

    def __init__(self, source: Source, limits: list[RateLimited], clock: IReactorTime, tell: Tell) -> None:
        self._source = source
        self._limits = limits
        self._clock = clock
        self._tell = tell

    def take(self, device: str) -> Beyond | None:
        """A message comes; ``device`` is its sender's identity, empty where nobody knows it. None if it may pass."""
        now = self._clock.seconds()
        for limit in self._limits:
            if limit.scope == "device" and not device:
                continue
            reached = limit.rates.beyond(device if limit.scope == "device" else "", now)
            if reached is not None:
                return Beyond(limit.keeps(self._source), f"it is beyond {limit}", reached.wait)
        for limit in self._limits:
            if limit.scope == "device" and not device:
                continue
            key = device if limit.scope == "device" else ""
            if (reached := limit.rates.take(key, now)) is not None:
                self._tell(self._source, limit, key, reached)
        return None


class Limits:
    """Makes the limits of datasources, as they and their tenants say, and tells when one is reached."""

    def __init__(
        self,
        registry: IRegistry,
        recorder: Recorder,
        clock: IReactorTime,
        sources: Callable[[], Iterable[Source]],
    ) -> None:
        self._registry = registry
        self._recorder = recorder
        self._clock = clock
        self._sources = sources
        self._tenants: dict[str, tuple[TenantSpec, RateLimited | None]] = {}
        self._told = Allowance(clock, keys=4096, total=EVENTS)

    def start(self) -> None:
        """Follow what tenants may do. The registry has started."""
        self._registry.watch(TENANT, self._changed)
        for resource in self._registry.list(TENANT):
            self._changed(None, resource)

    def apply(self, source: Source, spec: DatasourceSpec) -> None:
        """A datasource has these settings now. A limit that stays goes on counting."""
        tenant, shared = self._tenants.get(source.tenant, (None, None))
        wanted: list[tuple[Scope, str, Literal["refuse", "keep"]]] = [
            (
                "device",
                spec.device_limit or (tenant.device_limit if tenant is not None else ""),
                spec.beyond_limit,
            ),
            ("datasource", spec.limit, spec.beyond_limit),
        ]
        before = source.limits._limits if isinstance(source.limits, SourceLimits) else []
        limits = [self._limit(before, *each) for each in wanted if each[1]]
        if shared is not None:
            limits.append(shared)
        source.limits = SourceLimits(source, limits, self._clock, self._tell) if limits else None

    @staticmethod
    def _limit(
        before: list[RateLimited], scope: Scope, text: str, beyond: Literal["refuse", "keep"]
    ) -> RateLimited:
        for limit in before:
            if (limit.scope, limit.text) == (scope, text):
                return RateLimited(scope, text, beyond, limit.rates)
        return RateLimited(
            scope, text, beyond, RateLimit(read_rules(text), DEVICES if scope == "device" else 1)
        )

    def _changed(self, old: Resource | None, new: Resource | None) -> None:
        name = (old or new).name  # type: ignore[union-attr]
        before = self._tenants.pop(name, None)
        if new is not None:
            spec = msgspec.convert({**new.body, "name": new.name}, TenantSpec)
            known = [before[1]] if before is not None and before[1] is not None else []
            limit = self._limit(known, "tenant", spec.limit, spec.beyond_limit) if spec.limit else None
            self._tenants[name] = spec, limit
        for source in self._sources():
            if source.tenant == name:
                self.apply(source, source.spec)

    def _tell(self, source: Source, limit: RateLimited, device: str, reached: Reached) -> None:
        """An event: once in a window, and at most once a minute for each."""
        kind, name = (
            ("tenant", source.tenant) if limit.scope == "tenant" else ("datasource", source.spec.name)
        )
        if self._told.take((kind, name, source.tenant, device, reached.rule, reached.level)) is None:
            return
        what = f"device {device!r}" if device else "it"
        if reached.level == "near":
            text = (
                f"{what} has used {reached.used} of {reached.rule.count} messages in {reached.rule.seconds} s"
            )
            type_ = "limit.near"
            severity: Severity = "info"
        else:
            becomes = "kept unconverted" if limit.keeps(source) else "refused"
            text = f"{what} has used up the limit {reached.rule}; further messages are {becomes} for {reached.wait:.1f} s"
            type_, severity = "limit.reached", "warning"
        self._recorder.note(
            type_,
            kind,
            name,
            text,
            source.tenant,
            severity,
            device=device,
            limit=str(reached.rule),
            used=reached.used,
        )

"""Replaying stored messages through a candidate beside the active version: what would it change?

Nothing is delivered or stored, and what scripts keep of their devices is not touched: both versions run
under names of their own.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, structs
from twisted.internet.defer import Deferred

from iotgw.api.auth import Permission
from iotgw.api.candidates import Candidates, at_most_one
from iotgw.api.described import (
    DraftDialect,
    DraftEngine,
    DraftFiles,
    DraftScript,
    OfDatasource,
    OfDevice,
    SavedVersion,
)
from iotgw.api.messages import BULK, MessageRoutes
from iotgw.api.routes import Call, Milliseconds, Route
from iotgw.core.errors import SettingsError, TooMany, Undecided
from iotgw.core.message_query import MessageQuery
from iotgw.core.model import Conversion, ConverterVersion, Job, Message
from iotgw.core.ports.converters import IConverters
from iotgw.core.ports.journal import IMessages

BATCH = 200
SAMPLES = 20
DECIDING = 10
"""Messages that decide of which dialect a draft is."""
AT_A_TIME = 2
"""Replays of a tenant. One goes through up to 10,000 messages."""


class Replay(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Which stored messages run through which candidate: the newest ``limit`` of this converter's messages
    that the filters leave. The candidate is a draft ``script`` or a ``version``."""

    script: DraftScript = None
    files: DraftFiles = None
    version: SavedVersion = None
    dialect: DraftDialect = "auto"
    engine: DraftEngine = "auto"
    options: Annotated[
        dict[str, Any] | None, Meta(description="The draft's options, which its script reads.")
    ] = None
    datasource: OfDatasource = None
    device: OfDevice = None
    since: Annotated[
        Milliseconds,
        Meta(
            description="Milliseconds since 1970; only messages that were received then or later. 0 for all."
        ),
    ] = 0
    until: Annotated[Milliseconds, Meta(description="0 for now")] = 0
    limit: Annotated[int, Meta(ge=1, le=BULK, description="How many messages at most, the newest first.")] = (
        1000
    )

    def __post_init__(self) -> None:
        """Refuse two candidates, and a time that is none."""
        at_most_one(self, "script", "version")
        if self.until and self.until <= self.since:
            raise ValueError(f"expected a time after `since`, {self.since}, got {self.until}")


class ReplayResult(Struct, frozen=True, rename="camel"):
    """How the candidate compares with the active version."""

    count: Annotated[int, Meta(description="How many messages were run through both.")] = 0
    same: Annotated[int, Meta(description="Of how many the result is the same.")] = 0
    changed: Annotated[int, Meta(description="Of how many it is another one.")] = 0
    fixed: Annotated[int, Meta(description="How many fail with the active version alone.")] = 0
    newly_failing: Annotated[int, Meta(description="How many fail with the candidate alone.")] = 0
    still_failing: Annotated[int, Meta(description="How many fail with both.")] = 0
    samples: Annotated[
        list[dict[str, Any]], Meta(description="Some of those that differ, with the differences.")
    ] = []


class ReplayRoutes:
    """The route of replays."""

    def __init__(
        self, candidates: Candidates, trials: IConverters, messages: MessageRoutes, journal: IMessages
    ) -> None:
        self._candidates = candidates
        self._trials = trials
        self._messages = messages
        self._journal = journal
        self._under_way: Counter[str] = Counter()
        """Replays by tenant."""

    def routes(self) -> list[Route]:
        """One."""
        summary = "Run stored messages through a candidate beside the active version"
        path = "/converters/<name>/replay"
        return [Route("POST", path, Permission.WRITE, self.replay, summary, Replay, ReplayResult)]

    async def replay(self, call: Call, name: str) -> ReplayResult:
        """Stored messages through both."""
        wanted = call.body()
        if wanted.script is None and wanted.version is None:
            raise SettingsError(
                "script", "expected a draft script or a version to compare with the active one"
            )
        if self._under_way[call.tenant] >= AT_A_TIME:
            raise TooMany(
                f"expected at most {AT_A_TIME} replays of a tenant at a time; wait for those that are under way"
            )
        self._under_way[call.tenant] += 1
        try:
            return await self._replay(call, name, wanted)
        finally:
            self._under_way -= Counter([call.tenant])

    async def _replay(self, call: Call, name: str, wanted: Replay) -> ReplayResult:
        active = self._candidates.active(call, name)
        candidate = await self._candidate(call, wanted, name, active)
        mark = secrets.token_hex(4)
        old = structs.replace(active, id=f"replay:{mark}:active")
        new = structs.replace(candidate, id=f"replay:{mark}:candidate")
        tally = _Tally()
        async for batch in self._stored(call, wanted, active.id):
            befores, afters = await self._convert(old, batch), await self._convert(new, batch)
            for message, before, after in zip(batch, befores, afters, strict=True):
                tally.note(self._journal.epochs.message_id(message.seq), before, after)
        return tally.result()

    async def _candidate(
        self, call: Call, wanted: Replay, name: str, active: ConverterVersion
    ) -> ConverterVersion:
        """What is compared. The newest messages decide of which dialect a draft is that may be of several."""
        try:
            return await self._candidates.get(call, wanted, name)
        except Undecided:
            async for batch in self._stored(call, wanted, active.id):
                samples = [each.uplink for each in batch[-DECIDING:]]
                return await self._candidates.get(call, wanted, name, samples=samples)
            raise

    async def _stored(self, call: Call, wanted: Replay, converter: str) -> AsyncIterator[list[Message]]:
        """Batches of the messages that this converter had: the newest first, each in its messages' order."""
        left, before = wanted.limit, 0
        datasource = self._messages.datasource_id(call, wanted.datasource)
        since, until = self._messages.searches.instants(wanted.since, wanted.until)
        query = MessageQuery(
            tenant=call.tenant, datasource=datasource, device=wanted.device, since=since, until=until
        )
        while left > 0:
            found = await self._journal.search(query, before, BATCH)
            batch = [
                message
                for message in found.messages
                if datasource or message.converter.partition("/")[0] == converter
            ][:left]
            left -= len(batch)
            if batch:
                yield batch[::-1]
            before = found.next
            if not before:
                return

    def _convert(self, version: ConverterVersion, batch: list[Message]) -> Deferred[list[Conversion]]:
        jobs = [
            Job(
                version,
                message.uplink.payload,
                message.uplink.metadata,
                message.uplink.received_ms,
                message.seq,
            )
            for message in batch
        ]
        done: Deferred[list[Conversion]] = Deferred()
        self._trials.convert(jobs, done.callback)
        return done


class _Tally:
    """Counts how a candidate's conversions differ from the active version's."""

    def __init__(self) -> None:
        self._counts = {"same": 0, "changed": 0, "fixed": 0, "newly_failing": 0, "still_failing": 0}
        self._samples: list[dict[str, Any]] = []

    def note(self, id: str, old: Conversion, new: Conversion) -> None:
        """One message's two conversions."""
        if old.error and new.error:
            kind = "still_failing"
        elif new.error:
            kind = "newly_failing"
        elif old.error:
            kind = "fixed"
        else:
            kind = "same" if old.outputs == new.outputs else "changed"
        self._counts[kind] += 1
        if kind not in ("same", "still_failing") and len(self._samples) < SAMPLES:
            self._samples.append({"id": id, "kind": kind, "before": _shown(old), "after": _shown(new)})

    def result(self) -> ReplayResult:
        """All of it."""
        return ReplayResult(sum(self._counts.values()), **self._counts, samples=self._samples)


def _shown(conversion: Conversion) -> dict[str, Any]:
    return {"output": [msgspec.Raw(output.body) for output in conversion.outputs], "error": conversion.error}

"""Trying converters out: one payload, the stored vectors, or stored messages beside the active version.

Nothing here is delivered or stored. A script's error is a result (200), not a failure of the request.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, structs
from twisted.internet.defer import Deferred

from iotgw.api.auth import Permission
from iotgw.api.datasources import decoded
from iotgw.api.messages import BULK, Messages
from iotgw.api.parts import Parts
from iotgw.api.routes import Call, Milliseconds, Route
from iotgw.errors import ConversionFailed, NotFound, SettingsError
from iotgw.model import Conversion, ConverterSpec, ConverterVersion, Job, Message, Resource

BATCH = 200
SAMPLES = 20
_PLACE = re.compile(r"line (\d+)(?:, column (\d+))?")


class Trial(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """One conversion to try. The input is ``payload`` (base64), ``text``, ``hex`` or a stored message's.

    ``script`` is an unsaved draft (ThingsBoard's name ``decoder`` is understood too), ``version`` an older
    one. A downlink converter takes ``msg``, ``msg_type`` and ``integration_metadata`` instead.
    """

    payload: str | None = None
    text: str | None = None
    hex: str | None = None
    message_id: str | None = None
    metadata: dict[str, Any] | None = None
    received_at: Milliseconds | None = None
    script: str | None = None
    decoder: str | None = None
    dialect: str = "auto"
    engine: str = "auto"
    type: str = "UPLINK"
    options: dict[str, Any] = {}
    version: int | None = None
    msg: Any = None
    msg_type: str = ""
    integration_metadata: dict[str, Any] = {}


class TrialResult(Struct, frozen=True, rename="camel"):
    """What a trial gives: the script's own ``result``, and the ``telemetry`` that it becomes."""

    result: Any = None
    telemetry: list[Any] = []
    warnings: list[str] = []
    logs: list[str] = []
    duration_ms: float = 0.0
    error: dict[str, Any] | None = None


class SuiteResult(Struct, frozen=True):
    """The stored vectors' outcomes: each of ``cases`` is ``{name, passed, expected, got, error}``.

    A vector is ``{name, payload | text | hex, metadata, receivedAt, output}``; ``output`` is what the script
    returns, or the telemetry that it becomes.
    """

    passed: int
    failed: int
    cases: list[dict[str, Any]]


class Replay(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Which stored messages run through which candidate: the newest ``limit`` of this converter's messages
    that the filters leave. The candidate is a draft ``script`` or a ``version``."""

    script: str | None = None
    version: int | None = None
    dialect: str = "auto"
    engine: str = "auto"
    options: dict[str, Any] | None = None
    datasource: str | None = None
    device: str | None = None
    since: Milliseconds = 0
    until: Annotated[Milliseconds, Meta(description="0 for now")] = 0
    limit: Annotated[int, Meta(ge=1, le=BULK)] = 1000


class ReplayResult(Struct, frozen=True, rename="camel"):
    """How the candidate compares with the active version, with samples of what differs."""

    count: int = 0
    same: int = 0
    changed: int = 0
    fixed: int = 0
    newly_failing: int = 0
    still_failing: int = 0
    samples: list[dict[str, Any]] = []


class Trials:
    """The routes that try converters out. ``find(call, name)`` gives a converter's resource."""

    def __init__(self, parts: Parts, find: Callable[[Call, str], Resource]) -> None:
        self._parts = parts
        self._find = find
        self._messages = Messages(parts)

    def routes(self) -> list[Route]:
        """Test, test-suite, replay."""
        write, one = Permission.WRITE, "/converters/<name>"
        any_one = "/converters/<path:name>"  # the names of bundled converters have slashes
        return [
            Route("POST", "/converters/test", write, self.test_draft, "Try an unsaved script", Trial, TrialResult),
            Route("POST", f"{any_one}/test", write, self.test, "Try a converter", Trial, TrialResult),
            Route("POST", f"{one}/test-suite", write, self.suite, "Run a converter's vectors", answer=SuiteResult),
            Route(
                "POST", f"{one}/replay", write, self.replay,
                "Run stored messages through a candidate beside the active version", Replay, ReplayResult,
            ),
        ]  # fmt: skip

    async def test_draft(self, call: Call) -> Any:
        """An unsaved script on one input."""
        trial = call.body()
        if trial.script is None and trial.decoder is None:
            raise SettingsError("script", "expected a script to try")
        return await self._run(call, trial, None)

    async def test(self, call: Call, name: str) -> Any:
        """A saved (or bundled) converter, or a draft in its place, on one input."""
        return await self._run(call, call.body(), name)

    async def _run(self, call: Call, trial: Trial, name: str | None) -> Any:
        try:
            version = await self._candidate(call, trial, name)
        except SettingsError as error:
            if error.path != "script":
                raise
            return TrialResult(error=_syntax_error(error.problem))
        if version.direction == "DOWNLINK":
            return await self._encode(trial, version)
        payload, metadata, received_ms = await self._input(call, trial)
        return await self._parts.converters.test(version, payload, metadata, received_ms)

    async def _encode(self, trial: Trial, version: ConverterVersion) -> TrialResult:
        try:
            result = await self._parts.converters.encode(
                version, trial.msg, trial.metadata or {}, trial.msg_type, trial.integration_metadata
            )
        except ConversionFailed as failed:
            return TrialResult(error=msgspec.to_builtins(failed.error))
        return TrialResult(result)

    async def _candidate(self, call: Call, trial: Any, name: str | None) -> ConverterVersion:
        active = self._active(call, name) if name is not None else None
        script = trial.script if trial.script is not None else getattr(trial, "decoder", None)
        if script is not None:
            options = trial.options or (active.options if active else {})
            direction = active.direction if active else getattr(trial, "type", "UPLINK")
            spec = msgspec.convert(
                {
                    "name": name or "draft", "script": script, "dialect": trial.dialect,
                    "engine": trial.engine, "type": direction, "options": options,
                },
                ConverterSpec,
            )  # fmt: skip
            dialect, engine = await self._parts.converters.compile(spec)
            limit = active.time_limit if active else 0.25
            return ConverterVersion(
                "draft", _fingerprint(spec), spec.name, spec.type, script, dialect, engine, call.tenant, limit,
                spec.options,
            )  # fmt: skip
        assert active is not None and name is not None
        if trial.version is None or trial.version == active.version:
            return active
        for _, version in self._parts.versions.versions(self._find(call, name)):
            if version.version == trial.version:
                return version
        raise NotFound(f"converter {name!r} has no version {trial.version}")

    def _active(self, call: Call, name: str) -> ConverterVersion:
        return self._parts.versions.active(call.tenant, name)

    async def _input(self, call: Call, trial: Trial) -> tuple[bytes, dict[str, Any], int]:
        now = trial.received_at if trial.received_at is not None else self._parts.now_ms()
        if trial.message_id is not None:
            uplink = (await self._messages.find(call, trial.message_id)).uplink
            metadata = trial.metadata if trial.metadata is not None else msgspec.json.decode(uplink.metadata)
            return uplink.payload, metadata, uplink.received_ms
        return payload_of(structs.asdict(trial)), trial.metadata or {}, now

    async def suite(self, call: Call, name: str) -> SuiteResult:
        """The vectors that are kept with a converter, on its active version."""
        resource = self._find(call, name)
        version = self._active(call, resource.id)
        cases = [await self._case(version, vector) for vector in resource.body.get("tests", [])]
        passed = sum(case["passed"] for case in cases)
        return SuiteResult(passed, len(cases) - passed, cases)

    async def _case(self, version: ConverterVersion, vector: dict[str, Any]) -> dict[str, Any]:
        answer = await self._parts.converters.test(
            version, payload_of(vector), vector.get("metadata", {}), vector.get("receivedAt", 0)
        )
        result = msgspec.to_builtins(answer)
        expected = vector.get("output")
        got, error = result.get("result"), result.get("error")
        passed = error is None and expected in (got, result.get("telemetry"))
        return {
            "name": vector.get("name", ""), "passed": passed, "expected": expected, "got": got, "error": error,
        }  # fmt: skip

    async def replay(self, call: Call, name: str) -> ReplayResult:
        """Stored messages through the active version and a candidate."""
        wanted = call.body()
        if wanted.script is None and wanted.version is None:
            raise SettingsError(
                "script", "expected a draft script or a version to compare with the active one"
            )
        active = self._active(call, name)
        candidate = await self._candidate(call, wanted, name)
        tally = _Tally()
        async for batch in self._stored(call, wanted, active.id):
            before = await self._convert(active, batch)
            after = await self._convert(candidate, batch)
            for message, old, new in zip(batch, before, after, strict=True):
                tally.note(f"{self._parts.journal.epoch}-{message.seq}", old, new)
        return tally.result()

    async def _stored(self, call: Call, wanted: Replay, converter: str) -> Any:
        """Batches of the messages that this converter had, newest first."""
        left, before = wanted.limit, 0
        datasource = self._messages.datasource_id(call, wanted.datasource)
        while left > 0:
            found = await self._parts.journal.messages(
                call.tenant, before, BATCH, datasource=datasource, device=wanted.device
            )
            if not found or found[-1].seq == before:
                return
            before = found[-1].seq
            batch = [
                message
                for message in found
                if (datasource or message.converter.partition("/")[0] == converter)
                and wanted.since <= message.uplink.received_ms
                and (not wanted.until or message.uplink.received_ms < wanted.until)
            ][:left]
            left -= len(batch)
            if batch:
                yield batch
            if found[-1].uplink.received_ms < wanted.since:
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
        self._parts.converters.convert(jobs, done.callback)
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


def payload_of(source: dict[str, Any]) -> bytes:
    """The bytes that ``text``, ``hex`` or ``payload`` (base64) gives; raises SettingsError."""
    if (text := source.get("text")) is not None:
        return str(text).encode()
    if (digits := source.get("hex")) is not None:
        try:
            return bytes.fromhex(digits)
        except ValueError as error:
            raise SettingsError("hex", f"expected pairs of hexadecimal digits: {error}") from error
    return decoded(source.get("payload") or "")


def _fingerprint(spec: ConverterSpec) -> int:
    """A draft's version number: workers keep compiled scripts by it, so each draft needs its own."""
    return int.from_bytes(hashlib.sha256(msgspec.json.encode(spec)).digest()[:6])


def _syntax_error(problem: str) -> dict[str, Any]:
    """A script that doesn't compile, as an error of the trial."""
    error: dict[str, Any] = {"name": "SyntaxError", "message": problem, "stage": "compile"}
    if place := _PLACE.search(problem):
        error["line"] = int(place[1])
        error["column"] = int(place[2]) if place[2] else None
    return error

"""Trying converters out: on one payload, or on the vectors that are kept with them.

Nothing here is delivered or stored. A script's error is a result (200), not a failure of the request.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, structs

from iotgw.api.auth import Permission
from iotgw.api.candidates import Candidates, at_most_one
from iotgw.api.datasources import decoded
from iotgw.api.described import DraftDialect, DraftEngine, DraftFiles, DraftScript, SavedVersion
from iotgw.api.messages import MessageRoutes
from iotgw.api.routes import Call, Milliseconds, Route
from iotgw.core import plain_json
from iotgw.core.errors import ConversionFailed, SettingsError, Undecided
from iotgw.core.model import ConverterVersion, Uplink
from iotgw.core.ports.clock import IDates
from iotgw.core.ports.converters import IConverters
from iotgw.core.times import DateMs
from iotgw.core.validate import convert

_decode = plain_json.reader()
_PLACE = re.compile(r"line (\d{1,9})(?:, column (\d{1,9}))?", re.ASCII)


class Trial(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """One conversion to try. The input is ``payload`` (base64), ``text``, ``hex`` or a stored message's.

    ``script`` is an unsaved draft (ThingsBoard's name ``decoder`` is understood too), ``version`` an older
    one. A downlink converter takes ``msg``, ``msg_type`` and ``integration_metadata`` instead.
    """

    payload: Annotated[str | None, Meta(description="The input's bytes in base64.")] = None
    text: Annotated[str | None, Meta(description="The input as text; instead of `payload`.")] = None
    hex: Annotated[str | None, Meta(description="The input in hexadecimal; instead of `payload`.")] = None
    message_id: Annotated[
        str | None, Meta(description="The stored message that is the input; instead of `payload`.")
    ] = None
    metadata: Annotated[
        dict[str, Any] | None,
        Meta(description="The input's metadata; a stored message's own where it is missing."),
    ] = None
    received_at: Annotated[
        Milliseconds | None,
        Meta(
            description="Milliseconds since 1970 when the input is said to be received; now where it is missing."
        ),
    ] = None
    script: DraftScript = None
    files: DraftFiles = None
    decoder: Annotated[str | None, Meta(description="ThingsBoard's name for `script`.")] = None
    dialect: DraftDialect = "auto"
    engine: DraftEngine = "auto"
    type: Annotated[Literal["UPLINK", "DOWNLINK"], Meta(description="Which way the draft converts.")] = (
        "UPLINK"
    )
    options: Annotated[dict[str, Any], Meta(description="The draft's options, which its script reads.")] = {}
    version: SavedVersion = None
    msg: Annotated[Any, Meta(description="What a downlink converter gets instead of bytes.")] = None
    msg_type: Annotated[str, Meta(description="The kind of that message.")] = ""
    integration_metadata: Annotated[
        dict[str, Any], Meta(description="The metadata of what the message came from.")
    ] = {}

    def __post_init__(self) -> None:
        """Refuse two inputs, and two versions."""
        at_most_one(self, "payload", "text", "hex", "message_id")
        at_most_one(self, "script", "decoder", "version")


class TrialResult(Struct, frozen=True, rename="camel"):
    """The result of a trial."""

    result: Annotated[Any, Meta(description="What the script returned.")] = None
    telemetry: Annotated[list[Any], Meta(description="What that becomes: messages of devices.")] = []
    warnings: Annotated[list[str], Meta(description="What the gateway left out of it, and why.")] = []
    logs: Annotated[list[str], Meta(description="What the script logged.")] = []
    duration_ms: Annotated[float, Meta(description="Milliseconds that it took.")] = 0.0
    error: Annotated[
        dict[str, Any] | None, Meta(description="Why it failed, with line and column; else null.")
    ] = None


class Vector(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What a converter must make of an input: ``output`` is what the script returns, or the telemetry that it
    becomes. The input is ``payload`` (base64), ``text`` or ``hex``."""

    output: Any
    name: str = ""
    payload: str | None = None
    text: str | None = None
    hex: str | None = None
    metadata: dict[str, Any] = {}
    received_at: Milliseconds = 0

    def __post_init__(self) -> None:
        """Refuse two inputs."""
        at_most_one(self, "payload", "text", "hex")


class SuiteResult(Struct, frozen=True):
    """The stored vectors' outcomes."""

    passed: Annotated[int, Meta(description="How many vectors passed.")]
    failed: Annotated[int, Meta(description="How many didn't.")]
    cases: Annotated[
        list[dict[str, Any]],
        Meta(description="Each vector's outcome: `{name, passed, expected, got, error}`."),
    ]


class TrialRoutes:
    """The routes that try converters out."""

    def __init__(
        self, candidates: Candidates, trials: IConverters, messages: MessageRoutes, dates: IDates
    ) -> None:
        self._candidates = candidates
        self._trials = trials
        self._messages = messages
        self._dates = dates

    def routes(self) -> list[Route]:
        """Test, test-suite."""
        write, one = Permission.WRITE, "/converters/<name>"
        any_one = "/converters/<path:name>"  # the names of bundled converters have slashes
        return [
            Route(
                "POST",
                "/converters/test",
                write,
                self.test_draft,
                "Try an unsaved script",
                Trial,
                TrialResult,
            ),
            Route("POST", f"{any_one}/test", write, self.test, "Try a converter", Trial, TrialResult),
            Route(
                "POST",
                f"{one}/test-suite",
                write,
                self.suite,
                "Run a converter's vectors",
                answer=SuiteResult,
            ),
        ]

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
        if trial.script is None and trial.decoder is not None:
            trial = structs.replace(trial, script=trial.decoder, decoder=None)
        try:
            version = await self._version(call, trial, name)
        except SettingsError as error:
            if error.path != "script":
                raise
            return TrialResult(error=_syntax_error(error.problem))
        version = structs.replace(
            version, tenant=call.tenant
        )  # whose share it is of, also where it is bundled
        if version.direction == "DOWNLINK":
            return await self._encode(trial, version)
        payload, metadata, received_ms = await self._input(call, trial)
        return await self._trials.test(version, payload, metadata, received_ms)

    async def _version(self, call: Call, trial: Trial, name: str | None) -> ConverterVersion:
        """What is tried. The input decides of which dialect a draft is that may be of several."""
        try:
            return await self._candidates.get(call, trial, name, trial.type)
        except Undecided:
            payload, metadata, received_ms = await self._input(call, trial)
            sample = Uplink(call.tenant, "", DateMs(received_ms), payload, msgspec.json.encode(metadata))
            return await self._candidates.get(call, trial, name, trial.type, [sample])

    async def _encode(self, trial: Trial, version: ConverterVersion) -> TrialResult:
        try:
            result = await self._trials.encode(
                version, trial.msg, trial.metadata or {}, trial.msg_type, trial.integration_metadata
            )
        except ConversionFailed as failed:
            return TrialResult(error=msgspec.to_builtins(failed.error))
        return TrialResult(result)

    async def _input(self, call: Call, trial: Trial) -> tuple[bytes, dict[str, Any], int]:
        now = trial.received_at if trial.received_at is not None else int(self._dates.seconds() * 1000)
        if trial.message_id is not None:
            uplink = (await self._messages.find(call, trial.message_id)).uplink
            metadata = trial.metadata if trial.metadata is not None else _decode(uplink.metadata)
            return uplink.payload, metadata, uplink.received_ms
        return payload_of(trial), trial.metadata or {}, now

    async def suite(self, call: Call, name: str) -> SuiteResult:
        """The vectors that are kept with a converter, on its active version."""
        resource = self._candidates.find(call, name)
        version = structs.replace(self._candidates.active(call, resource.id), tenant=call.tenant)
        return await run_suite(self._trials, version, resource.body.get("tests", []))


async def run_suite(
    trials: IConverters, version: ConverterVersion, tests: list[dict[str, Any]]
) -> SuiteResult:
    """Run a converter's vectors; raises SettingsError for one that is none."""
    cases = [await _case(trials, version, vector) for vector in vectors(tests)]
    passed = sum(case["passed"] for case in cases)
    return SuiteResult(passed, len(cases) - passed, cases)


async def _case(trials: IConverters, version: ConverterVersion, vector: Vector) -> dict[str, Any]:
    payload = payload_of(vector)
    answer = await trials.test(version, payload, vector.metadata, vector.received_at)
    result = msgspec.to_builtins(answer)
    got, error = result.get("result"), result.get("error")
    passed = error is None and vector.output in (got, result.get("telemetry"))
    return {
        "name": vector.name, "passed": passed, "expected": vector.output, "got": got, "error": error,
    }  # fmt: skip


def vectors(tests: list[dict[str, Any]]) -> list[Vector]:
    """The vectors of a converter's ``tests``; raises SettingsError."""
    found = [convert(test, Vector, f"tests[{index}]") for index, test in enumerate(tests)]
    for index, vector in enumerate(found):
        payload_of(vector, f"tests[{index}].")
    return found


def payload_of(source: Trial | Vector, place: str = "") -> bytes:
    """The bytes that ``text``, ``hex`` or ``payload`` (base64) gives; raises SettingsError."""
    if source.text is not None:
        return source.text.encode()
    if source.hex is not None:
        try:
            return bytes.fromhex(source.hex)
        except ValueError as error:
            raise SettingsError(f"{place}hex", f"expected pairs of hexadecimal digits: {error}") from error
    return decoded(source.payload or "", f"{place}payload")


def _syntax_error(problem: str) -> dict[str, Any]:
    """A script that doesn't compile, as an error of the trial."""
    error: dict[str, Any] = {"name": "SyntaxError", "message": problem, "stage": "compile"}
    if place := _PLACE.search(problem):
        error["line"] = int(place[1])
        error["column"] = int(place[2]) if place[2] else None
    return error

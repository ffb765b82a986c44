"""What a worker does with a script besides running it for uplinks: load it, compile it, try it, encode with it."""

from __future__ import annotations

import json
import re
import time
from collections import OrderedDict
from typing import Any

import msgspec

from iotgw.converters import position, tbel
from iotgw.converters.bodies import is_tago
from iotgw.converters.careful import careful, placed
from iotgw.converters.dialect import ENTRIES, Dialect, detect, named
from iotgw.converters.downlink import Encoded, encoded
from iotgw.converters.engines import ConverterEngine, Stopped
from iotgw.converters.loading import HEAP, ScriptCode, checker, loading_time, look_order
from iotgw.converters.output import OutputRefused
from iotgw.converters.protocol import ScriptCall
from iotgw.converters.script import LIMITS, Arm, Engines, LoadFailed, Script, load
from iotgw.converters.tbel.detection import is_tbel_in_javascript, looks_like_tbel
from iotgw.converters.translation import Compiles, pieces, translated
from iotgw.converters.vectors import DialectTrials
from iotgw.core.errors import SettingsError, Undecided
from iotgw.core.model import Conversion, ConversionError, ConverterVersion
from iotgw.core.specs import ConverterSpec


def attempt(what: str, body: dict[str, Any], engines: Engines, arm: Arm) -> bytes:
    """Do what a person asked for, in JSON. A script's failure is part of the answer."""
    if what == "compile":
        answer: Any = compile_(body, engines, arm)
    elif what == "test":
        answer = test(body, engines, arm)
    else:
        answer = encode(body, engines, arm)
    return msgspec.json.encode(answer)


# --- compile ---


def compile_(body: dict[str, Any], engines: Engines, arm: Arm) -> dict[str, Any]:
    """Find engine and dialect of a `ConverterSpec`: ``{dialect, engine}`` or ``{path, problem}``, with the ``choices`` where
    neither its vectors nor the ``samples`` (payload, metadata, ms of receipt) decide."""
    spec = msgspec.convert(body["spec"], ConverterSpec)
    limit: float = body["timeLimit"]
    try:
        if _is_tbel(spec, engines, limit, arm):
            name, dialect = tbel.ENGINE, named(tbel.DIALECT, spec.type)
        else:
            name, engine, code = _engine_for(spec, engines, limit, arm)
            arm(limit + 0.1 + loading_time(len(code.text)))
            try:
                dialect = _dialect(spec, engine, code)
            except Undecided as undecided:
                bench = DialectTrials(spec, name, engines, limit, arm)
                found = bench.by_vectors(undecided.choices)
                found = found or bench.by_samples(undecided.choices, body.get("samples", ()))
                if found is None:
                    raise
                dialect = named(found, spec.type)
        version = ConverterVersion(
            "draft", 0, spec.name, spec.type, spec.script, dialect.name, name, time_limit=limit,
            options=spec.options, files=spec.files,
        )  # fmt: skip
        arm(limit * 2 + 0.2 + loading_time(version.length, version.dialect))
        load(version, engines)
    except Undecided as undecided:
        return {"path": undecided.path, "problem": undecided.problem, "choices": undecided.choices}
    except SettingsError as error:
        return {"path": error.path, "problem": error.problem}
    except LoadFailed as failed:
        error_ = failed.error
        return {"path": "script", "problem": _place(error_), "line": error_.line, "column": error_.column}
    except Stopped:
        return {"path": "script", "problem": f"the script did not load within {limit * 1000:.0f} ms"}
    return {"dialect": dialect.name, "engine": name}


def _is_tbel(spec: ConverterSpec, engines: Engines, limit: float, arm: Arm) -> bool:
    """Whether a script is TBEL: because its dialect says so, or since it is no JavaScript, or calls what only TBEL has.

    Raises LoadFailed for one that looks like TBEL and isn't right, SettingsError where it can't be run.
    """
    if spec.dialect not in ("auto", tbel.DIALECT):
        return False
    arm(limit + 0.2 + loading_time(len(spec.script), tbel.DIALECT))
    is_found = spec.dialect == "auto"
    compiles = checker((engines.get(tbel.ENGINE) or next(iter(engines.values())))(limit, HEAP, ""))
    if is_found and compiles(spec.script) and not is_tbel_in_javascript(spec.script, spec.type):
        return False
    try:
        tbel.translated(spec.script, spec.type)
    except tbel.TbelError as error:
        arm(limit + 0.1 + loading_time(len(spec.script)))
        if is_found and (not looks_like_tbel(spec.script) or _is_typescript(spec.script, compiles)):
            return False
        placed = error.placed(spec.script)
        raise LoadFailed(msgspec.structs.replace(placed, message=f"not TBEL: {placed.message}")) from error
    if spec.engine not in ("auto", tbel.ENGINE) or tbel.ENGINE not in engines:
        raise SettingsError("engine", f"TBEL runs in {tbel.ENGINE}, got {spec.engine!r}")
    if spec.files:
        raise SettingsError("files", "expected none, since TBEL has no way to name them")
    return True


def _is_typescript(script: str, compiles: Compiles) -> bool:
    """Whether a script that isn't JavaScript is TypeScript, or a module."""
    try:
        return compiles(translated(script, compiles))
    except SettingsError:
        return False


def _dialect(spec: ConverterSpec, engine: ConverterEngine, code: ScriptCode) -> Dialect:
    if spec.dialect != "auto":
        return named(spec.dialect, spec.type)
    # both engines agree on what is a program, and Duktape takes a stray `return` for one
    is_body = "true" not in engine.call("program", json.dumps(code.script))
    if not is_body and spec.type == "UPLINK" and is_tago(code.script):
        return named("tago", "UPLINK")
    others = "\n".join(part.source for part in code.parts[1:])
    return detect(code.script, spec.type, is_body, [] if is_body else _names(engine, code), others)


def _engine_for(
    spec: ConverterSpec, engines: Engines, limit: float, arm: Arm
) -> tuple[str, ConverterEngine, ScriptCode]:
    wanted = list(engines) if spec.engine == "auto" else [spec.engine]
    text = "\n".join((spec.script, *spec.files.values()))
    if len(wanted) > 1 and (pattern := _only_in_quickjs(engines)) and pattern.search(text):
        wanted = ["quickjs"]
    error: ConversionError | None = None
    for name in wanted:
        if name not in engines:
            raise SettingsError("engine", f"expected one of {', '.join(engines)} here, got {name!r}")
        arm(limit + 0.1 + loading_time(len(text)))
        code = ScriptCode(tuple(pieces(spec.script, spec.files, checker(engines[name](limit, HEAP, "")))))
        engine = engines[name](limit, HEAP, code.text)
        error = _problem(code, engine, engines)
        if error is None:
            return name, engine, code
    assert error is not None
    raise LoadFailed(error)


def _problem(code: ScriptCode, engine: ConverterEngine, engines: Engines) -> ConversionError | None:
    """Why one of the files doesn't compile."""
    for part in code.parts:
        if part.name.endswith(".json"):
            continue
        answer = engine.call("compile", json.dumps(part.source))
        if answer != "{}":
            answer = answer if answer.isascii() else engine.call("ascii", "")
            error = _columned(position.explain(answer, engine.line_offset)[0], part.source, engines)
            return msgspec.structs.replace(error, file="" if part is code.parts[0] else part.name)
    return None


def _only_in_quickjs(engines: Engines) -> re.Pattern[str] | None:
    """What finds built-ins in a script that Duktape, with what the runtime adds, does not have.

    A script may compile in Duktape and then miss ``BigInt`` or ``codePointAt``. A name too many does no
    harm: QuickJS runs whatever Duktape runs.
    """
    if "pattern" not in _cache:
        duktape, quickjs = (
            json.loads(engines[name](1.0, HEAP, "Buffer").call("names", ""))
            for name in ("duktape", "quickjs")
        )
        known = {*duktape["members"], *duktape["globals"], *_COMMON}
        members = sorted(set(quickjs["members"]) - known)
        globals_ = sorted(set(quickjs["globals"]) - known)
        _cache["pattern"] = re.compile(
            rf"\.\s*(?:{'|'.join(map(re.escape, members))})\s*\(|(?<![\w$.])(?:{'|'.join(globals_)})(?![\w$])"
        )
    return _cache["pattern"]


_cache: dict[str, re.Pattern[str]] = {}
_COMMON = ("next", "return", "throw", "add", "raw")
"""Names that scripts give to their own functions."""


def _columned(error: ConversionError, script: str, engines: Engines) -> ConversionError:
    """The same syntax error as QuickJS tells it, which knows columns."""
    if error.column is None and error.name == "SyntaxError" and "quickjs" in engines and not error.file:
        engine = engines["quickjs"](0.25, HEAP, script)
        answer = engine.call("compile", json.dumps(script))
        if answer.startswith("!"):
            told = position.explain(answer, engine.line_offset)[0]
            if told.line is not None:
                return told
    return error


class _Found(msgspec.Struct):
    names: list[str]


_names_in = msgspec.json.Decoder(_Found).decode
_UNREADABLE = "the script changes how JSON is written (a `toJSON` of all lists or objects), so nothing can be read of it"


def _names(engine: ConverterEngine, code: ScriptCode) -> list[str]:
    answer = engine.call("load", look_order(ENTRIES, code))
    if not answer.isascii():
        answer = engine.call("ascii", "")
    if answer.startswith("!"):
        raise LoadFailed(*position.explain(answer, engine.line_offset, code.place))
    try:
        return _names_in(answer).names
    except msgspec.DecodeError:
        raise LoadFailed(ConversionError(_UNREADABLE, stage="load")) from None


def _place(error: ConversionError) -> str:
    where = f"{error.file}, " if error.file else ""
    where += "" if error.line is None else f"line {error.line}, "
    where += "" if error.column is None else f"column {error.column}, "
    return f"{where.rstrip(', ')}{': ' if where else ''}{error.name}: {error.message}"


# --- try ---


_NOTHING: dict[str, Any] = {"result": None, "telemetry": [], "warnings": [], "logs": [], "acks": []}


def test(body: dict[str, Any], engines: Engines, arm: Arm) -> dict[str, Any]:
    """One conversion for a person: what the script returned, and what came of it."""
    version = msgspec.convert(body["version"], ConverterVersion)
    call = ScriptCall(0, body["payload"], body["metadata"], body["receivedMs"])
    state = b"{}" if version.options.get("state") else b""
    started = time.process_time()
    raw: Any = None
    hanging = careful(version, call, state, engines, arm) if body.get("careful") else None
    if hanging is not None:
        return {**_NOTHING, "durationMs": version.time_limit * 1000, "error": hanging.error}
    try:
        arm(version.time_limit + 0.1 + loading_time(version.length, version.dialect))
        script = load(version, engines)
        arm(
            version.time_limit
            + (0.03 if version.engine == "quickjs" else 0)
            + loading_time(version.length, version.dialect)
        )
        started = time.process_time()
        conversion, _ = script.convert(call.payload, call.metadata, call.received_ms, state)
        spent = time.process_time() - started
        raw = script.last
        conversion = placed(script, conversion, call, state, engines, arm)
    except LoadFailed as failed:
        spent = time.process_time() - started
        conversion = Conversion(error=failed.error, logs=failed.logs)
    return {
        "result": raw,
        "telemetry": [msgspec.Raw(output.body) for output in conversion.outputs],
        "warnings": conversion.warnings,
        "logs": conversion.logs,
        "acks": [msgspec.Raw(ack) for ack in conversion.acks],
        **_said(conversion),
        "durationMs": round(spent * 1000, 3),
        "error": conversion.error,
    }


def _said(conversion: Conversion) -> dict[str, Any]:
    """What the converter says to the sender: the reply with its bytes in hex, and the facts of the connection."""
    aside = conversion.aside
    if aside is None:
        return {}
    said: dict[str, Any] = {"session": aside.facts} if aside.facts else {}
    if aside.reply is not None:
        said["reply"] = {"contentType": aside.reply.content_type, "hex": aside.reply.payload.hex()}
        if aside.reply.topic:
            said["reply"]["topic"] = aside.reply.topic
    return said


_encoders: OrderedDict[str, Script] = OrderedDict()
_ENCODERS = 32


def encode(body: dict[str, Any], engines: Engines, arm: Arm) -> dict[str, Any]:
    """Run a downlink converter: ``{contentType, data, metadata, warnings, decoded, logs, error}``."""
    version = msgspec.convert(body["version"], ConverterVersion)
    place = f"{version.tenant}/{version.key}"
    made = Encoded()
    try:
        arm(version.time_limit + 0.1 + loading_time(version.length, version.dialect))
        script = _encoders.get(place)
        if script is None or script.version != version:
            script = _encoders[place] = load(version, engines)
        _encoders.move_to_end(place)
        if len(_encoders) > _ENCODERS:
            _encoders.popitem(last=False)
        arm(
            version.time_limit
            + (0.03 if version.engine == "quickjs" else 0)
            + loading_time(version.length, version.dialect)
        )
        arguments = json.dumps([body["message"], body["metadata"], *divmod(body["receivedMs"], 1_000_000)])
        result, also, error = script.call(arguments)
    except LoadFailed as failed:
        return {**msgspec.to_builtins(made), "logs": failed.logs, "error": failed.error}
    if error is None:
        try:
            made = encoded(script.dialect, result)
        except OutputRefused as refused:
            error = ConversionError(str(refused), name="OutputError")
    elif error.name in LIMITS:
        del _encoders[place]
    return {**msgspec.to_builtins(made), "logs": also.get("logs", []), "error": error}

"""A converter version in a JavaScript context of its own: one message in, a `model.Conversion` out."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any, TypedDict

import msgspec
from msgspec import Raw

from iotgw.converters import beside, position, tbel
from iotgw.converters.dialect import Dialect, named, reads_metadata
from iotgw.converters.engines import ConverterEngine, Make, Stopped
from iotgw.converters.enveloped import advice, network_of, reads_documents
from iotgw.converters.foreign import Reported, interpret
from iotgw.converters.framed import FRAME, unwrapped
from iotgw.converters.jsontext import decode
from iotgw.converters.loading import HEAP, ScriptCode, load_order, sources
from iotgw.converters.options import ConverterOptions, limited, read
from iotgw.converters.output import Changed, OutputRefused, check
from iotgw.converters.plain import plain
from iotgw.core.errors import SettingsError
from iotgw.core.model import Conversion, ConversionError, ConverterVersion

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

TIME_LIMIT = "TimeLimit"
MEMORY_LIMIT = "MemoryLimit"
LIMITS = (TIME_LIMIT, MEMORY_LIMIT)
MAX_STATE = 16 << 10
"""Bytes of what a script may keep of one device, as JSON."""

Engines = dict[str, Make]
"""Engines by name; see `iotgw.converters.engines.available`."""
Arm = Callable[[float], None]
"""``arm(seconds)``: the kernel ends this process unless it is called again within that CPU time; 0 is never."""

NO_RESULT = "~"
"""The runtime's answer when a script returned nothing."""
SPENT = "?"
"""The runtime's answer when an earlier message has changed what can't be put right in this context."""

ODD = 20
"""After so many results in a row that aren't plain, a script's are no more looked at as such."""

_BRACES = (b"{", b"[")
_NOTHING: dict[str, Any] = {}
_NO_MEMORY = ("alloc failed", "out of memory")


class _Also(TypedDict, total=False):
    """What happened beside a result."""

    logs: list[str]
    state: Any
    time: Any


class LoadFailed(Exception):
    """The script can't be made ready; ``error`` is the `model.ConversionError`."""

    def __init__(self, error: ConversionError, logs: tuple[str, ...] = ()) -> None:
        super().__init__(error.message)
        self.error = error
        self.logs = logs


class Script:
    """A script that is ready to run, and finds its initial state with every message. Raises LoadFailed.

    ``engine`` is a fresh one, ``code`` the version's files as it takes them, and ``renew`` makes another for a script
    that can't be put right in it.
    """

    def __init__(
        self,
        version: ConverterVersion,
        engine: ConverterEngine,
        code: ScriptCode,
        changed: Changed | None = None,
        renew: Callable[[], ConverterEngine] | None = None,
    ) -> None:
        self.version = version
        self.engine = engine
        self.code = code
        self.dialect: Dialect = named(version.dialect, version.direction)
        self.options: ConverterOptions = read(version.options)
        self.is_place_vague = False
        """Whether the engine stopped the script in a loop whose place it doesn't know."""
        self._answer = NO_RESULT
        nested = self.options.nested
        self._nested = ("refuse" if self.dialect.native else "flatten") if nested == "auto" else nested
        self._changed = changed if self.options.update_only_keys else None
        self._is_native = self.dialect.native
        self._may_be_plain = ODD if self._is_native and self._changed is None else 0
        self._takes_frames = self.dialect.takes_frames and not reads_documents(code.script)
        self._reads_metadata = reads_metadata(self.dialect, code.script)
        self._says = beside.names(version)
        self._run = engine.run
        self._renew = renew
        self._order, self.has_context_per_call = load_order(self.dialect, version, code)
        self._is_used = False
        self._load()

    def convert(
        self, payload: bytes, metadata: bytes, received_ms: int, state: bytes = b""
    ) -> tuple[Conversion, bytes]:
        """Run the script for one uplink. Returns the conversion, and the new state if that has changed."""
        if not self._is_native and metadata.find(FRAME) >= 0:
            framed = unwrapped(metadata, received_ms)
            if framed is not None:
                payload, received_ms = framed
                if not payload:
                    return Conversion(), b""
        if self._takes_frames and payload[:1] in _BRACES and (network := network_of(payload)) is not None:
            return Conversion(error=ConversionError(advice(network), name="EnvelopeError")), b""
        told = metadata if self._reads_metadata else b""
        arguments = [list(payload), Raw(_ascii(told)), *divmod(received_ms, 1_000_000)]
        if state:
            arguments.append(Raw(_ascii(state)))
        answer, also, error = self._called(str(_encode(arguments), "ascii"))
        if self._may_be_plain and also is _NOTHING and answer[0] == "{":
            output = plain(answer, received_ms)
            if output is not None:
                self._may_be_plain = ODD
                return Conversion((output,)), b""
            self._may_be_plain -= 1
        result, error = self._read(answer, error)
        logs = tuple(also.get("logs", ())) if also else ()
        if error is not None:
            return Conversion(error=error, logs=logs), b""
        warnings: list[str] = []
        try:
            if not self._is_native and result is not None:
                result, warnings = interpret(
                    self.dialect.name,
                    result,
                    _decode(metadata or b"{}"),
                    self.options.template,
                    also.get("time", 0),
                )
            checked = check(result, received_ms, self._nested, self._changed, self._says)
        except (OutputRefused, Reported) as refused:
            name = "OutputError" if isinstance(refused, OutputRefused) else "ReportedError"
            return Conversion(error=self._refused(str(refused), name), logs=logs), b""
        conversion = Conversion(
            tuple(checked.outputs),
            None,
            tuple(warnings + checked.warnings),
            logs,
            tuple(checked.acks),
            checked.aside if checked.maker is not None else None,
        )
        if not also or "state" not in also:
            return conversion, b""
        new_state = msgspec.json.encode(also["state"])
        if len(new_state) > MAX_STATE:
            problem = f"expected at most {MAX_STATE} bytes of state per device, got {len(new_state)}"
            return Conversion(error=ConversionError(problem, name="StateError"), logs=logs), b""
        return conversion, new_state

    def call(self, arguments: str) -> tuple[Any, dict[str, Any], ConversionError | None]:
        """Run the script on the runtime's arguments: its result, what else happened, or an error."""
        answer, also, error = self._called(arguments)
        result, error = self._read(answer, error)
        return result, also, error

    @property
    def last(self) -> Any:
        """What the script returned last, as JSON values; None if there was an error."""
        return self._read(self._answer, None)[0]

    def _called(self, arguments: str) -> tuple[str, dict[str, Any], ConversionError | None]:
        """Run the script: its result as JSON, or `NO_RESULT`; what else happened; or an error."""
        self._answer = NO_RESULT
        try:
            if self.has_context_per_call:
                self._begin_anew()
            answer = self._run(arguments)
            if answer == SPENT:
                self._is_used = True
                self._begin_anew()
                answer = self._run(arguments)
            if not answer.isascii():
                answer = self.engine.call("ascii", "")
        except Stopped as stopped:
            return NO_RESULT, _NOTHING, self.stopped(str(stopped))
        except LoadFailed as failed:
            return NO_RESULT, {"logs": failed.logs}, failed.error
        also = _NOTHING
        try:
            if answer[0] == "!":
                error, logs = position.explain(answer, self.engine.line_offset, self.code.place)
                if error.name == "ResultError":
                    place = self._refused(error.message, "OutputError")
                    error = (
                        place if error.line is None else msgspec.structs.replace(error, name="OutputError")
                    )
                return NO_RESULT, {"logs": logs}, _limit(error)
            if answer[0] == "+":
                head, _, answer = answer[1:].partition("\n")
                also = msgspec.convert(decode(head), _Also)  # a script may change how lists are written
        except (msgspec.DecodeError, RecursionError) as error:
            return NO_RESULT, also, self._unreadable(error)
        self._answer = answer
        return answer, also, None

    def _read(self, answer: str, error: ConversionError | None) -> tuple[Any, ConversionError | None]:
        """The values of a result, unless there is an error already."""
        if answer == NO_RESULT:
            return None, error
        try:
            return decode(answer), error
        except (msgspec.DecodeError, RecursionError) as unreadable:
            return None, self._unreadable(unreadable)

    def _unreadable(self, error: Exception) -> ConversionError:
        return self._refused(f"the result can't be read: {error}", "OutputError")

    def _refused(self, message: str, name: str) -> ConversionError:
        line, column = position.of_result(self.version.script, self.dialect.entry) or (None, None)
        return ConversionError(message, name=name, line=line, column=column)

    def _load(self) -> None:
        try:
            answer = self.engine.call("load", self._order)
            answer = answer if answer.isascii() else self.engine.call("ascii", "")
        except Stopped as stopped:
            raise LoadFailed(self.stopped(str(stopped))) from None
        if answer.startswith("!"):
            raise LoadFailed(*position.explain(answer, self.engine.line_offset, self.code.place))

    def _begin_anew(self) -> None:
        """Have a context that no message has been in."""
        if self._is_used and self._renew is not None:
            self.engine = self._renew()
            self._run = self.engine.run
            self._load()
        self._is_used = True

    def stopped(self, why: str) -> ConversionError:
        """The error for a script that its engine had to stop."""
        places = position.frames(why, self.engine.line_offset, self.code.place)
        line, column, file = position.innermost(places)
        self.is_place_vague = position.VAGUE in why
        if "interrupted" in why:
            return ConversionError(
                too_long(self.version),
                name=TIME_LIMIT,
                line=line,
                column=column,
                stack=position.stack(places),
                file=file,
            )
        return _limit(
            ConversionError(
                why.split("\n", 1)[0][:200], "converter", "Error", line, column, position.stack(places), file
            )
        )


def load(version: ConverterVersion, engines: Engines, changed: Changed | None = None) -> Script:
    """A context with this version in it. Raises LoadFailed."""
    engine = tbel.ENGINE if version.dialect == tbel.DIALECT else version.engine
    make = engines.get(engine) or engines.get("quickjs")  # it runs whatever Duktape does
    if make is None:
        raise LoadFailed(ConversionError(f"the engine {version.engine} is not installed", name="NoEngine"))
    version = limited(version)
    try:
        code = sources(version, make)
        make_engine = partial(make, version.time_limit, HEAP, code.text)
        return Script(version, make_engine(), code, changed, make_engine)
    except tbel.TbelError as error:
        raise LoadFailed(error.placed(version.script)) from error
    except SettingsError as error:
        raise LoadFailed(ConversionError(str(error), name="SettingsError")) from error


def too_long(version: ConverterVersion) -> str:
    """What a person reads of a script that does not come to an end."""
    return f"the script did not finish within {version.time_limit * 1000:.0f} ms"


def _ascii(text: bytes) -> bytes:
    """JSON in ASCII: the engines' bindings garble what is outside the basic plane."""
    if text.isascii():
        return text or b"{}"
    return json.dumps(msgspec.json.decode(text), separators=(",", ":")).encode()


def _limit(error: ConversionError) -> ConversionError:
    if error.message in _NO_MEMORY:
        return msgspec.structs.replace(
            error, name=MEMORY_LIMIT, message="the script needs more memory than it may have"
        )
    return error

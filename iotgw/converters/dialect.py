"""The dialects of converters: which functions they define, and how a script's dialect is found.

A script is a *body* (it returns at the top level), a *program* (it leaves its result in a variable), or defines functions;
which of the known names it defines, or reads, decides. See docs/converters/dialects.md for an example of each.
"""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct

from iotgw.converters.bodies import of_body
from iotgw.converters.source.tokens import NotUnderstood, tokens
from iotgw.core.errors import SettingsError, Undecided

Direction = Literal["UPLINK", "DOWNLINK"]


class Dialect(Struct, frozen=True):
    """One way to write a converter.

    ``entry`` is the function it defines, or the object and its method (``driver.decodeUplink``); it is empty for a body
    or a program, whose ``parameters`` are given then. ``returns`` is the variable that a program leaves its result in.
    ``adapter`` is its name in runtime/dialects.js; ``native`` says whether its result is ThingsBoard's.
    ``takes_frames`` says that it expects what a device sent, without anything that a network has put around it.
    """

    name: str
    direction: Direction
    entry: str
    adapter: str
    parameters: str = ""
    native: bool = False
    takes_frames: bool = False
    returns: str = ""


_ENCODER = "msg, metadata, msgType, integrationMetadata"

# In the order of choice where a script defines several: what is hardly a coincidence first, then the newer convention.
DIALECTS = (
    Dialect("akenza", "UPLINK", "consume", "akenza", takes_frames=True),
    Dialect("ts013", "UPLINK", "decodeUplink", "ts013", takes_frames=True),
    Dialect("driver", "UPLINK", "driver.decodeUplink", "ts013", takes_frames=True),
    Dialect("chirpstack-v3", "UPLINK", "Decode", "chirpstack-v3", takes_frames=True),
    Dialect("lobaro", "UPLINK", "Parse", "lobaro"),
    Dialect("thingsboard", "UPLINK", "Decoder", "thingsboard", native=True),
    Dialect("ttn-v2", "UPLINK", "Decoder", "ttn-v2", takes_frames=True),
    Dialect("datacake", "UPLINK", "Decoder", "datacake", takes_frames=True),
    Dialect("decentlab", "UPLINK", "decentlab_decoder.decode", "decentlab", takes_frames=True),
    Dialect("milesight", "UPLINK", "decodePayload", "milesight", takes_frames=True),
    Dialect("milesight-cellular", "UPLINK", "CellularDecoder", "milesight", takes_frames=True),
    Dialect("allthingstalk", "UPLINK", "converter", "allthingstalk", takes_frames=True),
    Dialect("module", "UPLINK", "module.exports", "module", takes_frames=True),
    Dialect("thingsboard-body", "UPLINK", "", "thingsboard", "payload, metadata", native=True),
    Dialect("thingsboard-tbel", "UPLINK", "", "tbel", "payload, metadata", native=True),
    Dialect("tektelic", "UPLINK", "", "ttn-v2", "bytes, port", takes_frames=True),
    Dialect("tektelic-v2", "UPLINK", "", "ts013", "input", takes_frames=True),
    Dialect("node-red", "UPLINK", "", "node-red", "msg, node, context, flow, global, env"),
    Dialect("rule-node", "UPLINK", "", "rule-node", "msg, metadata, msgType"),
    Dialect(
        "tago", "UPLINK", "", "tago", "payload, device, raw_payload", takes_frames=True, returns="payload"
    ),
    Dialect("akenza", "DOWNLINK", "consume", "akenza-encoder"),
    Dialect("ts013", "DOWNLINK", "encodeDownlink", "ts013-encoder"),
    Dialect("driver", "DOWNLINK", "driver.encodeDownlink", "ts013-encoder"),
    Dialect("chirpstack-v3", "DOWNLINK", "Encode", "chirpstack-v3-encoder"),
    Dialect("thingsboard", "DOWNLINK", "Encoder", "thingsboard-encoder", native=True),
    Dialect("ttn-v2", "DOWNLINK", "Encoder", "ttn-v2-encoder"),
    Dialect("thingsboard-decoder", "DOWNLINK", "Decoder", "thingsboard-encoder", native=True),
    Dialect("allthingstalk", "DOWNLINK", "converter", "allthingstalk-encoder"),
    Dialect("tektelic", "DOWNLINK", "", "tektelic-encoder", "data"),
    Dialect("thingsboard-body", "DOWNLINK", "", "thingsboard-encoder", _ENCODER, native=True),
    Dialect("thingsboard-tbel", "DOWNLINK", "", "tbel-encoder", _ENCODER, native=True),
)
BESIDE = ("normalizeUplink", "decodeDownlink")
"""What TS013 scripts may define besides."""
ENTRIES = (*sorted({d.entry for d in DIALECTS} - {"", "module.exports"}), *BESIDE)
NAMES = tuple(sorted({d.name for d in DIALECTS}))


def named(name: str, direction: Direction) -> Dialect:
    """The dialect of that name; raises SettingsError."""
    for dialect in DIALECTS:
        if dialect.name == name and dialect.direction == direction:
            return dialect
    known = ", ".join(d.name for d in DIALECTS if d.direction == direction)
    raise SettingsError("dialect", f"expected auto or one of {known} for {direction}, got {name!r}")


def detect(source: str, direction: Direction, is_body: bool, names: list[str], others: str = "") -> Dialect:
    """The dialect of a script that compiles. ``names`` are the entries it defines, ``others`` the texts of its other files.

    Raises SettingsError."""
    if is_body:
        return named(of_body(source, direction), direction)
    choices = [d for d in DIALECTS if d.direction == direction and d.entry in names]
    if not choices:
        wanted = ", ".join(dict.fromkeys(d.entry for d in DIALECTS if d.direction == direction and d.entry))
        found = f"; it defines {', '.join(names)}" if names else ""
        raise SettingsError(
            "script", f"expected one of the functions {wanted}, or a body that returns{found}"
        )
    first = choices[0]
    if first.entry in _THINGSBOARDS and {"thingsboard", "ttn-v2"} <= {
        d.name for d in choices if d.entry == first.entry
    }:
        return named(_thingsboard_or_ttn(source, others, first.entry), direction)
    return first


def _thingsboard_or_ttn(source: str, others: str, entry: str) -> str:
    """``Decoder(payload, metadata)`` or ``Decoder(bytes, port)``: the second parameter's name decides, and what is done with the
    only one.

    Where these say nothing, what only a ThingsBoard converter names does: its result has to name the device, or the
    content type. Raises Undecided.
    """
    source = _code(source)
    parameters = _parameters(source, entry)
    second = parameters[1].lower() if len(parameters) > 1 else ""
    if "port" in second:
        return "ttn-v2"
    if entry == "Decoder" and re.search(r"b(?:ase)?64", second):
        return "datacake"
    is_lone = len(parameters) == 1
    if not is_lone and (not second or second.startswith(("meta", "md")) or len(parameters) > 2):
        return "thingsboard"
    everything = f"{source}\n{_code(others)}"
    if _THINGSBOARDS[entry].search(everything):
        return "thingsboard"
    if is_lone and (found := _lone(source, entry, parameters[0])):
        return found
    if entry == "Encoder" or not _PARSES.search(everything):
        return "ttn-v2"
    raise Undecided(
        ("thingsboard", "ttn-v2"),
        f"{entry}({', '.join(parameters)}) can be ThingsBoard's {entry}(payload, metadata) or "
        f"The Things Network's {entry}(bytes, port): set `dialect` to thingsboard or ttn-v2",
    )


_PARSES = re.compile(r"\bJSON ?\. ?parse\b")
_DEFINED = {
    entry: re.compile(
        rf"\bfunction {entry} ?\(([^)]*)\)"
        rf"|(?<![\w$]){entry} ?(?:[=:] ?(?:async )?(?:function ?\w* ?)?)?(?:\(([^)]*)\)(?= ?(?:\{{|=>))|(\w+)(?= ?=>))"
    )
    for entry in ("Decoder", "Encoder")
}
"""Where a function is defined in a `_code`, with its parameters."""


def _parameters(code: str, entry: str) -> list[str]:
    """The names of a function's parameters: of what is least nested, where several have its name, as in a bundle of libraries."""
    found = min(_DEFINED[entry].finditer(code), key=lambda match: _depth(code, match.start()), default=None)
    texts = found and (found[1] or found[2] or found[3])
    return (
        [parameter.split("=")[0].strip() for parameter in texts.split(",")] if texts and texts.strip() else []
    )


_QUOTED = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'")


def _depth(code: str, end: int) -> int:
    before = _QUOTED.sub("", code[:end])
    return before.count("{") - before.count("}")


def _code(source: str) -> str:
    """A script without its comments, with one blank between tokens."""
    try:
        return " ".join(token.text for token in tokens(source, guesses=True))
    except (NotUnderstood, RecursionError):
        return source


_THINGSBOARDS = {
    "Decoder": re.compile(
        r"\b(?:deviceName|assetName|deviceType|assetType|telemetry|decodeToString|decodeToJson)\b"
    ),
    "Encoder": re.compile(r"\b(?:contentType|msgType|integrationMetadata)\b"),
}
"""What only a ThingsBoard converter names: keys of its result, its helpers, its other arguments."""


def _lone(source: str, entry: str, parameter: str) -> str | None:
    """``Decoder(bytes)`` and ``Encoder(input)``: whose the parameter's name is, or how it is used; None where these say nothing."""
    if entry == "Encoder":
        return "thingsboard" if parameter.lower().startswith("msg") else "ttn-v2"
    is_taken_apart = re.search(rf"(?<![\w$.]){re.escape(parameter)}\s*(?:\[|\.\s*(?:length|slice)\b)", source)
    return "ttn-v2" if is_taken_apart or parameter.lower().startswith("byte") else None


_REACHES_ALL = re.compile(r"\barguments\b|\beval\b|\bFunction\b|\\u")
"""What can read a parameter without its name in the source."""


def reads_metadata(dialect: Dialect, source: str) -> bool:
    """Whether a script may look at its metadata: False only where nothing in its text could. Most decoders of
    one device don't, and to make the object for them is a fifth of a call."""
    if dialect.adapter != "thingsboard" or _REACHES_ALL.search(source):
        return True
    if not dialect.entry:
        return _count("metadata", source) > 0
    found = re.search(rf"\bfunction\s+{dialect.entry}\s*\(([^)]*)\)", source)
    if found is None or _count(dialect.entry, source) > 1:
        return True
    parameters = [parameter.strip() for parameter in found[1].split(",")]
    if len(parameters) < 2:
        return False
    return not re.fullmatch(r"[A-Za-z_$][\w$]*", parameters[1]) or _count(parameters[1], source) > 1


def _count(name: str, source: str) -> int:
    return len(re.findall(rf"(?<![\w$]){re.escape(name)}(?![\w$])", source))

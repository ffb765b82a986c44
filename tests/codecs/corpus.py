"""The cases of a folder of checkouts: scripts with their vendors' inputs, found by how each collection is laid out."""

import json
import re
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

SKIPPED = {"node_modules", ".git", "dist", "test", "tests", "cypress", "android", "docs"}
ENTRY = re.compile(
    r"\b(?:decodeUplink|Decode|Decoder|Parse|encodeDownlink|Encode|Encoder|decodePayload|CellularDecoder|consume|converter)\b\s*(?:[(=:]|,|\})"
    r"|decentlab_decoder|^\s*return\b|payload\s*=\s*",
    re.MULTILINE,
)
REQUIRED = re.compile(r"""(?:\brequire\s*\(\s*|\bfrom\s+|\bimport\s+)["'](\.{1,2}/[^"']+)["']""")
ENDINGS = [
    *(("", more) for more in ("", ".js", ".ts", ".cjs", ".json", "/index.js", "/index.ts")),
    (".js", ".ts"),
]
"""What a required file's name loses and gets: TypeScript names what a file will be."""
HEX = re.compile(r"""["'`]((?:[0-9a-fA-F]{2}){2,250})["'`]""")
PORT = re.compile(r"""["']?(?:f?[pP]ort)["']?\s*[:,]\s*(?:value\s*:\s*)?(\d{1,3})""")
SYNTHETIC = [
    ("00", 85),
    ("0102030405060708090a0b0c", 2),
    ("ff" * 20, 1),
    ("01755c03673401046865050001", 85),
    ("0367011005670ff00268a0", 10),
    ("a5" * 11, 2),
]
"""Inputs and ports for scripts whose vendors have published none."""
MAX_INPUTS = 12


class Case(NamedTuple):
    """A script with its files and one input. ``data`` is what an encoder is given."""

    source: str
    script: str
    files: dict[str, str]
    direction: str = "UPLINK"
    payload: bytes = b""
    metadata: dict[str, Any] = {}
    data: Any = None
    is_vendors: bool = True


def cases(root: Path, inputs: int = MAX_INPUTS) -> Iterator[Case]:
    """All cases of a folder, with so many inputs for a script; one script is tried once, wherever it is repeated."""
    seen: dict[tuple[str, str], Path] = {}
    for path in sorted(root.rglob("*")):
        parts = set(path.relative_to(root).parts[:-1])
        if (
            path.suffix not in (".js", ".ts", ".mjs", ".cjs", ".txt", ".json")
            or parts & SKIPPED
            or not path.is_file()
        ):
            continue
        if (
            re.search(r"(?:\.(?:spec|test|d|config|min)\.|^test|jest|webpack)", path.name)
            or path.stat().st_size > 1 << 20
        ):
            continue
        try:
            for case in chain(islice(_of(path, root), inputs), islice(_examples(path, root), inputs)):
                first = seen.setdefault((case.script, case.direction), path)
                if case.is_vendors or first == path:
                    yield case
        except (ValueError, RecursionError, KeyError, TypeError):
            continue


def _of(path: Path, root: Path) -> Iterator[Case]:
    name = str(path.relative_to(root))
    if path.suffix == ".json":
        if path.name == "converter.json":
            yield from _thingsboard(path, name)
        return
    text = path.read_text("utf-8", errors="replace")
    if not ENTRY.search(text):
        return
    files = _files(path, text)
    if path.name.startswith("downlink") or re.search(r"[Ee]ncod|[Dd]ownlink", path.stem):
        yield from _encoders(path, name, text, files)
        return
    inputs = list(_inputs(path, text))[:MAX_INPUTS]
    for payload, port in inputs or [(bytes.fromhex(given), port) for given, port in SYNTHETIC]:
        metadata = {"devEui": "0102030405060708", "fPort": port}
        yield Case(name, text, files, "UPLINK", payload, metadata, None, bool(inputs))


def _files(path: Path, text: str) -> dict[str, str]:
    """What a script requires, by the paths that it finds them at: a step above the script's own folder is its folder."""
    found: dict[str, str] = {}
    waiting = [(path, "", text)]
    while waiting and len(found) < 64:
        here, folder, source = waiting.pop()
        for wanted in REQUIRED.findall(source):
            place = _resolved(folder, wanted)
            for cut, ending in ENDINGS:
                target = (here.parent / (wanted.removesuffix(cut) + ending)).resolve()
                name = place.removesuffix(cut) + ending
                if target.is_file() and name not in found and target.stat().st_size < 1 << 19:
                    found[name] = target.read_text("utf-8", errors="replace")
                    waiting.append((target, name.rpartition("/")[0], found[name]))
                    break
    return found


def _resolved(folder: str, wanted: str) -> str:
    parts = [part for part in folder.split("/") if part]
    for step in wanted.split("/"):
        if step == "..":
            parts = parts[:-1]
        elif step not in (".", ""):
            parts.append(step)
    return "/".join(parts)


def _inputs(path: Path, text: str) -> Iterator[tuple[bytes, int]]:
    documents = [path.with_name(name) for name in _documents(path)]
    if any(document.is_file() for document in documents):
        for given in chain.from_iterable(map(_uplinks, documents)):
            raw = given["bytes"]
            yield (bytes.fromhex(raw) if isinstance(raw, str) else bytes(raw)), given.get("fPort", 1)
        return
    tests = [
        path.with_name(path.stem + ending) for ending in (".spec.js", ".test.ts", ".spec.ts", ".test.js")
    ]
    for test in [*tests, *path.parent.glob("*.yaml")]:  # akenza, TagoIO; The Things Network's repository
        if test.suffix == ".yaml":
            yield from _yaml(test, path)
        elif test.is_file():
            yield from _quoted(test.read_text("utf-8", errors="replace"))
    if "decentlab_decoder" in text:
        yield from _quoted(text)


def _quoted(text: str) -> Iterator[tuple[bytes, int]]:
    """Hex in quotes, with the port that stands nearest behind or before it."""
    for match in HEX.finditer(text):
        near = PORT.search(text, match.end(), match.end() + 150) or PORT.search(
            text, max(match.start() - 150, 0), match.start()
        )
        yield bytes.fromhex(match[1]), int(near[1]) if near else 1


def _documents(path: Path, kind: str = "decode") -> list[str]:
    """What the documents are called that have a script's examples: Watteco, Actility; ChirpStack; two more."""
    names = ["examples.json", f"test_{kind}_{path.stem}.json"]
    return names + {"upstream-codec": ["upstream-examples.json"], "codec": ["vectors.json"]}.get(
        path.stem, []
    )


def _entries(document: Path) -> list[dict[str, Any]]:
    """The examples of a document: a list, or an object that has it."""
    if not document.is_file():
        return []
    told = json.loads(document.read_text("utf-8"))
    found = (
        told
        if isinstance(told, list)
        else chain.from_iterable(v for v in told.values() if isinstance(v, list))
    )
    return [entry for entry in found if isinstance(entry, dict) and isinstance(entry.get("input"), dict)]


def _uplinks(document: Path) -> list[dict[str, Any]]:
    """The inputs of a document's uplinks."""
    return [
        entry["input"]
        for entry in _entries(document)
        if entry.get("type", "uplink").startswith("uplink") and entry["input"].get("bytes")
    ]


_EXAMPLE = re.compile(r"fPort:\s*(\d+)\s+bytes:\s*\[([\d,\s]+)\]|bytes:\s*\[([\d,\s]+)\]\s+fPort:\s*(\d+)")


def _yaml(path: Path, script: Path) -> Iterator[tuple[bytes, int]]:
    text = path.read_text("utf-8", errors="replace")
    uplink, _, _ = text.partition("downlinkEncoder")
    if script.name not in uplink:
        return
    for match in _EXAMPLE.finditer(uplink):
        numbers = (match[2] or match[3]).replace(" ", "").strip(",").split(",")
        yield bytes(int(number) & 255 for number in numbers if number.strip()), int(match[1] or match[4])


def _thingsboard(path: Path, name: str) -> Iterator[Case]:
    configuration = json.loads(path.read_text("utf-8"))["configuration"]
    script = configuration.get("decoder")
    if configuration.get("scriptLang") == "TBEL" or not script:
        return
    for payload in sorted(path.parent.glob("payload*.json"))[:MAX_INPUTS]:
        metadata = path.with_name(payload.name.replace("payload", "metadata"))
        known = json.loads(metadata.read_text()) if metadata.is_file() else {}
        yield Case(name, script, {}, "UPLINK", payload.read_bytes(), known)


def _examples(path: Path, root: Path) -> Iterator[Case]:
    """The downlinks among a script's examples."""
    documents = [path.with_name(name) for name in _documents(path, "encode")]
    if path.suffix == ".json" or not any(document.is_file() for document in documents):
        return
    text = path.read_text("utf-8", errors="replace")
    if "encodeDownlink" not in text or "thingsboard" in path.name:
        return
    files = _files(path, text)
    for entry in chain.from_iterable(map(_entries, documents)):
        given = entry["input"]
        if (
            "data" in given
            and "bytes" not in given
            and entry.get("type", "downlink-encode") == "downlink-encode"
        ):
            metadata = {"fPort": given["fPort"]} if "fPort" in given else {}
            yield Case(str(path.relative_to(root)), text, files, "DOWNLINK", b"", metadata, given["data"])


def _encoders(path: Path, name: str, text: str, files: dict[str, str]) -> Iterator[Case]:
    spec = path.with_name(path.stem + ".spec.js")
    if not spec.is_file() or "consume" not in text:
        return
    for match in re.finditer(r"const data = (\{.*?\n {6}\});", spec.read_text(), re.DOTALL):
        keyed = re.sub(r"(?<=[{,\s])(\w+):", r'"\1":', match[1])
        plain = re.sub(r",(\s*[}\]])", r"\1", keyed.replace("'", '"'))
        try:
            yield Case(name, text, files, "DOWNLINK", data=json.loads(plain))
        except ValueError:
            continue

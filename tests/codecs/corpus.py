"""The cases of a folder of checkouts: scripts with their vendors' inputs, found by how each collection is laid out."""

import json
import re
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

SKIPPED = {"node_modules", ".git", "dist", "test", "tests", "cypress", "android", "docs"}
ENTRY = re.compile(
    r"\b(?:decodeUplink|Decode|Decoder|Parse|encodeDownlink|Encode|Encoder|decodePayload|consume|converter)\b\s*(?:[(=:]|,|\})"
    r"|decentlab_decoder|^\s*return\b|payload\s*=\s*",
    re.MULTILINE,
)
REQUIRED = re.compile(r"""(?:\brequire\s*\(\s*|\bfrom\s+|\bimport\s+)["'](\.{1,2}/[^"']+)["']""")
HEX = re.compile(r"""["'`]((?:[0-9a-fA-F]{2}){2,250})["'`]""")
PORT = re.compile(r"""["']?(?:f?[pP]ort)["']?\s*[:,]\s*(?:value\s*:\s*)?(\d{1,3})""")
SYNTHETIC = [
    "00",
    "0102030405060708090a0b0c",
    "ff" * 20,
    "01755c03673401046865050001",
    "0367011005670ff00268a0",
]
"""Inputs for scripts whose vendors have published none."""
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
    seen: set[tuple[str, str]] = set()
    for path in sorted(root.rglob("*")):
        parts = set(path.relative_to(root).parts[:-1])
        if (
            path.suffix not in (".js", ".ts", ".mjs", ".txt", ".json")
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
                if (case.script, case.direction) in seen and not case.is_vendors:
                    continue
                seen.add((case.script, case.direction))
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
    for payload, port in inputs or [(bytes.fromhex(text), 85) for text in SYNTHETIC]:
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
            for ending in ("", ".js", ".ts", ".json", "/index.js"):
                target = (here.parent / (wanted + ending)).resolve()
                if target.is_file() and place + ending not in found and target.stat().st_size < 1 << 19:
                    found[place + ending] = target.read_text("utf-8", errors="replace")
                    waiting.append((target, (place + ending).rpartition("/")[0], found[place + ending]))
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
    examples = path.with_name("examples.json")
    if examples.is_file():  # Watteco, Actility
        for example in json.loads(examples.read_text()):
            given = example.get("input", {})
            if example.get("type", "uplink").startswith("uplink") and given.get("bytes"):
                raw = given["bytes"]
                yield bytes.fromhex(raw) if isinstance(raw, str) else bytes(raw), given.get("fPort", 1)
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
    """The downlinks among a driver's examples."""
    examples = path.with_name("examples.json")
    if path.suffix == ".json" or not examples.is_file():
        return
    text = path.read_text("utf-8", errors="replace")
    if "encodeDownlink" not in text or "thingsboard" in path.name:
        return
    files = _files(path, text)
    for example in json.loads(examples.read_text()):
        if example.get("type") == "downlink-encode" and "data" in example["input"]:
            given = example["input"]
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

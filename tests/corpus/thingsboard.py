"""Play a folder of ThingsBoard's data converters: ``python -m tests.corpus.thingsboard FOLDER``.

The form is that of github.com/thingsboard/data-converters: a folder for each converter with ``converter.json``, ``metadata.json``,
and pairs of ``payload.json`` and ``result.json`` (``payload_1.json`` and ``result_1.json``, …). Each script is saved as a user would
save it, with the dialect ``auto``, and its result is compared with the published one. The summary tells what came of the scripts in
each language, and the causes of what didn't come out.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from iotgw.converters.bench import compile_
from iotgw.converters.engines import available
from iotgw.converters.script import LoadFailed, Script, load
from iotgw.core.model import ConverterVersion

TIME_LIMIT = 10.0
ENGINES = available()
_NUMBER = re.compile(r"\d+")


class Case(Struct, frozen=True):
    """One published message: its files' contents."""

    name: str
    payload: Any
    metadata: dict[str, Any]
    wanted: Any


class Published(Struct, frozen=True):
    """One converter of the folder."""

    name: str
    language: str
    direction: str
    script: str
    cases: tuple[Case, ...]


def converters(root: Path) -> Iterator[Published]:
    """The converters below a folder that name a script, in the order of their names."""
    for path in sorted(root.rglob("converter.json")):
        told = json.loads(path.read_text("utf-8"))
        settings = told.get("configuration") or {}
        language = settings.get("scriptLang") or "JS"
        direction = told.get("type") or "UPLINK"
        key = "decoder" if direction == "UPLINK" else "encoder"
        script = settings.get(key if language == "JS" else f"tbel{key.capitalize()}")
        if script:
            yield Published(
                str(path.parent.relative_to(root)), language, direction, script, tuple(_cases(path.parent))
            )


def _cases(folder: Path) -> Iterator[Case]:
    metadata_path = folder / "metadata.json"
    metadata = json.loads(metadata_path.read_text("utf-8")) if metadata_path.exists() else {}
    for path in sorted(folder.glob("payload*.json")):
        result = folder / path.name.replace("payload", "result", 1)
        if result.exists():
            payload, wanted = (json.loads(one.read_text("utf-8")) for one in (path, result))
            yield Case(path.name, payload, metadata, wanted)


def play(published: Published) -> list[str]:
    """What came of each of its cases: ``ok``, or the cause; one cause for all where the script can't be saved."""
    spec = {
        "name": "x", "script": published.script, "type": published.direction, "dialect": "auto", "engine": "auto",
    }  # fmt: skip
    told = compile_({"spec": spec, "timeLimit": TIME_LIMIT}, ENGINES, lambda seconds: None)
    if "problem" in told:
        return [f"not saved: {told['problem']}"] * max(len(published.cases), 1)
    version = ConverterVersion(
        "x", 1, "x", published.direction, published.script, told["dialect"], told["engine"], time_limit=TIME_LIMIT  # type: ignore[arg-type]
    )  # fmt: skip
    is_tbel = told["dialect"] == "thingsboard-tbel"
    if is_tbel != (published.language == "TBEL"):
        return [f"taken for {told['dialect']}"] * max(len(published.cases), 1)
    try:
        script = load(version, ENGINES)
    except LoadFailed as failed:
        return [f"not loaded: {failed.error.message}"] * max(len(published.cases), 1)
    return [_play(script, case) for case in published.cases]


def _play(script: Script, case: Case) -> str:
    if script.version.direction == "UPLINK":
        # as integrations hand it over: the document's text in bytes
        given: Any = list(json.dumps(case.payload, ensure_ascii=False).encode())
    else:
        given = [case.payload, "POST_TELEMETRY_REQUEST", {}]
    result, _, error = script.call(json.dumps([given, case.metadata, 1_700_000, 0]))
    if error is not None:
        return f"{error.name}: {error.message}"
    if script.version.direction == "DOWNLINK":
        result, wanted = _texted(result), _texted(case.wanted)
    else:
        wanted = case.wanted
    if result == wanted or _without_times(result) == _without_times(wanted):
        return "ok"
    return f"another result: {_difference(wanted, result)}"


def _texted(result: Any) -> Any:
    """A downlink whose metadata are texts: some are published as texts whatever the script makes, some as they are."""
    if not isinstance(result, dict) or not isinstance(result.get("metadata"), dict):
        return result
    texts = {key: one if isinstance(one, str) else json.dumps(one) for key, one in result["metadata"].items()}
    return {**result, "metadata": texts}


def _without_times(value: Any) -> Any:
    """Times of reception differ: a script that asks for the time of day gets another one each time."""
    if isinstance(value, dict):
        return {key: _without_times(one) for key, one in value.items() if key not in ("ts", "time")}
    return [_without_times(one) for one in value] if isinstance(value, list) else value


def _difference(wanted: Any, got: Any, at: str = "") -> str:
    """The first place where two results differ."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        for key in sorted({*wanted, *got}):
            if wanted.get(key) != got.get(key):
                return _difference(wanted.get(key), got.get(key), f"{at}.{key}")
    if isinstance(wanted, list) and isinstance(got, list) and len(wanted) == len(got):
        for index, (one, other) in enumerate(zip(wanted, got, strict=True)):
            if one != other:
                return _difference(one, other, f"{at}[{index}]")
    return f"{at or 'the whole'}: wanted {json.dumps(wanted)[:80]}, got {json.dumps(got)[:80]}"


def summary(root: Path, causes: int, show: bool) -> tuple[str, bool]:
    """The report of a folder, and whether everything came out."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    whys: Counter[str] = Counter()
    for published in converters(root):
        count = counts[published.language, published.direction]
        came = play(published)
        count["scripts"] += 1
        count["good scripts"] += all(one == "ok" for one in came)
        for case, one in zip(published.cases, came, strict=False):
            count["cases"] += 1
            count["good cases"] += one == "ok"
            if one != "ok":
                whys[_NUMBER.sub("n", one)] += 1
                if show:
                    print(f"{published.name}/{case.name}: {one}", file=sys.stderr)
    lines = []
    for (language, direction), count in sorted(counts.items()):
        share = 100 * count["good scripts"] / count["scripts"]
        lines.append(
            f"{language} {direction.lower()}: {count['good scripts']} of {count['scripts']} scripts ({share:.1f} %), "
            f"{count['good cases']} of {count['cases']} cases as published"
        )
    lines += [f"{number:6} {why[:200]}" for why, number in whys.most_common(causes)]
    return "\n".join(lines), not whys


def main() -> int:
    """Print the summary; 1 where something didn't come out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--causes", type=int, default=20, help="how many causes to show")
    parser.add_argument("--show", action="store_true", help="name each case that didn't come out")
    arguments = parser.parse_args()
    text, is_whole = summary(arguments.corpus, arguments.causes, arguments.show)
    print(text or f"no converter.json below {arguments.corpus}")
    return 0 if is_whole and text else 1


if __name__ == "__main__":
    sys.exit(main())

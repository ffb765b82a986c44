"""Plays a folder of ThingsBoard's data converters: ``python -m tests.corpus DIR`` (``make envelopes CORPUS=DIR``).

DIR is a checkout of github.com/thingsboard/data-converters. Each envelope of its five platforms is read by the preset of its
platform, and by hand; each JavaScript converter is run on its envelopes with the metadata that the preset adds, and must give
what the folder says. Nothing of the folder is part of this repository.
"""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from iotgw.converters.engines import available
from iotgw.converters.script import LoadFailed, load
from iotgw.core.model import ConverterVersion
from iotgw.envelopes.envelope import Happened, Reading
from iotgw.envelopes.presets.choices import named
from iotgw.envelopes.presets.envelope import PresetEnvelope
from tests.corpus import reading
from tests.corpus.reading import Said

PLATFORMS = (
    "ChirpStack",
    "LORIOT",
    "ThingsStackCommunity",
    "ThingsStackIndustries",
    "ThingPark",
    "ThingParkEnterprise",
)
RECEIVED_MS = 1_700_000_000_000


def preset_of(body: Any) -> tuple[str, Callable[[dict[str, Any]], Said]] | None:
    """The preset of an envelope, and the reading by hand; None if it is no envelope of an uplink."""
    if not isinstance(body, dict):
        return None
    if "uplink_message" in body:
        return "the-things-stack", reading.the_things_stack
    if "DevEUI_uplink" in body:
        return "thingpark", reading.thingpark
    if "devEUI" in body:
        return "chirpstack-v3", reading.chirpstack_v3
    if "deviceInfo" in body:
        return "chirpstack", reading.chirpstack
    return ("loriot", reading.loriot) if body.get("cmd") in ("rx", "gw") else None


def is_status(body: dict[str, Any]) -> bool:
    """ChirpStack's event ``status``, which the folder has once, without saying so beside it."""
    return "batteryLevel" in body and "margin" in body and "data" not in body


def read(body: dict[str, Any], data: bytes, name: str) -> Reading | Happened | Any:
    """What the preset makes of an envelope."""
    facts = {"query": {"event": "status" if is_status(body) else "up"}}
    (event,) = PresetEnvelope(named(name)).read(data, facts, 0)
    return event


def said(event: Reading) -> Said:
    facts = event.facts
    frame = bytes.fromhex(facts["frame"]) if "frame" in facts else b"?"
    return Said(event.identity, frame, facts["fPort"], facts["fCnt"], facts.get("time"))


def alike(a: Any, b: Any) -> bool:
    """Whether two JSON values are equal; numbers nearly."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(alike(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, int | float) and isinstance(b, int | float) and not isinstance(a, bool):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)
    return bool(a == b)


def cases(folder: Path) -> Iterator[tuple[Path, Path, Path]]:
    """Each payload of the folder with its converter and its result."""
    for platform in PLATFORMS:
        for uplink in sorted(folder.glob(f"VENDORS/*/*/{platform}/uplink")):
            for payload in sorted(uplink.glob("payload*.json")):
                number = payload.stem.removeprefix("payload")
                yield payload, uplink / "converter.json", uplink / f"result{number}.json"


def converted(script: Any, data: bytes, metadata: dict[str, Any]) -> Any:
    """What a converter returns, or why it fails."""
    conversion, _ = script.convert(data, json.dumps(metadata).encode(), RECEIVED_MS)
    return conversion.error.message if conversion.error is not None else script.last


def main(folder: Path) -> int:
    counts: Counter[str] = Counter()
    engines = available()
    wrong: list[str] = []
    for payload, converter, result in cases(folder):
        data = payload.read_bytes()
        try:
            body = json.loads(data)
        except ValueError:
            counts["no JSON"] += 1
            continue
        found = preset_of(body)
        if found is None:
            counts["no envelope of its platform"] += 1
            continue
        name, by_hand = found
        event = read(body, data, name)
        counts["envelopes"] += 1
        if is_status(body):
            counts["events"] += isinstance(event, Happened)
            continue
        if isinstance(event, Reading) and said(event) == by_hand(body):
            counts["read right"] += 1
        else:
            wrong.append(f"{payload}: {event} is not {by_hand(body)}")
        specification = json.loads(converter.read_text("utf-8"))["configuration"]
        if specification.get("scriptLang") != "JS" or not result.exists() or not isinstance(event, Reading):
            continue
        counts["cases of JavaScript"] += 1
        version = ConverterVersion(
            str(converter),
            1,
            "c",
            "UPLINK",
            specification["decoder"],
            "thingsboard-body",
            "quickjs",
            time_limit=5.0,
        )
        told = json.loads((converter.parent / "metadata.json").read_text("utf-8"))
        try:
            made = converted(load(version, engines), data, {**event.metadata({}), **told})
        except LoadFailed as failed:
            made = str(failed)
        if alike(made, json.loads(result.read_text("utf-8"))):
            counts["converted right"] += 1
        else:
            wrong.append(f"{payload}: {json.dumps(made)[:300]} is not {result.read_text('utf-8')[:300]}")
    for line in wrong[:20]:
        print(line)
    print(json.dumps(counts, indent=1))
    return 1 if wrong or not counts["envelopes"] else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

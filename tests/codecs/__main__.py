"""``python -m tests.codecs --corpus DIR``: see the package. It goes on where it was stopped, and sums up at the end."""

import argparse
import base64
import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from twisted.internet import defer, reactor

from iotgw.converters.service import ConverterService
from iotgw.core.errors import ConversionFailed, SettingsError
from iotgw.core.model import ConverterVersion
from iotgw.core.specs import ConverterSpec

from .corpus import MAX_INPUTS, Case, cases
from .verdict import verdict

RECEIVED = 1_700_000_000_000
WANTED = {"documented": 99.8, "form": 95.0}


class Node:
    """The reference, in a process of its own."""

    def __init__(self) -> None:
        program = Path(__file__).with_name("reference.js")
        self._process = subprocess.Popen(
            ["node", "--no-deprecation", str(program)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "TZ": "UTC"},
        )  # fmt: skip

    def run(self, case: Case) -> dict:
        """Node's answer; a script that hangs or kills it is an error of its own."""
        told = {
            "script": case.script, "files": case.files, "payload": case.payload.hex(), "metadata": case.metadata,
            "direction": case.direction, "data": case.data, "received": RECEIVED,
        }  # fmt: skip
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self.__init__()
            return {"error": "node ended"}
        return json.loads(line)

    def stop(self) -> None:
        """End it."""
        self._process.stdin.close()
        self._process.wait()


async def gateway(service: ConverterService, case: Case, known: dict) -> dict:
    """The gateway's answer: the script's own result, or the problem."""
    key = (case.script, case.direction)
    if key not in known:
        known.clear()
        spec = ConverterSpec(name="x", type=case.direction, script=case.script, files=case.files)
        try:
            dialect, engine = await service.compile(spec)
            known[key] = ConverterVersion(
                "draft", int(digest(case.script)[:12], 16), "x", case.direction, case.script, dialect, engine,
                time_limit=5.0, files=case.files,
            )  # fmt: skip
        except SettingsError as error:
            known[key] = str(error)
    version = known[key]
    if isinstance(version, str):
        return {"problem": version}
    if case.direction == "DOWNLINK":
        return await encoded(service, version, case)
    told = await service.test(version, case.payload, case.metadata, RECEIVED)
    error = told["error"]
    answer = {"result": told["result"], "dialect": version.dialect, "engine": version.engine}
    if error is not None:
        answer |= {
            "problem": f"{error.get('name')}: {error['message']}",
            "reported": error.get("name") == "ReportedError",
        }
    return answer


async def encoded(service: ConverterService, version: ConverterVersion, case: Case) -> dict:
    """What a downlink converter makes, in the form of the reference."""

    try:
        made = await service.encode(version, case.data, case.metadata, "", {})
    except ConversionFailed as failed:
        return {"problem": failed.error.message}
    result = {"bytes": list(base64.b64decode(made["data"])), **made["metadata"]}
    return {"result": result, "dialect": version.dialect}


def digest(text: str) -> str:
    """A name for a text."""
    return hashlib.sha256(text.encode()).hexdigest()


async def run(options: argparse.Namespace) -> int:
    """All cases that are not done yet."""
    done: dict[str, dict] = {}
    if options.state.exists() and not options.again:
        done = {row["id"]: row for row in map(json.loads, options.state.read_text().splitlines())}
    service, node, known = ConverterService(reactor, workers=1), Node(), {}
    await service.start()
    with options.state.open("a" if done else "w") as state:
        for number, case in enumerate(cases(options.corpus, options.inputs)):
            if options.only not in case.source:
                continue
            id_ = digest(
                json.dumps([case.source, case.direction, case.payload.hex(), case.data, case.script])
            )
            if id_ in done:
                continue
            expected = node.run(case)
            told = await gateway(service, case, known)
            what, why = verdict(expected, told)
            row = {
                "id": id_, "source": case.source, "form": expected.get("form") or told.get("dialect", ""), "what": what,
                "why": why[:400], "vendors": case.is_vendors, "direction": case.direction,
            }  # fmt: skip
            done[id_] = row
            state.write(json.dumps(row) + "\n")
            state.flush()
            if number % 500 == 0:
                print(f"{number} cases", file=sys.stderr, flush=True)
    node.stop()
    await service.stop()
    return report(list(done.values()))


def report(rows: list[dict]) -> int:
    """Print the sums; 1 where a figure is missed."""
    print(
        f"{'form':<20} {'direction':<9} {'node passes':>11} {'same here':>10} {'%':>7} {'vendors’ own':>14} {'%':>7}"
    )
    forms = sorted({(row["form"], row["direction"]) for row in rows if row["form"]})
    missed = []
    for form, direction in [*forms, ("all", "")]:
        mine = [row for row in rows if form == "all" or (row["form"], row["direction"]) == (form, direction)]
        figures = []
        for chosen in (mine, [row for row in mine if row["vendors"]]):
            passed = [row for row in chosen if row["what"] in ("same", "different", "refused")]
            good = sum(row["what"] == "same" for row in passed)
            figures.append((len(passed), good, 100 * good / len(passed) if passed else 100.0))
        (count, good, share), (own, _, own_share) = figures
        print(f"{form:<20} {direction:<9} {count:>11} {good:>10} {share:>7.2f} {own:>14} {own_share:>7.2f}")
        if share < (WANTED["documented"] if form == "all" else WANTED["form"]):
            missed.append(form)
    print("\nwhat came of them:", dict(Counter(row["what"] for row in rows)))
    causes = Counter(
        (row["what"], row["form"], " ".join(row["why"].split())[:90])
        for row in rows
        if row["what"] in ("different", "refused")
    )
    for (what, form, why), count in causes.most_common(40):
        print(f"{count:>6} {what:<10} {form:<16} {why}")
    return 1 if missed else 0


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.codecs", description=__doc__)
    parser.add_argument(
        "--corpus", type=Path, required=True, help="a folder with checkouts of public collections"
    )
    parser.add_argument(
        "--state", type=Path, default=Path("codecs.jsonl"), help="what is done already (codecs.jsonl)"
    )
    parser.add_argument("--inputs", type=int, default=MAX_INPUTS, help=f"of a script at most ({MAX_INPUTS})")
    parser.add_argument("--again", action="store_true", help="begin anew")
    parser.add_argument("--only", default="", help="scripts whose path has this in it")
    options = parser.parse_args()
    status = [1]

    def ended(result: object) -> None:
        if isinstance(result, int):
            status[0] = result
        else:
            print(result, file=sys.stderr)
        reactor.stop()

    reactor.callWhenRunning(lambda: defer.ensureDeferred(run(options)).addBoth(ended))
    reactor.run()
    sys.exit(status[0])


if __name__ == "__main__":
    main()

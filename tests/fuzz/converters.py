"""Fuzzing converters: the library's scripts, mutated token by token, through real workers.

``python -m tests.fuzz.converters [COUNT] [SEED]``. No worker may crash (an endless loop that a mutation made may be
ended), every job gets its conversion, and what is converted is canonical.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from random import Random
from typing import Any

import msgspec
from twisted.internet import task
from twisted.internet.defer import Deferred

from iotgw.converters.library import catalogue
from iotgw.converters.service import ConverterService
from iotgw.core.model import Conversion, ConverterVersion, Job

BATCH = 200
TOKEN = re.compile(r"\w+|[^\w\s]|\s+")
SPITEFUL = (
    "null", "undefined", "NaN", "-1", "1e309", "''", "[]", "{}", "this", "arguments", "payload", "metadata",
    "payload.length = 5e6", "(function () { throw null; })()", "Object.prototype.toJSON = 5",
    "Object.defineProperty(Object.prototype, 'ts', {get: function () { throw null; }})", "delete Array.prototype.push",
    "new Proxy({}, {get: function () { throw null; }})", "JSON.stringify = null", "new Date(NaN)",
    "String.prototype.slice = Array.prototype.slice = null", "'\\ud800'", "'\\u0000'", "Math.pow", "[[[[[]]]]]",
)  # fmt: skip


def mutated(random: Random, script: str) -> str:
    tokens = TOKEN.findall(script)
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(tokens))
        match random.randrange(4):
            case 0:
                tokens[at] = random.choice(tokens)
            case 1:
                tokens[at] = random.choice(SPITEFUL)
            case 2 if tokens[at].isdigit():
                tokens[at] = str(random.choice([0, 1, 255, 2**31, 2**53, int(tokens[at]) + 1]))
            case 2:
                del tokens[at]
            case 3:
                statement = [i for i, token in enumerate(tokens) if token in ";{"]
                tokens.insert(random.choice(statement) + 1, f" {random.choice(SPITEFUL)};")
    return "".join(tokens)


def jobs(random: Random, count: int) -> list[Job]:
    made = []
    for number in range(count):
        bundled = random.choice(list(catalogue().values()))
        vector = random.choice(bundled.vectors)
        version = ConverterVersion(
            id=f"fuzz-{number}",
            version=1,
            name="fuzz",
            direction="UPLINK",
            script=mutated(random, bundled.script),
            dialect=bundled.about.dialect,
            engine=random.choice(["duktape", "quickjs"]),
            time_limit=0.25,
            options=bundled.about.options,
        )
        made.append(
            Job(version, bytes.fromhex(vector.payload), msgspec.json.encode(vector.metadata), 1000, number)
        )
    return made


async def fuzz(service: ConverterService, count: int, seed: int) -> Counter[str]:
    """Run that many mutations; what became of them. Raises AssertionError with the script that misbehaved."""
    seen: Counter[str] = Counter()
    work = jobs(Random(seed), count)
    for start in range(0, count, BATCH):
        batch = work[start : start + BATCH]
        done: Deferred[list[Conversion]] = Deferred()
        service.convert(batch, done.callback)
        for job, conversion in zip(batch, await done, strict=True):
            seen[_verdict(conversion, job)] += 1
    return seen


def _verdict(conversion: Conversion, job: Job) -> str:
    error = conversion.error
    if error is not None:
        assert error.name != "Crash" and error.message and not conversion.outputs, job.converter.script
        return error.name if error.name.endswith(("Error", "Limit")) else "Other"
    for output in conversion.outputs:
        body: dict[str, Any] = json.loads(output.body)
        assert all(set(entry) == {"ts", "values"} for entry in body["telemetry"]), job.converter.script
    return "converted" if conversion.outputs else "filtered"


async def main(reactor: Any) -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    service = ConverterService(reactor)
    await service.start()
    print(await fuzz(service, count, int(sys.argv[2]) if len(sys.argv) > 2 else 1))
    print(service.status())
    await service.stop()


if __name__ == "__main__":
    task.react(lambda reactor: Deferred.fromCoroutine(main(reactor)))

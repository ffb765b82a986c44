"""The walk: every operation of the API's own description, with every name and id of another tenant in every place that takes
a text.

Each request is made twice, once with something that the other tenant has, and once with something that nobody has. Both
answers must be alike, so that nobody learns what is there, and none may hold anything that the other tenant has.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from random import Random
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from tests.tenants.house import Answer, House
from tests.tenants.lamp import MARK, TENANT, Known

_VARIABLE = re.compile(r"\{(\w+)\}")
_PACKING = re.compile(r"^(Content-Encoding|Vary):.*\n", re.M)
"""Whether an answer is packed depends on its size alone."""
_CHANGING = re.compile(
    r"\b(?:dl)?[0-9a-f]{8,}(?:-\d+)?\b|\b\d{10,}\b|iotgw_\w+|/i/[\w-]{16}|\"routingKey\":\"[\w-]{16}\"|\"(?:revision|versions?)\":\d+|made-[\d-]+|\"id\":\d+"
    r"|Idempotency-Key: [^\\]+"
    r"|(?:date|etag|content-length): .*|\b\d+\.\d+\b|\"token\":\"[^\"]+\"|\"status\":\{.*"
    r"|\"(?:queued|delivered|inflight|waiting|waitingBytes|dead|deadBytes|retrying|oldestAge)\":[^,}]+",
    re.I,
)
_ORDER = ("get", "post", "put", "patch", "delete")
BODIES: dict[str, dict[str, Any]] = {
    "DatasourceSpec": {"type": "http"},
    "IntegrationSpec": {"type": "http", "configuration": {"url": "http://127.0.0.1:9/"}, "enabled": False},
    "ConverterSpec": {"script": "return {};"},
    "CredentialSpec": {"secrets": [{"value": "something"}]},
    "Trial": {"script": "return {deviceName: 'x', telemetry: {x: payload}};"},
    "Replay": {"script": "return {};"},
    "Injection": {"text": "x"},
    "DownlinkSpec": {"data": ""},
    "NewToken": {"role": "viewer"},
    "NewJob": {"reprocess": {}},
}
"""What a body needs besides what its schema says."""
GLOBAL = frozenset({"routingKey"})
"""What is one for all tenants, so that it can be told whether somebody has it."""
ELSE = frozenset({"after", "before", "script", "decoder", "payload", "hex", "text"})
"""Where a name is no name: a list goes on behind it or before it whether it is there or not, and a script's text is what it is."""


def _goes_on(operation: dict[str, Any]) -> bool:
    """Whether an answer has no end: who sees what there has tests of its own, beside those of streams."""
    answers = operation["responses"].values()
    return any("text/event-stream" in answer.get("content", ()) for answer in answers)


class Step(Struct, frozen=True):
    """One request, with the names of the other tenant that stand in it."""

    method: str
    path: str
    body: Any
    used: tuple[str, ...]
    place: str = ""


class Walk:
    """Walks as the owner of ``token``; ``own`` are names of his own. ``share`` is how many of the names are tried in each
    place of a body."""

    def __init__(
        self, house: House, token: str, known: Known, own: dict[str, str], share: int, seed: int = 1
    ) -> None:
        self._house, self._token, self._known, self._own = house, token, known, own
        self._share = share
        self._random = Random(seed)
        self.document: dict[str, Any] = {}
        self.endless: list[str] = []
        """Operations whose answers don't end, which are not tried here."""
        self._named: set[str] = set()
        """Names that the walk has given to things of the caller: what these do is told from what isn't there, and may be."""
        self.requests = 0
        self.statuses: dict[str, set[int]] = {}
        self.operations: dict[str, int] = {}
        """How many requests each operation of the description got."""

    async def run(self) -> None:
        """All of it; raises AssertionError with the request and the answer."""
        self.document = await self._house.ok(self._token, "GET", "/openapi.json")
        operations = [
            (method, path, operation)
            for path, item in self.document["paths"].items()
            for method, operation in item.items()
        ]
        self.endless = [f"{method} {path}" for method, path, each in operations if _goes_on(each)]
        operations = [each for each in operations if not _goes_on(each[2])]
        for method, path, operation in sorted(operations, key=lambda each: _ORDER.index(each[0])):
            self.operations[f"{method} {path}"] = 0
            for step in self._steps(method, path, operation):
                self.operations[f"{method} {path}"] += 1
                await self._take(step)

    def _steps(self, method: str, path: str, operation: dict[str, Any]) -> Iterator[Step]:
        path = path.removeprefix("/api/v1")
        places = list(self._paths(path))
        body = self._body(operation)
        if method == "put" and isinstance(body, dict):
            body.pop("name", None)  # what is called by another name is not there for the next request
        for place, used in places:
            yield Step(method, place, body, used)
        place, used = places[0]
        for query in operation.get("parameters", ()):
            if (
                query["in"] == "query"
                and query["schema"].get("type") == "string"
                and "enum" not in query["schema"]
            ):
                for name in [TENANT] if query["name"] == "tenant" else self._some(self._known.all):
                    yield Step(
                        method, f"{place}?{query['name']}={quote(name, safe='')}", body, (*used, name), query["name"]
                    )  # fmt: skip
        own, _ = next(self._paths(path, self._own))
        for where, filled in self._filled(operation, body):
            if method == "put" and where == "name":
                continue
            yield Step(method, own, filled[0], (filled[1],), where)

    def _paths(self, path: str, own: dict[str, str] | None = None) -> Iterator[tuple[str, tuple[str, ...]]]:
        """The path with names of the other tenant, or with one's ``own``, for its variables."""
        parts = path.split("/")
        choices: list[list[str]] = []
        for before, part in zip(["", *parts], parts, strict=False):
            if not _VARIABLE.search(part):
                choices.append([part])
            elif own is not None:
                choices.append([own.get(before, "1")])
            else:
                choices.append(self._for(before))
        used_at = [at for at, part in enumerate(parts) if _VARIABLE.search(part)]
        for number in range(max(map(len, choices))):
            chosen = [found[number % len(found)] for found in choices]
            used = tuple(chosen[at] for at in used_at)
            yield (
                "/".join(quote(each, safe="") if at in used_at else each for at, each in enumerate(chosen)),
                used,
            )

    def _for(self, before: str) -> list[str]:
        known = self._known
        by_place = {**known.names, "messages": known.messages, "downlinks": known.downlinks}
        return by_place.get(before) or (["1"] if before in ("versions", "dead-letters") else known.all)

    # --- bodies ---

    def _schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return schema

    def _body(self, operation: dict[str, Any]) -> Any:
        contents = operation.get("requestBody", {}).get("content", {})
        return self._made(next(iter(contents.values()))["schema"]) if contents else None

    def _made(self, schema: dict[str, Any]) -> Any:
        schema = self._schema(schema)
        if schema.get("type") == "array":
            return [self._made(schema["items"])]
        value = {name: self._plain(schema["properties"][name]) for name in schema.get("required", ())}
        return {**value, **BODIES.get(schema.get("title", ""), {})}

    def _plain(self, schema: dict[str, Any]) -> Any:
        schema = self._schema(schema)
        if "enum" in schema:
            return schema["enum"][0]
        plain = {"integer": 1, "number": 1, "boolean": True, "array": [], "object": {}}
        return plain.get(schema.get("type", ""), _FRESH)

    def _filled(self, operation: dict[str, Any], body: Any) -> Iterator[tuple[str, tuple[Any, str]]]:
        """The body with a name of the other tenant in each place that takes a text, one at a time."""
        if not isinstance(body, dict):
            return
        contents = operation["requestBody"]["content"]
        schema = self._schema(next(iter(contents.values()))["schema"])
        for place, of_place in schema.get("properties", {}).items():
            if place == "configuration":  # expressions, in which a name is a word like any other
                continue
            for name in self._some(self._known.all):
                for value in self._holding(of_place, name):
                    unlike = {"script"} & set(body) if place in ("version", "decoder") else set()
                    input_ = (
                        {"text", "payload", "hex", "messageId"} & set(body) if place in _INPUTS else set()
                    )
                    other = {"reprocess"} if place == "retry" else set()  # a job is one of both
                    kept = {key: each for key, each in body.items() if key not in unlike | input_ | other}
                    yield place, ({**kept, place: value}, name)

    def _holding(self, schema: dict[str, Any], name: str) -> Iterator[Any]:
        schema = self._schema(schema)
        for choice in map(self._schema, schema.get("anyOf", [schema])):
            if "enum" in choice:
                continue
            if choice.get("type") == "string":
                yield name
            elif choice.get("type") == "array":
                yield from ([value] for value in self._holding(choice.get("items", {}), name))
            elif choice.get("type") == "object" and "properties" not in choice:
                inner = choice.get("additionalProperties")
                yield from ({name: value} for value in self._holding(inner or {}, name) or [name])
            elif choice.get("type") == "object":
                least = self._made(choice)
                for key, of_key in choice["properties"].items():
                    if self._schema(of_key).get("type") == "string" or "anyOf" in of_key:
                        yield from ({**least, key: value} for value in self._holding(of_key, name))

    def _some(self, names: list[str]) -> list[str]:
        return self._random.sample(names, min(self._share, len(names)))

    # --- requests ---

    async def _take(self, step: Step) -> None:
        answer = await self._call(step.method, step.path, step.body)
        self.check(step, answer)
        used = tuple(name for name in step.used if name not in (TENANT, "1"))
        if step.place in GLOBAL | ELSE or not used:
            return
        if step.place == "name" and answer.status < 300:
            self._named.update(used)
        if step.method == "get" and self._named.intersection(used):
            return
        absent = {name: _absent(name) for name in used}
        path, body = step.path, msgspec.json.encode(step.body).decode()
        for name, other in absent.items():
            path, body = path.replace(quote(name, safe=""), quote(other, safe="")), body.replace(name, other)
        control = await self._call(step.method, path, msgspec.json.decode(body))
        one, other_ = _plain(answer, used), _plain(control, tuple(absent.values()))
        assert one == other_, f"{step}: what is there is told from what isn't:\n{one}\n{other_}"

    async def _call(self, method: str, path: str, body: Any) -> Answer:
        self.requests += 1
        if (method, path.partition("?")[0]) in (("post", "/jobs"), ("post", "/downlinks")):
            await self._house.until(self._no_job_runs)
        text = msgspec.json.encode(body).decode().replace(_FRESH, f"made-{self.requests}-{id(self)}")
        answer = await self._house.call(self._token, method.upper(), path, msgspec.json.decode(text))
        self.statuses.setdefault(f"{method} {path.partition('?')[0]}", set()).add(answer.status)
        assert answer.status < 500 or "/check" in path or "/test" in path, (method, path, body, answer)
        return answer

    async def _no_job_runs(self) -> bool:
        """A tenant has two at a time, so that a third one would be refused for its time alone."""
        answer = await self._house.call(self._token, "GET", "/jobs")
        return '"running"' not in answer.text

    def check(self, step: Step, answer: Answer) -> None:
        """Nothing of the other tenant is in it."""
        whole = answer.whole.lower()
        found = [each for each in (MARK, *_ENCODED, *self._known.secret_ids) if each.lower() in whole]
        assert not found, f"{step} shows {found[0]}: {answer.whole}"


_FRESH = "made-anew"
"""A text that is another one in each request."""
_INPUTS = frozenset({"text", "payload", "hex", "messageId"})
_ENCODED = (MARK.encode().hex(), "cXVpeG90cn", "F1aXhvdHJ5", "xdWl4b3Rye")
"""The mark in hexadecimal, and in base64 at any of its three places."""


def _absent(name: str) -> str:
    """A name of the same form that nobody has."""
    if name.startswith("lamp"):
        return name.replace("lamp", "lump")
    head, dash, number = name.rpartition("-")
    if dash and number.isdigit():
        return f"{head}{dash}{int(number) + 900_000}"
    return name[:2] + hashlib.sha256(name.encode()).hexdigest()[: len(name) - 2]


def _plain(answer: Answer, used: tuple[str, ...]) -> str:
    """An answer without what it repeats of the request, and without what differs each time."""
    text = _PACKING.sub("", answer.whole)
    for name in sorted(used, key=len, reverse=True):
        for said in (quote(name, safe=""), name):
            text = re.sub(
                rf"{re.escape(said)}(?!\d)", "…", text
            )  # an id's number may begin that of another one
    return f"{answer.status} {_CHANGING.sub('#', text)}"

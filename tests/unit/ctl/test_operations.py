"""Every operation of the API can be reached by a command."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_twisted

from iotgw.api.app import routes
from iotgw.core.model import State
from iotgw.ctl.client import ApiClient
from iotgw.ctl.commands import files, queues
from tests.unit.api.test_configuration import document

ELSEWHERE = {
    "GET /health/live": "for whoever watches the process",
    "GET /session": "for browsers",
    "POST /session": "for browsers",
    "DELETE /session": "for browsers",
    "GET /metrics": "for Prometheus",
    "POST /messages/<id>/reprocess": "`reprocess ID` takes the operation for many",
    "POST /converters/<name>/test": "reached, but by the path of the bundled ones",
    "GET /integration-presets/<name>": "see `test_presets`: a preset is asked for and filled",
    "POST /integration-presets/<name>": "see `test_presets`",
    "POST /integrations": "see `test_presets`, and `create`",
    "POST /jobs": "see `test_jobs`",
    "GET /stream": "see `test_live`: it doesn't end",
}
"""Operations that these commands don't reach, and why."""
KINDS = ("datasource", "converter", "integration", "credential", "device-type", "device-group", "device")


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Each request of a command: method and path."""
    found: list[tuple[str, str]] = []
    send = ApiClient._send

    def noted(client: ApiClient, method: str, path: str, *more: Any) -> Any:
        found.append((method, path.partition("?")[0]))
        return send(client, method, path, *more)

    monkeypatch.setattr(ApiClient, "_send", noted)
    return found


def reached(calls: list[tuple[str, str]], parts: Any) -> set[str]:
    """The operations that these requests are, the most exact one each."""
    found = set()
    known = [(route.method, route.path, len(re.findall("<", route.path))) for route in routes(parts)]
    patterns = [
        (method, path, variables, re.compile(re.sub(r"<path:\w+>", ".+", re.sub(r"<\w+>", "[^/]+", path))))
        for method, path, variables in known
    ]
    for method, path in calls:
        fits = [each for each in patterns if each[0] == method and each[3].fullmatch(path)]
        if fits:
            exact = min(fits, key=lambda each: each[2])
            found.add(f"{exact[0]} {exact[1]}".replace("<path:", "<"))
    return found


@inline
async def test_every_operation_has_a_command(
    bench: Any, run: Any, called: list[Any], tmp_path: Path, monkeypatch: Any
) -> None:
    (tmp_path / "all.json").write_text(json.dumps(document()))
    (tmp_path / "list.csv").write_text("name\nd-9\n")
    (tmp_path / "downlinks.json").write_text('[{"data": "MDE="}]')
    (tmp_path / "editor").write_text('#!/bin/sh\necho >> "$1"\n')
    monkeypatch.setattr(files, "PART", 1000)
    (tmp_path / "image").write_bytes(bytes(files.PART + 1))
    (tmp_path / "editor").chmod(0o755)
    monkeypatch.setattr(queues, "PAUSE", 0.0)
    monkeypatch.setenv("VISUAL", str(tmp_path / "editor"))
    new = {
        "datasource": {"name": "n-1", "type": "coap"}, "converter": {"name": "n-1", "script": "function n() {}"},
        "integration": {"name": "n-1", "type": "http", "configuration": {"url": "http://n"}},
        "credential": {"name": "n-1", "identity": "n-1", "secrets": [{"value": "hush-hush"}]},
        "device-type": {"name": "n-1"}, "device-group": {"name": "n-1"}, "device": {"name": "n-1"},
    }  # fmt: skip
    for kind, value in new.items():
        (tmp_path / f"{kind}.json").write_text(json.dumps(value))
    bench.add("here", b"1", State.FAILED)
    lines = [
        f"apply {tmp_path}/all.json", f"export {tmp_path}/out --secrets {tmp_path}/secrets", "status", "backup", "backups", "resume",
        "nodes", "drain n-1", "drain n-1 --end", "api GET /nodes/n-1",
        "api", "api GET /quarantine", "wait-until ready", "url field", "dtls field", "dtls field --end s1",
        "inject field --text x", "presets", "integrations out", "integration out stats", "integration out check",
        "integration out test", "integration out pause", "integration out resume", "integration out drain",
        "integration out purge", "integration out seek --since 1d", "integration out dead-letters",
        "integration out retry", "integration out dismiss --position 7", "integration out dismiss",
        "messages", "message e1-1", "reprocess e1-1", "jobs", "job show x", "job cancel x", "failures", "telemetry m-1",
        "devices", "devices m-1", "device set m-1 label=x", "device set m-7 label=x", "device groups", "device map",
        "device credentials m-1", "device credentials m-1 --psk hush-hush", f"device import {tmp_path}/list.csv",
        "device export -", "device export - --with-keys", "device quarantine", "device quarantine x", "device release x",
        "device drop x", "hand-over m-1 field", "downlinks", "downlinks m-1", "downlink m-1 --text x", "downlinks m-1 --show x",
        "downlinks m-1 --cancel x", f"downlinks m-1 --replace {tmp_path}/downlinks.json", "downlinks m-1 --clear",
        "converter versions mine", "converter activate mine 1", "converter test-suite mine",
        "converter replay mine --version 1", "converter library", "converter install json --name own",
        "try json --text x", f"try --script {tmp_path}/editor --text x", "events", "tokens", "token made", "delete token made",
        "datasource add --preset the-things-stack --name tts", "debug field", "debug", "debug field --off", "message e1-1 --debug",
        "tenants", "tenant set north limit=100:1", "tenants north", "tenant unlimit north", "tenant set south limit=1:1", f"tenant delete south --export {tmp_path}/south --no-wait", "usage", "search m", "series",
        f"file upload {tmp_path}/image", "files", "files image", "file delete image", "job devices x",
        "job downlink m-1 --payload x", "job downlinks job1", "job downlinks job1 --stop",
    ]  # fmt: skip
    for kind in KINDS:
        lines += [
            f"create {kind} {tmp_path}/{kind}.json", f"{kind}s", f"{kind}s n-1", f"set {kind} n-1 description=x",
            f"edit {kind} n-1", f"replace {kind} n-1 {tmp_path}/{kind}.json", f"delete {kind} n-1",
        ]  # fmt: skip
    bench.hold_session("field")
    for line in lines:
        code, _, err = await run(*line.split())
        assert code in (0, 1), (line, err)
    wanted = {
        f"{route.method} {route.path}".replace("<path:", "<") for route in routes(bench.parts)
    } - ELSEWHERE.keys()
    assert wanted - reached(called, bench.parts) == set()


def test_what_is_elsewhere_is_an_operation(bench: Any) -> None:
    known = {f"{route.method} {route.path}".replace("<path:", "<") for route in routes(bench.parts)}
    assert ELSEWHERE.keys() <= known
    assert msgspec.json.encode(sorted(ELSEWHERE))

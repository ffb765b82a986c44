"""A real OpenSearch: one node in a process (tests/peers/opensearchnode)."""

from __future__ import annotations

import json
import os
import subprocess
from urllib.request import Request, urlopen

from .process import HOME, Process, find, free_port, missing, whose


class OpenSearch(Process):
    """A node without users, as its plugin for these isn't in Maven."""

    def __init__(self, folder):
        target = HOME / "opensearchnode" / "target"
        if not (target / "classes" / "OpenSearchNode.class").exists():
            missing("tests/peers/opensearchnode is not built: that takes Java and Maven")
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        classes = f"{target / 'classes'}{os.pathsep}{target / 'lib'}/*"
        super().__init__(
            [find("java"), "-Xms128m", "-Xmx384m", "-cp", classes, "OpenSearchNode", folder / "node", self.port],
            folder / "opensearch.log",
        )  # fmt: skip

    def launch(self):
        """See `Process.launch`: it ends when its input does."""
        with self.log.open("ab") as out:
            self.child = subprocess.Popen(
                self.args, stdin=subprocess.PIPE, stdout=out, stderr=out, env={**self._env, **whose()}
            )
        return self

    def ready(self):
        return "started" in self.output

    def ask(self, method, path, body=None):
        """One request; its answer's JSON."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        with urlopen(Request(f"{self.url}/{path}", data, headers, method=method)) as answer:
            return json.load(answer)

    def documents(self, index):
        """All documents of an index, by their ids."""
        self.ask("POST", f"{index}/_refresh")
        found = self.ask("GET", f"{index}/_search?size=1000")
        return {hit["_id"]: hit["_source"] for hit in found["hits"]["hits"]}

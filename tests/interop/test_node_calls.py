"""The table of calls and results that the engines are held to (tests/unit/converters) is what node says."""

import json
import os
import subprocess
from pathlib import Path

from tests.peers.process import find

CALLS = json.loads((Path(__file__).parents[1] / "data" / "node_calls.json").read_text())
PROGRAM = """
const plain = (key, value) => typeof value === 'bigint' ? Number(value) : value;
const answers = JSON.parse(require('fs').readFileSync(0, 'utf8')).map(function (call) {
  try { return JSON.parse(JSON.stringify({gives: (0, eval)('(' + call + ')')}, plain)); } catch (error) { return {throws: error.name}; }
});
console.log(JSON.stringify(answers));
"""


def test_every_call_of_the_table_comes_to_what_node_makes_of_it():
    said = subprocess.run(
        [find("node"), "--no-deprecation", "-e", PROGRAM],
        input=json.dumps([row["call"] for row in CALLS]),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "TZ": "UTC", "LC_ALL": "en_US.UTF-8"},
    )
    answers = json.loads(said.stdout)
    for row, answer in zip(CALLS, answers, strict=True):
        table = {key: row[key] for key in ("gives", "throws") if key in row}
        assert answer == table, row["call"]

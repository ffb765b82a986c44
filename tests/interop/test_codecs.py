"""``make codecs``: scripts of a collection run here and in node, and what both make of an input is compared."""

import json
import subprocess
import sys
from pathlib import Path

from tests.codecs.mentions import mentions
from tests.peers.process import find

ROOT = Path(__file__).parents[2]
FILES = {
    "akenza/types/a/x/uplink.js": """
        function consume(event) {
          emit('sample', {data: {t: Bits.bitsToSigned(Bits.hexToBits(event.data.payloadHex).substr(0, 16)) / 10}, topic: 'default'});
        }""",
    "akenza/types/a/x/uplink.spec.js": "consume({data: {port: 3, payloadHex: '00e75f'}}); consume({data: {payloadHex: 'ff9c'}});",
    "tago/a/payload.js": """
        const raw = payload.find((x) => x.variable === 'payload');
        const port = payload.find((x) => x.variable === 'fport');
        payload = payload.concat([{variable: 't', value: Buffer.from(raw.value, 'hex').readInt16BE(0) / port.value}]);""",
    "tago/a/payload.test.js": "payload = [{variable: 'payload', value: '00e7'}, {variable: 'fport', value: 10}];",
    "watteco/main.js": "exports.driver = {decodeUplink: (i) => ({data: {t: require('./lib/read').of(i.bytes)}})};",
    "watteco/lib/read.js": "exports.of = (bytes) => bytes[1] / 10;",
    "watteco/examples.json": '[{"type": "uplink", "input": {"bytes": "00e7", "fPort": 125}}]',
    "ttn/decoder.js": "function decodeUplink(input) { return {data: {port: input.fPort, length: input.bytes.length}}; }",
    "ttn/device.yaml": "uplinkDecoder:\n  fileName: decoder.js\n  examples:\n    - input:\n        fPort: 7\n        bytes: [1, 2]\n",
    "other/fails.js": "function Decoder(bytes, port) { throw new Error('always'); }",
    "other/wrong.js": "function Decoder(bytes, port) { return {a: typeof process, b: typeof window}; }",
    "README.md": "no script",
}  # fmt: skip


def run(corpus, state):
    find("node")
    command = [sys.executable, "-m", "tests.codecs", "--corpus", str(corpus), "--state", str(state)]
    return subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_a_collection_is_compared_and_a_second_run_goes_on(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / "corpus" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    state = tmp_path / "state.jsonl"
    done = run(tmp_path / "corpus", state)
    rows = [json.loads(line) for line in state.read_text().splitlines()]
    came = {
        (row["source"], row["form"]): {r["what"] for r in rows if r["source"] == row["source"]}
        for row in rows
    }
    assert came == {
        ("akenza/types/a/x/uplink.js", "akenza"): {"same"},
        ("tago/a/payload.js", "tago"): {"same"},
        ("watteco/main.js", "driver"): {"same"},
        ("ttn/decoder.js", "ts013"): {"same"},
        ("other/fails.js", "ttn-v2"): {"both fail"},
        ("other/wrong.js", "ttn-v2"): {"same"},
    }, done.stderr
    assert done.returncode == 0, done.stdout
    state.write_text("\n".join(json.dumps({**row, "what": "different"}) for row in rows) + "\n")
    again = run(tmp_path / "corpus", state)
    assert len(state.read_text().splitlines()) == len(rows)
    assert again.returncode == 1
    assert "different" in again.stdout


def test_device_types_are_counted_once_for_a_collection_and_a_folder(tmp_path):
    for name in (
        "a/vendors/dl-atm41/x.js", "a/vendors/dl-atm41/y.js", "b/ATM41_v2/EU868/decoder.js", "b/AM102/a.txt", "c/LHT-65.js", "README.md",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert mentions(tmp_path) == {"atm41": (2, 2), "am102": (1, 1), "lht65": (1, 1)}

"""What it costs to look into a long history while devices send: each list and filter, its first page.

    python benchmarks/history.py [--messages 1000000] [--devices 100000] [--definitions 1000] [--rate 2000] [--rounds 100] [--keep DIR] [query …]

A gateway runs on a journal of so many messages of seven days, of so many devices, of which one in fifty failed, with an entry for each device
and so many definitions. `coapload` sends so many uplinks a second meanwhile, and they are converted into readings of 50,000 of these devices.
For each query, the table has the time that its first page takes over HTTP (50th and 99th percentile, and the longest), how far the page looked back,
and the longest that `/health/live` took meanwhile: what the reactor was busy with at once. The first line is without any query. Then come the time from
the start until the gateway was ready, and its memory. With ``--keep``, all of it stays in that directory and is used again, with what was sent added.
"""

from __future__ import annotations

import argparse
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from harness.fleet import SENDERS, filled, named, paths, script
from harness.history import DAYS
from harness.looking import define, look, sending, span, started, weigh
from harness.processes import free_port

DATASOURCES = [f"ds{number}" for number in range(10)]
SETTINGS = "[store]\nmax-bytes = 100000000000\nmax-age = 5184000.0\n"
"""Nothing of the journal is trimmed."""


def queries(end_ms):
    """The queries by name."""
    day = 86_400_000
    window = f"since={end_ms - 3 * day}&until={end_ms - 2 * day}"
    device = named(7)
    return {
        "all": "/messages",
        "rows": "/messages?view=row",
        "datasource": "/messages?datasource=ds3",
        "device": f"/messages?device={device}",
        "device, none such": "/messages?device=none",
        "failed": "/messages?state=failed",
        "filtered": "/messages?outcome=filtered",
        "received": "/messages?state=received",
        "a day": f"/messages?{window}",
        "a device's day": f"/messages?device={device}&{window}",
        "text": "/messages?text=10.0.7.3",
        "text, none such": "/messages?text=nowhere",
        "failed, text": "/messages?state=failed&text=nowhere",
        "dead": "/messages?outcome=dead",
        "expired": "/messages?outcome=expired",
        "delivered": "/messages?outcome=delivered&integration=out",
        "refused": "/messages?outcome=refused",
        "another tenant": "/messages?tenant=acme",
        "failures": "/failures",
        "telemetry": f"/devices/{device}/telemetry",
        "telemetry by hour": f"/devices/{device}/telemetry?every=3600&since={end_ms - 7 * day}",
        "devices": "/devices",
        "events": "/events",
    }


def make(directory, messages, devices, integration, end):
    """Make a journal in a process of its own: it has a reactor, and needs none afterwards."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom twisted.internet import defer, task\n"
        "from harness.history import History\n"
        f"history = History(Path({str(directory / 'journal.db')!r}), {messages}, {devices}, {end}, {DATASOURCES}, {integration!r})\n"
        "task.react(lambda reactor: defer.ensureDeferred(history.make()))\n"
    )
    path = f"{Path(__file__).parents[1]}:{Path(__file__).parent}"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": path})


def looked_back(end_ms):
    """What is said of how far a page looked back."""

    def far(answer):
        back = answer.get("lookedBackTo")
        return f" {(end_ms - back) / 3_600_000:8.1f} h looked back" if back else ""

    return far


def prepared(folder, arguments):
    """Make what is looked at: the gateway's definitions, its devices, and the journal. The port of the devices that send."""
    gateway, _ = started(folder, SETTINGS)
    gateway.converter("bench", script(arguments.devices))
    port = free_port()
    gateway.coap(port)
    define(gateway, arguments.definitions)
    target = {"url": f"http://127.0.0.1:{free_port()}/"}
    body = {"name": "out", "type": "http", "configuration": target, "enabled": False}
    integration = gateway.api("POST", "/integrations", body)["id"]
    gateway.stop()
    for left in gateway.data.glob("journal.db*"):
        left.unlink()
    end = began = time.time() - 60
    make(gateway.data, arguments.messages, arguments.devices, integration, end)
    print(f"{arguments.messages:,} messages of {DAYS} days made in {time.time() - 60 - began:.0f} s")
    with closing(sqlite3.connect(gateway.data / "journal.db")) as journal:
        (head,) = journal.execute("SELECT max(seq) FROM telemetry").fetchone()
    filled(gateway.data, arguments.devices, head)
    return end, port


def main(arguments):
    folder = Path(arguments.keep or tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    stamp = folder / "made"
    try:
        if not stamp.exists():
            end, port = prepared(folder, arguments)
            stamp.write_text(f"{end} {port}")
        end, port = (float(each) for each in stamp.read_text().split())
        end_ms = int(end * 1000)
        gateway, ready = started(folder)
        size = sum(path.stat().st_size for path in gateway.data.glob("journal.db*"))
        print(
            f"journal {size / 1e6:,.0f} MB; {arguments.rate} uplinks a second; {arguments.rounds} requests each"
        )
        all_ = {**queries(end_ms), **paths(arguments.devices)}
        chosen = {
            name: path for name, path in all_.items() if not arguments.queries or name in arguments.queries
        }
        senders = min(SENDERS, arguments.devices)
        try:
            with sending(int(port), arguments.rate, span(chosen, arguments.rounds), senders):
                look(gateway, chosen, arguments.rounds, looked_back(end_ms))
            weigh(gateway, ready)
        finally:
            gateway.stop()
    finally:
        if not arguments.keep:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("queries", nargs="*", metavar="query")
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--devices", type=int, default=100_000)
    parser.add_argument("--definitions", type=int, default=1000)
    parser.add_argument("--keep")
    main(parser.parse_args())

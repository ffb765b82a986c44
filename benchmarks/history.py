"""What it costs to look into a long history while devices send: each list and filter, its first page.

    python benchmarks/history.py [--messages 1000000] [--rate 2000] [--rounds 30] [--keep DIR] [query …]

A gateway runs on a journal of so many messages of seven days, of a thousand devices, of which one in fifty failed. `coapload` sends so many
uplinks a second meanwhile, and they are converted. For each query, the table has the time that its first page takes over HTTP (50th and
99th percentile, and the longest), how far the page looked back, and the longest that `/health/live` took meanwhile: what the reactor
was busy with at once. The first line is without any query. With ``--keep``, the journal stays in that directory, and is used again.
"""

from __future__ import annotations

import argparse
import http.client
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from harness.gateway import Gateway
from harness.history import DAYS
from harness.processes import free_port
from harness.tools import Load, build

DEVICES = 1000
DATASOURCES = [f"ds{number}" for number in range(10)]


def queries(end_ms):
    """The queries by name."""
    day = 86_400_000
    window = f"since={end_ms - 3 * day}&until={end_ms - 2 * day}"
    device = "SN-000007"
    return {
        "all": "/messages",
        "rows": "/messages?view=row",
        "datasource": "/messages?datasource=ds3",
        "device": f"/messages?device={device}",
        "device, none such": "/messages?device=SN-none",
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


def make(directory, messages, integration, end):
    """Make a journal in a process of its own: it has a reactor, and needs none afterwards."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom twisted.internet import defer, task\n"
        "from harness.history import History\n"
        f"history = History(Path({str(directory / 'journal.db')!r}), {messages}, {DEVICES}, {end}, {DATASOURCES}, {integration!r})\n"
        "task.react(lambda reactor: defer.ensureDeferred(history.make()))\n"
    )
    path = f"{Path(__file__).parents[1]}:{Path(__file__).parent}"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": path})


class Probe(threading.Thread):
    """Asks whether the gateway lives, every 5 ms; ``longest`` is the longest that took, in seconds."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.longest, self.goes_on = port, 0.0, True

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        while self.goes_on:
            began = time.perf_counter()
            connection.request("GET", "/health/live")
            connection.getresponse().read()
            self.longest = max(self.longest, time.perf_counter() - began)
            time.sleep(0.005)


def measure(gateway, token, path, rounds):
    """The times of so many requests, the last answer, and the longest stall meanwhile."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port)
    probe = Probe(gateway.port)
    probe.start()
    times, answer = [], {}
    for _ in range(rounds):
        if path:
            began = time.perf_counter()
            connection.request("GET", f"/api/v1{path}", headers={"Authorization": f"Bearer {token}"})
            response = connection.getresponse()
            text = response.read()
            times.append(time.perf_counter() - began)
            answer = json.loads(text)
            if response.status != 200:
                raise SystemExit(f"{path}: {text.decode()}")
        time.sleep(0.05)
    probe.goes_on = False
    probe.join()
    return sorted(times), answer, probe.longest


def shown(name, times, answer, longest, end_ms):
    back = answer.get("lookedBackTo")
    far = f"{(end_ms - back) / 3_600_000:8.1f} h" if back else ""
    found = len(answer.get("items", ())) or sum(
        map(len, (*answer.get("buckets", {}).values(), *answer.get("readings", {}).values()))
    )
    if times:
        half, most = times[len(times) // 2], times[min(len(times) - 1, len(times) * 99 // 100)]
        figures = f"{half * 1e3:8.1f} {most * 1e3:8.1f} {times[-1] * 1e3:8.1f}"
    else:
        figures = " " * 26
    print(f"{name:20} {figures} {longest * 1e3:10.1f} {found:6} {far}", flush=True)


def main(arguments):
    folder = Path(arguments.keep or tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    stamp = folder / "end"
    try:
        if not stamp.exists():
            gateway = Gateway(folder)
            gateway.converter()
            target = {"url": f"http://127.0.0.1:{free_port()}/"}
            body = {"name": "out", "type": "http", "configuration": target, "enabled": False}
            integration = gateway.api("POST", "/integrations", body)["id"]
            gateway.stop()
            for left in gateway.data.glob("journal.db*"):
                left.unlink()
            end = time.time() - 60
            began = time.time()
            make(gateway.data, arguments.messages, integration, end)
            print(f"{arguments.messages:,} messages of {DAYS} days made in {time.time() - began:.0f} s")
            stamp.write_text(str(end))
        end_ms = int(float(stamp.read_text()) * 1000)
        gateway = Gateway(folder)
        port = free_port()
        names = {each["name"] for each in gateway.api("GET", "/datasources")["items"]}
        for name in names:
            gateway.api("DELETE", f"/datasources/{name.replace(' ', '%20')}?backlog=drop")
        gateway.coap(port)
        token = (gateway.data / "admin-token").read_text().strip()
        size = sum(path.stat().st_size for path in gateway.data.glob("journal.db*"))
        print(
            f"journal {size / 1e6:,.0f} MB; {arguments.rate} uplinks a second; {arguments.rounds} requests each"
        )
        build()
        chosen = {
            name: path
            for name, path in queries(end_ms).items()
            if not arguments.queries or name in arguments.queries
        }
        seconds = int((len(chosen) + 1) * arguments.rounds * 0.25) + 10
        coapload = ("-p", port, "-u", "i/key", "-n", 500, "-w", 500, "--rate", arguments.rate, "-t", seconds)
        load = Load("coapload", *coapload) if arguments.rate else None
        time.sleep(2)
        print(
            f"{'query':20} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8} {'stall ms':>10} {'found':>6} looked back"
        )
        try:
            shown("nobody asks", *measure(gateway, token, "", arguments.rounds), end_ms)
            for name, path in chosen.items():
                shown(name, *measure(gateway, token, path, arguments.rounds), end_ms)
            if load is not None:
                report = load.wait(seconds + 60)
                print({key: value for key, value in report.items() if isinstance(value, int | float)})
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
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--keep")
    main(parser.parse_args())

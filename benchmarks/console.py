"""How fast the web console is in a real browser.

    python benchmarks/console.py [--rounds 7] [--slow 4] [--devices 100000] [--messages 1000000] [--rows 10000] [--keep DIR]

First the way to the first page: a fresh browser with an empty cache, its CPU slowed by ``--slow``, and a gateway of a small house over loopback. `shown` is when
the page has its data, `interactive` when the browser has nothing left to do after that, in milliseconds from the navigation on. What it cost is printed in counts, too, which no other load on the machine changes.

Then the pages of a gateway with so many devices and messages, with the CPU as it is: how long each takes from the click to its first rows, and so many rows
of the lists of messages and devices, scrolled page by page. ``--devices 0`` leaves that out. With ``--keep``, the gateway's data stay in that directory, and are used again.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Protocol

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from harness import fleet
from harness.gateway import Gateway
from harness.processes import free_port
from history import make

from tests.console.browser import DESKTOP, Browser, Visitor
from tests.console.scene import Scene

BAR_MS = 1000
"""What is aimed at for the first page."""
WHEN_SHOWN = """
window.whenShown = (began) => new Promise((done) => {
  const look = () => {
    const loads = document.querySelector("main .skeleton, main [aria-busy=true], main .loading");
    if (!document.querySelector("main h1") || loads) return requestAnimationFrame(look);
    const shown = performance.now() - began;
    requestIdleCallback(() => done([shown, performance.now() - began]));
  };
  look();
});
"""
SCROLL = """async (rows) => {
  const list = () => document.querySelector("[role=table]");
  const count = () => Number(list()?.getAttribute("aria-rowcount") ?? 1) - 1;
  const frame = () => new Promise(requestAnimationFrame);
  let longest = 0, last = performance.now();
  const began = last;
  while (count() < rows && document.querySelector(".list-end button")) {
    scrollTo(0, document.body.scrollHeight);
    await frame();
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }
  return {rows: count(), ms: performance.now() - began, longest, drawn: document.querySelectorAll("[data-row]").length};
}"""


def paths(devices: int) -> dict[str, str]:
    """The pages by name."""
    one = fleet.named(devices // 2)
    return {
        "overview": "overview",
        "messages": "messages?live=off",
        "messages of a device": "messages?device=SN-000007",
        "failed messages": "messages?state=failed",
        "messages with a text": "messages?text=10.0.7.3",
        "failures": "failures",
        "dead letters": "integrations/out?tab=dead",
        "devices": "devices",
        "devices with a text": f"devices?text=sn-{devices - 2:08}",
        "silent devices": "devices?trouble=silent",
        "a device": f"devices/{one}",
        "its messages": "devices/SN-000007?tab=messages",
        "downlinks": "downlinks",
        "events": "events",
        "usage of devices": "usage?per=device&every=day",
        "integrations": "integrations",
        "converters": "converters",
        "settings": "settings",
    }


COST = """() => {
  const all = performance.getEntriesByType("resource");
  const of = (part) => all.filter((each) => each.name.includes(part));
  const files = of("/console/"), size = files.reduce((sum, each) => sum + each.encodedBodySize, 0);
  return `${files.length} files of ${(size / 1000).toFixed(1)} kB, ${of("/api/").length} calls of the API`;
}"""


class Reached(Protocol):
    """A gateway that runs."""

    @property
    def url(self) -> str:
        """Its address."""

    @property
    def token(self) -> str:
        """An administrator's."""


@contextmanager
def visited(browser: Browser, gateway: Reached, slow: float = 1.0) -> Iterator[Visitor]:
    """A fresh browser of somebody who has a session already, slowed so many times."""
    answer = subprocess.run(
        ["curl", "-sX", "POST", "-H", f"Authorization: Bearer {gateway.token}", f"{gateway.url}/api/v1/session"],
        capture_output=True, check=True,
    )  # fmt: skip
    session = json.dumps(answer.stdout.decode())
    with browser.visitor(gateway, DESKTOP) as visitor:
        visitor.page.add_init_script(f"sessionStorage.setItem('iotgw.session', {session})")
        visitor.page.add_init_script(WHEN_SHOWN)
        devtools = visitor.page.context.new_cdp_session(visitor.page)
        devtools.send("Emulation.setCPUThrottlingRate", {"rate": slow})
        yield visitor


def first_page(browser: Browser, folder: Path, rounds: int, slow: float) -> None:
    """Print how long the first page takes."""
    with Scene(folder) as scene:
        scene.furnish()
        scene.live()
        scene.settled()
        times = []
        for _ in range(rounds + 1):  # the first one has the gateway make what it keeps
            with visited(browser, scene.gateway, slow) as visitor:
                visitor.page.goto(f"{visitor.url}/console/#/overview", wait_until="commit")
                times.append(visitor.page.evaluate("whenShown(0)"))
                cost = visitor.page.evaluate(COST)
    print(f"the first page: {cost}")
    for name, found in zip(("shown", "interactive"), zip(*times[1:], strict=True), strict=True):
        over = " **over the bar**" if middle(found) > BAR_MS else ""
        print(
            f"the first page, cold, {slow:g} times slower: {name} {middle(found):.0f} ms (median of {rounds}), {max(found):.0f} ms (worst){over}"
        )


def middle(values: Sequence[float]) -> float:
    """The median."""
    return float(sorted(values)[len(values) // 2])


@contextmanager
def filled(folder: Path, devices: int, messages: int) -> Iterator[Reached]:
    """A gateway with so many of both."""
    if not (folder / "filled").exists():
        gateway = Gateway(folder)
        gateway.converter()
        for name in ("ds0", "ds1"):
            gateway.datasource("http", name, routingKey=name)
        target = {
            "name": "out",
            "type": "http",
            "configuration": {"url": f"http://127.0.0.1:{free_port()}/"},
            "enabled": False,
        }
        integration = gateway.api("POST", "/integrations", target)["id"]
        gateway.stop()
        for left in gateway.data.glob("journal.db*"):
            left.unlink()
        began = time.time()
        make(gateway.data, messages, 1000, integration, began - 60)
        with closing(sqlite3.connect(gateway.data / "journal.db")) as journal:
            (head,) = journal.execute("SELECT max(seq) FROM telemetry").fetchone()
        fleet.filled(gateway.data, devices, head)
        print(
            f"{messages:,} messages and {devices:,} devices made in {time.time() - began:.0f} s", flush=True
        )
        (folder / "filled").touch()
    gateway = Gateway(folder)
    try:
        token = (gateway.data / "admin-token").read_text().strip()
        yield SimpleNamespace(url=f"http://127.0.0.1:{gateway.port}", token=token)
    finally:
        gateway.stop()


def many(browser: Browser, gateway: Reached, options: argparse.Namespace) -> None:
    """Print how long each page takes, and how rows are scrolled."""
    print(
        f"\n| page, with {options.devices:,} devices and {options.messages:,} messages | median of {options.rounds}, ms | worst, ms |\n|---|---|---|"
    )
    with visited(browser, gateway) as visitor:
        page = visitor.page
        visitor.open("settings")
        for name, where in paths(options.devices).items():
            times = []
            for _ in range(options.rounds):
                visitor.open("tokens")  # another page, so that this one begins anew
                times.append(page.evaluate(GO, f"#/{where}"))
            print(f"| {name} | {middle(times):.0f} | {max(times):.0f} |", flush=True)
        for name, where in (("messages", "messages?live=off"), ("devices", "devices")):
            visitor.open(where)
            found = page.evaluate(SCROLL, options.rows)
            heap = page.evaluate("performance.memory.usedJSHeapSize") / 1e6
            print(
                f"{name}: {found['rows']:,} rows scrolled in {found['ms'] / 1000:.1f} s, {found['ms'] * 100 / found['rows']:.0f} ms for each hundred; "
                f"longest frame {found['longest']:.0f} ms; {found['drawn']} rows in the page, {heap:.0f} MB of heap"
            )
        if visitor.complaints:
            raise SystemExit(f"the page complains: {visitor.complaints}")


GO = """async (where) => {
  const began = performance.now();
  location.hash = where;
  await new Promise(requestAnimationFrame);
  return (await whenShown(began))[0];
}"""


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--slow", type=float, default=4.0)
    parser.add_argument("--devices", type=int, default=100_000)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made, Browser() as browser:
        first_page(browser, Path(made) / "small", options.rounds, options.slow)
        if options.devices:
            folder = options.keep or Path(made) / "large"
            folder.mkdir(parents=True, exist_ok=True)
            with filled(folder, options.devices, options.messages) as gateway:
                many(browser, gateway, options)


if __name__ == "__main__":
    main()

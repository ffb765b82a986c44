"""The moments at which a gateway is killed. Each takes a `Chapter` whose gateway runs, and leaves it dead."""

import contextlib
import http.client
import json
import subprocess
import sys
import threading

from tests.peers.coap import Device
from tests.peers.process import wait_until

from .sources import BURST, PASSING, STEP

WINDOW = 64


def pause(seconds):
    threading.Event().wait(seconds)


def under_load(chapter):
    """At any moment while devices send."""
    pause(chapter.dice.uniform(0.05, 2.5))
    chapter.kill()


def amid_groups(chapter):
    """While many requests are in flight at once."""
    first = chapter.numbers(1_000_000)
    device = Device(chapter.ports["coap"], BURST.path.lstrip("/"), burst, window=WINDOW, first=first).start()
    enough = chapter.dice.randint(30, 250)
    try:
        wait_until(lambda: len(device.answered) >= enough, 60, "the load")
        chapter.kill()
    finally:
        device.stop()
    for number in device.sent:
        chapter.ledger.sent(BURST.name, f"burst-{number % 50}", number, burst(number))
    for number in device.answered:
        chapter.ledger.acknowledged(burst(number))


def burst(number):
    return json.dumps({"deviceName": f"burst-{number % 50}", "ts": number * 10 * STEP}).encode()


def while_starting(chapter):
    """A second time, before it is ready."""
    pause(chapter.dice.uniform(0.0, 0.5))
    chapter.kill()
    chapter.launch()
    pause(chapter.dice.uniform(0.0, 1.1) * chapter.startup)
    chapter.kill()


def deleting_a_datasource(chapter):
    """While a datasource with a backlog is deleted."""
    backlog = chapter.dice.choice(["drain", "drop"])
    first = chapter.numbers(100)
    name = f"passing-{first}"
    gateway = chapter.gateway
    gateway.create("datasources", name=name, type="http", routingKey=name, converter="campaign")
    for number in range(first, first + chapter.dice.randint(5, 60)):
        body = json.dumps({"deviceName": name, "ts": number * 10 * STEP}).encode()
        chapter.ledger.sent(PASSING.name, name, number, body)
        if backlog == "drop":
            chapter.may_fail.add(body.hex())
        assert gateway.post(name, body).status == 204
        chapter.ledger.acknowledged(body)
    delete_and_kill(chapter, f"/datasources/{name}", backlog)


def deleting_an_integration(chapter):
    """While an integration with a backlog is deleted."""
    backlog = chapter.dice.choice(["drain", "drop"])
    name = f"passing-{chapter.numbers(1)}"
    type_ = chapter.dice.choice(["http", "mqtt", "sftp"])
    chapter.gateway.create(
        "integrations", name=name, type=type_, configuration=chapter.targets.passing(type_, name),
        queue={"rate": 40}, retry={"initial": 0.1, "cap": 1.0},
    )  # fmt: skip
    begun = chapter.now()
    pause(chapter.dice.uniform(0.3, 2.0))
    if backlog == "drain":
        chapter.drained[name] = (begun, chapter.now())
    delete_and_kill(chapter, f"/integrations/{name}", backlog)


def delete_and_kill(chapter, path, backlog):
    path = f"{path}?backlog={backlog}"

    def delete():
        with contextlib.suppress(OSError, http.client.HTTPException):
            chapter.gateway.api("DELETE", path)

    asking = threading.Thread(target=delete, daemon=True)
    asking.start()
    pause(chapter.dice.choice([0.0, 0.02, 0.1, 0.4]) * chapter.dice.random())
    chapter.kill()
    asking.join()
    chapter.deleting.append(path)


def amid_a_backup(chapter):
    """While a copy of all databases is made."""
    name = f"backup-{chapter.numbers(1)}"
    asking = subprocess.Popen(
        [sys.executable, "-m", "iotgw.ctl.main", "backup", "--url", chapter.gateway.url, name],
        env={**chapter.environment, "IOTGW_TOKEN": chapter.gateway.token},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    made = chapter.gateway.data / "backups"
    wait_until(lambda: list(made.glob("*")) or asking.poll() is not None, 60, "the backup to begin")
    pause(chapter.dice.choice([0.0, 0.02, 0.1, 0.4]) * chapter.dice.random())
    chapter.kill()
    if asking.wait() == 0:
        chapter.report["backups that were complete"] += 1


def has_backup():
    """Whether this gateway can make a backup while it runs."""
    asked = subprocess.run(
        [sys.executable, "-m", "iotgw.ctl.main", "backup", "--help"], capture_output=True, check=False
    )
    return asked.returncode == 0


MOMENTS = {
    under_load: 6,
    amid_groups: 5,
    while_starting: 3,
    deleting_a_datasource: 3,
    deleting_an_integration: 3,
}
"""How often each is chosen, of all."""


def chosen(dice, count):
    """So many moments."""
    moments = {**MOMENTS, **({amid_a_backup: 2} if has_backup() else {})}
    return dice.choices(list(moments), list(moments.values()), k=count)

"""A real gateway whose machine's clock jumps while messages come in and a target is away."""

import itertools
import json
import sqlite3
import threading
from collections import defaultdict

from tests.peers.gateway import Gateway
from tests.peers.machine_clock import MachineClock
from tests.peers.process import wait_until

KEY = "key"
DAY = 86_400
DEVICES = 10


class Load:
    """Devices that post numbered messages over HTTP, one after another, until they are told to stop."""

    def __init__(self, gateway, pause=0.01):
        self._gateway = gateway
        self._pause = pause
        self._stop = threading.Event()
        self.acknowledged = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        for n in itertools.count():
            body = {"deviceName": f"meter-{n % DEVICES}", "deviceType": "meter", "n": n}
            if self._gateway.post(KEY, body).status < 300:
                self.acknowledged.append(n)
            if self._stop.wait(self._pause):
                return

    def __enter__(self):
        self._thread.start()
        return self

    def more(self, count):
        """Wait until so many more were acknowledged."""
        until = len(self.acknowledged) + count
        wait_until(lambda: len(self.acknowledged) >= until, 60, f"{count} more messages to be acknowledged")

    def __exit__(self, *exc):
        self._stop.set()
        self._thread.join()


class Clocked:
    """A gateway on a machine whose clock is ``offset`` seconds ahead, with an HTTP datasource."""

    def __init__(self, folder, offset=0, settings=""):
        self.clock = MachineClock(folder, offset)
        self.gateway = Gateway(folder / "gateway", settings=settings, env=self.clock.env)

    def __enter__(self):
        self.gateway.start()
        self.gateway.create("datasources", name="in", type="http", routingKey=KEY, converter="json")
        return self

    def __exit__(self, *exc):
        if self.gateway.alive:
            self.gateway.kill_all()
        self.clock.close()

    def deliver_to(self, target, **more):
        """An integration ``out`` with the default limits."""
        self.gateway.create(
            "integrations", name="out", type=target.type, configuration=target.configuration(target.server.port),
            retry={"initial": 0.2, "cap": 1.0}, **more,
        )  # fmt: skip

    def stats(self):
        return self.gateway.api("GET", "/integrations/out/stats").json

    def events(self, type_):
        return self.gateway.api("GET", f"/events?type={type_}&limit=100").json["items"]

    def jump(self, seconds):
        """Jump, and wait until the gateway has said so."""
        said = len(self.events("clock-jumped"))
        self.clock.jump(seconds)
        wait_until(lambda: len(self.events("clock-jumped")) > said, 30, "the jump to be noticed")

    def has_delivered_all(self, count):
        stats = self.stats()
        return stats["delivered"] >= count and not stats["waiting"] and not stats["inflight"]

    def wait_for_progress(self):
        """Until the journal has it that everything is delivered."""
        journal = self.gateway.data / "journal.db"

        def is_written():
            with sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True) as database:
                ((cursor,),) = database.execute("SELECT cursor FROM integration").fetchall()
                ((last,),) = database.execute("SELECT max(seq) FROM telemetry").fetchall()
            return cursor >= last

        wait_until(is_written, 30, "the progress to be written")

    def arrives(self, target, n):
        """Post one more message, and wait until it has arrived."""
        body = {"deviceName": "meter-0", "deviceType": "meter", "n": n}
        assert self.gateway.post(KEY, body).status < 300
        wait_until(lambda: n in [each for _, each in target.arrived()], 60, "one more message to arrive")


def survives(world, target, jumps, count):
    """Under load, with the target away for a while, let the clock jump by each of ``jumps``; nothing is lost, nothing is
    stuck, nothing comes twice after a restart."""
    target.kill()
    world.deliver_to(target)
    with Load(world.gateway) as load:
        load.more(count)
        for seconds in jumps:
            world.jump(seconds)
            load.more(count)
        world.gateway.freeze()  # a broker forgets what is published before anybody subscribes
        target.start()
        world.gateway.thaw()
        load.more(count)
    sent = load.acknowledged
    wait_until(lambda: world.has_delivered_all(len(sent)), 60, f"{len(sent)} messages to be delivered")
    stats = world.stats()
    assert (stats["delivered"], stats["expired"], stats["dead"], stats["dropped"]) == (len(sent), 0, 0, {})
    assert stats["balanced"]
    wait_until(lambda: len({n for _, n in target.arrived()}) >= len(sent), 60, "all to be seen at the target")
    by_device = defaultdict(list)
    for device, n in target.arrived():
        by_device[device].append(n)
    assert sorted(n for numbers in by_device.values() for n in set(numbers)) == sorted(sent)
    for device, numbers in by_device.items():
        first = list(dict.fromkeys(numbers))
        assert first == sorted(first), device
    world.wait_for_progress()
    before = len(target.arrived())
    world.gateway.kill()
    world.gateway.start()
    world.arrives(target, 10**9)
    assert len(target.arrived()) == before + 1, "nothing that was delivered came again"


def metadata_script():
    """A converter that says what it was told about the time."""
    return (
        "function Decoder(bytes, metadata) { var m = JSON.parse(String.fromCharCode.apply(null, bytes)); return {"
        "deviceName: m.deviceName, deviceType: 'meter', telemetry: {n: m.n, unsure: metadata.clockUnsure === true}}; }"
    )


def output_of(message):
    """The time and the values that a converter made of a message."""
    (output,) = message["output"]
    (entry,) = (json.loads(output) if isinstance(output, str) else output)["telemetry"]
    return entry["ts"], entry["values"]

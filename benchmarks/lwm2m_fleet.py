"""A fleet of LwM2M devices against a gateway in a process of its own: a storm of registrations, memory, CPU, and `kill -9`.

``python benchmarks/lwm2m_fleet.py [--devices N] [--rate R] [--rounds N]`` registers N devices at R a second, each of which is observed,
and prints one JSON object per step:

* ``storm``: how many were answered, in which time, and the slowest;
* ``memory``: PSS of the gateway's process, before and after, and per registration;
* ``cpu``: CPU per notification and per CoAP uplink, both with a script, up to the last conversion, and their ratio (median of the rounds);
* ``kill``: notifications under way while the gateway is killed and started again, and how many that it had acknowledged are not in its
  journal.

All devices are one socket, which sends from an address of loopback for each (IP_PKTINFO), as a peer of CoAP is an address.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import sqlite3
import struct
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Any

from harness.gateway import Gateway
from harness.processes import end_on_sigterm, free_port, wait_until

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import decode, encode, options, uri_options

OBSERVED = ("3303", "0", "5700")
LINKS = b'</>;rt="oma.lwm2m";ct="60 110 112 11542 11543",</1/0>,</3>;ver=1.1,</3/0>,</3303/0>'
SENML_CBOR = 112
RECORD = b"\x81\xa2\x21\x6c/3303/0/5700\x02\xfb"
"""What stands before a value (double) in SenML-CBOR, which is what the gateway asks such devices for."""
IP_PKTINFO = 8
"""Linux, ip(7): the local address of a datagram."""
FIRST_TIMEOUT, TRIES = 2.0, 7
"""Seconds until a message is sent again, doubling (RFC 7252 §4.8), and how often it is sent."""


class Sent:
    """A confirmable message that wasn't acknowledged yet."""

    __slots__ = ("began", "data", "due", "tries")

    def __init__(self, data: bytes, now: float) -> None:
        self.data, self.began, self.tries, self.due = data, now, 1, now + FIRST_TIMEOUT


class Fleet:
    """Devices by number; each has one message under way at most."""

    def __init__(self, port: int, count: int) -> None:
        self.count = count
        self.to = "127.0.0.1", port
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        self.socket.bind(("0.0.0.0", free_port(socket.SOCK_DGRAM)))
        self.socket.setblocking(False)
        self.tokens: dict[int, bytes] = {}
        """Of the observations, by device."""
        self.waits: list[float] = []
        """Seconds until an acknowledgement, of each message of the last step."""
        self.mid = 0
        self._under_way: dict[tuple[int, int], Sent] = {}

    # --- one step: a message of each device

    def play(
        self,
        message: Callable[[int, int], bytes],
        rate: float,
        numbers: Iterable[int],
        patience: float,
        then: Callable[[], object] = lambda: True,
        midway: Callable[[], None] = lambda: None,
    ) -> set[int]:
        """Have devices send ``message(number, mid)`` at a rate; returns who was acknowledged once all are, and ``then()`` is true, or the patience
        (seconds) is over. ``midway()`` is called after half of them."""
        waiting = list(numbers)
        half, acknowledged = len(waiting) // 2, set()
        self._under_way.clear()
        self.waits.clear()
        self.mid = (self.mid + 1) & 0xFFFF
        begun = time.monotonic()
        sent = 0
        while time.monotonic() - begun < patience:
            now = time.monotonic()
            due = min(len(waiting), int((now - begun) * rate) + 1)
            while sent < due:
                number = waiting[sent]
                data = message(number, self.mid)
                self._under_way[number, self.mid] = Sent(data, now)
                self._send(number, data)
                sent += 1
                if sent == half:
                    midway()
                    begun += time.monotonic() - now
                    break
                if not sent % 50:
                    self._receive(acknowledged, 0)
            self._receive(acknowledged, 0.002)
            self._again()
            if sent == len(waiting) and not self._under_way and then():
                break
        return acknowledged

    def _again(self) -> None:
        now = time.monotonic()
        for key, each in [*self._under_way.items()]:
            if each.due > now:
                continue
            if each.tries == TRIES:
                del self._under_way[key]
                continue
            each.due = now + FIRST_TIMEOUT * 2**each.tries
            each.tries += 1
            self._send(key[0], each.data)

    def _send(self, number: int, data: bytes) -> None:
        source = bytes((127, 1 + (number >> 16), number >> 8 & 255, number & 255))
        info = struct.pack("=I4s4s", 0, source, bytes(4))
        try:
            self.socket.sendmsg([data], [(socket.IPPROTO_IP, IP_PKTINFO, info)], 0, self.to)
        except OSError:
            return  # as lost in the network: it is sent again

    def _receive(self, acknowledged: set[int], patience: float) -> None:
        select.select([self.socket], [], [], patience)
        while True:
            try:
                data, more, _, _ = self.socket.recvmsg(2048, 64)
            except OSError:  # no more, or nobody listens there
                return
            address = more[0][2][8:12]
            number = (address[1] - 1) << 16 | address[2] << 8 | address[3]
            message = decode(data)
            if message.type == n.ACK:
                each = self._under_way.pop((number, message.mid), None)
                if each is not None and (not message.code or message.code < n.BAD_REQUEST):
                    acknowledged.add(number)
                    self.waits.append(time.monotonic() - each.began)
            elif not message.code and message.type == n.CON:
                self._send(number, encode(n.RST, n.EMPTY, message.mid))  # a ping: RFC 7252 §4.3
            elif 0 < message.code < n.CREATED:
                self._answer(number, message)

    def _answer(self, number: int, request: Any) -> None:
        if request.code == n.GET and request.options.get_uint(n.OBSERVE) == 0:
            self.tokens[number] = request.token
            pairs = ((n.OBSERVE, 1), (n.CONTENT_FORMAT, n.TEXT_PLAIN))
            self._send(number, encode(n.ACK, n.CONTENT, request.mid, request.token, options(*pairs), b"20.0"))
        else:
            self._send(number, encode(n.ACK, n.CHANGED, request.mid, request.token, options()))

    # --- what devices send

    @staticmethod
    def name(number: int) -> str:
        """A device's endpoint name."""
        return f"urn:imei:{86_643_000_000_000 + number}"

    def register(self, number: int, mid: int) -> bytes:
        """A registration."""
        query = f"rd?ep={self.name(number)}&lt=86400&lwm2m=1.1&b=U"
        return encode(
            n.CON, n.POST, mid, b"rd", options(*uri_options(query), (n.CONTENT_FORMAT, n.LINK_FORMAT)), LINKS
        )

    def notification(self, round_: int) -> Callable[[int, int], bytes]:
        """A notification whose value says the round and the device."""

        def made(number: int, mid: int) -> bytes:
            pairs = options((n.OBSERVE, 2 + round_), (n.CONTENT_FORMAT, SENML_CBOR))
            value = struct.pack(">d", round_ * 1_000_000 + number)
            return encode(n.CON, n.CONTENT, mid, self.tokens[number], pairs, RECORD + value)

        return made

    def uplink(self, number: int, mid: int) -> bytes:
        """A CoAP uplink."""
        body = json.dumps({"deviceName": self.name(number), "temperature": number}).encode()
        return encode(
            n.CON, n.POST, mid, b"up", options(*uri_options("i/key"), (n.CONTENT_FORMAT, n.JSON)), body
        )


def pss(pid: int) -> int:
    """Bytes of a process's own, shared ones by their share."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))


def say(step: str, **figures: Any) -> None:
    """Print a step's figures."""
    print(json.dumps({"step": step, **figures}), flush=True)


def is_idle(gateway: Gateway) -> bool:
    """Whether every uplink is converted."""
    counts = [each["counts"] for each in gateway.api("GET", "/status")["datasources"]]
    return all(each["received"] == each["converted"] + each["filtered"] + each["failed"] for each in counts)


def settled(gateway: Gateway) -> None:
    """Wait for the last conversion."""
    wait_until(lambda: is_idle(gateway), 600, "the last conversion", lambda: gateway.alive)


def open_datasources(gateway: Gateway, port: int) -> None:
    """One for the fleet, and one for plain uplinks on the same port; both have a script."""
    profile = {"observeAttr": {"observe": ["/" + "/".join(OBSERVED)]}}
    configuration = {"port": port, "interface": "127.0.0.1", "profiles": [profile]}
    gateway.datasource("lwm2m", "fleet", converter="lwm2m", configuration=configuration)
    gateway.coap(port, converter="json")


def values_in(journal: Path) -> set[int]:
    """The values of all notifications in a journal."""
    found = set()
    with sqlite3.connect(f"file:{journal}?mode=ro", uri=True) as database:
        for (payload,) in database.execute("SELECT payload FROM uplink"):
            if b'"notify"' in payload:
                found.update(int(value) for value in json.loads(payload).get("values", {}).values())
    return found


def cost(gateway: Gateway, play: Callable[[], set[int]]) -> tuple[float, int]:
    """CPU in µs per acknowledged message, and how many these were."""
    before = gateway.cpu()
    acknowledged = len(play())
    settled(gateway)
    return 1e6 * (gateway.cpu() - before) / max(1, acknowledged), acknowledged


def main(devices: int, rate: float, rounds: int) -> int:
    """Print the figures; returns the exit status."""
    port = free_port(socket.SOCK_DGRAM)
    everyone = range(devices)
    patience = 60 + 3 * devices / rate
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with Gateway(folder) as gateway:
            open_datasources(gateway, port)
            before = pss(gateway.pid)
            fleet = Fleet(port, devices)
            begun = time.monotonic()
            registered = fleet.play(
                fleet.register, rate, everyone, patience, lambda: len(fleet.tokens) == devices
            )
            waits = sorted(fleet.waits)
            say(
                "storm", devices=devices, answered=len(registered), observed=len(fleet.tokens),
                seconds=round(time.monotonic() - begun, 1), slowest=round(waits[-1], 3) if waits else None,
                median=round(median(waits), 4) if waits else None,
            )  # fmt: skip
            settled(gateway)
            grown = pss(gateway.pid) - before
            say(
                "memory", before=before >> 20, after=(before + grown) >> 20, bytes_each=round(grown / devices)
            )
            observed = sorted(fleet.tokens)
            ratios = []
            for round_ in range(1, rounds + 1):
                made = fleet.notification(round_)
                one, told = cost(gateway, lambda made=made: fleet.play(made, rate, observed, patience))
                other, sent = cost(gateway, lambda: fleet.play(fleet.uplink, rate, observed, patience))
                ratios.append(one / other)
                say(
                    "cpu",
                    round=round_,
                    notification_us=round(one, 1),
                    uplink_us=round(other, 1),
                    told=told,
                    sent=sent,
                )
            say("cpu", ratio=round(median(ratios), 3))
            last: list[Gateway] = []

            def kill() -> None:
                gateway.kill()
                last.append(Gateway(folder))

            told = fleet.play(fleet.notification(rounds + 1), rate, observed, patience + 120, midway=kill)
        with last[0] as gateway:
            settled(gateway)
        wanted = {(rounds + 1) * 1_000_000 + number for number in told}
        missing = len(wanted - values_in(folder / "data" / "journal.db"))
        say("kill", acknowledged=len(told), of=len(observed), lost=missing)
    is_whole = len(registered) == devices and len(told) == len(observed) and not missing
    return 0 if is_whole else 1


if __name__ == "__main__":
    end_on_sigterm()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--devices", type=int, default=10_000, help="(10000)")
    parser.add_argument("--rate", type=float, default=1000.0, help="messages per second (1000)")
    parser.add_argument("--rounds", type=int, default=5, help="of notifications and uplinks (5)")
    given = parser.parse_args()
    raise SystemExit(main(given.devices, given.rate, given.rounds))

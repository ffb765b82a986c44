"""A network of its own for a program: a namespace with two cables to this machine. One is for looking after the program, the other can be
cut: then what either side sends is lost on the way, as behind a dead switch, and nobody is told."""

import contextlib
import itertools
import os
import subprocess
from pathlib import Path

from .process import find, missing

NOBODY = "02:00:00:00:00:01"
"""An Ethernet address that is on neither end of the cable."""


class Network:
    """``command`` stands in front of the command line of what lives there. ``near`` is its address, for us; ``far`` is ours, for it, over the
    cable that can be cut. A context manager."""

    _numbers = itertools.count()

    def __init__(self):
        number = next(self._numbers)
        self._name = f"iotgw-{os.getpid()}-{number}"
        self._cables = [f"ig{os.getpid()}{end}{number}" for end in "ab"]
        place = f"198.18.{(os.getpid() + number) % 256}"  # for tests of devices (RFC 2544)
        self.near, self._cut_near = f"{place}.2", f"{place}.6"
        self._looks, self.far = f"{place}.1", f"{place}.5"
        self.command = [find("ip"), "netns", "exec", self._name]

    def __enter__(self):
        self._clear()
        try:
            self._ip("netns", "add", self._name)
        except subprocess.CalledProcessError as error:
            missing(f"no network namespace can be made: {error.stderr.decode().strip()}")
        try:
            self._inside("link", "set", "lo", "up")
            ends = (self._looks, self.near), (self.far, self._cut_near)
            for cable, (ours, its) in zip(self._cables, ends, strict=True):
                self._ip(
                    "link", "add", cable, "type", "veth", "peer", "name", "e" + cable[2:], "netns", self._name
                )
                for run, end, address in ((self._ip, cable, ours), (self._inside, "e" + cable[2:], its)):
                    run("addr", "add", f"{address}/30", "dev", end)
                    run("link", "set", end, "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc):
        self._ip("netns", "del", self._name)  # the cables go with their ends

    def _clear(self):
        """Remove what sessions left that were killed: one of theirs may have our addresses."""
        for place in Path("/run/netns").glob("iotgw-*-*"):
            if not Path("/proc", place.name.split("-")[1]).exists():
                with contextlib.suppress(subprocess.CalledProcessError):  # another one removes it, too
                    self._ip("netns", "del", place.name)

    def cut(self):
        """From now on nothing arrives, in either direction."""
        for run, address, end in self._ends():
            run("neigh", "replace", address, "lladdr", NOBODY, "dev", end, "nud", "permanent")

    def heal(self):
        """All arrives again."""
        for run, address, end in self._ends():
            run("neigh", "del", address, "dev", end)

    def _ends(self):
        cable = self._cables[1]
        return (self._ip, self._cut_near, cable), (self._inside, self.far, "e" + cable[2:])

    def _ip(self, *words):
        subprocess.run([self.command[0], *words], check=True, capture_output=True, timeout=60)

    def _inside(self, *words):
        self._ip("-n", self._name, *words)

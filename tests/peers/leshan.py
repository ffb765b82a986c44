"""A device of Eclipse Leshan (tests/peers/leshan) that does what a test tells it."""

from __future__ import annotations

import os
import subprocess

from .process import HOME, Process, find, missing, whose


class LeshanDevice(Process):
    """``more`` are words of `LeshanDevice.java`: ``queue``, ``psk IDENTITY KEY``."""

    def __init__(self, folder, url, endpoint, lifetime=300, *more):
        target = HOME / "leshan" / "target"
        if not (target / "classes" / "LeshanDevice.class").exists():
            missing("tests/peers/leshan is not built: that takes Java and Maven")
        classes = f"{target / 'classes'}{os.pathsep}{target / 'lib'}/*"
        command = [
            find("java"),
            "-Xmx128m",
            "-cp",
            classes,
            "LeshanDevice",
            url,
            endpoint,
            lifetime,
            "models",
            HOME / "leshan" / "models",
            *more,
        ]
        super().__init__(command, folder / f"{endpoint}.log")

    def launch(self):
        """See `Process.launch`: its input stays open."""
        with self.log.open("ab") as out:
            self.child = subprocess.Popen(
                self.args, stdin=subprocess.PIPE, stdout=out, stderr=out, env={**self._env, **whose()}
            )
        return self

    def ready(self):
        """Whether it has begun."""
        return "started" in self.output

    def tell(self, command):
        """Have it do something."""
        self.child.stdin.write(f"{command}\n".encode())
        self.child.stdin.flush()

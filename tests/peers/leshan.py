"""Devices of Eclipse Leshan (tests/peers/leshan, leshan10) that do what a test tells them."""

from __future__ import annotations

import os
import subprocess

from .process import HOME, Process, find, missing, whose


class JavaDevice(Process):
    """A program of ``tests/peers`` with a main class, which is told what to do by its standard input."""

    place, main = "", ""

    def __init__(self, folder, endpoint, *arguments):
        target = HOME / self.place / "target"
        if not (target / "classes" / f"{self.main}.class").exists():
            missing(f"tests/peers/{self.place} is not built: that takes Java and Maven")
        classes = f"{target / 'classes'}{os.pathsep}{target / 'lib'}/*"
        super().__init__(
            [find("java"), "-Xmx128m", "-cp", classes, self.main, *arguments], folder / f"{endpoint}.log"
        )

    def launch(self):
        """See `Process.launch`: its input stays open. It writes its settings to where it runs."""
        with self.log.open("ab") as out:
            self.child = subprocess.Popen(
                self.args,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                env={**self._env, **whose()},
                cwd=self.log.parent,
            )
        return self

    def ready(self):
        """Whether it has begun."""
        return "started" in self.output

    def tell(self, command):
        """Have it do something."""
        self.child.stdin.write(f"{command}\n".encode())
        self.child.stdin.flush()


class LeshanDevice(JavaDevice):
    """``more`` are words of `LeshanDevice.java`: ``queue``, ``psk IDENTITY KEY``."""

    place, main = "leshan", "LeshanDevice"

    def __init__(self, folder, url, endpoint, lifetime=300, *more):
        models = HOME / "leshan" / "models"
        super().__init__(folder, endpoint, url, endpoint, lifetime, "models", models, *more)


class LeshanDevice10(JavaDevice):
    """A device of LwM2M 1.0; ``binding`` is ``U`` or ``UQ``, ``more`` is ``bootstrap`` or nothing."""

    place, main = "leshan10", "LeshanDevice10"

    def __init__(self, folder, url, endpoint, lifetime=300, binding="U", *more):
        super().__init__(folder, endpoint, url, endpoint, lifetime, binding, *more)

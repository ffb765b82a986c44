"""Carries out a Dockerfile in directories, where no container engine is: each instruction in a root file system by chroot(8)."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from .debian_machine import unpacked

MOUNTS = """
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
for at in /dev /etc/resolv.conf /etc/ssl/certs /etc/apt/apt.conf.d; do
  [ -e "$1$at" ] || { [ -d $at ] && mkdir -p "$1$at" || touch "$1$at"; }
  mount --rbind $at "$1$at"
done
root=$1
shift
exec chroot "$root" "$@"
"""
"""What a command of a build sees of this machine: devices, and how it gets to the packages' registries."""


class Image:
    """What a build leaves: a root file system, and how it is run."""

    def __init__(self, root):
        self.root = root
        self.env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        self.user = "0:0"
        self.directory = "/"
        self.entrypoint, self.command, self.health = [], [], []
        self.volumes, self.ports = [], []


def instructions(text):
    """The instructions, each with its arguments as one text."""
    lines = re.sub(r"^\s*#.*\n", "", text, flags=re.M)
    lines = re.sub(r"\\\n", " ", lines)
    return [line.split(None, 1) for line in lines.splitlines() if line.strip()]


def build(dockerfile, context, folder, proxies):
    """Carry it out, stage by stage; ``proxies`` is the environment that leads to the registries. Returns the last stage."""
    stages, image = {}, None
    for name, rest in instructions(Path(dockerfile).read_text()):
        if name == "FROM":
            base, _, alias = rest.partition(" AS ")
            assert base == "debian:bookworm-slim", base
            image = Image(unpacked(Path(folder) / f"stage{len(stages)}"))
            stages[alias or len(stages)] = image
        elif name == "RUN":
            _run(image, rest, proxies)
        elif name == "COPY":
            _copy(image, rest, context, stages)
        elif name == "ENV":
            image.env |= dict(each.split("=", 1) for each in shlex.split(rest))
        elif name == "USER":
            image.user = rest
        elif name == "WORKDIR":
            image.directory = rest
        elif name == "VOLUME":
            image.volumes.append(rest)
        elif name == "EXPOSE":
            image.ports += rest.split()
        elif name == "HEALTHCHECK":
            image.health = json.loads(rest.partition(" CMD ")[2])
        elif name in ("ENTRYPOINT", "CMD"):
            setattr(image, {"ENTRYPOINT": "entrypoint", "CMD": "command"}[name], json.loads(rest))
        else:
            assert name == "STOPSIGNAL", name
    return image


def _run(image, script, proxies):
    environment = {**image.env, **proxies, "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"}
    words = [f"{name}={value}" for name, value in environment.items()]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-ec", MOUNTS, "sh", image.root, "env", "-i", *words, "/bin/sh", "-c", script],
        capture_output=True, text=True, check=False, timeout=1200,
    )  # fmt: skip
    assert done.returncode == 0, (script, done.stdout[-3000:], done.stderr[-3000:])


def _copy(image, rest, context, stages):
    options, words = {}, shlex.split(rest)
    while words[0].startswith("--"):
        name, _, value = words.pop(0).partition("=")
        options[name] = value
    *sources, target = words
    top = stages[options["--from"]].root if "--from" in options else Path(context)
    place = image.root / target.lstrip("/")
    for source in (top / each.lstrip("/") for each in sources):
        if source.is_dir():
            shutil.copytree(
                source,
                place,
                symlinks=True,
                dirs_exist_ok=True,
                ignore=shutil.ignore_patterns("__pycache__", "node_modules")
                if "--from" not in options
                else None,
            )
            continue
        at = place / source.name if target.endswith("/") else place
        at.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, at)

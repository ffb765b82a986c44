"""Builds what is released: sdist, wheel, the lock files, and an SBOM of exactly what each lock file installs.

    python tools/dist.py [--out DIR] [--without-gpl] [--sign KEYID]

With ``--without-gpl`` the wheel and the lock files don't name pyduktape2, which is GPL-2.0-only; scripts then run in QuickJS.
The SBOM is CycloneDX, as JSON. With ``--sign``, the key of that id in one's GnuPG signs every file and the list of their hashes
(`SHA256SUMS`), each beside it (`.asc`).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
LEFT_OUT = (
    ".*",
    "var",
    "build",
    "dist",
    "*.egg-info",
    "node_modules",
    "results",
    "target",
    "venv",
    "__pycache__",
)
LOCKS = {"requirements.lock": "", "requirements-extras.lock": "-extras"}
"""The lock files, and what is added to the names of their SBOMs."""
GPL = "pyduktape2"


def main(arguments: list[str]) -> None:
    """Build all of it into a directory, which is emptied first."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--without-gpl", action="store_true", help=f"leave {GPL} out")
    parser.add_argument("--sign", metavar="KEYID", default="", help="sign what was built, by gpg")
    options = parser.parse_args(arguments)
    out: Path = options.out.absolute()
    os.environ["IOTGW_CONSOLE"] = "require"  # what is released has its console
    shutil.rmtree(out, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "iotgw"
        shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*LEFT_OUT))
        if options.without_gpl:
            leave_out(source)
        run(sys.executable, "-m", "iotgw.ctl.man", source / "man")
        run(sys.executable, "-m", "build", "--outdir", out, source)
        (wheel,) = out.glob("*.whl")
        for lock, more in LOCKS.items():
            shutil.copy(source / lock, out)
            sbom = out / f"{wheel.name.split('-py3')[0]}{more}.cdx.json"
            describe(wheel, out / lock, sbom, Path(folder) / f"venv{more}")
    if options.sign:
        sign(out, options.sign)
    print("\n".join(sorted(str(path) for path in out.iterdir())))


def leave_out(source: Path) -> None:
    """Take the GPL engine out of the requirements and of the lock files."""
    settings = source / "setup.cfg"
    settings.write_text(re.sub(rf"^ *{GPL}.*\n", "", settings.read_text(), flags=re.MULTILINE))
    for lock in (source / name for name in LOCKS):
        lock.write_text(re.sub(rf"^{GPL}==.*\n( .*\n)*", "", lock.read_text(), flags=re.MULTILINE))


def describe(wheel: Path, lock: Path, sbom: Path, home: Path) -> None:
    """Install a wheel with what the lock file names, and nothing else, and write down what is there."""
    run(sys.executable, "-m", "venv", "--without-pip", home)
    python = home / "bin" / "python"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--no-compile",
        "--disable-pip-version-check",
    ]
    run(*pip, "--require-hashes", "--no-deps", "-r", lock)
    run(*pip, "--no-deps", wheel)
    for place in home.glob("lib/*/site-packages/*.dist-info/direct_url.json"):
        place.unlink()  # a path of this machine
    run(
        sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--mc-type", "application",
        "--output-format", "JSON", "--output-file", sbom, python,
    )  # fmt: skip


def sign(out: Path, key: str) -> None:
    """Write the hashes of all files, and a signature of each, and of the hashes."""
    built = sorted(out.iterdir())
    sums = out / "SHA256SUMS"
    sums.write_text(
        "".join(f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.name}\n" for each in built)
    )
    for each in (*built, sums):
        run(
            "gpg",
            "--batch",
            "--yes",
            "--local-user",
            key,
            "--armor",
            "--detach-sign",
            "--output",
            f"{each}.asc",
            each,
        )


def run(*command: str | Path) -> None:
    """Run a program that must succeed."""
    subprocess.run([str(word) for word in command], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])

"""Where a run took place, so that its figures can be read."""

from __future__ import annotations

import os
import platform
import ssl
import subprocess
from pathlib import Path
from typing import Any


def describe() -> dict[str, Any]:
    """Processor, cores, memory, kernel, versions."""
    info = Path("/proc/cpuinfo").read_text()
    names = [line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
    }


def load() -> float:
    """The load average of the last minute."""
    return round(os.getloadavg()[0], 2)


def commit(root: Path) -> str:
    """The commit that is measured, with a mark when files differ from it, but for the results themselves."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True, check=False
        ).stdout.strip()

    others = (":/", ":(top,exclude)benchmarks/results", ":(top,exclude)docs")
    changed = git("status", "--porcelain", "--untracked-files=no", "--", *others)
    head = git("rev-parse", "--short", "HEAD")
    return f"commit {head}{'-dirty' if changed else ''}" if head else "no commit"

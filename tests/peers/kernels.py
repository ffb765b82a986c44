"""Kernels that lack something: the machine's own, under a filter that answers as they would."""

import json
import shlex
import sys
from pathlib import Path

from . import filtered
from .process import missing

NO_SECCOMP = [["prctl", "EINVAL", [[0, 22]]], ["seccomp", "ENOSYS", []]]
"""Built without CONFIG_SECCOMP_FILTER: prctl(2) says EINVAL."""
NO_LANDLOCK = [[name, "ENOSYS", []] for name in ("landlock_create_ruleset", "landlock_restrict_self")]


def under(rules, allow=True):
    """The arguments in front of a command that run it under these rules."""
    if filtered.library() is None:
        missing("libseccomp2 is not installed; tests/install-peers installs it")
    return [sys.executable, filtered.__file__, json.dumps({"allow": allow, "rules": rules})]


def python_under(folder, rules):
    """The path of a Python that runs under these rules."""
    path = Path(folder) / "python"
    path.write_text(f'#!/bin/sh\nexec {shlex.join([*under(rules), sys.executable])} "$@"\n')
    path.chmod(0o755)
    return str(path)

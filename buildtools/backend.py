"""The build backend (PEP 517): setuptools, and before each wheel the web console.

Where the console can't be built, the wheel comes without it and a warning says why; with ``IOTGW_CONSOLE=require`` in the environment the build
fails instead, and with ``IOTGW_CONSOLE=skip`` it isn't tried.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403

sys.path.insert(0, str(Path(__file__).parent))
import console

Settings = dict[str, Any] | None


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """What a wheel needs to be built: Node from PyPI where neither it nor the built console is there."""
    return [*build_meta.get_requires_for_build_wheel(config_settings), *_node()]


def get_requires_for_build_editable(config_settings: Settings = None) -> list[str]:
    """The same for ``pip install -e``."""
    return [*build_meta.get_requires_for_build_editable(config_settings), *_node()]


def build_wheel(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    """The console, then the wheel."""
    _console()
    return build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)


def build_editable(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    """The console, then the wheel that points to these sources."""
    _console()
    return build_meta.build_editable(wheel_directory, config_settings, metadata_directory)


def _wish() -> str:
    return os.environ.get("IOTGW_CONSOLE", "")


def _node() -> list[str]:
    needless = _wish() == "skip" or console.has_node() or console.is_built()
    return [] if needless else [console.NODE_ON_PYPI]


def _console() -> None:
    if _wish() == "skip":
        return
    try:
        console.build()
    except console.ConsoleError as error:
        if _wish() == "require":
            raise SystemExit(f"the web console can't be built: {error}") from error
        print(f"WARNING: without the web console, which can't be built: {error}", file=sys.stderr)

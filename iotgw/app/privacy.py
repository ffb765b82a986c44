"""Makes the data directory private before anything in it is opened, and tells it once events are recorded."""

from __future__ import annotations

from pathlib import Path

from twisted.logger import Logger

from iotgw.config.settings import Settings
from iotgw.core.model import DEFAULT_TENANT
from iotgw.core.recorder import Recorder
from iotgw.store.privacy import FoundOpen, tighten

_log = Logger()
_SHOWN = 5
"""Paths that an event names."""


def make_private(data_dir: Path, settings: Settings) -> FoundOpen:
    """Tighten what is too open; returns what it was."""
    log = data_dir / settings.log.file if settings.log.file else None
    backups, certificates = data_dir / settings.store.backup_directory, data_dir / settings.certificates
    return tighten(data_dir, backups, log, certificates)


def tell_opened(opened: FoundOpen, data_dir: Path, recorder: Recorder) -> None:
    """Record an event for what others could read until now, and one for what they still can."""
    if opened.tightened:
        text = f"others could read or write {_named(opened.tightened, ' was ')}; they can't any more"
        _log.warn("{text}", text=text)
        recorder.note("made-private", "gateway", data_dir.name, text, DEFAULT_TENANT, "warning")
    if opened.left:
        text = f"others may read or write {_named(opened.left, ': ')}"
        _log.error("{text}", text=text)
        recorder.note("not-private", "gateway", data_dir.name, text, DEFAULT_TENANT, "error")


def _named(found: dict[str, str], between: str) -> str:
    shown = [f"{path}{between}{what}" for path, what in list(found.items())[:_SHOWN]]
    more = len(found) - len(shown)
    return ", ".join(shown) + (f", and {more} more" if more else "")

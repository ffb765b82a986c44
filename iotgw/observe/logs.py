"""The log: one JSON object per line in a file that rotates, and a few readable lines on the terminal.

Everything goes through `twisted.logger`. Fields that a line is logged with (``message_id=…``) become
members of its object. Libraries' lines are written from `warn` upwards, unless asked for. Secrets are masked by field name;
tokens, private keys and what is secret in URLs wherever they stand.
"""

from __future__ import annotations

import re
import sys
import threading
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, TextIO

import msgspec
from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, formatEvent
from twisted.python.logfile import LogFile
from zope.interface import implementer

from iotgw.core import private
from iotgw.core.redaction import redacted
from iotgw.core.secrets import MASK, SECRET_NAME

_TOKEN = re.compile(r"iotgw_[0-9a-f]{12}_[A-Za-z0-9_-]+")
_MAY_HOLD_SECRETS = re.compile(r"://|PRIVATE KEY|bearer |basic ", re.IGNORECASE)
_LONGEST = 8192
"""Characters of one field; what a peer sent can be long."""

_LEVELS = {level.name: level for level in LogLevel.iterconstants()}


class _PrivateFile(LogFile):
    """A log file that only its owner reads; one that is there already keeps its mode.

    Twisted would take all rights away by the umask of the whole process for a moment, while other threads make files.
    """

    def _openFile(self) -> None:
        private.make_file(Path(self.path))
        super()._openFile()


@implementer(ILogObserver)
class Logs:
    """An observer of all log events; the terminal and the file are its two ends.

    ``file`` None writes no file; it rotates at ``rotate_bytes`` and ``keep`` old ones stay. ``level`` is
    the least that is written, ``libraries`` of what isn't iotgw's own. ``terminal`` None prints nothing. ``node`` is
    the name of this node, of several. May be called from any thread.
    """

    def __init__(
        self,
        file: Path | None,
        level: str = "info",
        rotate_bytes: int = 10 << 20,
        keep: int = 5,
        terminal: TextIO | None = sys.stdout,
        libraries: str = "warn",
        node: str = "",
    ) -> None:
        self._node = node
        self._lock = threading.Lock()
        self._file: LogFile | None = None
        if file is not None:
            private.make_directory(file.parent)
            self._file = _PrivateFile(
                file.name, str(file.parent), rotateLength=rotate_bytes, maxRotatedFiles=keep
            )
        self._terminal = terminal
        self.lost = 0
        """Lines that could not be written."""
        self.set_level(level, libraries)

    def set_level(self, level: str, libraries: str = "warn") -> None:
        """Change the lowest level that is written: ``debug``, ``info``, ``warn``, ``error`` or ``critical``."""
        self._level = _LEVELS[level]
        self._libraries = _LEVELS[libraries]

    def reopen(self) -> None:
        """Open the file again by its name, after a program such as logrotate has moved it."""
        with self._lock:
            if self._file is not None:
                self._file.reopen()

    def close(self) -> None:
        """Write no more to the file."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def attach(self, application: Any) -> None:
        """Make this the log of a `twistd` application; before it starts logging."""
        application.setComponent(ILogObserver, self)

    def __call__(self, event: LogEvent) -> None:
        """Write an event. A full disk or a closed terminal loses lines, never the process."""
        if not self._wanted(event):
            return
        try:
            with self._lock:
                if self._file is not None:
                    self._file.write(json_line(event, self._node))
                if self._terminal is not None:
                    self._terminal.write(readable_line(event, self._node))
                    self._terminal.flush()
        except (OSError, ValueError):
            self.lost += 1

    def _wanted(self, event: LogEvent) -> bool:
        level = event.get("log_level") or LogLevel.info
        if level < self._level:
            return False
        # Twisted's own "Starting factory …" and its kin say nothing to an operator.
        return level >= self._libraries or _is_ours(event)


def _is_ours(event: LogEvent) -> bool:
    if not str(event.get("log_namespace", "")).startswith("iotgw"):
        return False
    source = event.get("log_source")
    return source is None or _logs_itself(source if isinstance(source, type) else type(source))


@cache
def _logs_itself(source: type) -> bool:
    """Whether a class of iotgw has a logger of its own. One that inherits a library's speaks for the library,
    although Twisted puts the name of the class that was derived on its lines."""
    for base in source.__mro__:
        if any(isinstance(value, Logger) for value in vars(base).values()):
            return base.__module__.startswith("iotgw")
    return True


def json_line(event: LogEvent, node: str = "") -> str:
    """An event as one line of JSON, with its newline."""
    line: dict[str, Any] = {
        "ts": _time(event).isoformat(timespec="milliseconds"),
        "level": _level(event),
        "source": _source(event),
        "message": _text(event),
    }
    if node:
        line["node"] = node
    for name, value in event.items():
        if not name.startswith("log_") and name not in (
            "message",
            "time",
            "isError",
            "system",
            "failure",
            "why",
        ):
            line[_camel(name)] = _plain(name, value)
    failure = event.get("log_failure")
    if failure is not None:
        line["error"] = f"{failure.type.__name__}: {failure.getErrorMessage()}"[:_LONGEST]
        line["traceback"] = failure.getTraceback()[-_LONGEST:]
    return _masked(msgspec.json.encode(line).decode()) + "\n"


def readable_line(event: LogEvent, node: str = "") -> str:
    """An event as one line for a person: ``13:20:01 [pipeline] datasource coap is open``; of a node, ``13:20:01 a [pipeline] …``."""
    failure = event.get("log_failure")
    text = _text(event)
    if failure is not None:
        text += f": {failure.type.__name__}: {failure.getErrorMessage()}"
    level = event.get("log_level") or LogLevel.info
    mark = f"{level.name.upper()} " if level >= LogLevel.warn else ""
    where = _source(event).removeprefix("iotgw.")
    whose = f"{node} " if node else ""
    one_line = " ".join(text.split())
    return _masked(f"{_time(event):%H:%M:%S} {whose}[{where}] {mark}{one_line[:_LONGEST]}\n")


def _time(event: LogEvent) -> datetime:
    return datetime.fromtimestamp(event.get("log_time", 0.0)).astimezone()


def _level(event: LogEvent) -> str:
    level = event.get("log_level")
    return level.name if level is not None else "info"


def _source(event: LogEvent) -> str:
    """``iotgw.api`` for a logger of ``iotgw.api.routes.Dispatcher``: the room, not the class."""
    namespace = str(event.get("log_namespace") or "")
    parts = namespace.split(".")
    return ".".join(parts[:2]) if parts[0] == "iotgw" else namespace


def _text(event: LogEvent) -> str:
    # Only what the format names is in the text, so a secret field that it names must be masked before.
    shown = {
        name: MASK if isinstance(value, str | bytes) and SECRET_NAME.search(name) else value
        for name, value in event.items()
    }
    return formatEvent(shown)[:_LONGEST]


def _plain(name: str, value: Any) -> Any:
    """A JSON value for a field."""
    if SECRET_NAME.search(name) and not isinstance(value, bool | int | float | None):
        return MASK
    if isinstance(value, bool | int | float | None):
        return value
    if isinstance(value, bytes):
        return value[: _LONGEST // 2].hex()
    if isinstance(value, dict):
        return {str(key): _plain(str(key), item) for key, item in list(value.items())[:100]}
    if isinstance(value, list | tuple):
        return [_plain(name, item) for item in value[:100]]
    return str(value)[:_LONGEST]


def _masked(text: str) -> str:
    text = _TOKEN.sub("iotgw_" + MASK, text) if "iotgw_" in text else text
    return redacted(text) if _MAY_HOLD_SECRETS.search(text) else text


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)

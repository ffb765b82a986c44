"""The errors of iotgw: a small tree. A message says what was expected, what came, and where."""

from __future__ import annotations

from typing import Any

from iotgw.core.redaction import problem_text


class IotgwError(Exception):
    """Base of every error that iotgw raises on purpose."""


class SettingsError(IotgwError):
    """A setting is wrong.

    ``path`` is the setting's place (``configuration.port``), ``problem`` what was expected and what came, without what
    looks like a secret. ``is_secret`` is whether the setting is one, so that what came must not be shown.
    """

    def __init__(self, path: str, problem: str, is_secret: bool = False) -> None:
        path, problem = problem_text(path), problem_text(problem)
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path = path
        self.problem = problem
        self.is_secret = is_secret


class Undecided(SettingsError):
    """A script may be of several dialects, and somebody has to say of which: their names are ``choices``, the strictest first."""

    def __init__(self, choices: tuple[str, ...], problem: str) -> None:
        super().__init__("dialect", problem)
        self.choices = choices


class NotFound(IotgwError):
    """There is no such resource."""


class Conflict(IotgwError):
    """The resource is not in the state that the caller assumes: the name is taken, or the revision has
    changed."""


class StillReferenced(Conflict):
    """The resource can't be deleted while others name it."""


class ConversionFailed(IotgwError):
    """A downlink converter's script failed; ``error`` is the `iotgw.core.model.ConversionError`."""

    def __init__(self, error: Any) -> None:
        super().__init__(error.message)
        self.error = error


class Unavailable(IotgwError):
    """A part is unavailable or full for now; ``retry_after`` is the time to wait, in seconds."""

    def __init__(self, reason: str, retry_after: float = 1.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Full(Unavailable):
    """A limit on how much may wait is met: there is room when something that waits has gone, not with time alone."""


class TooMany(IotgwError):
    """Somebody has more under way than his share; ``retry_after`` is the time to wait, in seconds."""

    def __init__(self, reason: str, retry_after: float = 1.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class NoSpace(IotgwError):
    """A disk has no room for a change that a user asked for."""


class ProtocolError(IotgwError):
    """Bytes from the network break the protocol; the message says what was expected and where."""


class AlreadyRunning(IotgwError):
    """Another process uses the same data directory."""

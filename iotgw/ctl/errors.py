"""What a person is told when a command can't be done, and the exit codes."""

from __future__ import annotations

REFUSED = 1
USAGE = 2
UNREACHABLE = 3


class CtlError(Exception):
    """What a person is told, on one line, and the exit code. ``status`` is HTTP's, where the API refused."""

    def __init__(self, message: str, code: int = REFUSED, status: int = 0) -> None:
        super().__init__(" ".join(message.split()))
        self.code = code
        self.status = status

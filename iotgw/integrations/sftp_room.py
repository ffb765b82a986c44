"""Whether a refusal to write is about the room on a server's disk: then it's the same for any message.

SFTP 3 has no status for a full disk, and OpenSSH says no more than "Failure". So the server is asked how much is free where it tells that, and
otherwise whether it still takes as many bytes as it took before. Where it does, a file that is larger than any before may be too large for it: that is
the file's fault, and isn't decided here.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from iotgw.connect.sftp_client import Files, SftpRefused

NO_SPACE, QUOTA = 14, 15
"""Statuses of SFTP 5 and 6 (draft-ietf-secsh-filexfer-13 §9.1), which some servers send in any version."""
_WORDS = re.compile(r"no space|not enough space|disk is full|disk full|quota|enospc|edquot", re.I)
STEPS = ("write", "fsync", "close")
"""Steps that fail where there is no room."""


class ServerRoom:
    """What is known of the room on a server."""

    def __init__(self) -> None:
        self._largest = 0
        """Bytes of the largest file, or addition to one, that was taken."""

    def took(self, size: int) -> None:
        """The server took so many bytes."""
        self._largest = max(self._largest, size)

    async def is_used_up(
        self,
        files: Files,
        folder: str,
        refused: SftpRefused,
        size: int,
        takes: Callable[[bytes], Awaitable[bool]],
    ) -> bool:
        """Whether ``size`` bytes were refused because there is no room for them. ``takes(content)`` tries whether the folder takes a file."""
        if refused.step not in STEPS:
            return False
        if refused.code in (NO_SPACE, QUOTA) or _WORDS.search(str(refused)):
            return True
        room = await files.room(folder)
        if room is not None and room[0] < size:
            return room[1] > size
        before = min(size, self._largest)
        return before > 0 and not await takes(bytes(before))

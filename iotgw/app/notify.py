"""Tells systemd how the service does, where it asks for that (``Type=notify``)."""

from __future__ import annotations

import os
import socket


def notify(state: str) -> None:
    """Send a state of sd_notify(3), such as ``READY=1``, to the socket that ``NOTIFY_SOCKET`` names."""
    where = os.environ.get("NOTIFY_SOCKET", "")
    if not where:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as told:
        try:
            told.sendto(state.encode(), "\0" + where[1:] if where[0] == "@" else where)
        except OSError:  # whoever has started the gateway doesn't listen any more
            return


def notify_ready() -> None:
    """This process has started, and is the service's main one."""
    notify(f"READY=1\nMAINPID={os.getpid()}")

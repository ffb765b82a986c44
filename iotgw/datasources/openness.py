"""Whether anybody who reaches a listener may send to it."""

from __future__ import annotations

import ipaddress

SHORT = 12
"""A routing key of fewer characters can be guessed, or is a word."""
NO_PROOF = "its devices prove nothing"
GUESSABLE = f"its routing key has fewer than {SHORT} characters, and may be guessed"


def unproved(interface: str) -> str:
    """Why anybody may send to a listener whose senders prove nothing; empty where only this machine reaches it."""
    try:
        is_near = ipaddress.ip_address(interface.partition("%")[0]).is_loopback
    except ValueError:
        is_near = False
    return "" if is_near else NO_PROOF


def keyed(routing_key: str) -> str:
    """The same of one whose senders have to know a routing key."""
    return GUESSABLE if len(routing_key) < SHORT else ""

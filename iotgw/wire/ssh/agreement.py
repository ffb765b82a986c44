"""What both sides of an SSH connection offer, and what they agree on (RFC 4253 §7.1).

Our lists put first what is safe by itself. Modes that the Terrapin attack (CVE-2023-48795) can truncate stand behind those
that it can't, and are taken with strict key exchange only (OpenSSH's PROTOCOL file, §1.10).
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from iotgw.core.errors import ProtocolError

STRICT_CLIENT, STRICT_SERVER = b"kex-strict-c-v00@openssh.com", b"kex-strict-s-v00@openssh.com"
EXTENSIONS_SERVER = b"ext-info-s"
CIPHERS = [
    b"aes256-gcm@openssh.com", b"aes128-gcm@openssh.com", b"aes256-ctr", b"aes192-ctr", b"aes128-ctr",
    b"chacha20-poly1305@openssh.com", b"aes256-cbc", b"aes192-cbc", b"aes128-cbc",
]  # fmt: skip
MACS = [
    b"hmac-sha2-256", b"hmac-sha2-512", b"hmac-sha2-256-etm@openssh.com", b"hmac-sha2-512-etm@openssh.com",
    b"hmac-sha1", b"hmac-sha1-etm@openssh.com",
]  # fmt: skip
AEAD = frozenset((b"aes256-gcm@openssh.com", b"aes128-gcm@openssh.com", b"chacha20-poly1305@openssh.com"))
"""Ciphers that need no MAC beside them."""
COOKIE = 16
LONGEST_LIST = 400
"""Characters of a list in an error."""
LISTS = ("key exchange", "host key type", "cipher", "cipher", "MAC", "MAC", "compression", "compression")


class Agreed(Struct, frozen=True):
    """What both sides use. ``out`` is from client to server, ``in_`` the other way: a cipher and its MAC, which is empty
    where the cipher needs none."""

    kex: bytes
    host_key: bytes
    out: tuple[bytes, bytes]
    in_: tuple[bytes, bytes]


class Offer(Struct, frozen=True):
    """A KEXINIT: ``lists`` are in the order of `LISTS`; ``guessed`` is whether a guess of the next packet follows."""

    lists: tuple[tuple[bytes, ...], ...]
    guessed: bool

    @property
    def is_strict(self) -> bool:
        """Whether a server keeps to strict key exchange."""
        return STRICT_SERVER in self.lists[0]

    @property
    def has_extensions(self) -> bool:
        """Whether a server takes part in extension negotiation (RFC 8308 §2.1)."""
        return EXTENSIONS_SERVER in self.lists[0]


def read_offer(payload: bytes) -> Offer:
    """Read a KEXINIT without its type; raises ProtocolError."""
    place, lists = COOKIE, []
    for _ in range(10):
        size = int.from_bytes(payload[place : place + 4], "big")
        if place + 4 + size > len(payload):
            raise ProtocolError("expected a KEXINIT with ten lists, it is cut short")
        lists.append(tuple(filter(None, payload[place + 4 : place + 4 + size].split(b","))))
        place += 4 + size
    return Offer(tuple(lists[:8]), payload[place : place + 1] not in (b"", b"\0"))


def agree(ours: Sequence[Sequence[bytes]], theirs: Offer) -> Agreed:
    """What a client that offers ``ours`` agrees on with a server; raises ProtocolError with both lists of what has nothing in
    common, and for a mode that isn't safe without strict key exchange."""
    found: list[bytes] = []
    problems: list[str] = []
    for number, (kind, mine, other) in enumerate(zip(LISTS, ours, theirs.lists, strict=True)):
        chosen = next((name for name in mine if name in other), b"")
        if kind == "MAC" and found[number - 2] in AEAD:
            chosen = b""
        elif not chosen:
            problem = f"no {kind} in common: the server has {_shown(other)}; the gateway has {_shown(mine)}"
            if problem not in problems:
                problems.append(problem)
        found.append(chosen)
    if problems:
        raise ProtocolError("; ".join(problems))
    agreed = Agreed(found[0], found[1], (found[2], found[4]), (found[3], found[5]))
    if not theirs.is_strict:
        for cipher, mac in (agreed.out, agreed.in_):
            if cipher.startswith(b"chacha20") or mac.endswith(b"-etm@openssh.com"):
                raise ProtocolError(
                    f"the server leaves only {_shown(filter(None, (cipher, mac)))}, which isn't safe without strict"
                    " key exchange (CVE-2023-48795), which it doesn't have"
                )
    return agreed


def _shown(names: object) -> str:
    text = ", ".join(name.decode("ascii", "replace") for name in names)  # type: ignore[attr-defined]
    return (text if len(text) <= LONGEST_LIST else f"{text[:LONGEST_LIST]}…") or "nothing"

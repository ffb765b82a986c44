"""Landlock: a second wall around a worker's files, in kernels that have it (``linux/landlock.h``).

The rules name nothing that is allowed, so no file can be opened, made, run or removed any more, no TCP port bound or
connected to, and nobody outside signalled. What is open stays usable.
"""

from __future__ import annotations

import ctypes
import os
import struct

_CREATE_RULESET, _RESTRICT_SELF = 444, 446  # the same numbers on every machine
_VERSION = 1

_FILES = {1: 13, 2: 14, 3: 15, 5: 16}
"""Since which ABI how many of the rights over files (``LANDLOCK_ACCESS_FS_*``) are known; they are bits from 0 on."""
_TCP, _SCOPES = 4, 6
"""ABIs since which TCP (bind, connect) and scopes (abstract sockets, signals) can be ruled: two bits each."""


def ruleset(abi: int) -> bytes:
    """``struct landlock_ruleset_attr`` with every right that this ABI knows."""
    files = (1 << max(count for since, count in _FILES.items() if since <= abi)) - 1
    rights = [files]
    if abi >= _TCP:
        rights.append(0b11)
    if abi >= _SCOPES:
        rights.append(0b11)
    return struct.pack(f"={len(rights)}Q", *rights)


def restrict() -> int:
    """Give up all files for good; returns the kernel's ABI, or 0 where there is no Landlock. Needs ``no_new_privs``."""
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    abi = int(call(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION))
    if abi < 1:
        return 0
    rules = ruleset(abi)
    descriptor = int(call(_CREATE_RULESET, rules, ctypes.c_size_t(len(rules)), 0))
    if descriptor < 0:
        return 0
    try:
        return abi if call(_RESTRICT_SELF, descriptor, 0) == 0 else 0
    finally:
        os.close(descriptor)

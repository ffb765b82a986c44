"""Runs a program under a seccomp filter, as a service manager or a container would: made by libseccomp.

    python filtered.py '{"allow": true, "rules": [["prctl", "EINVAL", [[0, 22]]]]}' COMMAND…

``allow`` says what becomes of calls without a rule: allowed, or refused with EPERM. A rule is the call's name, an error's
name or ``allow``, and what its arguments must be: ``[index, value]``, or ``[index, mask, value]`` for those bits.
"""

import ctypes
import ctypes.util
import errno
import json
import os
import sys

ALLOW, REFUSE = 0x7FFF0000, 0x00050000
EQUAL, MASKED = 4, 7
UNKNOWN = -1


class Comparison(ctypes.Structure):
    _fields_ = [
        ("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64),
    ]  # fmt: skip


def library():
    """libseccomp, or None."""
    try:
        made = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return None
    made.seccomp_init.restype = ctypes.c_void_p
    return made


def number(name, token):
    """The number of a call by the tables of libseccomp, on the machine of an audit token; below 0 if it has none."""
    return library().seccomp_syscall_resolve_name_arch(ctypes.c_uint32(token), name.encode())


def load(allow, rules):
    """Put the filter over this process."""
    lib = library()
    context = ctypes.c_void_p(lib.seccomp_init(ctypes.c_uint32(ALLOW if allow else REFUSE | errno.EPERM)))
    for name, action, arguments in rules:
        call = lib.seccomp_syscall_resolve_name(name.encode())
        if call == UNKNOWN:
            continue  # newer than the library, or of another machine
        code = ALLOW if action == "allow" else REFUSE | getattr(errno, action)
        compared = [
            Comparison(index, EQUAL, *rest, 0) if len(rest) == 1 else Comparison(index, MASKED, *rest)
            for index, *rest in arguments
        ]
        array = (Comparison * len(compared))(*compared)
        done = lib.seccomp_rule_add_array(context, ctypes.c_uint32(code), call, len(compared), array)
        if done not in (0, -errno.EACCES):  # the latter: the same as the default
            raise OSError(-done, f"no rule for {name}")
    if done := lib.seccomp_load(context):
        raise OSError(-done, "the filter is refused")


if __name__ == "__main__":
    wanted = json.loads(sys.argv[1])
    load(wanted["allow"], wanted["rules"])
    os.execvp(sys.argv[2], sys.argv[2:])

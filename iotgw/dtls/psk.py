"""The pre-shared key callbacks: the one module that reaches into pyOpenSSL's private parts.

pyOpenSSL offers no PSK, on neither side, while the cffi module below it (`cryptography`'s) binds what it
takes. Nobody promises that binding, so it is checked before the first use, and its absence is reported;
`setup.cfg` bounds the versions.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from OpenSSL import SSL

from iotgw.core.errors import Unavailable

_SERVER, _CLIENT = "SSL_CTX_set_psk_server_callback", "SSL_CTX_set_psk_client_callback"


def _binding(needed: str = _SERVER) -> tuple[Any, Any]:
    lib, ffi = getattr(SSL, "_lib", None), getattr(SSL, "_ffi", None)
    if lib is None or ffi is None or not hasattr(lib, needed) or not getattr(lib, "Cryptography_HAS_PSK", 0):
        raise Unavailable(
            f"DTLS with pre-shared keys needs {needed} in pyOpenSSL's cffi binding, which pyOpenSSL "
            f"{version('pyopenssl')} doesn't have; install a version that setup.cfg names, or use certificates"
        )
    return lib, ffi


def check() -> None:
    """Raise Unavailable when this pyOpenSSL can't do pre-shared keys."""
    _binding()


def serve(context: SSL.Context, secret_of: Callable[[bytes], bytes | None]) -> object:
    """Let ``context`` authenticate by pre-shared keys; returns what must live as long as the context.

    ``secret_of(identity)`` is called within the handshake, so it answers at once; None refuses the identity
    with a fatal alert. The identity is what stands before the first NUL. No identity hint is sent: it would
    add a ServerKeyExchange, which some clients (node-dtls-client) don't survive.
    """
    lib, ffi = _binding()

    def answer(_ssl: Any, identity: Any, place: Any, room: int) -> int:
        secret = secret_of(ffi.string(identity))
        if not secret or len(secret) > room:
            return 0
        ffi.memmove(place, secret, len(secret))
        return len(secret)

    signature = "unsigned int(SSL *, const char *, unsigned char *, unsigned int)"
    # An exception must not pass through OpenSSL's frames: cffi turns it into 0, "unknown identity".
    callback = ffi.callback(signature, answer, error=0)
    lib.SSL_CTX_set_psk_server_callback(context._context, callback)
    return callback


def present(context: SSL.Context, identity: bytes, secret: bytes) -> object:
    """Let ``context``, a client's, prove ``identity`` by ``secret``; returns what must live as long as the context.

    An identity or a secret that OpenSSL has no room for fails the handshake.
    """
    lib, ffi = _binding(_CLIENT)

    def answer(_ssl: Any, _hint: Any, identity_place: Any, identity_room: int, place: Any, room: int) -> int:
        if len(identity) > identity_room or len(secret) > room:
            return 0
        ffi.memmove(identity_place, identity + b"\0", len(identity) + 1)
        ffi.memmove(place, secret, len(secret))
        return len(secret)

    signature = "unsigned int(SSL *, const char *, char *, unsigned int, unsigned char *, unsigned int)"
    callback = ffi.callback(signature, answer, error=0)
    lib.SSL_CTX_set_psk_client_callback(context._context, callback)
    return callback

"""The access tokens of ThingsBoard's devices: said by the settings, read from messages, or provisioned and kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from iotgw.core.own_file import OwnFile
from iotgw.integrations import thingsboard_provision

LAG = 1.0
"""Seconds after which a change is written, where it may wait."""


class DeviceToken(Struct):
    """A device's token, sealed. ``is_known`` is whether the server has said yes to it."""

    token: str
    is_known: bool = False


class _File(Struct):
    """``place`` is the server that they are for."""

    place: str
    tokens: dict[str, DeviceToken]


class ProvisionedTokens:
    """The tokens of devices that were provisioned at ``place``. They are kept for ever: ThingsBoard gives them once. ``seal`` and ``unseal``
    encrypt them in the file."""

    _log = Logger()

    def __init__(
        self,
        file: OwnFile,
        place: str,
        seal: Callable[[str], str],
        unseal: Callable[[str], str],
        clock: IReactorTime,
    ) -> None:
        self._file = file
        self._place = place
        self._seal = seal
        self._unseal = unseal
        self._clock = clock
        self._later: Any = None
        kept = file.read(_File)
        self._tokens = kept.tokens if kept is not None and kept.place == place else {}
        self._clear: dict[str, str] = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._tokens)

    def known(self, device: str) -> str:
        """A device's token; empty if it is to be provisioned."""
        kept = self._tokens.get(device)
        return self._text(device, kept) if kept is not None and kept.is_known else ""

    def wanted(self, device: str) -> str:
        """The token to ask for. It is written now, as an answer may be lost. Raises OSError."""
        kept = self._tokens.get(device)
        if kept is not None:
            return self._text(device, kept)
        token = thingsboard_provision.new_token()
        self._tokens[device] = DeviceToken(self._seal(token))
        self._clear[device] = token
        self.write()
        return token

    def learned(self, device: str, token: str) -> None:
        """The server has this token for a device."""
        kept = self._tokens.get(device)
        if kept is None or self._text(device, kept) != token:
            kept = self._tokens[device] = DeviceToken(self._seal(token))
            self._clear[device] = token
        kept.is_known = True
        if self._later is None:
            self._later = self._clock.callLater(LAG, self._write_later)

    def forget(self, device: str) -> None:
        """The server doesn't know a device's token any more."""
        if self._tokens.pop(device, None) is not None:
            self._clear.pop(device, None)
            if self._later is None:
                self._later = self._clock.callLater(LAG, self._write_later)

    def write(self) -> None:
        """Write what changed now; raises OSError."""
        if self._later is not None:
            if self._later.active():
                self._later.cancel()
            self._later = None
        self._file.write(_File(self._place, self._tokens))

    def close(self) -> None:
        """Write what still waits for it."""
        if self._later is not None:
            self._write_later()

    def _write_later(self) -> None:
        try:
            self.write()
        except OSError as error:
            self._log.warn("{name} could not be written: {error}", name=self._file.name, error=error)

    def _text(self, device: str, kept: DeviceToken) -> str:
        token = self._clear.get(device)
        if token is None:
            token = self._clear[device] = self._unseal(kept.token)
        return token

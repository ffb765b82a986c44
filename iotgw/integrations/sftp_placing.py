"""How a file gets to its place on a server: whole, or with a marker that says so.

A file is written aside and renamed, so that nobody sees half of it. Where the server has no rename it is written in
place, and a marker beside it says when it is whole. What a server lacks is learned from its refusals, once a session.
"""

from __future__ import annotations

import contextlib
import hashlib
import posixpath
import secrets
from collections.abc import Callable
from typing import Literal

from iotgw.connect.sftp_client import NO_SUCH_FILE, PERMISSION_DENIED, UNSUPPORTED, Files, SftpRefused
from iotgw.core.errors import SettingsError

Marker = Literal["auto", "done", "sha256", "none"]

MOST_FOLDERS = 1000
"""Folders whose state is remembered."""


class Placing:
    """Puts files in place. ``temporary`` is the setting for the name aside, in which ``{name}`` is the file's; empty is
    in place. ``appends``: files are added to. Raises SettingsError."""

    def __init__(self, temporary: str, marker: Marker, appends: bool = False) -> None:
        place = "configuration.temporary"
        if temporary and temporary.count("{name}") != 1:
            raise SettingsError(place, f"expected '{{name}}' in it once, got {temporary!r}")
        if temporary == "{name}":
            raise SettingsError(place, "expected a name that differs from the file's; it may be empty")
        if "\0" in temporary or temporary.startswith("/") or ".." in temporary.split("/"):
            raise SettingsError(place, f"expected a name within the file's directory, got {temporary!r}")
        self._temporary = temporary
        self._marker = marker
        self._appends = appends
        self._unconfirmed: dict[str, int] = {}
        """Where an addition to a file began that wasn't confirmed."""
        self._renames: set[str] = set()
        """Folders in which something was renamed."""
        self._in_place: set[str] = set()
        """Folders in which nothing can be renamed."""

    def begin(self) -> None:
        """Forget what was learned: a session begins."""
        self._renames.clear()
        self._in_place.clear()

    def writes_in_place(self, files: Files, folder: str) -> bool:
        """Whether a file of this folder is written under its final name."""
        return not self._temporary or "rename" in files.lacks or folder in self._in_place

    async def put(self, files: Files, path: str, content: bytes) -> None:
        """Put a file in its place, replacing one that is there; raises SftpRefused."""
        if self._marker in ("done", "sha256"):
            await self._discard(files, f"{path}.{self._marker}")
        is_in_place = await self._place(files, path, content)
        if self._marker == "done" or (self._marker == "auto" and is_in_place):
            await self._place(files, f"{path}.done", b"")
        elif self._marker == "sha256":
            await self._place(files, f"{path}.sha256", _checksum(path, content))

    async def append(self, files: Files, path: str, make: Callable[[bytes], bytes]) -> None:
        """Add to a file, in place; see `Files.append`. Raises SftpRefused."""
        if len(self._unconfirmed) >= MOST_FOLDERS:
            del self._unconfirmed[next(iter(self._unconfirmed))]
        try:
            await files.append(path, self._unconfirmed, make)
        except SftpRefused as refused:
            folder = _folder(path)
            if refused.step != "open" or refused.code != NO_SUCH_FILE or not folder:
                raise
            await self._make_folder(files, folder)
            await files.append(path, self._unconfirmed, make)

    async def try_out(self, files: Files, folder: str, content: bytes) -> None:
        """Put a file, add to it where files are added to, read it back and remove it; raises SftpRefused, also if what is read differs."""
        path = posixpath.join(folder, f"{_probe()}.txt")
        try:
            await self.put(files, path, content)
            if self._appends:
                await files.append(path, {}, lambda _: content)
                content += content
            found = await files.read(path, len(content) + 1)
            if found != content:
                raise SftpRefused(
                    "read back", path, 4, f"expected {len(content)} bytes as written, got {len(found)}"
                )
            await files.remove(path)
        except SftpRefused:
            await self._discard(files, path)
            raise
        finally:
            for suffix in ("done", "sha256"):
                await self._discard(files, f"{path}.{suffix}")

    async def takes(self, files: Files, folder: str, content: bytes) -> bool:
        """Whether a folder takes a file of this content, and an addition where files are added to. It is removed again."""
        path = self._aside(files, folder, _probe())
        try:
            await files.write(path, content)
            if self._appends:
                await files.append(path, {}, lambda _: b"\n")
        except SftpRefused:
            return False
        finally:
            await self._discard(files, path)
        return True

    async def _place(self, files: Files, path: str, content: bytes) -> bool:
        """Whether it was written in place."""
        folder, name = posixpath.split(path)
        if not self.writes_in_place(files, folder):
            aside = await self._write_aside(files, folder, name, content)
            try:
                if await self._moved(files, aside, path):
                    return False
            except SftpRefused:
                await self._discard(files, aside)
                raise
            await self._discard(files, aside)
        if self._marker == "auto":  # until it is whole
            await self._discard(files, f"{path}.done")
        await self._write(files, path, content)
        return True

    # --- aside

    def _aside(self, files: Files, folder: str, name: str) -> str:
        chosen = self._temporary.replace("{name}", name)
        if "dot names" in files.lacks:
            chosen = _without_dot(chosen)
        return posixpath.join(folder, chosen)

    async def _write_aside(self, files: Files, folder: str, name: str, content: bytes) -> str:
        """The path under which a file was written aside."""
        path = self._aside(files, folder, name)
        try:
            await self._write(files, path, content)
            return path
        except SftpRefused as refused:
            other = _without_dot(path)
            if refused.step != "open":
                await self._discard(files, path)
                raise
            if other == path or other == posixpath.join(folder, name):
                raise
            try:
                await self._write(files, other, content)
            except SftpRefused as again:
                if again.step != "open":
                    await self._discard(files, other)
                raise refused from None
            files.lacks["dot names"] = str(refused)
            return other

    async def _write(self, files: Files, path: str, content: bytes) -> None:
        """Write a file; makes its folder if that is missing."""
        try:
            await files.write(path, content)
        except SftpRefused as refused:
            folder = _folder(path)
            if refused.step != "open" or refused.code != NO_SUCH_FILE or not folder:
                raise
            await self._make_folder(files, folder)
            await files.write(path, content)

    async def _make_folder(self, files: Files, folder: str) -> None:
        """Make a folder, and those above it that are missing. What is refused here shows when the file is opened."""
        try:
            await files.make_folder(folder)
        except SftpRefused as refused:
            parent = _folder(folder)
            if refused.code == PERMISSION_DENIED or parent in ("", folder):
                return
            await self._make_folder(files, parent)
            with contextlib.suppress(SftpRefused):
                await files.make_folder(folder)

    async def _discard(self, files: Files, path: str) -> None:
        """Remove a file if that can be done."""
        try:
            await files.remove(path)
        except SftpRefused as refused:
            if refused.code == UNSUPPORTED:
                files.lacks["remove"] = str(refused)

    # --- to its place

    async def _moved(self, files: Files, old: str, new: str) -> bool:
        """Rename a file, replacing any existing one. False if it can only be written in place."""
        better: SftpRefused | None = None
        if "posix-rename" not in files.lacks:
            try:
                await files.posix_rename(old, new)
                return True
            except SftpRefused as refused:
                better = refused
        try:
            await files.rename(old, new)
        except SftpRefused as refused:
            if not await self._replaced(files, old, new, refused):
                return False
        if better is not None:
            files.lacks["posix-rename"] = str(better)
        _remember(self._renames, _folder(new))
        return True

    async def _replaced(self, files: Files, old: str, new: str, refused: SftpRefused) -> bool:
        """A plain rename was refused, maybe because the name is taken: SFTP 3 doesn't replace. False if the server has no
        rename, or can't remove what is there."""
        if refused.code == UNSUPPORTED:
            files.lacks["rename"] = str(refused)
            return False
        folder = _folder(new)
        if folder not in self._renames and not await self._renames_in(files, folder, refused):
            return False
        if await self._is_gone(files, old):  # another node has put it in its place, where it stays
            raise refused
        try:
            await files.remove(new)
        except SftpRefused as kept:
            if kept.code == NO_SUCH_FILE:
                raise refused from None
            files.lacks["remove"] = str(kept)
            return False
        await files.rename(old, new)
        return True

    async def _is_gone(self, files: Files, path: str) -> bool:
        """Whether a file that was there isn't any more."""
        try:
            await files.read(path, 1)
        except SftpRefused as refused:
            return refused.code == NO_SUCH_FILE
        return False

    async def _renames_in(self, files: Files, folder: str, refused: SftpRefused) -> bool:
        """Whether anything can be renamed in a folder, in which a rename was refused."""
        one, other = (self._aside(files, folder, _probe()) for _ in range(2))
        try:
            await files.write(one, b"")
        except SftpRefused:
            await self._discard(files, one)
            raise refused from None
        try:
            await files.rename(one, other)
        except SftpRefused as again:
            await self._discard(files, one)
            _remember(self._in_place, folder)
            files.lacks["rename in some directories"] = str(again)
            return False
        await self._discard(files, other)
        return True


def _probe() -> str:
    """Name of a file that finds out what a server can do. No other has it, of this gateway or another."""
    return f"iotgw-probe-{secrets.token_hex(8)}"


def _remember(folders: set[str], folder: str) -> None:
    if len(folders) >= MOST_FOLDERS:
        folders.clear()
    folders.add(folder)


def _folder(path: str) -> str:
    return posixpath.dirname(path)


def _without_dot(path: str) -> str:
    folder, name = posixpath.split(path)
    return posixpath.join(folder, name.lstrip("."))


def _checksum(path: str, content: bytes) -> bytes:
    """As ``sha256sum`` writes it, so that ``sha256sum -c`` reads it."""
    return f"{hashlib.sha256(content).hexdigest()}  {posixpath.basename(path)}\n".encode()

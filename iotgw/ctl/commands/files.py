"""`iotgwctl files` and `iotgwctl file`: what is uploaded for devices, such as firmware."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from iotgw.ctl.client import ApiClient
from iotgw.ctl.command import Commands, Context
from iotgw.ctl.errors import CtlError
from iotgw.ctl.table import moment, table

PART = 1 << 20
"""Bytes of a part; a file of any size is sent in parts."""
HEAD = ("NAME", "SIZE", "THERE", "SHA-256", "SINCE")


def add(commands: Commands) -> None:
    """Add the commands."""
    many = commands.add("files", _list, "list the files for devices, or show one")
    many.add_argument("name", nargs="?")
    file = commands.add("file", _file, "upload a file for devices, or remove one")
    actions = file.add_subparsers(dest="action", required=True, metavar="ACTION")
    upload = actions.add_parser("upload", help="send one; a broken upload goes on where it was")
    upload.add_argument("path")
    upload.add_argument("--name", help="(that of the file)")
    actions.add_parser("delete", help="remove one").add_argument("name")


def _list(context: Context) -> None:
    name, client = context.options.name, context.client
    if name is not None:
        context.show(client.get(_place(name)), lambda file: _drawn([file]))
    else:
        context.show(client.get("/files"), lambda page: _drawn(page["items"]))


def _place(name: str) -> str:
    return f"/files/{quote(name, safe='')}"


def _drawn(files: list[dict[str, Any]]) -> str:
    return table(HEAD, [
        (each["name"], each["size"], each["received"], each["sha256"] or "-", moment(each["createdAt"])) for each in files
    ])  # fmt: skip


def _file(context: Context) -> None:
    options, client = context.options, context.client
    if options.action == "delete":
        client.call("DELETE", _place(options.name))
        return
    context.show(uploaded(client, Path(options.path), options.name), lambda file: _drawn([file]))


def uploaded(client: ApiClient, path: Path, name: str | None = None) -> dict[str, Any]:
    """The file on the gateway that has the content of a local one; it is uploaded as far as it isn't there. Raises CtlError."""
    try:
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
            size = path.stat().st_size
            return _uploaded(client, content, size, digest, name or path.name)
    except OSError as error:
        raise CtlError(f"cannot read {path}: {error.strerror}") from error


def _uploaded(client: ApiClient, content: Any, size: int, digest: str, name: str) -> dict[str, Any]:
    there = {each["name"]: each for each in client.get("/files")["items"]}
    for each in there.values():
        if each["sha256"] == digest and each["name"] == name:
            return dict(each)
    place = _place(name)
    file = there.get(name)
    if file is not None and (file["sha256"] or file["size"] != size):
        raise CtlError(f"there is another file {name!r}; remove it first, or give this one another name")
    at = 0 if file is None else file["received"]
    if file is None:
        content.seek(0)
        file = client.upload("PUT", f"{place}?{urlencode({'size': size})}", content.read(PART))
        at = file["received"]
    while not file["sha256"]:
        content.seek(at)
        file = client.upload("PATCH", f"{place}?{urlencode({'offset': at})}", content.read(PART))
        at = file["received"]
    if file["sha256"] != digest:
        raise CtlError(f"{name}: the gateway has another content; remove it, and upload it again")
    return dict(file)

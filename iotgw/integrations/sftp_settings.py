"""The settings of an SFTP target."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from iotgw.connect.proxy import ProxyUrl, goes_by
from iotgw.core.secrets import Secret
from iotgw.integrations.csv_layout import CsvSettings

LONGEST_KEY = 64 << 10
"""Characters of a recipient's public key. Others' signatures make it longer, and need not be in it; each costs time when it is read."""


class SftpSettings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """SFTP. Either ``hostKeys`` or ``knownHosts`` is required, since a host is never trusted blindly."""

    host: Annotated[str, Meta(description="The server's name or address.")]
    port: Annotated[int, Meta(ge=1, le=65535, description="The server's port.")] = 22
    username: Annotated[str, Meta(description="The user's name.")]
    password: Annotated[Secret, Meta(description="The user's password.")] = ""
    private_key: Annotated[
        Secret,
        Meta(
            description="A private key as text: OpenSSH, PEM, PKCS#8 or PuTTY (PPK 2 and 3); Ed25519, ECDSA or RSA (signed with SHA-2)."
        ),
    ] = ""
    passphrase: Annotated[Secret, Meta(description="Of the key.")] = ""
    certificate: Annotated[
        str,
        Meta(description="OpenSSH's certificate of the key, the text of a file like `id_ed25519-cert.pub`."),
    ] = ""
    host_keys: Annotated[
        list[Annotated[str, Meta(max_length=16 << 10)]],
        Meta(max_length=100, description="The server's keys: `ssh-ed25519 AAAA…` or `SHA256:…`."),
    ] = []
    known_hosts: Annotated[str, Meta(max_length=64 << 10, description="The text of a known_hosts file.")] = ""
    files: Annotated[
        Literal["message", "batch", "schedule"],
        Meta(
            description="A file per message, per batch (what waits, at most `batchSize`), or per scheduled run."
        ),
    ] = "message"
    schedule: Annotated[
        str, Meta(description="When to write files: minute, hour, day of month, month, day of week; UTC.")
    ] = "30 5 * * *"
    content: Annotated[
        Literal["json", "ndjson", "csv"],
        Meta(
            description="CSV has one file per device type, with a header that only ever grows to the right. JSON is an array in batches, of one message too."
        ),
    ] = "json"
    csv: Annotated[CsvSettings, Meta(description="How CSV looks, see below.")] = CsvSettings()
    append: Annotated[
        bool,
        Meta(
            description="Add to the file that is there (CSV with listed columns, or NDJSON). `path` needs no `file` then; with `date` in it there is a file a day."
        ),
    ] = False
    compress: Annotated[
        Literal["none", "gzip", "zip"], Meta(description="Adds `.gz` or `.zip` to the file's name.")
    ] = "none"
    encrypt_to: Annotated[
        list[Annotated[str, Meta(max_length=LONGEST_KEY)]],
        Meta(
            max_length=20,
            description="Public keys of OpenPGP as text, to which files are encrypted; adds `.pgp` to their names. Needs `pip install iotgw[pgp]`.",
        ),
    ] = []
    path: Annotated[
        str,
        Meta(
            description="A template. Inserted values stay within their directory; directories are made. `file` is a name that no other batch or run has. Default: `{{ deviceName }}/{{ key }}.json` for messages, `{{ file }}_{{ deviceType }}.csv` for CSV, `{{ file }}.json` else."
        ),
    ] = ""
    temporary: Annotated[
        str,
        Meta(
            description="The name under which a file is written before it is renamed; `{name}` is the file's. Empty: files are written in place. A server that refuses names with a dot in front gets it without."
        ),
    ] = ".{name}.part"
    marker: Annotated[
        Literal["auto", "done", "sha256", "none"],
        Meta(
            description="A file that says that another is whole: `NAME.done`, empty, or `NAME.sha256`, as sha256sum writes it. `auto`: `NAME.done` where the file had to be written in place, because the server has no rename."
        ),
    ] = "auto"
    batch_size: Annotated[int, Meta(ge=1, le=100_000, description="Messages of one file at most.")] = 1000
    concurrency: Annotated[
        int, Meta(ge=1, le=64, description="Files under way at once, where each message has its own.")
    ] = 8
    proxy: ProxyUrl = ""
    connect_timeout: Annotated[float, Meta(gt=0, description="Seconds to connect and log in.")] = 20.0
    timeout: Annotated[float, Meta(gt=0, description="Seconds for a file.")] = 120.0

    def destination(self) -> object:
        """See `iotgw.core.destination.Destined`."""
        return self.host.lower(), self.port, sorted(self.host_keys), self.known_hosts, goes_by(self.proxy)

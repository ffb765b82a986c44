"""What an operator says of backups in the settings file: where they go, when, and which are kept."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from iotgw.core.secrets import Secret

Count = Annotated[int, Meta(ge=0, le=10_000)]


class BackupPlan(Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """One plan."""

    to: Annotated[
        str,
        Meta(
            min_length=1,
            description="A directory (relative to the data directory), `sftp://user@host/path` (`/~/path` is below the login directory), or "
            "`s3://bucket/prefix`. Each gateway needs one of its own.",
        ),
    ]
    schedule: Annotated[
        str,
        Meta(
            description="Minute, hour, day of month, month, day of week; UTC. Empty: only when somebody asks."
        ),
    ] = ""
    keep_last: Annotated[
        Count, Meta(description="How many of the newest are kept. With no `keep-…` at all, all are.")
    ] = 0
    keep_daily: Annotated[Count, Meta(description="For how many days the last one of the day is kept.")] = 0
    keep_weekly: Annotated[Count, Meta(description="For how many weeks the last one of the week.")] = 0
    keep_monthly: Annotated[Count, Meta(description="For how many months the last one of the month.")] = 0
    with_key: Annotated[
        bool,
        Meta(
            description="With `secret.key` and `admin-token`. Whoever can read the copy has everything then."
        ),
    ] = False
    password: Annotated[Secret, Meta(description="SFTP: of the user, where there is no key.")] = ""
    private_key: Annotated[Secret, Meta(description="SFTP: a private key as text.")] = ""
    passphrase: Annotated[Secret, Meta(description="SFTP: of the key.")] = ""
    host_keys: Annotated[
        list[str], Meta(description="SFTP: the server's keys: `ssh-ed25519 AAAA…` or `SHA256:…`.")
    ] = []
    known_hosts: Annotated[str, Meta(description="SFTP: or the text of a known_hosts file.")] = ""
    endpoint: Annotated[
        str,
        Meta(
            description="S3: the service's URL, such as `https://minio.example:9000`; empty is AWS. The bucket is the path's first part there."
        ),
    ] = ""
    region: Annotated[str, Meta(min_length=1, description="S3: the bucket's region.")] = "us-east-1"
    access_key_id: Annotated[str, Meta(description="S3.")] = ""
    secret_access_key: Annotated[Secret, Meta(description="S3.")] = ""
    session_token: Annotated[Secret, Meta(description="S3: of temporary credentials.")] = ""
    ca: Annotated[str, Meta(description="S3: CA certificates (PEM) to trust instead of the system's.")] = ""
    proxy: Annotated[
        Secret,
        Meta(description="SFTP and S3: the way there, if not as `[integrations]` says; `none` is directly."),
    ] = ""
    timeout: Annotated[
        float, Meta(gt=0, description="SFTP and S3: seconds without any progress after which it is given up.")
    ] = 60.0

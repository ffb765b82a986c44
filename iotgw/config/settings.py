"""The process settings: `etc/iotgw.toml` → frozen values, each default with its unit and its reason.

What users manage at run time (datasources, converters, integrations) is not here but in the registry.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from iotgw.core.backup_plan import BackupPlan
from iotgw.core.errors import SettingsError
from iotgw.core.own_sites import OwnSites
from iotgw.core.patterns import pattern
from iotgw.core.trusted_proxies import Says, TrustedProxies
from iotgw.core.validate import convert

Seconds = Annotated[float, Meta(gt=0, extra_json_schema={"unit": "s"})]
Bytes = Annotated[int, Meta(gt=0, extra_json_schema={"unit": "bytes"})]


PLAN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
"""The name of a backup plan."""


class Section(Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """A table of the settings file."""


class StoreSection(Section, frozen=True, kw_only=True):
    """What the gateway stores, and how much of it."""

    url: Annotated[
        str,
        Meta(
            description="Empty: everything is in files of the data directory. `postgresql://iotgw@db1,db2/iotgw` puts them "
            "into PostgreSQL ([PostgreSQL](postgresql.md))."
        ),
    ] = ""
    password_file: Annotated[
        str,
        Meta(
            description="A file with the database's password and nothing else; relative to the data directory. Empty for none."
        ),
    ] = ""
    lease: Annotated[
        float,
        Meta(
            ge=2,
            le=600,
            description="Of several nodes on PostgreSQL: seconds after which one that was not heard of is taken for dead, and another one adopts its "
            "partition ([nodes](nodes.md)). The same on all nodes.",
        ),
    ] = 10.0
    max_age: Annotated[
        Seconds,
        Meta(description="Messages older than this are trimmed. A week outlasts a long weekend's outage."),
    ] = 7 * 86400.0
    max_bytes: Annotated[
        Bytes,
        Meta(
            description="Size of the journal. Beyond it, the oldest messages that nobody waits for are trimmed, then "
            "integrations give up what waits ([storage](storage.md#who-may-take-how-much))."
        ),
    ] = 2 << 30
    max_spill: Annotated[
        Bytes,
        Meta(
            description="Where the data is in PostgreSQL: how much this node keeps in its own file of what it acknowledged while the database was away "
            "([nodes](nodes.md#while-the-database-is-away)). Beyond it, messages are refused."
        ),
    ] = 1 << 30
    max_files: Annotated[
        Bytes,
        Meta(description="Bytes of the files that one tenant may upload for its devices, all together."),
    ] = 1 << 30
    max_pending: Annotated[
        int,
        Meta(
            gt=0,
            description="Uplinks that may wait for the disk; beyond, devices are told to come back later.",
        ),
    ] = 20_000
    max_payload: Annotated[
        Bytes, Meta(description="The largest uplink that is taken. NB-IoT messages are a few hundred bytes.")
    ] = 1 << 20
    max_metadata: Annotated[
        Bytes,
        Meta(
            description="The most metadata of one uplink, as JSON. It is stored and converted like the payload. "
            "Decoded fields and HTTP headers are a few kilobytes."
        ),
    ] = 64 << 10
    backup_directory: Annotated[
        str,
        Meta(
            description="Where `iotgwctl backup` makes its directories; relative to the data directory. Another disk than the "
            "data's outlasts that one."
        ),
    ] = "backups"


class UsageSection(Section, frozen=True, kw_only=True):
    """What was used, by hour and by day."""

    max_bytes: Annotated[
        Bytes,
        Meta(
            description="Size of `usage.db`. Beyond it, the oldest days of devices go first, then the oldest hours. A day of 100,000 devices "
            "takes about 2 MB."
        ),
    ] = 256 << 20


class DebugSection(Section, frozen=True, kw_only=True):
    """What debugging keeps of single messages."""

    max_bytes: Annotated[Bytes, Meta(description="Size of `debug.db`. Beyond it, the oldest entries go.")] = (
        64 << 20
    )


class ConvertersSection(Section, frozen=True, kw_only=True):
    """The workers that run users' scripts."""

    workers: Annotated[
        int,
        Meta(ge=1, le=64, description="Worker processes. Two keep a slow script from holding up the rest."),
    ] = 2
    time_limit: Annotated[
        Seconds,
        Meta(
            description="CPU time that one call of a script may take, unless its converter's `timeLimit` says otherwise."
        ),
    ] = 0.25
    memory_limit: Annotated[
        Bytes, Meta(description="Address space of one worker; a script that wants more fails.")
    ] = 256 << 20
    unconfined: Annotated[
        bool,
        Meta(
            description="Run scripts where the kernel can't confine them too ([confinement](#what-confines-converters)). Without it, "
            "their messages are kept as failed there."
        ),
    ] = False


LEVELS = pattern("^(debug|info|warn|error|critical)$", "debug, info, warn, error or critical")


class LogSection(Section, frozen=True, kw_only=True):
    """The structured log."""

    file: Annotated[
        str, Meta(description="One JSON object per line; empty for none. Relative to the data directory.")
    ] = "iotgw.log"
    level: Annotated[
        str,
        Meta(
            pattern=LEVELS,
            description="Lines below this level are not written.",
        ),
    ] = "info"
    libraries: Annotated[
        str,
        Meta(
            pattern=LEVELS,
            description="The same for lines of libraries, such as Twisted; `level` holds for them too.",
        ),
    ] = "warn"
    rotate_bytes: Annotated[Bytes, Meta(description="The file is rotated at this size.")] = 10 << 20
    keep: Annotated[int, Meta(ge=1, description="Rotated files that are kept.")] = 5


class IntegrationsSection(Section, frozen=True, kw_only=True):
    """What holds for all that the gateway connects to: integrations, and datasources such as MQTT."""

    forbid: Annotated[
        list[str],
        Meta(
            description="Addresses that the gateway never connects to, beside `link-local` and `metadata`: `loopback`, `private`, or "
            "networks like `10.0.0.0/8`. Checked after name resolution. For gateways whose users are not their operators "
            "([where it may connect to](#where-it-may-connect-to))."
        ),
    ] = []
    allow: Annotated[
        list[str],
        Meta(
            description="Exceptions from what is forbidden, by the same names or networks: `169.254.7.1`, or `link-local` and `metadata`."
        ),
    ] = []
    proxy: Annotated[
        str,
        Meta(
            description="The proxy for all that doesn't name one itself: `http://user:password@proxy:3128` (CONNECT), `https://…`, `socks5://…` "
            "or `socks5h://…`; `environment` takes `ALL_PROXY` or `HTTPS_PROXY`, and `NO_PROXY` ([proxies](#proxies))."
        ),
    ] = ""
    no_proxy: Annotated[
        list[str],
        Meta(
            description="What is reached directly, as in `NO_PROXY`: `example.com` with all names below it, addresses, networks, each perhaps "
            "with a port, or `*`. `localhost` and loopback addresses always are."
        ),
    ] = []
    proxy_names: Annotated[
        Literal["proxy", "here"],
        Meta(
            description="Who resolves hosts' names where a proxy could. With `here`, `forbid` holds for their addresses, too."
        ),
    ] = "proxy"


class TlsSection(Section, frozen=True, kw_only=True):
    """The certificate of the API's listener."""

    certificate: Annotated[
        str,
        Meta(
            min_length=1,
            description="File with the certificate and its chain, in the directory `certificates`. It is read again when it changes.",
        ),
    ]
    key: Annotated[str, Meta(min_length=1, description="File with its private key, not encrypted, likewise.")]


class Settings(Section, frozen=True, kw_only=True):
    """All process settings."""

    data_dir: Annotated[
        str, Meta(description="Everything that iotgw writes; relative to the directory it is started in.")
    ] = "var/iotgw"
    api: Annotated[
        str,
        Meta(description="Twisted endpoint of the REST API and of HTTP datasources; loopback by default."),
    ] = "tcp:8080:interface=127.0.0.1"
    hosts: Annotated[
        list[str],
        Meta(
            description="Names by which this gateway is reached, such as `gateway.example`, beside addresses, `localhost` and the "
            "machine's name. Requests over loopback for other names, and those of other sites' web pages, are refused "
            "([other sites](#web-pages-of-other-sites))."
        ),
    ] = []
    tls: Annotated[
        TlsSection | None,
        Meta(
            description="Certificate of the listener that `api` names with `tcp:`; without it, it speaks plain HTTP."
        ),
    ] = None
    trusted_proxies: Annotated[
        list[str],
        Meta(
            description="Addresses or networks of reverse proxies, such as `127.0.0.1`: what they say of their clients is believed, and nobody "
            "else's word is ([reverse proxies](reverse-proxies.md))."
        ),
    ] = []
    proxy_header: Annotated[
        Says,
        Meta(
            description="How trusted proxies say whom they speak for: by `X-Forwarded-For`, `X-Forwarded-Host` and `X-Forwarded-Proto`, by `Forwarded` (RFC 7239), or by the "
            "PROXY protocol, version 1 or 2. The other headers are their clients' own."
        ),
    ] = "x-forwarded"
    certificates: Annotated[
        str,
        Meta(
            description="Directory of certificates, keys and trust anchors, which datasources name; relative to the data directory "
            "([certificates](#certificates))."
        ),
    ] = "certificates"
    coap_trees: Annotated[
        list[str],
        Meta(
            description="The txThings trees that CoAP datasources may mount, as `package.module:name`. Mounting one runs its module "
            "in the gateway."
        ),
    ] = []
    resources: Annotated[
        str, Meta(description="Applied when the registry is empty; relative to this file. Empty for none.")
    ] = "resources.toml"
    drain: Annotated[
        Seconds,
        Meta(
            description="On SIGTERM, how long work in progress may take to finish; unfinished work is in the journal."
        ),
    ] = 5.0
    store: StoreSection = StoreSection()
    usage: UsageSection = UsageSection()
    debug: DebugSection = DebugSection()
    converters: ConvertersSection = ConvertersSection()
    integrations: IntegrationsSection = IntegrationsSection()
    log: LogSection = LogSection()
    backup: Annotated[
        dict[str, BackupPlan],
        Meta(description="Backups on a schedule, each plan by its name ([on a schedule](#on-a-schedule))."),
    ] = {}


FORMER = {"proxies": "trusted-proxies"}
"""Names of settings in earlier versions, which still work."""


def load(path: str | Path | None) -> Settings:
    """Read a settings file; None gives the defaults. Raises SettingsError with the setting's path."""
    if path is None:
        return Settings()
    try:
        raw = msgspec.toml.decode(Path(path).read_bytes())
        raw = {FORMER.get(name, name): value for name, value in raw.items()}
    except OSError as error:
        raise SettingsError("--config", f"expected a readable file, got {path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise SettingsError(str(path), f"expected TOML: {error}") from error
    try:
        made = _from_here(raw, Path(path).absolute().parent)
        for name, plan in _plans(made).items():
            convert(
                plan, BackupPlan, f"backup.{name}"
            )  # by its name: of all together, nobody would be told which one is wrong
        settings: Settings = convert(made, Settings)
        OwnSites(settings.hosts)
        TrustedProxies(settings.trusted_proxies)
        if settings.tls is not None and not settings.api.startswith("tcp:"):
            raise SettingsError("tls", "expected an `api` such as tcp:8443 for a certificate")
        for name in settings.backup:
            if not PLAN.fullmatch(name):
                raise SettingsError(
                    "backup", f"expected plans' names of letters, digits, _ and -, {name!r} is none"
                )
    except SettingsError as error:
        problem = f"{error.problem}{_got(raw, error)} in {path}"
        raise SettingsError(error.path, problem, error.is_secret) from error
    return settings


def _from_here(raw: dict[str, Any], beside: Path) -> dict[str, Any]:
    """The references to files that backup plans have, as absolute paths. What they refer to is read by whoever needs it."""

    def whole(value: Any) -> Any:
        is_file = isinstance(value, str) and value.startswith("file:")
        return f"file:{beside / value.removeprefix('file:')}" if is_file else value

    plans = _plans(raw)
    made = {
        name: {key: whole(value) for key, value in plan.items()} if isinstance(plan, dict) else plan
        for name, plan in plans.items()
    }
    return {**raw, "backup": made} if plans else raw


def _plans(raw: dict[str, Any]) -> dict[str, Any]:
    found = raw.get("backup")
    return found if isinstance(found, dict) else {}


def _got(raw: dict[str, Any], error: SettingsError) -> str:
    """What stands at the place of an error, where that isn't said and no secret is shown by it: a table may have some."""
    found = _at(raw, error.path)
    is_shown = not error.is_secret and isinstance(found, str | int | float) and ", got " not in error.problem
    return f", got {found!r}" if is_shown else ""


def _at(raw: Any, path: str) -> Any:
    """The value at a dotted path, as far as it leads."""
    for part in path.split(".") if path else []:
        if not isinstance(raw, dict) or part not in raw:
            return raw
        raw = raw[part]
    return raw

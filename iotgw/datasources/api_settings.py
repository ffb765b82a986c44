"""What a user says of a platform's API: where it is, and how the gateway proves itself there."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from iotgw.connect.tls import ClientTls, trust
from iotgw.core.destination import origin
from iotgw.core.errors import SettingsError
from iotgw.core.secrets import SECRET_NAME, Secret
from iotgw.envelopes.api import ApiSettings, PlatformApi

PLACES = ("server", "loginServer")
"""Names of a preset's settings that are fields of their own."""


class DownlinkApi(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A platform's API. Calls go to these servers and nowhere else, whatever a message says."""

    server: Annotated[str, Meta(description="The API's URL, such as `https://eu1.cloud.thethings.network`.")]
    login_server: Annotated[
        str, Meta(description="URL of the server that gives tokens; empty is the same one.")
    ] = ""
    values: Annotated[
        dict[str, str], Meta(description="What else the preset asks for, such as `application`.")
    ] = {}
    secrets: Annotated[
        dict[str, Secret], Meta(description="What it asks for and nobody may see, such as `token`.")
    ] = {}
    tls: Annotated[ClientTls | None, Meta(description="TLS, also with a client certificate.")] = None
    timeout: Annotated[float, Meta(ge=1, le=120, description="Seconds for a call.")] = 10.0
    connections: Annotated[int, Meta(ge=1, le=32, description="Calls at once.")] = 4

    def check(self, api: PlatformApi | None) -> None:
        """Refuse settings that don't fit the platform's API; raises ValueError."""
        if api is None:
            raise ValueError("downlinkApi: expected a preset that sends downlinks by calls of an API")
        try:
            origin(self.server, "downlinkApi.server")
            if self.login_server:
                origin(self.login_server, "downlinkApi.loginServer")
        except SettingsError as error:
            raise ValueError(str(error)) from error
        for name in self.values:
            if SECRET_NAME.search(name):
                raise ValueError(f"downlinkApi.values.{name}: expected it in `secrets`")
        known = {*self.values, *self.secrets}
        needed = {name for name in api.needs if name not in PLACES}
        if missing := sorted(needed - known):
            where = "secrets" if SECRET_NAME.search(missing[0]) else "values"
            raise ValueError(
                f"downlinkApi.{where}: expected {missing[0]!r}, got {', '.join(sorted(known)) or 'nothing'}"
            )
        if more := sorted(known - needed):
            raise ValueError(
                f"downlinkApi: expected {', '.join(sorted(needed)) or 'no names'}, got {more[0]!r}"
            )
        for name, text in (*self.values.items(), *self.secrets.items()):
            if not text.isprintable():
                raise ValueError(f"downlinkApi: {name}: expected printable characters")

    def settings(self) -> ApiSettings:
        """What a preset's expressions see."""
        server = self.server.rstrip("/")
        login = self.login_server.rstrip("/") or server
        return {**self.values, **self.secrets, "server": server, "loginServer": login}

    def destination(self) -> object:
        """See `iotgw.core.destination.Destined`."""
        places = (self.server, self.login_server or self.server)
        return *(origin(each, "downlinkApi") for each in places), trust(self.tls)

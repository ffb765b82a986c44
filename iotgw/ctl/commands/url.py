"""`iotgwctl url`: where a datasource's devices send to."""

from __future__ import annotations

from urllib.parse import quote

from iotgw.core.urls import urls
from iotgw.ctl.client import CtlError
from iotgw.ctl.command import Commands, Context
from iotgw.ctl.gateway_names import named


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add("url", _url, "print the URL that a datasource's devices send to")
    parser.add_argument("datasource", complete=named("datasources"))
    parser.add_argument("--scheme", help="of several, the one of this scheme, such as coaps")


def _url(context: Context) -> None:
    options = context.options
    found = context.client.get(f"/datasources/{quote(options.datasource, safe='')}")
    wanted = f"{options.scheme}:" if options.scheme else ""
    known = [each for each in urls(found["status"], options.url) if each.startswith(wanted)]
    if not known:
        raise CtlError(f"{options.datasource}: it is {found['status']['state']}, and has no such URL")
    context.show(known, lambda found: found[0])

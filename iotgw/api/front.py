"""`GET /`: what whoever opens the gateway's address in a browser, or with curl, may do next. It says nothing about this gateway."""

from __future__ import annotations

from html import escape

from twisted.web.resource import Resource
from twisted.web.server import Request

from iotgw.api.routes import header, write

STEPS = (
    (
        "iotgwctl status",
        "the gateway at a glance. The first token is in the file admin-token of the data directory",
    ),
    ("iotgwctl init DIR", "write a first configuration: it asks which devices and targets you have"),
    ("iotgwctl url http", "where the devices of a datasource send to"),
    ("iotgwctl messages", "what came in, and what became of it"),
    ("iotgwctl --help", "everything else"),
)
# relative to the page, which a reverse proxy may serve below a path of its own
PATHS = (
    ("console/", "the console, in a browser"),
    ("api/v1/", "the API, with a token (docs/api.md)"),
    ("api/v1/openapi.json", "its description"),
    ("health/ready", "whether uplinks are taken"),
    ("metrics", "figures for Prometheus, with a token"),
)


class FrontPage(Resource):
    """The page, as HTML for those who prefer it, else as text. Those are led to the console where there is one."""

    isLeaf = True

    def __init__(self, has_console: bool = False) -> None:
        super().__init__()
        self._has_console = has_console

    def render_GET(self, request: Request) -> bytes:
        """The page."""
        request.setHeader("Vary", "Accept")
        if "text/html" in (header(request, "accept") or ""):
            if self._has_console:
                request.setHeader("Location", "console/")
                return write(request, 302, b"", "")
            request.setHeader("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
            return write(request, 200, _html().encode(), "text/html; charset=utf-8")
        return write(request, 200, _text().encode(), "text/plain; charset=utf-8")


def _text() -> str:
    steps = [f"  {command:<22}{about}" for command, about in STEPS]
    paths = [f"  /{path:<21}{about}" for path, about in PATHS]
    return "\n".join(
        ["This is an iotgw gateway, and it is running.", "", "Next:", *steps, "", "Here are:", *paths, ""]
    )


def _html() -> str:
    steps = "".join(
        f"<dt><code>{escape(command)}</code></dt><dd>{escape(about)}</dd>" for command, about in STEPS
    )
    paths = "".join(
        f'<dt><a href="{escape(path)}">/{escape(path)}</a></dt><dd>{escape(about)}</dd>'
        for path, about in PATHS
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>iotgw</title></head><body>'
        f"<h1>This is an iotgw gateway, and it is running</h1><h2>Next</h2><dl>{steps}</dl>"
        f"<h2>Here are</h2><dl>{paths}</dl></body></html>\n"
    )

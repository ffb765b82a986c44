"""`/console/`: the web console's files, with the headers that keep everything else out of its pages."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.web.resource import Resource
from twisted.web.server import Request

from iotgw.web.assets import INDEX, Asset

BUILD = "make console"
"""The command that builds it."""
FOREVER = "public, max-age=31536000, immutable"
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "worker-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)
_ALL = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_METHODS = (b"GET", b"HEAD")
_ABSENT = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>iotgw</title></head><body>
<h1>The console was not built</h1>
<p>The gateway runs, but this copy of it came without its web console. In the checkout, <code>{BUILD}</code> builds it; then restart
the gateway. Everything else is done by <code>iotgwctl</code> and by the API under <code>/api/v1</code>.</p>
</body></html>
"""


class Console(Resource):
    """The console, of ``assets`` by path as `iotgw.web.assets.load` gives them; without any, a page that says how to build it."""

    isLeaf = True

    def __init__(self, assets: Mapping[str, Asset]) -> None:
        super().__init__()
        self._assets = assets

    @property
    def is_built(self) -> bool:
        """Whether there is a console to show."""
        return INDEX in self._assets

    def render(self, request: Request) -> bytes:
        """A file, or why there is none."""
        for name, value in _ALL.items():
            request.setHeader(name, value)
        if request.method not in _METHODS:
            request.setHeader("Allow", "GET, HEAD")
            return _plain(request, 405, "expected GET or HEAD\n")
        if not request.postpath:  # `/console`: addresses in the page are relative to `/console/`
            request.setResponseCode(307)
            request.setHeader("Location", "console/")
            request.setHeader("Cache-Control", "no-store")
            return b""
        if not self.is_built:
            return _plain(request, 503, _ABSENT, "text/html; charset=utf-8")
        asset = self._assets.get(b"/".join(request.postpath).decode("latin-1") or INDEX)
        if asset is None:
            return _plain(request, 404, "there is no such file of the console\n")
        return _file(request, asset)


def _file(request: Request, asset: Asset) -> bytes:
    request.setHeader("Content-Type", asset.media_type)
    if asset.is_page:
        request.setHeader("Cache-Control", "no-store")
    else:
        request.setHeader("Cache-Control", FOREVER if asset.is_immutable else "no-cache")
        request.setHeader("ETag", asset.tag)
        if asset.tag in _listed(request, b"if-none-match"):
            request.setResponseCode(304)
            return b""
    content = asset.content
    if asset.packed:
        request.setHeader("Vary", "Accept-Encoding")
        if "gzip" in _listed(request, b"accept-encoding"):
            request.setHeader("Content-Encoding", "gzip")
            content = asset.packed
    request.setHeader("Content-Length", str(len(content)))
    return content


def _listed(request: Request, name: bytes) -> list[str]:
    """The members of a header that is a list, as weak as they may be."""
    value = request.getHeader(name)
    members = (value or b"").decode("latin-1").split(",")[:20]
    return [each.strip().removeprefix("W/") for each in members]


def _plain(request: Request, status: int, text: str, media_type: str = "text/plain; charset=utf-8") -> bytes:
    body = text.encode()
    request.setResponseCode(status)
    request.setHeader("Cache-Control", "no-store")
    request.setHeader("Content-Type", media_type)
    request.setHeader("Content-Length", str(len(body)))
    return body

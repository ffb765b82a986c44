"""A person's browser: Debian's Chromium, driven by Playwright, which notes what a page must never do."""

import contextlib
import json
from pathlib import Path

from tests.peers.process import find, missing

AXE = Path(__file__).parents[2] / "console" / "node_modules" / "axe-core" / "axe.min.js"
DESKTOP, PHONE = (1280, 900), (390, 844)
WATCH = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
window.alert = (text) => console.error(`alert: ${text}`);
"""


class Browser:
    """One Chromium for all tests of a session; also a context manager."""

    def __enter__(self):
        try:
            from playwright.sync_api import sync_playwright
        except ImportError:
            missing("PyPI's playwright is not installed")
        self._playwright = sync_playwright().start()
        self._chromium = self._playwright.chromium.launch(
            executable_path=find("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--force-color-profile=srgb"],
        )
        return self

    def __exit__(self, *exc):
        self._chromium.close()
        self._playwright.stop()

    @contextlib.contextmanager
    def visitor(self, gateway, size=DESKTOP, theme="light", language="en-GB", token=None, url=None):
        """Somebody with a fresh browser profile; ``url`` is where the gateway is for him, unless he reaches it directly."""
        context = self._chromium.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=theme, locale=language, timezone_id="Europe/Berlin",
            reduced_motion="reduce", ignore_https_errors=url is not None,
        )  # fmt: skip
        context.add_init_script(WATCH)
        page = context.new_page()
        page.set_default_timeout(20_000)
        try:
            yield Visitor(page, url or gateway.url, token or gateway.token)
        finally:
            context.close()


class Visitor:
    """A page and who looks at it, at a gateway's ``url``. ``complaints`` are what the page did wrong, and ``refused`` what it
    asked the API for in vain."""

    def __init__(self, page, url, token):
        self.page, self.url = page, url
        self._token = token
        self.complaints = []
        self.refused = []
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("console", self._heard)
        page.on("response", self._answered)

    def _heard(self, said):
        # a refused or unreachable call is shown by the page itself; Chromium tells of it here as well
        if said.type == "error" and not said.text.startswith("Failed to load resource"):
            self.complaints.append(said.text)

    def _answered(self, answer):
        if answer.status >= 400 and "/api/" in answer.url:
            self.refused.append(
                f"{answer.status} {answer.request.method} {answer.url.partition('/api/v1')[2]}"
            )

    def sign_in(self):
        """By the form, as a person does."""
        self.page.goto(f"{self.url}/console/")
        self.page.get_by_label("Token").fill(self._token)
        self.page.locator("button[type=submit]").click()
        self.page.locator("nav#nav").wait_for(state="attached")
        return self

    def open(self, where):
        """A page of the console, when it shows what it has."""
        self.page.goto(f"{self.url}/console/#/{where}")
        self.settle()
        return self

    def look(self, theme, size):
        """The same page in other colours and another width."""
        self.page.emulate_media(color_scheme=theme)
        self.page.set_viewport_size({"width": size[0], "height": size[1]})
        return self.settle()

    def too_wide(self):
        """How many pixels of the page are beyond the window."""
        return self.page.evaluate("document.documentElement.scrollWidth - innerWidth")

    def settle(self):
        """Wait until nothing is being loaded."""
        self.page.locator("main h1").first.wait_for()
        self.page.locator("main .skeleton, main [aria-busy=true], main .loading").first.wait_for(
            state="detached"
        )
        # what is drawn after its data came, such as curves
        self.page.evaluate(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
        )
        return self

    def findings(self):
        """What axe finds, in a line each."""
        if self.page.evaluate("typeof axe") == "undefined":
            self.page.evaluate(AXE.read_text())
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{each['id']}: {' '.join(map(str, node['target']))}: {node['failureSummary'].splitlines()[-1].strip()}"
            for each in found["violations"]
            for node in each["nodes"]
        ]

    def command(self):
        """The command that the page says shows the same."""
        return self.page.locator("footer.command code").inner_text()

    def stored(self):
        """The session that the page keeps."""
        return json.loads(self.page.evaluate("sessionStorage.getItem('iotgw.session')"))

"""Each page of the web console: in all of its looks, what it says, and what nobody may make it do."""

import re
import shlex
import signal
import subprocess
import sys
from urllib.parse import quote

import pytest

from iotgw.ctl.main import main as iotgwctl
from tests.console.browser import DESKTOP, PHONE
from tests.console.pages import PAGES, named
from tests.console.scene import HOSTILE
from tests.peers.gateway import ROOT
from tests.peers.patience import HANGS

pytestmark = pytest.mark.interop
LOOKS = [("light", DESKTOP), ("dark", DESKTOP), ("dark", PHONE), ("light", PHONE)]
FILES = {
    "iotgwctl create datasource": '{"name": "made", "type": "http"}',
    "iotgwctl create integration": '{"name": "made", "type": "http", "configuration": {"url": "http://127.0.0.1:9/"}}',
}
"""What a page's command reads from a file, which its reader has."""
ADDED = "--preset the-things-stack --type http --name tts --converter json"
FILLED = {"iotgwctl datasource add": f"iotgwctl datasource add {ADDED} --set secret=x --set host=127.0.0.1"}
"""A command that asks, with its answers."""
HOSTILE_SCRIPT = f"""function Decoder(payload, metadata) {{
    console.log('logged {HOSTILE}');
    if (payload.length > 40) throw new Error('{HOSTILE}');
    return {{
        deviceName: '{HOSTILE}', deviceType: '{HOSTILE}', attributes: {{'{HOSTILE}': '{HOSTILE}'}},
        telemetry: {{'{HOSTILE}': '{HOSTILE}', number: 1}}
    }};
}}"""


@pytest.fixture(scope="module")
def looking(furnished, browser):
    with browser.visitor(furnished.gateway) as visiting:
        yield visiting.sign_in()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_error_no_violation_and_nothing_that_axe_finds(looking, furnished, name):
    looking.complaints.clear()
    looking.refused.clear()
    looking.open(named(PAGES[name], furnished))
    for theme, size in LOOKS:
        looking.look(theme, size)
        assert looking.findings() == [], (theme, size)
        assert looking.too_wide() <= 0, (theme, size)
    assert looking.complaints == []
    assert looking.refused == []


TENANTS_OWN = [name for name, where in PAGES.items() if "/" not in where or where.startswith("connect/")]
"""Pages that need nothing that only another tenant has."""


def test_a_tenant_sees_all_pages_of_his_own(scene, browser):
    scene.gateway.api("PUT", "/tenants/acme", {})
    for tenant in ("acme", "*"):
        made = scene.gateway.api(
            "POST", f"/tokens?tenant={tenant}", {"name": f"of {tenant}", "role": "admin"}
        )
        with browser.visitor(scene.gateway, token=made.json["token"]) as visitor:
            visitor.sign_in()
            if tenant == "*":
                visitor.page.get_by_label("Tenant").select_option("acme")
            for name in TENANTS_OWN:
                said = visitor.open(PAGES[name]).page.locator("main").inner_text()
                assert not re.search(r"NaN|undefined|\[object|thermo\b", said), name
            assert visitor.complaints == []
            assert visitor.refused == []


@pytest.fixture
def said(scene):
    """A scene whose day is over."""
    scene.live(rounds=4)
    scene.settled()
    return scene


def test_the_command_of_each_page_runs(said, browser, monkeypatch, tmp_path):
    monkeypatch.setenv("IOTGW_URL", said.gateway.url)
    monkeypatch.setenv("IOTGW_TOKEN", said.gateway.token)
    with browser.visitor(said.gateway) as visitor:
        visitor.sign_in()
        shown = {visitor.open(named(where, said)).command(): name for name, where in PAGES.items()}
    results = {name: run(command, tmp_path) for command, name in shown.items()}
    assert results.pop("converter") == 1  # it tries the message that can't be converted
    assert results == dict.fromkeys(results, 0)


def run(command, folder):
    """The exit status of a page's command, with what it leaves to its reader filled in."""
    for start, content in FILES.items():
        if command == f"{start} FILE":
            (folder / "made.json").write_text(content)
            command = f"{start} {folder / 'made.json'}"
    words = shlex.split(FILLED.get(command, command).replace("ANSWER", "x").replace("SECRET", "x"))
    assert words[0] == "iotgwctl"
    return until_it_shows_something(words[1:]) if words[1] == "tail" else iotgwctl(words[1:])


def until_it_shows_something(words):
    """0 where a command that goes on for ever shows a line, and ends with Ctrl-C."""
    process = subprocess.Popen(
        # a job in the background ignores SIGINT, and so does what it starts
        ["env", "--default-signal=INT", sys.executable, "-m", "iotgw.ctl.main", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        return 0 if line and process.wait(HANGS) == 130 else 1
    finally:
        process.kill()
        process.communicate()


def test_what_devices_and_scripts_say_is_a_text_everywhere(scene, visitor):
    api = scene.gateway.api
    scene.gateway.create("converters", name="hostile", script=HOSTILE_SCRIPT)
    scene.gateway.create(
        "datasources",
        name="hostile",
        type="http",
        converter="hostile",
        routingKey="hostile-1",
        description=HOSTILE,
    )
    assert api("POST", "/debug", {"name": "hostile", "kind": "datasource"}).status == 201
    for payload in (HOSTILE, f"{HOSTILE}, and it fails"):
        scene.gateway.post(
            "hostile-1", payload.encode(), {"Content-Type": "application/octet-stream", "X-Device": HOSTILE}
        )
    scene.gateway.message_when("failed")
    failed, converted = [each["id"] for each in scene.gateway.messages(datasource="hostile")]
    device = quote(HOSTILE, safe="")
    said = {"label": HOSTILE, "place": HOSTILE, "latitude": 47, "longitude": 8}
    assert api("PATCH", f"/devices/{device}", said).status == 200
    assert api("POST", f"/devices/{device}/downlinks", {"data": HOSTILE, "contentType": "TEXT"}).status == 201
    (group,) = api("GET", "/failures?kind=conversion").json["items"]
    for where in (
        "overview", "messages", f"messages?device={HOSTILE}", f"messages/{failed}", f"messages/{converted}", "failures",
        f"failures/{group['id']}", f"converters/hostile?message={failed}", f"converters/hostile?message={converted}", "devices", "devices?view=map",
        f"devices/{device}", f"devices/{device}?tab=downlinks", f"devices/{device}?tab=settings", "downlinks", "datasources",
        "datasources/hostile", "events", f"nowhere/{device}",
    ):  # fmt: skip
        visitor.open(where)
        assert visitor.page.locator("main img, main script").count() == 0, where
    visitor.open(f"messages/{failed}")
    visitor.page.locator("details", has_text=HOSTILE).first.wait_for()  # what debugging kept
    visitor.open(f"converters/hostile?message={converted}")
    visitor.page.get_by_label("Result").get_by_text(f"logged {HOSTILE}").first.wait_for()
    visitor.open("devices")
    visitor.page.get_by_text(HOSTILE, exact=True).first.wait_for()


def test_a_viewer_sees_what_he_may_not_do_and_why(furnished, browser):
    token = furnished.viewer
    with browser.visitor(furnished.gateway, token=token) as visitor:
        visitor.sign_in().open("integrations/archive")
        pause = visitor.page.get_by_role("button", name="Pause")
        assert pause.is_disabled()
        assert "role doesn't allow" in pause.get_attribute("title")


def test_the_keyboard_leads_everywhere(furnished, browser):
    with browser.visitor(furnished.gateway) as visitor:
        page = visitor.sign_in().open("overview").page
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        for key in ("g", "d"):
            page.keyboard.press(key)
        page.get_by_role("heading", level=1, name="Devices").wait_for()
        page.get_by_role("row", name="attic").wait_for()
        for key in ("j", "j", "Enter"):
            page.keyboard.press(key)
        page.get_by_role("heading", level=1, name="attic").wait_for()
        page.keyboard.press("/")
        page.get_by_role("combobox").fill("kitch")
        page.get_by_role("option", name="kitchen").wait_for()
        page.keyboard.press("Enter")
        page.get_by_role("heading", level=1, name="Kitchen, north wall").wait_for()
        page.keyboard.press("?")
        page.get_by_role("dialog").get_by_text("Run the script").wait_for()


def test_the_editor_is_left_by_escape_and_tab(furnished, browser):
    with browser.visitor(furnished.gateway) as visitor:
        page = visitor.sign_in().open("converters/thermometer").page
        page.get_by_role("textbox", name="Script").click()
        inside = "document.activeElement.classList.contains('cm-host')"
        page.keyboard.press("Tab")
        assert page.evaluate(inside)
        page.keyboard.press("Escape")
        page.keyboard.press("Tab")
        assert not page.evaluate(inside)


def test_a_script_is_typed_over_and_searched_in_ones_own_language(furnished, browser):
    with browser.visitor(furnished.gateway, language="de-DE") as visitor:
        page = visitor.sign_in().open("converters/thermometer").page
        page.get_by_role("textbox", name="Skript").click()
        page.keyboard.press("Control+A")
        page.keyboard.type("f(1)")
        page.wait_for_function(
            "document.querySelector('.cm-host').shadowRoot.querySelector('.cm-content').innerText === 'f(1)'"
        )
        page.keyboard.press("Control+F")
        page.get_by_placeholder("Suchen").wait_for()
        page.get_by_role("button", name="alle ersetzen").wait_for()
        assert visitor.complaints == []


def test_german_is_spoken_to_who_speaks_it(furnished, browser):
    with browser.visitor(furnished.gateway, language="de-DE") as visitor:
        visitor.sign_in().open("overview")
        visitor.page.get_by_role("heading", level=1, name="Überblick").wait_for()
        assert visitor.page.evaluate("document.documentElement.lang") == "de"

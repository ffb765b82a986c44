"""The web console as a person has it: a real browser, a real gateway, real targets. One file, so that there is one browser."""

import json
import re

import pytest

from tests.console.browser import DESKTOP, PHONE, Browser
from tests.console.pages import PAGES, named
from tests.console.scene import HOSTILE, Scene
from tests.peers.process import wait_until

pytestmark = pytest.mark.interop
LOOKS = {"light-desktop": ("light", DESKTOP), "dark-phone": ("dark", PHONE)}
MENDED = "payload.length > 4 ? view.getUint16(3) : null;"


@pytest.fixture(scope="module")
def browser():
    with Browser() as running:
        yield running


@pytest.fixture(scope="module")
def furnished(tmp_path_factory):
    """A scene that no test changes."""
    with Scene(tmp_path_factory.mktemp("furnished")) as scene:
        scene.furnish()
        scene.live()
        scene.settled()
        yield scene


@pytest.fixture
def scene(tmp_path):
    with Scene(tmp_path) as own:
        own.furnish()
        yield own


@pytest.fixture
def visitor(scene, browser):
    with browser.visitor(scene.gateway) as visiting:
        yield visiting.sign_in()
        assert visiting.complaints == []


@pytest.fixture(scope="module", params=LOOKS)
def looking(request, furnished, browser):
    theme, size = LOOKS[request.param]
    with browser.visitor(furnished.gateway, size, theme) as visiting:
        yield visiting.sign_in()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_error_no_violation_and_nothing_that_axe_finds(looking, furnished, name):
    looking.complaints.clear()
    looking.open(named(PAGES[name], furnished))
    assert looking.findings() == []
    assert looking.complaints == []
    width = looking.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert width <= 0, "the page is wider than its window"


def test_a_failed_message_is_mended_and_all_of_its_group_with_it(scene, visitor):
    for place in ("stable", "garage", "stable"):
        scene.thermo(place, 12.5, short=True)
    scene.thermo("kitchen", 20)
    scene.gateway.message_when("converted")
    page = visitor.page
    visitor.open("failures")
    page.get_by_role("link", name="invalid args").click()
    page.get_by_role("link", name="Fix the converter").click()
    result = page.get_by_label("Result")
    result.get_by_text("invalid args").first.wait_for()
    page.get_by_text("line 6, column 22").first.wait_for()
    page.get_by_text("1 / 3", exact=True).wait_for()
    page.get_by_role("textbox", name="Script").click()
    for key in ("Control+Home", *["ArrowDown"] * 5, "End", *["Backspace"] * len("view.getUint16(3);")):
        page.keyboard.press(key)
    page.keyboard.type(MENDED, delay=5)
    result.get_by_role("rowheader", name="temperature").wait_for()  # it is tried as one types
    page.get_by_role("button", name="Keep as a test vector").click()
    page.get_by_text("Kept", exact=True).wait_for()
    page.get_by_role("button", name="Check against history").click()
    replay = page.get_by_role("dialog")
    replay.get_by_text("4 messages were run").wait_for()
    assert re.sub(r"\s+", " ", replay.locator(".tile.fixed").inner_text()) == "3 fixed"
    assert replay.locator(".tile.newlyFailing b").inner_text() == "0"
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("button", name="Convert 3 again").click()
    page.get_by_text("3 of 3 done").wait_for()
    wait_until(lambda: not scene.gateway.messages(state="failed"), 20, "no message to be failed")
    assert scene.gateway.api("GET", "/converters/thermometer").json["tests"][0]["hex"] == "007d2d"
    visitor.open("converters/thermometer?tab=vectors")
    page.get_by_text("1 of 1 passed").wait_for()


def test_who_saves_over_another_is_shown_what_the_other_changed(scene, visitor):
    page = visitor.page
    scene.thermo("kitchen", 20)
    visitor.open("converters/thermometer")
    script = scene.gateway.api("GET", "/converters/thermometer").json["script"]
    changed = scene.gateway.api(
        "PUT", "/converters/thermometer", {"name": "thermometer", "script": "// theirs\n" + script}
    )
    assert changed.status == 200
    page.get_by_role("textbox", name="Script").click()
    page.keyboard.press("Control+Home")
    page.keyboard.type("// mine ")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Somebody else has changed this converter").wait_for()
    assert page.locator(".diff .old").first.inner_text().endswith("// theirs")
    page.get_by_role("button", name="Save mine all the same").click()
    page.get_by_text("Saved as a new version").wait_for()
    assert "// mine " in scene.gateway.api("GET", "/converters/thermometer").json["script"]


def test_a_target_that_refused_gets_again_what_was_given_up(scene, visitor):
    for level in (900, 800, 700):
        scene.tank(1, level)
    scene.settled()
    wait_until(lambda: stats(scene, "billing")["dead"] == 3, 20, "three dead letters")
    page = visitor.page
    visitor.open("integrations/archive")
    page.get_by_text("Connection was refused by other side").first.wait_for()
    page.get_by_role("link", name="3 waiting").wait_for()
    page.get_by_text("Next try", exact=True).wait_for()
    visitor.open("integrations")
    page.get_by_role("link", name="billing").click()
    page.get_by_role("link", name="3 dead").click()
    page.get_by_text("HTTP N: unknown meter").wait_for()
    page.get_by_text("A sample's request and answer").click()
    page.get_by_label("What the target said").get_by_text("unknown meter").wait_for()
    scene.refusing.always(None)
    page.get_by_role("button", name="Retry 3", exact=True).click()
    page.get_by_text("3 of 3 done").wait_for()
    wait_until(lambda: stats(scene, "billing")["delivered"] == 3, 20, "all to be delivered")
    visitor.open("integrations/billing")
    page.get_by_role("link", name="3 delivered").wait_for()


def test_what_was_given_up_is_dismissed_only_by_who_types_the_name(scene, visitor):
    scene.tank(1, 900)
    scene.settled()
    page = visitor.page
    visitor.open("integrations/billing?tab=dead")
    page.get_by_role("button", name="Dismiss all").click()
    dialog = page.get_by_role("dialog")
    button = dialog.get_by_role("button", name="Dismiss all")
    assert button.is_disabled()
    dialog.get_by_role("textbox").fill("billing")
    button.click()
    wait_until(lambda: stats(scene, "billing")["dead"] == 0, 20, "no dead letter")


def test_a_new_datasource_waits_for_its_first_message(scene, visitor):
    page = visitor.page
    visitor.open("connect")
    page.get_by_role("searchbox").fill("anything that can post")
    page.get_by_role("link", name="HTTP").click()
    page.get_by_label("Name", exact=True).fill("weather")
    page.get_by_label("Converter", exact=True).fill("json")
    page.get_by_role("button", name="Create").click()
    page.get_by_text("The first message appears here by itself").wait_for()
    page.get_by_text("Live", exact=True).wait_for()
    (url,) = scene.gateway.api("GET", "/datasources/weather").json["status"]["urls"]
    page.get_by_text(f"{scene.gateway.url}{url}", exact=True).wait_for()
    scene.gateway.post(
        url.removeprefix("/i/"), json.dumps({"deviceName": "mast", "deviceType": "mast", "wind": 7}).encode()
    )
    page.get_by_role("row", name="mast").get_by_role("link").click()
    page.get_by_role("rowheader", name="wind").wait_for()


def test_a_port_that_is_taken_is_said_at_the_port(scene, visitor):
    page = visitor.page
    visitor.open("connect/datasource?type=tcp")
    page.get_by_label("Port", exact=True).fill(str(scene.sink.port))
    page.get_by_role("button", name="Create").click()
    page.locator("[id='field-configuration.port-problem']").wait_for()


def test_messages_come_by_themselves_and_wait_while_one_reads(scene, visitor):
    page = visitor.page
    visitor.open("messages")
    page.get_by_text("Live", exact=True).wait_for()
    scene.thermo("kitchen", 20)
    page.get_by_role("row", name="kitchen").wait_for()
    page.keyboard.press("j")
    scene.thermo("cellar", 20)
    page.get_by_role("button", name="one new").click()
    page.get_by_role("row", name="cellar").wait_for()


def test_a_hostile_name_is_a_text_everywhere(furnished, browser):
    with browser.visitor(furnished.gateway) as visitor:
        visitor.sign_in()
        for where in (
            "devices",
            "messages",
            "overview",
            "events",
            f"devices/{HOSTILE}",
            f"messages?device={HOSTILE}",
        ):
            visitor.open(where)
        visitor.open("devices")
        assert visitor.page.get_by_text(HOSTILE, exact=True).count() == 1
        assert visitor.page.locator("main img").count() == 0
        assert visitor.complaints == []


def test_the_page_comes_back_after_the_gateway_has_been_restarted(scene, visitor):
    page = visitor.page
    visitor.open("messages")
    page.get_by_text("Live", exact=True).wait_for()
    scene.gateway.stop()
    page.get_by_text("Reconnecting").wait_for()
    scene.gateway.start()
    page.get_by_text("Live", exact=True).wait_for()
    scene.thermo("attic", 20)
    page.get_by_role("row", name="attic").wait_for()
    visitor.complaints.clear()  # that it couldn't connect meanwhile


def test_two_tabs_show_the_same(scene, visitor):
    visitor.open("messages")
    second = visitor.page.context.new_page()
    second.add_init_script(
        f"sessionStorage.setItem('iotgw.session', {json.dumps(json.dumps(visitor.stored()))})"
    )
    second.goto(f"{scene.gateway.url}/console/#/messages")
    scene.thermo("garage", 20)
    second.get_by_role("row", name="garage").wait_for()
    visitor.page.bring_to_front()
    visitor.page.get_by_role("row", name="garage").wait_for()


def test_a_token_that_ends_leads_to_the_way_in_and_back_to_the_page(scene, browser):
    made = scene.gateway.api("POST", "/tokens", {"name": "short", "role": "editor", "tenant": "*"}).json[
        "token"
    ]
    with browser.visitor(scene.gateway, token=made) as visitor:
        visitor.sign_in().open("devices")
        scene.gateway.api("DELETE", "/tokens/short")
        visitor.page.keyboard.press("g")
        visitor.page.keyboard.press("i")
        visitor.page.get_by_text("The session has ended").wait_for()
        visitor.page.get_by_label("Token").fill(scene.gateway.token)
        visitor.page.keyboard.press("Enter")
        visitor.page.get_by_role("heading", level=1, name="Integrations").wait_for()


def test_a_wrong_token_is_told_so(scene, browser):
    with browser.visitor(scene.gateway) as visitor:
        visitor.page.goto(f"{scene.gateway.url}/console/")
        visitor.page.get_by_label("Token").fill("wrong")
        visitor.page.keyboard.press("Enter")
        visitor.page.get_by_role("alert").get_by_text("the token is not known").wait_for()


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


def test_german_is_spoken_to_who_speaks_it(furnished, browser):
    with browser.visitor(furnished.gateway, language="de-DE") as visitor:
        visitor.sign_in().open("overview")
        visitor.page.get_by_role("heading", level=1, name="Überblick").wait_for()
        assert visitor.page.evaluate("document.documentElement.lang") == "de"


def test_ten_thousand_rows_are_scrolled_and_few_are_in_the_page(scene, visitor):
    page = visitor.page
    scene.flood(10_000)
    wait_until(lambda: stored(scene) == 10_000, 60, "all to be stored")
    visitor.open("messages?live=off")
    loaded = page.locator("[role=table]")
    while int(loaded.get_attribute("aria-rowcount")) < 10_000:
        before = loaded.get_attribute("aria-rowcount")
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        page.locator(f"[role=table]:not([aria-rowcount='{before}'])").wait_for()
    assert page.locator("[data-row]").count() < 150
    page.evaluate("scrollTo(0, 160000)")
    row = page.locator("[data-row]").nth(20)
    assert int(row.get_attribute("aria-rowindex")) > 4_000


def stats(scene, name):
    return scene.gateway.api("GET", f"/integrations/{name}/stats").json


def stored(scene):
    return scene.gateway.api("GET", "/status").json["journal"]["received"]

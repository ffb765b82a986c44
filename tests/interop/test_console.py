"""What people do in the web console, with a real browser, a real gateway and real targets."""

import json
import re

import pytest

from tests.peers.process import wait_until

pytestmark = pytest.mark.interop
MENDED = "payload.length > 4 ? view.getUint16(3) : null;"


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


def test_who_deletes_a_target_that_is_down_is_told_what_is_lost(scene, visitor):
    for number in (1, 2, 3):
        scene.tank(number, 900)
    wait_until(lambda: stats(scene, "archive")["waiting"] == 3, 20, "three to wait")
    page, asked = visitor.page, []
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.accept()))
    visitor.open("integrations/archive")
    page.get_by_text("target down").first.wait_for()
    page.get_by_role("link", name="3 waiting").wait_for()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("heading", level=1, name="Integrations").wait_for()
    assert asked == ["Delete “archive”? The 3 messages that wait for it are never delivered."]


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


def test_a_converter_that_is_begun_at_a_datasource_is_its_own_and_converts_what_was_stored(scene, visitor):
    scene.gateway.create("datasources", name="weather", type="http", routingKey="weather-1")
    scene.gateway.post("weather-1", b"\x07", {"Content-Type": "application/octet-stream"})
    page = visitor.page
    visitor.open("datasources/weather?tab=listen")
    page.get_by_role("link", name="New converter").click()
    page.get_by_role("rowheader", name="value").wait_for()  # it is tried on the message that came
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("button", name="Convert what it has stored").click()
    page.get_by_text("1 of 1 done").wait_for()
    (message,) = scene.gateway.messages(datasource="weather")
    assert message["output"][0]["telemetry"][0]["values"] == {"value": 7}


def test_a_new_datasource_of_a_platform_says_what_is_to_be_entered_there(scene, visitor):
    page = visitor.page
    visitor.open("connect/datasource?type=http&preset=the-things-stack")
    page.get_by_role("button", name="Create").click()
    secret = page.locator("code", has_text=re.compile("^Bearer .+")).inner_text()
    (url,) = scene.gateway.api("GET", "/datasources/the-things-stack").json["status"]["urls"]
    asked = [
        scene.gateway.post(url.removeprefix("/i/"), b"{}", each) for each in ({}, {"Authorization": secret})
    ]
    assert asked[0].status == 401 != asked[1].status
    visitor.page.reload()
    visitor.settle()
    assert secret not in page.locator("main").inner_text()


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


def test_a_wrong_token_is_told_so(scene, browser):
    with browser.visitor(scene.gateway) as visitor:
        visitor.page.goto(f"{scene.gateway.url}/console/")
        visitor.page.get_by_label("Token").fill("wrong")
        visitor.page.keyboard.press("Enter")
        visitor.page.get_by_role("alert").get_by_text("the token is not known").wait_for()


def test_a_device_is_on_a_map_among_its_neighbours_and_nobody_else_is_asked(scene, visitor):
    scene.live(rounds=3)
    scene.settled()
    page, asked = visitor.page, []
    page.on("request", lambda request: asked.append(request.url))
    visitor.open("devices/kitchen")
    place = page.locator("section", has=page.get_by_role("heading", name="Place"))
    place.get_by_text("47.3769° N, 8.5417° E").wait_for()
    page.get_by_text("What is near").click()
    near = place.get_by_role("row")
    near.filter(has_text="tank-3").wait_for()
    assert "km" in near.filter(has_text="tank-3").inner_text()
    scale = place.locator(".map-scale")
    before = scale.inner_text()
    place.get_by_role("group", name="Kitchen").first.focus()
    page.keyboard.press("+")
    page.wait_for_function("was => document.querySelector('.map-scale').innerText !== was", arg=before)
    drawn = (
        "canvas => new Set(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data).size"
    )
    assert place.locator("canvas").evaluate(drawn) > 3
    assert {url for url in asked if not url.startswith((scene.gateway.url, "data:"))} == set()


def test_marks_of_many_devices_part_and_those_of_one_place_are_listed(scene, visitor):
    scene.live(rounds=3)
    scene.settled()
    page = visitor.open("devices?view=map").page
    page.get_by_text("7 devices have a place").wait_for()
    page.get_by_title("3 devices").click()
    page.get_by_title("2 devices").click()  # they stand at the same place
    page.get_by_role("row", name="cellar").wait_for()
    assert sorted(page.locator("[data-row] a.row-link").all_inner_texts()) == [
        "Kitchen, north wall kitchen",
        "cellar",
    ]
    assert "--box 47.37" in visitor.command()


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

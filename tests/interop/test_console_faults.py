"""What goes wrong around an open page of the web console, and what stands between both."""

import json

import pytest

from tests.certificates import Authority
from tests.console.scene import Scene
from tests.peers.process import wait_until
from tests.peers.reverse_proxies import Nginx, example

pytestmark = pytest.mark.interop


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


def test_a_tab_that_stands_still_holds_nobody_up_and_goes_on_with_what_is_new(scene, visitor, browser):
    page = visitor.open("messages").page
    page.get_by_text("Live", exact=True).wait_for()
    debugger = page.context.new_cdp_session(page)
    debugger.send("Debugger.enable")
    debugger.send("Debugger.pause")  # its script runs no further, and reads nothing
    scene.flood(5_000)
    wait_until(lambda: stored(scene) == 5_000, 60, "all to be stored")
    with browser.visitor(scene.gateway) as other:
        other.sign_in().open("messages").page.get_by_text("Live", exact=True).wait_for()
        scene.thermo("kitchen", 20)
        other.page.get_by_role("row", name="kitchen").wait_for()
    debugger.send("Debugger.resume")
    page.get_by_role("row", name="kitchen").wait_for()
    page.get_by_text("went by too fast").wait_for()
    scene.thermo("attic", 20)
    page.get_by_role("row", name="attic").wait_for()
    assert page.locator("[data-row]").count() <= 600


def test_a_token_that_ends_leads_to_the_way_in_and_back_to_the_page(scene, browser):
    first, second = (
        scene.gateway.create("tokens", name=name, role="editor", tenant="*")["token"]
        for name in ("short", "shorter")
    )
    with browser.visitor(scene.gateway, token=first) as visitor:
        page = visitor.sign_in().open("messages").page
        page.get_by_text("Live", exact=True).wait_for()
        scene.gateway.api("DELETE", "/tokens/short")
        page.get_by_text(
            "The session has ended"
        ).wait_for()  # its stream says so, and nobody touches anything
        page.get_by_label("Token").fill(second)
        page.keyboard.press("Enter")
        page.get_by_role("heading", level=1, name="Messages").wait_for()
        visitor.open("devices")
        scene.gateway.api("DELETE", "/tokens/shorter")
        page.keyboard.press("g")
        page.keyboard.press("i")
        page.get_by_text("The session has ended").wait_for()
        page.get_by_label("Token").fill(scene.gateway.token)
        page.keyboard.press("Enter")
        page.get_by_role("heading", level=1, name="Integrations").wait_for()


def test_all_of_it_works_behind_a_reverse_proxy_below_a_path(tmp_path, browser):
    files = Authority().issue("localhost", hosts=["localhost"]).write(tmp_path, "front")
    settings = example("iotgw.toml")
    with (
        Scene(tmp_path / "scene", settings) as scene,
        Nginx(tmp_path, scene.gateway, *files).start() as proxy,
    ):
        scene.furnish()
        url = f"https://localhost:{proxy.port}/iotgw"
        with browser.visitor(scene.gateway, url=url) as visitor:
            page, asked = visitor.page, []
            page.on("request", lambda request: asked.append(request.url))
            visitor.sign_in().open("messages")
            page.get_by_text("Live", exact=True).wait_for()
            scene.thermo("kitchen", 20)
            page.get_by_role("row", name="kitchen").wait_for()  # the stream isn't held back
            visitor.open("converters/thermometer")
            page.get_by_role("textbox", name="Script").wait_for()
            visitor.open("datasources/thermo?tab=listen")
            page.get_by_text(f"{url}/i/thermo-3f9a", exact=True).wait_for()
            page.goto(f"{url}/console#/devices")  # loaded anew, without the last slash
            page.get_by_role("row", name="kitchen").wait_for()
            assert page.url == f"{url}/console/#/devices"
            page.get_by_role("button", name="Sign out").click()
            page.get_by_label("Token").wait_for()
            assert [each for each in asked if not each.startswith(f"{url}/console")] != []
            assert [each for each in asked if not each.startswith(f"{url}/")] == []
            assert visitor.complaints == []


def stored(scene):
    return scene.gateway.api("GET", "/status").json["journal"]["received"]

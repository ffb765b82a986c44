"""How each platform's API is called, as its documents have it, and what its answers mean."""

from __future__ import annotations

import hashlib
import json
from urllib.parse import unquote

import pytest

from iotgw.core.model import Downlink
from iotgw.envelopes.api import ApiAnswer, said, usual
from iotgw.envelopes.presets.choices import FILES, chosen, named
from iotgw.envelopes.presets.form import CallForm, DownlinkForm, LoginForm, PresetForm, ResultForm
from iotgw.envelopes.presets.preset import Preset
from tests.unit.envelopes.presets.apis import NOW_MS, SERVER, settings

ITEM = Downlink("dl0123456789abcde0", "meter", b"\xbe\xef", "BINARY", {"fPort": 15}, True)
UPLINK = {"identity": "70B3D57ED0000017", "deviceId": "d4922d8a"}
JSON = {"Accept": "application/json", "Content-Type": "application/json"}


def call(preset: str, item: Downlink = ITEM, uplink: dict[str, str] = UPLINK, **more: str):
    return named(preset).api.call(item, uplink, settings(preset, **more), NOW_MS)


# Each with the document that has it; what is marked so in the preset is unverified.
EXAMPLES = {
    # lorawan-stack-docs: integrations/webhooks/scheduling-downlinks
    "the-things-stack": (
        "POST",
        "/api/v3/as/applications/a-application/webhooks/a-webhook/devices/70B3D57ED0000017/down/push",
        {**JSON, "Authorization": "Bearer a-token"},
        {"downlinks": [{"frm_payload": "vu8=", "f_port": 15, "confirmed": True, "priority": "NORMAL",
                        "correlation_ids": ["iotgw:dl0123456789abcde0"]}]},
    ),
    # chirpstack api/proto/api/device.proto: Enqueue, over chirpstack-rest-api
    "chirpstack": (
        "POST",
        "/api/devices/70B3D57ED0000017/queue",
        {**JSON, "Grpc-Metadata-Authorization": "Bearer a-token"},
        {"queueItem": {"confirmed": True, "fPort": 15, "data": "vu8="}},
    ),
    "chirpstack-v3": (
        "POST",
        "/api/devices/70B3D57ED0000017/queue",
        {**JSON, "Grpc-Metadata-Authorization": "Bearer a-token"},
        {"deviceQueueItem": {"confirmed": True, "fPort": 15, "data": "vu8="}},
    ),
    # docs.loriot.io: Downlink Data Message
    "loriot": (
        "POST",
        "/1/rest",
        {**JSON, "Authorization": "Bearer a-token"},
        {"cmd": "tx", "EUI": "70B3D57ED0000017", "port": 15, "confirmed": True, "data": "beef", "appid": "a-application"},
    ),
    # docs.kpnthings.com: apis/downlinks; the form is ThingsBoard's
    "kpn-things": (
        "POST",
        "/api/actuator/downlinks?port=15",
        JSON,
        [{"bn": "urn:dev:DEVEUI:70B3D57ED0000017:", "n": "payload", "vs": "beef"}],
    ),
    # docs.element-iot.com: actions
    "element-iot": (
        "POST",
        "/api/v1/devices/by-eui/70B3D57ED0000017/actions/send_down_frame?auth=a-key",
        JSON,
        {"opts": {"port": 15, "payload": "beef", "acknowledge": True}},
    ),
    # wikikerlink.fr: gms_api
    "kerlink-wanesy": (
        "POST",
        "/gms/application/dataDown",
        {"Accept": "application/json", "Content-Type": "application/vnd.kerlink.iot-v1+json"},
        {"endDevice": {"devEui": "70B3D57ED0000017"}, "fPort": 15, "payload": "beef", "contentType": "HEXA", "confirmed": True},
    ),
    "helium": (
        "POST",
        "/api/v1/down/a-integration/a-token/d4922d8a",
        JSON,
        {"payload_raw": "vu8=", "port": 15, "confirmed": True},
    ),
    # support.huaweicloud.com: CreateMessage
    "huawei-iotda": (
        "POST",
        "/v5/iot/a-project/devices/d4922d8a/messages",
        JSON,
        {"message_id": "0123456789ABCDE0", "message": "vu8=", "encoding": "base64"},
    ),
    # docs.iotcreators.com: integrations
    "iot-creators": (
        "PUT",
        "/m2m/endpoints/IMEI:70B3D57ED0000017/downlinkMsg/0/data",
        {**JSON, "Authorization": "Basic YS11c2VybmFtZTphLXBhc3N3b3Jk"},
        {"resourceValue": "beef"},
    ),
    # api.connect.netmoregroup.com/docs/swagger.json: sendDownlinkLoRaWAN
    "netmore": (
        "POST",
        "/devices/LoRaWAN/70b3d57ed0000017/LoRaWAN/downlink?payloadHex=beef&fPort=15&confirmed=true&validity=86400",
        {"Accept": "application/json", "api-key": "a-key"},
        None,
    ),
    # the Blink Portal's API
    "netmore-portal": (
        "POST",
        "/net/sensors/70B3D57ED0000017/downlink?fPort=15&payloadHex=BEEF&confirmed=true&validity=86400&requestId=0123456789ABCDE0",
        {"Accept": "application/json"},
        None,
    ),
    # support.huaweicloud.com/intl/en-us/api-IoT: iot_06_0053
    "oceanconnect": (
        "POST",
        "/iocm/app/cmd/v1.4.0/deviceCommands",
        {**JSON, "app_key": "a-appId"},
        {"deviceId": "70B3D57ED0000017", "callbackUrl": "a-callback",
         "command": {"serviceId": "RawData", "method": "RawData", "paras": {"rawData": "vu8="}}},
    ),
    # docs.particle.io: call a function
    "particle": (
        "POST",
        "/v1/devices/70B3D57ED0000017/a-function",
        {**JSON, "Authorization": "Bearer a-token"},
        {"arg": "\ufffd\ufffd"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("preset", EXAMPLES)
def test_a_downlink_is_the_call_of_the_platform_s_documents(preset):
    method, target, headers, body = EXAMPLES[preset]
    made = call(preset)
    assert (made.method, made.url) == (method, SERVER + target)
    assert (dict(made.headers), json.loads(made.body) if made.body else None) == (headers, body)


def test_every_preset_that_calls_an_api_has_an_example():
    calling = {name for name in FILES if named(name).api is not None}
    assert calling == {*EXAMPLES, "thingpark"}


def test_thingpark_s_query_is_signed_as_it_is_read_and_sent_escaped():
    """The example of actility/thingpark-integrations, without its correlation id."""
    key = "46ab678cd45df4a4e4b375Eacd096acc"
    made = call(
        "thingpark",
        Downlink("dl0123456789abcde0", "d", b"\x00"),
        {"identity": "000000000F1D8693"},
        asId="app1.sample.com",
        key=key,
        server="https://community.thingpark.io/thingpark/lrc/rest/downlink",
    )
    url, _, token = made.url.partition("&Token=")
    assert url == (
        "https://community.thingpark.io/thingpark/lrc/rest/downlink?DevEUI=000000000F1D8693&FPort=1&Payload=00"
        "&AS_ID=app1.sample.com&Time=2016-01-11T14%3A28%3A00.333%2B00%3A00&CorrelationID=0123456789ABCDE0"
    )
    signed = unquote(url.partition("?")[2])
    assert token == hashlib.sha256((signed + key).encode()).hexdigest()
    documented = signed.replace("+00:00&CorrelationID=0123456789ABCDE0", "+02:00")
    assert hashlib.sha256((documented + key).encode()).hexdigest() == (
        "ea8f31d2299cbece8e180a3012766c4df15fe3cf2e142d9fdf4035b5894ec886"
    )
    assert made.body == b"" and "Confirmed" not in url and "&Confirmed=1" in call("thingpark").url


@pytest.mark.parametrize("preset", EXAMPLES)
def test_no_name_of_a_device_leads_elsewhere(preset):
    for name in ("../../admin", "a?b=c", "a#b", "a/b", "a@b", "ü", "x y"):
        try:
            made = call(preset, uplink={"identity": name, "deviceId": name})
        except ValueError:
            continue
        assert made.url.startswith(SERVER + "/") and name not in made.url and made.url.isascii()
        assert made.url.count("/") == call(preset).url.count("/") - ("by-eui" in EXAMPLES[preset][1])


@pytest.mark.parametrize("identity", ["", ".", ".."])
def test_a_device_without_a_usable_name_is_refused(identity):
    with pytest.raises(ValueError, match="no name"):
        call("the-things-stack", uplink={"identity": identity})


def test_a_device_whose_platform_s_id_is_not_known_is_refused():
    for said_ in ({}, {"deviceId": ".."}):
        with pytest.raises(ValueError, match="no URL"):
            call("helium", uplink={"identity": "70B3D57ED0000017", **said_})


def test_what_is_larger_than_the_network_takes_is_refused_with_that_reason():
    for preset, most in (("the-things-stack", 242), ("iot-creators", 512)):
        call(preset, Downlink("dl0123456789abcde0", "d", b"x" * most))
        with pytest.raises(ValueError, match=f"expected at most {most} bytes, got {most + 1}"):
            call(preset, Downlink("dl0123456789abcde0", "d", b"x" * (most + 1)))
    with pytest.raises(ValueError, match="fPort: expected 1 to 223, got 0"):
        call("chirpstack", Downlink("dl0123456789abcde0", "d", b"x", "BINARY", {"fPort": 0}))


def test_a_priority_goes_with_the_downlink_where_the_network_has_one():
    item = Downlink("dl0123456789abcde0", "d", b"x", "BINARY", {"priority": "HIGH"})
    assert json.loads(call("the-things-stack", item).body)["downlinks"][0]["priority"] == "HIGH"


def test_a_command_of_oceanconnect_is_what_the_product_model_says():
    command = {"serviceId": "Valve", "method": "SET", "paras": {"open": 1}}
    item = Downlink("dl0123456789abcde0", "d", json.dumps(command).encode(), "JSON")
    assert json.loads(call("oceanconnect", item).body)["command"] == command
    for payload in (b"[1]", b'{"open": 1}', b'{"method": ""}', b"7"):
        made = call("oceanconnect", Downlink("dl0123456789abcde0", "d", payload))
        assert json.loads(made.body)["command"]["method"] == "RawData"


# --- answers ---


def judged(preset, status, body=None, **headers):
    ruling = named(preset).api.judge(
        ApiAnswer(status, headers, b"" if body is None else json.dumps(body).encode()), UPLINK
    )
    return ruling.means, ruling.reason, ruling.network


@pytest.mark.parametrize(
    ("preset", "answer", "ruling"),
    [
        ("the-things-stack", (200, {}), ("accepted", "", "")),
        (
            "the-things-stack",
            (404, {"code": 5, "message": "error:pkg/…:no_device (not found)"}),
            ("refused", "The Things Stack: HTTP 404: error:pkg/…:no_device (not found)", ""),
        ),
        ("chirpstack", (200, {"id": "42cb6459"}), ("accepted", "", "42cb6459")),
        ("chirpstack", (429, None), ("later", "ChirpStack: HTTP 429", "")),
        ("thingpark", (202, None), ("accepted", "", "")),
        ("thingpark", (409, {"code": 101, "message": "too large"}), ("refused", "ThingPark: HTTP 409: too large", "")),
        ("thingpark", (350, "<html>"), ("refused", "ThingPark: HTTP 350: <html>", "")),
        ("chirpstack", (200, {"error": "no such device"}), ("refused", "ChirpStack: HTTP 200: no such device", "")),
        ("helium", (200, {"success": False}), ("refused", "Helium: HTTP 200", "")),
        ("the-things-stack", (200, {"errors": ["a", "b"]}), ("refused", "The Things Stack: HTTP 200: a", "")),
        ("the-things-stack", (200, {"error": None, "errors": [], "ok": True}), ("accepted", "", "")),
        ("loriot", (200, {"success": True, "seqdn": 0}), ("accepted", "", "")),
        ("loriot", (200, {"error": "Device not found"}), ("refused", "LORIOT: HTTP 200: Device not found", "")),
        ("particle", (408, {"error": "Timed out."}), ("lost", "Particle: HTTP 408: Timed out.", "")),
        ("element-iot", (500, None), ("lost", "ELEMENT IoT: HTTP 500", "")),
        ("kpn-things", (401, {"message": "Unauthorized"}), ("denied", "KPN Things: HTTP 401: Unauthorized", "")),
        ("iot-creators", (503, None), ("later", "IoT Creators: HTTP 503", "")),
        ("netmore", (200, 4711), ("accepted", "", "")),
        ("netmore", (404, {"message": "no such device"}), ("refused", "Netmore: HTTP 404: no such device", "")),
        ("netmore-portal", (200, {"success": True}), ("accepted", "", "")),
        (
            "netmore-portal",
            (200, {"success": False, "message": "queue full"}),
            ("refused", "Netmore LoRaWAN Portal: HTTP 200: queue full", ""),
        ),
        ("oceanconnect", (201, {"commandId": "5c25", "status": "PENDING"}), ("accepted", "", "5c25")),
        ("chirpstack-v3", (200, {"fCnt": 5}), ("accepted", "", "70B3D57ED0000017/5")),
        ("chirpstack-v3", (200, {}), ("accepted", "", "70B3D57ED0000017/0")),
    ],
)  # fmt: skip
def test_an_answer_says_what_becomes_of_the_downlink(preset, answer, ruling):
    assert judged(preset, *answer) == ruling


def test_wanesy_s_id_stands_at_the_end_of_a_header():
    assert judged("kerlink-wanesy", 201, None, location="/gms/application/dataDown/5e3f") == (
        "accepted",
        "",
        "5e3f",
    )


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"[1", b"null", b"[]", b"7", b"[" * 70_000, b'{"error": {"error": []}}']
)
@pytest.mark.parametrize("preset", [*EXAMPLES, "thingpark"])
def test_whatever_an_api_answers_is_no_exception(preset, body):
    api = named(preset).api
    for status in (200, 302, 400, 500):
        assert api.judge(ApiAnswer(status, {}, body), {}).means in ("accepted", "refused", "lost")
        if api.logs_in:
            assert str(api.token(ApiAnswer(status, {}, body), 0)).startswith("no token: HTTP")


@pytest.mark.parametrize(
    ("status", "means"),
    [(200, "accepted"), (204, "accepted"), (302, "refused"), (400, "refused"), (401, "denied"), (409, "refused"),
     (429, "later"), (500, "lost"), (501, "refused"), (503, "later")],
)  # fmt: skip
def test_statuses_mean_what_they_usually_do(status, means):
    assert usual(status) == means


def test_a_refusal_s_words_are_found():
    assert said({"errors": [{"detail": "a\nb"}]}) == "a b"
    assert said({"message": True, "code": 7}) == "7"
    assert said([]) == said(None) == said({}) == ""


# --- forms ---


def own(form: CallForm):
    return Preset(PresetForm(downlink=DownlinkForm(http=form))).api


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        (CallForm(url="metadata.url"), "downlink.http.url: expected one of"),
        (CallForm(url="topic[0]"), "downlink.http.url: expected one of"),
        (CallForm(url="("), "downlink.http.url: "),
        (CallForm(url="settings.server", auth="login"), "downlink.http.login: expected a table"),
        (
            CallForm(url="settings.server", auth="sign", hook="x"),
            "downlink.http.hook: expected one of thingpark",
        ),
        (CallForm(url="settings.server", auth="bearer"), "downlink.http.settings: expected 'token'"),
        (
            CallForm(url="settings.server", results=[ResultForm(when="identity", means="refused")]),
            "downlink.http.results[0].when: expected one of",
        ),
    ],
)
def test_a_form_that_cant_be_used_is_refused_with_its_place(form, reason):
    with pytest.raises(ValueError) as caught:
        own(form)
    assert str(caught.value).startswith(reason)


def test_a_preset_of_one_s_own_calls_an_api_too():
    own_preset = chosen(
        "custom",
        """
        [device]
        identity = "body.serial"
        [downlink.http]
        url = "join('/', [settings.server, 'send', identity])"
        body = "{hex: hex, id: id}"
        settings = ["server"]
        """,
    )
    made = own_preset.api.call(ITEM, {"identity": "s/1"}, {"server": "http://10.0.0.7:81"}, 0)
    assert made.url == "http://10.0.0.7:81/send/s%2F1"


def test_oauth2_s_client_credentials_are_a_login_with_a_form():
    login = LoginForm(
        url="settings.loginServer",
        body="{grant_type: 'client_credentials', client_id: settings.clientId, client_secret: settings.clientSecret}",
        is_form=True,
        token="body.access_token",
    )
    form = CallForm(url="settings.server", auth="login", login=login, settings=["clientId", "clientSecret"])
    made = own(form).login({"loginServer": "https://a.example/t", "clientId": "me", "clientSecret": "a&b"})
    assert made.body == b"grant_type=client_credentials&client_id=me&client_secret=a%26b"
    assert ("Content-Type", "application/x-www-form-urlencoded") in made.headers

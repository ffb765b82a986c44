"""The server's side of the ETSI CoAP plugtests, CC (core), CL (link), CB (block) and CO (observe), by their
numbers in the CoAP#4 test descriptions (TD_COAP_CORE_01 … TD_COAP_OBS_10)."""

from __future__ import annotations

from random import Random

import pytest

from iotgw.wire.coap.endpoint import Endpoint

from .etsi_site import LONG, make_site
from .probe import (
    ACCEPT,
    ACK,
    BLOCK1,
    BLOCK2,
    CON,
    CONTENT_FORMAT,
    DELETE,
    ETAG,
    GET,
    NON,
    OBSERVE,
    POST,
    PUT,
    RST,
    Virtual,
    block,
    message,
    uri,
)

IF_MATCH, IF_NONE_MATCH, LOCATION_PATH, MAX_AGE, LOCATION_QUERY = 1, 5, 8, 14, 20
TEXT = (CONTENT_FORMAT, 0)


class Plugtest(Virtual):
    def __init__(self):
        site, self.resources = make_site()
        super().__init__(lambda send, clock: Endpoint(site, send, clock, random=Random(3)))

    def change(self, path, *state):
        self.resources[path].change(self.endpoint, *state)


@pytest.fixture
def plug():
    return Plugtest()


@pytest.fixture
def client(plug):
    return plug.device()


def values(answer, number):
    return [value for key, value in answer.options if key == number]


def exchange(client, code, expected, type_, payload=b"", path="test"):
    answer = client.ask(
        code, path, payload, *([TEXT] if payload else []), type=type_, token=b"ct", mid=0x0AAA
    )
    assert answer.code in expected
    assert answer.token == b"ct"
    assert (answer.type == ACK and answer.mid == 0x0AAA) if type_ == CON else answer.type == NON
    return answer


# --- CORE -----------------------------------------------------------------------------------------


def test_cc01_get_con(client):
    answer = exchange(client, GET, ["2.05"], CON)
    assert answer.payload and answer.option(CONTENT_FORMAT) is not None


def test_cc02_delete_con(client):
    exchange(client, DELETE, ["2.02"], CON)


def test_cc03_put_con(client, plug):
    exchange(client, PUT, ["2.04", "2.01"], CON, b"put")
    assert plug.resources["test"].body == b"put"


def test_cc04_post_con(client, plug):
    exchange(client, POST, ["2.04", "2.01"], CON, b"post")
    assert plug.resources["test"].body == b"post"


def test_cc05_get_non(client):
    assert exchange(client, GET, ["2.05"], NON).option(CONTENT_FORMAT) is not None


def test_cc06_delete_non(client):
    exchange(client, DELETE, ["2.02"], NON)


def test_cc07_put_non(client):
    exchange(client, PUT, ["2.04", "2.01"], NON, b"put")


def test_cc08_post_non(client):
    exchange(client, POST, ["2.04", "2.01"], NON, b"post")


def separate(client, token):
    client.send(CON, GET, 0x0BBB, token, uri("separate"))
    ack = client.expect()
    assert (ack.type, ack.mid, ack.is_empty) == (ACK, 0x0BBB, True)
    response = client.expect(3)
    assert (response.type, response.code, response.token) == (CON, "2.05", token)
    assert response.payload and response.option(CONTENT_FORMAT) is not None
    client.acknowledge(response)
    client.silence(5)


def test_cc09_separate_response(client):
    separate(client, b"s")


def test_cc10_non_empty_token(client):
    assert client.ask(GET, "test", token=b"12345678").token == b"12345678"


def test_cc11_non_empty_token_with_separate_response(client):
    separate(client, b"87654321")


def test_cc12_empty_token(client):
    answer = client.ask(GET, "test", token=b"")
    assert (answer.code, answer.token) == ("2.05", b"")


def test_cc13_several_uri_path_options(client):
    assert client.ask(GET, "seg1/seg2/seg3").payload == b"three segments"


def test_cc14_several_uri_query_options(client):
    assert client.ask(GET, "query?first=1&second=2&third=3").payload == b"first=1&second=2&third=3"


def test_cc15_lossy_piggybacked(client):
    data = message(CON, GET, 0x0CCC, b"l", uri("test"))
    client.send_raw(data)
    lost = client.expect()  # the response is lost: the client sends its request again
    client.send_raw(data)
    assert client.expect().raw == lost.raw


def test_cc16_lossy_separate(client, plug):
    data = message(CON, GET, 0x0DDD, b"l", uri("separate"))
    client.send_raw(data)
    lost_ack = client.expect()
    client.send_raw(data)
    assert client.expect().raw == lost_ack.raw
    lost = client.expect(3)
    again = client.expect(4)  # the response, or our ACK of it, was lost
    assert again.raw == lost.raw
    client.acknowledge(again)
    client.silence(20)


def test_cc17_separate_response_non(client):
    client.send(NON, GET, 1, b"n", uri("separate"))
    client.silence(1.5)
    answer = client.expect(2)
    assert (answer.type, answer.code, answer.token) == (NON, "2.05", b"n")


def test_cc18_several_location_path_options(client):
    answer = client.ask(POST, "location-path", b"new", TEXT)
    assert answer.code == "2.01"
    assert values(answer, LOCATION_PATH) == [b"location1", b"location2", b"location3"]


def test_cc19_several_location_query_options(client):
    answer = client.ask(POST, "location-query", b"new", TEXT)
    assert answer.code == "2.01"
    assert values(answer, LOCATION_QUERY) == [b"first=1", b"second=2"]


def test_cc20_accept(client):
    for wanted in (0, 41):
        answer = client.ask(GET, "multi-format", b"", (ACCEPT, wanted))
        assert (answer.code, answer.uint(CONTENT_FORMAT)) == ("2.05", wanted)
    assert client.ask(GET, "multi-format", b"", (ACCEPT, 60)).code == "4.06"


def test_cc21_etag(client, plug):
    first = client.ask(GET, "validate")
    tag = first.option(ETAG)
    valid = client.ask(GET, "validate", b"", (ETAG, tag))
    assert (valid.code, valid.option(ETAG), valid.payload) == ("2.03", tag, b"")
    plug.change("validate", b"changed")
    fresh = client.ask(GET, "validate", b"", (ETAG, tag))
    assert (fresh.code, fresh.payload) == ("2.05", b"changed")
    assert fresh.option(ETAG) != tag


def test_cc22_if_match(client, plug):
    tag = client.ask(GET, "validate").option(ETAG)
    assert client.ask(PUT, "validate", b"mine", TEXT, (IF_MATCH, tag)).code == "2.04"
    plug.change("validate", b"by another")
    assert client.ask(PUT, "validate", b"mine again", TEXT, (IF_MATCH, tag)).code == "4.12"
    assert plug.resources["validate"].body == b"by another"


def test_cc23_if_none_match(client, plug):
    assert client.ask(PUT, "create1", b"new", TEXT, (IF_NONE_MATCH, b"")).code == "2.01"
    assert client.ask(PUT, "create1", b"newer", TEXT, (IF_NONE_MATCH, b"")).code == "4.12"
    assert plug.resources["create1"].body == b"new"


# --- LINK -----------------------------------------------------------------------------------------


def discover(client, query=""):
    answer = client.ask(GET, f".well-known/core{query}", b"", (BLOCK2, block(0, False, 6)))
    assert (answer.code, answer.uint(CONTENT_FORMAT)) == ("2.05", 40)
    return [part.partition(">")[0][1:] for part in answer.payload.decode().split(",") if part]


def test_cl01_well_known_core(client):
    assert {"/test", "/large", "/link1", "/path"} <= set(discover(client))


def test_cl02_filter_by_type(client):
    assert discover(client, "?rt=Type1") == ["/test", "/location-query"]


def test_cl03_empty_prefix(client):
    assert discover(client, "?rt=*") == ["/test", "/seg1/seg2/seg3", "/location-query", "/large"]


def test_cl04_several_types_in_one_attribute(client):
    assert discover(client, "?rt=Type2") == ["/test", "/seg1/seg2/seg3"]


def test_cl05_interface_with_prefix(client):
    assert discover(client, "?if=If*") == ["/test", "/seg1/seg2/seg3"]


def test_cl06_size_with_prefix(client):
    assert discover(client, "?sz=*") == ["/large"]


def test_cl07_whole_href(client):
    assert discover(client, "?href=/link1") == ["/link1"]


def test_cl08_href_with_prefix(client):
    assert discover(client, "?href=/link*") == ["/link1", "/link2", "/link3"]


def test_cl09_links_in_a_hierarchy(client):
    answer = client.ask(GET, ".well-known/core?href=/path")
    assert b"</path>;ct=40" in answer.payload
    menu = client.ask(GET, "path")
    assert menu.uint(CONTENT_FORMAT) == 40 and b"</path/sub1>" in menu.payload
    assert client.ask(GET, "path/sub1").payload == b"/path/sub1"


# --- BLOCK ----------------------------------------------------------------------------------------


def fetch(client, path, first, szx, code=GET):
    """The rest of a body behind its first block."""
    body, answer, number = first.payload, first, len(first.payload) >> (szx + 4)
    while answer.uint(BLOCK2) & 8:
        answer = client.ask(code, path, b"", (BLOCK2, block(number, False, szx)))
        assert answer.uint(BLOCK2) >> 4 == number
        body += answer.payload
        number += 1
    return body


def test_cb01_get_early_negotiation(client):
    first = client.ask(GET, "large", b"", (BLOCK2, block(0, False, 2)))
    assert first.uint(BLOCK2) == block(0, True, 2)
    assert fetch(client, "large", first, 2) == LONG


def test_cb02_get_late_negotiation(client):
    first = client.ask(GET, "large")
    assert first.uint(BLOCK2) & 8
    assert fetch(client, "large", first, 2) == LONG


def test_cb03_put(client, plug):
    body = LONG[::-1]
    for number in range(-(-len(body) // 64)):
        more = (number + 1) * 64 < len(body)
        part = body[number * 64 : number * 64 + 64]
        answer = client.ask(PUT, "large-update", part, TEXT, (BLOCK1, block(number, more, 2)))
        assert answer.code == ("2.31" if more else "2.04")
        assert answer.uint(BLOCK1) == block(number, more, 2)
    assert plug.resources["large-update"].body == body


def send(client, path, body, szx, last):
    size = 16 << szx
    for offset in range(0, len(body), size):
        more = offset + size < len(body)
        answer = client.ask(
            POST, path, body[offset : offset + size], TEXT, (BLOCK1, block(offset // size, more, szx))
        )
        assert answer.code == ("2.31" if more else last)
    return answer


def test_cb04_post(client, plug):
    answer = send(client, "large-create", LONG, 2, "2.01")
    assert values(answer, LOCATION_PATH) == [b"location1", b"location2", b"location3"]
    assert plug.resources["large-create"].body == LONG


def test_cb05_post_with_a_response_in_blocks(client):
    first = send(client, "large-post", b"answer at length", 0, "2.04")
    assert first.uint(BLOCK2) & 8 and first.option(BLOCK1) is not None
    body, number = first.payload, 1
    szx = first.uint(BLOCK2) & 7
    while True:
        answer = client.ask(POST, "large-post", b"", TEXT, (BLOCK2, block(number, False, szx)))
        body += answer.payload
        number += 1
        if not answer.uint(BLOCK2) & 8:
            break
    assert body == LONG


def test_cb06_post_early_negotiation_by_the_server(client, plug):
    answer = client.ask(POST, "large-small", LONG[:1024], TEXT, (BLOCK1, block(0, True, 6)))
    assert (answer.code, answer.uint(BLOCK1) & 7) == ("2.31", 2)
    for offset in range(1024, len(LONG), 64):
        more = offset + 64 < len(LONG)
        part = LONG[offset : offset + 64]
        answer = client.ask(POST, "large-small", part, TEXT, (BLOCK1, block(offset // 64, more, 2)))
        assert answer.code == ("2.31" if more else "2.04")
    assert plug.resources["large-small"].body == LONG


# --- OBSERVE --------------------------------------------------------------------------------------


def observe(client, path, token=b"obs"):
    answer = client.ask(GET, path, b"", (OBSERVE, 0), token=token)
    assert answer.code == "2.05" and answer.option(OBSERVE) is not None
    return answer


def notified(client, type_=CON, token=b"obs"):
    answer = client.expect(2)
    assert (answer.type, answer.token) == (type_, token)
    if type_ == CON:
        client.acknowledge(answer)
    return answer


def test_co01_observe_with_con(client, plug):
    numbers = [observe(client, "obs").uint(OBSERVE)]
    for body in (b"second", b"third"):
        plug.change("obs", body)
        answer = notified(client)
        assert answer.payload == body and answer.option(CONTENT_FORMAT) is not None
        numbers.append(answer.uint(OBSERVE))
    assert numbers == sorted(set(numbers))


def test_co02_observe_with_non(client, plug):
    observe(client, "obs-non")
    for body in (b"second", b"third"):
        plug.change("obs-non", body)
        assert notified(client, NON).payload == body


def test_co03_stop_observing(client, plug):
    observe(client, "obs")
    answer = client.ask(GET, "obs", b"", (OBSERVE, 1), token=b"obs")
    assert answer.code == "2.05" and answer.option(OBSERVE) is None
    plug.change("obs", b"unseen")
    client.silence(5)


def test_co04_client_detects_deregistration_by_max_age(client, plug):
    assert observe(client, "obs").uint(MAX_AGE) == 30
    again = Plugtest()  # the server has restarted, and knows of no observer
    again.change("obs", b"unseen")
    device = again.device()
    device.silence(31)
    observe(device, "obs")
    again.change("obs", b"seen")
    assert notified(device).payload == b"seen"


def test_co05_server_detects_that_the_client_is_off(client, plug):
    observe(client, "obs")
    plug.change("obs", b"unheard")
    attempts = client.receive_all(100)
    assert len(attempts) == 5 and len({answer.raw for answer in attempts}) == 1
    plug.change("obs", b"not even sent")
    client.silence(5)


def test_co06_server_detects_deregistration_by_reset(client, plug):
    for path, type_ in (("obs", CON), ("obs-non", NON)):
        observe(client, path)
        plug.change(path, b"second")
        answer = client.expect(2)
        assert answer.type == type_
        client.send(RST, 0, answer.mid)
        plug.change(path, b"third")
        client.silence(5)


def test_co07_server_cleans_its_list_on_delete(client, plug):
    observe(client, "obs")
    plug.device().ask(DELETE, "obs")
    assert notified(client).code == "4.04"
    client.silence(5)
    assert len(plug.endpoint.server.observers) == 0


def test_co08_server_cleans_its_list_when_the_format_changes(client, plug):
    observe(client, "obs")
    plug.change("obs", b"{}", 50)
    answer = notified(client)
    assert answer.code[0] in "45" and answer.option(OBSERVE) is None
    plug.change("obs", b"again", 0)
    client.silence(5)


def test_co09_an_update_by_another_client_is_seen(client, plug):
    observe(client, "obs")
    assert plug.device().ask(PUT, "obs", b"by another", TEXT).code == "2.04"
    assert notified(client).payload == b"by another"


def test_co10_a_get_does_not_cancel_an_observation(client, plug):
    observe(client, "obs")
    assert client.ask(GET, "obs", token=b"other").option(OBSERVE) is None
    plug.change("obs", b"second")
    assert notified(client).payload == b"second"


def test_every_server_case_has_its_test():
    named = {name.split("_")[1] for name in globals() if name.startswith("test_c")}
    for kind, count in (("cc", 23), ("cl", 9), ("cb", 6), ("co", 10)):
        assert {f"{kind}{number:02d}" for number in range(1, count + 1)} <= named

"""The server's side of the ETSI CoAP plugtests: CC (core) and CL (links). The tests have the numbers of the CoAP#4 test
descriptions (TD_COAP_CORE_01 … TD_COAP_OBS_10)."""

from __future__ import annotations

import sys

from . import test_etsi_blocks, test_etsi_observe
from .plugtest import exchange, values
from .probe import (
    ACCEPT,
    ACK,
    BLOCK2,
    CON,
    CONTENT_FORMAT,
    DELETE,
    ETAG,
    GET,
    NON,
    POST,
    PUT,
    block,
    message,
    uri,
)

IF_MATCH, IF_NONE_MATCH, LOCATION_PATH, LOCATION_QUERY = 1, 5, 8, 20
TEXT = (CONTENT_FORMAT, 0)


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


def test_every_server_case_has_its_test():
    named = {
        name.split("_")[1]
        for module in (sys.modules[__name__], test_etsi_blocks, test_etsi_observe)
        for name in vars(module)
        if name.startswith("test_c")
    }
    for kind, count in (("cc", 23), ("cl", 9), ("cb", 6), ("co", 10)):
        assert {f"{kind}{number:02d}" for number in range(1, count + 1)} <= named

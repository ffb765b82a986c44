"""The server's side of the ETSI CoAP plugtests: CB, block-wise transfers."""

from __future__ import annotations

from .etsi_site import LONG
from .plugtest import values
from .probe import (
    BLOCK1,
    BLOCK2,
    CONTENT_FORMAT,
    GET,
    POST,
    PUT,
    block,
)

LOCATION_PATH = 8
TEXT = (CONTENT_FORMAT, 0)


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

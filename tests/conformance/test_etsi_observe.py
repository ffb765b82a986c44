"""The server's side of the ETSI CoAP plugtests: CO, observing."""

from __future__ import annotations

from .plugtest import Plugtest
from .probe import (
    CON,
    CONTENT_FORMAT,
    DELETE,
    GET,
    NON,
    OBSERVE,
    PUT,
    RST,
)

MAX_AGE = 14
TEXT = (CONTENT_FORMAT, 0)


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

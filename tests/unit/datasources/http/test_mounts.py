"""Paths of a listener, and who has them."""

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.web.resource import Resource
from twisted.web.server import Site
from zope.interface.verify import verifyObject

from iotgw.core.errors import SettingsError
from iotgw.core.key_guesses import MOST, KeyGuesses
from iotgw.core.ports.mounts import IMounts
from iotgw.datasources.http.mounts import HttpMounts, MountRoot


class Echo(Resource):
    """Says its name and the rest of the path."""

    isLeaf = True

    def __init__(self, name):
        super().__init__()
        self.name = name

    def render_GET(self, request):
        rest = b"/".join(request.postpath)
        return self.name + b" " + b"/".join(request.prepath) + b" " + rest


class Listener:
    def __init__(self, **more):
        self.mounts = HttpMounts(**more)
        self.site = Site(MountRoot(self.mounts))

    def mount(self, path, name=b"echo"):
        return self.mounts.add(path, Echo(name))

    def get(self, path, headers=b""):
        channel = self.site.buildProtocol(None)
        transport = StringTransport()
        channel.makeConnection(transport)
        channel.dataReceived(b"GET %b HTTP/1.0\r\n%b\r\n" % (path, headers))
        head, _, body = transport.value().partition(b"\r\n\r\n")
        return int(head.split()[1]), body


@pytest.fixture
def listener():
    return Listener(reserved=(("api", "v1"),))


def test_it_is_what_the_api_expects():
    assert verifyObject(IMounts, HttpMounts())


def test_a_resource_finds_its_own_rest_of_the_path(listener):
    listener.mount(("acme", "hook"))
    assert listener.get(b"/acme/hook/a/b%20c?x=1") == (200, b"echo acme/hook a/b c")
    assert listener.get(b"/acme/hook") == (200, b"echo acme/hook ")


def test_a_tree_is_walked_as_twisted_does(listener):
    tree = Resource()
    tree.putChild(b"leaf", Echo(b"leaf"))
    listener.mounts.add(("acme",), tree)
    assert listener.get(b"/acme/leaf/x") == (200, b"leaf acme/leaf x")
    assert listener.get(b"/acme/other")[0] == 404


def test_paths_of_other_lengths_stand_side_by_side(listener):
    listener.mount(("i", "k"), b"k")
    listener.mount(("i", "k2"), b"k2")
    listener.mount(("a", "b", "c"), b"c")
    assert [listener.get(path)[1].split()[0] for path in (b"/i/k/x", b"/i/k2", b"/a/b/c")] == [
        b"k",
        b"k2",
        b"c",
    ]
    assert listener.get(b"/a/b")[0] == 404


def test_a_segment_with_a_slash_in_it_is_one_segment(listener):
    listener.mount(("i", "a/b"))
    assert listener.get(b"/i/a%2Fb")[0] == 200
    assert listener.get(b"/i/a/b")[0] == 404


def test_an_upload_whose_key_is_nobody_s_is_told_what_was_expected(listener):
    status, body = listener.get(b"/i/none")
    assert (status, b"/i/{routingKey}" in body) == (404, True)


@pytest.mark.parametrize("path", [("acme",), ("acme", "hook"), ("acme", "hook", "x")])
def test_a_path_that_is_taken_above_or_below_is_refused_by_name(listener, path):
    remove = listener.mount(("acme", "hook"))
    with pytest.raises(SettingsError, match=f"/{'/'.join(path)} on the API's listener is taken"):
        listener.mount(path)
    remove()
    listener.mount(path)


@pytest.mark.parametrize("path", [(), ("api",), ("api", "v1"), ("i",)])
def test_what_the_gateway_needs_itself_is_nobody_s(listener, path):
    with pytest.raises(SettingsError, match="need itself"):
        listener.mount(path)


def test_removing_twice_leaves_who_came_after(listener):
    remove = listener.mount(("acme",), b"first")
    remove()
    listener.mount(("acme",), b"second")
    remove()
    assert listener.get(b"/acme")[1].split()[0] == b"second"


def test_an_upload_to_a_datasource_that_is_not_open_now_may_come_back_and_one_to_nobody_may_not():
    listener = Listener(is_away=lambda key: key == "mine")
    assert listener.get(b"/i/mine")[0] == 503
    assert listener.get(b"/i/mine/below")[0] == 503
    assert listener.get(b"/i/another")[0] == 404
    assert listener.get(b"/i")[0] == 404
    listener.mount(("i", "mine"))
    assert listener.get(b"/i/mine")[0] == 200


def test_while_the_gateway_stops_nothing_is_said_to_be_gone_for_good(listener):
    unmount = listener.mount(("acme", "hook"))
    listener.mounts.close()
    assert listener.get(b"/acme/hook")[0] == 200
    unmount()
    assert listener.get(b"/acme/hook")[0] == 503


def test_who_sends_to_nobody_s_key_is_told_of_by_listener_and_not_by_the_whole_key():
    told = []
    listener = Listener(is_away=lambda key: key == "later", refused=lambda *about: told.append(about))
    assert listener.get(b"/i/nobody-has-this")[0] == 404
    assert listener.get(b"/i/later")[0] == 503
    assert listener.get(b"/elsewhere")[0] == 404
    listener.site.resource = MountRoot(listener.mounts.elsewhere("http tcp:8443"))
    assert listener.get(b"/i/%ff")[0] == 404
    assert [(where, reason) for where, reason, _, _ in told] == [("api", "key"), ("http tcp:8443", "key")]
    assert "nobody" not in str(told)


def test_a_page_of_another_site_gets_nowhere_but_where_it_is_allowed():
    told, at_source = [], []
    listener = Listener(refused=lambda *about: told.append(about[:2]))
    listener.mount(("plain",))
    listener.mounts.add(("i", "closed"), Echo(b"echo"), refuse=lambda *about: at_source.append(about[0]))
    listener.mounts.add(("i", "open"), Echo(b"echo"), is_for_all_sites=True)
    other = b"Origin: https://evil.example\r\n"
    assert listener.get(b"/i/open", other)[0] == 200
    assert listener.get(b"/i/closed", other)[0] == 403
    assert (told, at_source) == ([], ["site"])
    assert listener.get(b"/plain", other)[0] == 403
    assert listener.get(b"/i/nobody", other)[0] == 403, "who is at home isn't told either"
    assert told == [("api", "site")] * 2
    assert listener.get(b"/i/closed", b"Host: a\r\nOrigin: http://a\r\n")[0] == 200


class TestGuesses:
    """Whoever tries many keys is told of none any more."""

    def guessed(self):
        told = []
        listener = Listener(
            guesses=KeyGuesses(Clock()),
            refused=lambda *about: told.append(about),
            is_away=lambda key: key == "later",
        )
        listener.mount(("i", "right"))
        listener.mount(("i", "used"))
        assert listener.get(b"/i/used")[0] == 200
        return listener, told, [listener.get(b"/i/%d" % number)[0] for number in range(MOST)]

    def test_whether_it_is_right_or_wrong(self):
        listener, told, statuses = self.guessed()
        assert statuses == [404] * (MOST - 1) + [429]
        for key in (b"right", b"later", b"wrong"):
            assert listener.get(b"/i/%b" % key)[0] == 429
        assert {reason for _, reason, *_ in told} == {"key"}
        assert "tried so many keys" in told[MOST - 1][3] and "for the first time" in told[MOST][3]

    def test_devices_behind_the_same_address_go_on(self):
        listener, _, _ = self.guessed()
        assert listener.get(b"/i/used")[0] == 200

    def test_a_wrong_key_that_is_tried_again_and_again_limits_nobody(self):
        listener = Listener(guesses=KeyGuesses(Clock()))
        listener.mount(("i", "right"))
        assert {listener.get(b"/i/old")[0] for _ in range(2 * MOST)} == {404}
        assert listener.get(b"/i/right")[0] == 200

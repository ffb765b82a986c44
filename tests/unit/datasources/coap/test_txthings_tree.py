"""txThings resources on our endpoint."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from txthings import coap, resource

from iotgw.core.errors import SettingsError
from iotgw.datasources.coap.datasource import load_tree
from iotgw.datasources.coap.settings import CoapSettings
from iotgw.datasources.coap.txthings_tree import TxThingsTree, load
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.discovery import WELL_KNOWN_CORE, Discovery
from iotgw.wire.coap.timing import DEFAULT_POLICY
from tests.unit.wire.coap.bench import Bench, Box


class Counter(resource.CoAPResource):
    """GET counts, PUT sets; observable; fires ``waiting`` itself when told to be slow."""

    observable = True

    def __init__(self):
        super().__init__()
        self.visible = True
        self.addParam(resource.LinkParam("title", "Counter"))
        self.count = 0
        self.slow = None

    def response(self, code, payload=b""):
        from twisted.internet.defer import succeed

        message = coap.Message(code=code, payload=payload)
        if payload:
            message.opt.content_format = 0
        if self.slow is not None:
            self.slow, waiting = None, Deferred()
            waiting.message = message
            self.waiting = waiting
            return waiting
        return succeed(message)

    def render_GET(self, request):
        return self.response(coap.CONTENT, b"%d" % self.count)

    def render_PUT(self, request):
        self.count = int(request.payload)
        self.updatedState()
        return self.response(coap.CHANGED)

    def render_POST(self, request):
        raise ZeroDivisionError("boom")


class Conditional(resource.CoAPResource):
    """Says which conditions and which format it was asked for."""

    def render_PUT(self, request):
        names = [name for number, name in coap.options.items() if request.opt.getOption(number)]
        return coap.Message(code=coap.PRECONDITION_FAILED, payload=" ".join(names).encode())

    def render_GET(self, request):
        answer = coap.Message(code=coap.CONTENT, payload=repr(request.opt.accept).encode())
        answer.opt.content_format = request.opt.accept or 0
        return answer


def make_root():
    root = resource.CoAPResource()
    root.putChild(b"counter", Counter())
    root.putChild(b"conditional", Conditional())
    return root


NOT_A_TREE = object


@pytest.fixture
def root():
    return make_root()


@pytest.fixture
def bench(root):
    made = Bench({"i": Box(), "": TxThingsTree(root, DEFAULT_POLICY)}).prove()
    made.site.add(WELL_KNOWN_CORE, Discovery(made.site))
    return made


def test_a_txthings_resource_answers_beside_ours(bench):
    assert bench.one(n.PUT, "counter", b"41").code == n.CHANGED
    answer = bench.one(n.GET, "counter")
    assert (answer.code, answer.payload) == (n.CONTENT, b"41")
    assert answer.options.get_uint(n.CONTENT_FORMAT) == 0
    assert bench.one(n.POST, "i").code == n.CHANGED


@pytest.mark.parametrize(
    ("code", "path", "answer"),
    [
        (n.GET, "no/such", n.NOT_FOUND),
        (n.DELETE, "counter", n.METHOD_NOT_ALLOWED),
        (n.POST, "counter", n.INTERNAL_SERVER_ERROR),
    ],
)
def test_its_errors_are_coap_errors(bench, code, path, answer):
    assert bench.one(code, path).code == answer
    assert [type(error) for error in bench.failures] == ([ZeroDivisionError] if code == n.POST else [])


@pytest.mark.parametrize(
    ("option", "name"), [((n.IF_MATCH, b"v1"), "If-Match"), ((n.IF_NONE_MATCH, b""), "If-None-Match")]
)
def test_conditions_are_for_its_resources_to_judge(bench, option, name):
    answer = bench.one(n.PUT, "conditional", b"", option)
    assert answer.code == n.PRECONDITION_FAILED
    assert name in answer.payload.decode().split()


@pytest.mark.parametrize("accept", [0, 41, 11542])
def test_the_format_that_is_asked_for_is_a_number(bench, accept):
    assert bench.one(n.GET, "conditional", b"", (n.ACCEPT, accept)).payload == b"%d" % accept


def test_no_format_that_is_asked_for_is_none(bench):
    assert bench.one(n.GET, "conditional").payload == b"None"


def test_a_slow_resource_makes_a_separate_response(bench, root):
    counter = root.children[b"counter"]
    counter.slow = True
    assert bench.ask(n.GET, "counter") == []
    assert [message.code for message in bench.advance(1)] == [n.EMPTY]
    counter.waiting.callback(counter.waiting.message)
    (response,) = bench.take()
    assert (response.type, response.payload) == (n.CON, b"0")


def test_its_observers_are_ours_and_hear_each_change_once(bench):
    for token in (b"1", b"2"):
        answer = bench.one(n.GET, "counter", b"", (n.OBSERVE, 0), token=token)
        assert answer.options.get_uint(n.OBSERVE) == 1
    sent = bench.ask(n.PUT, "counter", b"7")
    notifications = [message for message in sent if message.type == n.CON]
    assert sorted(message.token for message in notifications) == [b"1", b"2"]
    assert {message.payload for message in notifications} == {b"7"}


def test_its_visible_resources_are_discovered(bench):
    assert bench.one(n.GET, ".well-known/core").payload == b'</counter>;title="Counter";obs'


def test_a_tree_is_loaded_by_its_name():
    assert isinstance(load(f"{__name__}:make_root"), resource.CoAPResource)


@pytest.mark.parametrize("name", ["nowhere:root", f"{__name__}:missing", f"{__name__}:NOT_A_TREE", "nothing"])
def test_what_is_no_tree_is_refused(name):
    with pytest.raises(SettingsError) as caught:
        load(name)
    assert caught.value.path == "configuration.resources"


@pytest.mark.parametrize("name", ["os:abort", "subprocess:Popen", "tests.conformance.txthings_site:root"])
def test_code_that_the_operator_does_not_name_is_not_even_imported(name, monkeypatch):
    monkeypatch.setattr("iotgw.datasources.coap.txthings_tree.import_module", None)
    with pytest.raises(SettingsError, match="coap-trees") as caught:
        load_tree(CoapSettings(resources=name), DEFAULT_POLICY, [f"{__name__}:make_root"])
    assert caught.value.path == "configuration.resources"


def test_a_tree_that_the_operator_names_is_mounted():
    name = f"{__name__}:make_root"
    assert isinstance(load_tree(CoapSettings(resources=name), DEFAULT_POLICY, [name]), TxThingsTree)

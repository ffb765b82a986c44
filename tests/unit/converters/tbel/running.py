"""TBEL scripts in an engine of this process, for tests of the language alone."""

import json

from iotgw.converters.dialect import named
from iotgw.converters.engines import available
from iotgw.converters.loading import HEAP, load_order, sources
from iotgw.converters.script import LoadFailed, decode, load
from iotgw.core.model import ConversionError
from tests.unit.converters.conftest import version

__all__ = ["ENGINES", "LoadFailed", "failure", "load", "results", "run", "tbel"]
ENGINES = available()


def tbel(script, direction="UPLINK", **more):
    """A version of a TBEL script."""
    return version(script, dialect="thingsboard-tbel", engine="quickjs", direction=direction, **more)


def run(script, payload=b"", metadata=None):
    """What a script returns, as JSON values; or its error."""
    result, _, error = load(tbel(script), ENGINES).call(json.dumps([list(payload), metadata or {}, 0, 0]))
    return result if error is None else error


def results(scripts):
    """What several scripts return, in one context: to make one takes longer than a script."""
    engine = ENGINES["quickjs"](10.0, HEAP, "__tbel")
    for script in scripts:
        made = tbel(script)
        order, _ = load_order(named(made.dialect, "UPLINK"), made, sources(made, ENGINES["quickjs"]))
        loaded = engine.call("load", json.dumps({**json.loads(order), "sealed": False}))
        assert loaded.startswith("{"), (script, loaded)
        answer = engine.run("[[],{},0,0]")
        assert not answer.startswith("!"), (script, answer)
        result = answer.partition("\n")[2] if answer.startswith("+") else answer
        yield None if result == "~" else decode(result)


def failure(script, payload=b"") -> ConversionError:
    """The error of a script that has to fail."""
    error = run(script, payload)
    assert isinstance(error, ConversionError), error
    return error

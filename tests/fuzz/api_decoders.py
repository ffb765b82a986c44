"""What callers of the API send: the bodies and the queries of its operations, and the configurations of all types."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from msgspec import inspect
from twisted.internet import reactor

from iotgw import testing
from iotgw.api import queries
from iotgw.api.app import routes
from iotgw.api.problems import Problem
from iotgw.api.routes import Route
from iotgw.app.parts import DATASOURCES, INTEGRATIONS
from iotgw.core import plain_json
from iotgw.core.errors import IotgwError
from iotgw.core.regular_expressions import check_expression
from iotgw.core.specs import IntegrationSpec
from iotgw.core.types import Types
from iotgw.core.validate import check_sizes, convert
from iotgw.core.wildcards import check_patterns, matcher
from iotgw.delivery.service import DeliveryService
from tests.certificates import composite_rsa
from tests.fuzz.decoders import Decoder
from tests.unit.api.conftest import Bench
from tests.unit.api.test_secrets_of_every_type import ACCOUNT, CASES

NAME = "meter-" + "7" * 243
OTHERS: dict[str, dict[str, Any]] = {
    "datasource/tcp": {"port": 5601, "handler": {"type": "TEXT"}}, "datasource/udp": {"port": 5601},
    "datasource/dragino": {"devices": {"1": {}}}, "datasource/lobaro-udp": {"port": 55345},
}  # fmt: skip
"""Configurations of types that have no secrets."""


def api_decoders() -> list[Decoder]:
    """All of them."""
    found = [*_bodies(), *_configurations()]
    found.append(
        Decoder("patterns", _patterns, [b"meter-*\n*7\nme?er", b"[ab]*[!c]"], (ValueError,), weight=10)
    )
    found.append(
        Decoder(
            "regular expression",
            _expression,
            [rb"plant-.*-up", rb"(north|south)-[a-z]{2,4}\d+", b"(a+)+b"],
            (ValueError,),
            weight=10,
            longest=1000,
        )
    )
    return found  # fmt: skip


def _bodies() -> Iterator[Decoder]:
    """The bodies of all operations by their types, and all queries in turn."""
    all_routes = routes(Bench().parts)
    for type_ in dict.fromkeys(each.body for each in all_routes if inspectable(each.body)):
        yield Decoder(f"body {type_.__name__}", _body(type_), _examples(type_), (IotgwError,), weight=4)
    asking = [each for each in all_routes if each.queries]
    seeds = [_query(each) for each in asking]
    yield Decoder("queries", _queries(asking), seeds, (Problem, IotgwError), longest=16 << 10)


def inspectable(body: Any) -> bool:
    """Whether a route's body is one Struct of JSON."""
    return isinstance(body, type) and issubclass(body, msgspec.Struct)


def _body(type_: Any) -> Callable[[bytes], object]:
    def decode(data: bytes) -> object:
        try:
            value = plain_json.decode(data)
        except plain_json.NotJson:
            return None
        return convert(value, type_)

    return decode


def _query(route: Route) -> bytes:
    return "&".join(f"{each.name}={_word(each)}" for each in route.queries).encode()


def _word(query: queries.Query) -> str:
    if query.choices:
        return query.choices[0]
    return {int: "3", bool: "true", float: "1.5"}.get(query.type, "meter-7")


def _queries(asking: list[Route]) -> Callable[[bytes], object]:
    def decode(data: bytes) -> object:
        return queries.read(asking[len(data) % len(asking)].queries, data)

    return decode


def _examples(type_: Any) -> list[bytes]:
    """An object with what it must have, and one with all that it may have; of alternatives, each alone."""
    info = inspect.type_info(type_)
    assert isinstance(info, inspect.StructType)
    least = {each.encode_name: _example(each.type) for each in info.fields if each.required}
    alone = [{**least, each.encode_name: _example(each.type)} for each in info.fields if not each.required]
    return [json.dumps(each).encode() for each in (least, *alone)]


def _example(type_: inspect.Type, depth: int = 0) -> Any:
    match type_:
        case inspect.Metadata():
            return _example(type_.type, depth)
        case inspect.UnionType():
            return _example(
                next(each for each in type_.types if not isinstance(each, inspect.NoneType)), depth
            )
        case inspect.StructType():
            return {
                each.encode_name: _example(each.type, depth + 1)
                for each in type_.fields
                if each.required or depth < 2
            }
        case inspect.DictType():
            return {"k": _example(type_.value_type, depth + 1)}
        case inspect.ListType() | inspect.SetType() | inspect.VarTupleType() | inspect.FrozenSetType():
            return [_example(type_.item_type, depth + 1)]
        case inspect.TupleType():
            return [_example(each, depth + 1) for each in type_.item_types]
        case inspect.LiteralType() | inspect.EnumType():
            return type_.values[0] if isinstance(type_, inspect.LiteralType) else None
        case inspect.StrType():
            return "meter-7"
        case inspect.BoolType():
            return True
        case inspect.IntType() | inspect.FloatType():
            return 1
        case inspect.BytesType():
            return base64.b64encode(b"x").decode()
    return None  # fmt: skip


def _configurations() -> Iterator[Decoder]:
    """What a configuration is read into when it is saved, and the datasource or target that is made of it."""
    bench, connector = Bench(), testing.FakeConnector()
    sources: Any = Types("none", testing.MemoryReactor(), DATASOURCES, connector)  # type: ignore[arg-type]
    targets: Any = Types("none", reactor, INTEGRATIONS, connector)  # type: ignore[arg-type]
    delivery = DeliveryService(bench.journal, targets, reactor, testing.MemoryEvents(), str, None, bench.registry.unseal, "")  # type: ignore[arg-type]  # fmt: skip

    def source(name: str) -> Callable[[Any], object]:
        def make(value: Any) -> None:
            settings = sources.configure(name, value)
            sources.get(name).build(
                settings,
                testing.datasource_context(
                    testing.FakeIntake(), testing.MemoryReactor(), checkpoints=testing.MemoryCheckpoints()
                ),
            )

        return make

    def target(name: str) -> Callable[[Any], object]:
        return lambda value: delivery.validate(IntegrationSpec(name="x", type=name, configuration=value))

    small = json.dumps({**json.loads(ACCOUNT), "private_key": pem_of(1024)})
    for kind, types, make in (("datasource", sources, source), ("integration", targets, target)):
        for each in types:
            known = CASES.get(f"{kind}/{each.name}", (OTHERS.get(f"{kind}/{each.name}", {}), []))[0]
            if "credentials" in known:  # with a key that signs in as little time as a real one twice as long
                known = {**known, "credentials": small}
            name = f"configuration of {kind} {each.name}"
            yield Decoder(
                name, _configured(make(each.name)), [json.dumps(known).encode()], (IotgwError,), weight=25
            )


def pem_of(bits: int) -> str:
    """A private key of so many bits."""
    return composite_rsa(bits).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _configured(make: Callable[[Any], object]) -> Callable[[bytes], object]:
    def decode(data: bytes) -> object:
        try:
            value = plain_json.decode(data)
        except plain_json.NotJson:
            return None
        if not isinstance(value, dict):
            return None
        check_sizes(value)
        return make(value)

    return decode


def _patterns(data: bytes) -> object:
    if data.count(b"\n") >= 1000:
        raise ValueError("refused by their type")
    patterns = data.decode("utf-8", "replace").split("\n")
    if any(len(each) > 256 for each in patterns):
        raise ValueError("refused by their type")
    check_patterns("deviceNames", patterns)
    return matcher(patterns)(NAME)


def _expression(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    check_expression(text, len(NAME))

"""A document that is applied as a whole: all or nothing, over crashes; and the whole configuration as a document."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, fail

from iotgw.api.apply import decisions
from iotgw.api.auth import ALL_TENANTS
from iotgw.api.decisions import AGAIN, KIND
from iotgw.core import resources_file
from iotgw.core.errors import NoSpace
from iotgw.core.specs import Resource
from tests.unit.api.conftest import Bench

KINDS = [kind for kind in resources_file.KINDS if kind != "tenant"]
"""What a tenant's own tokens apply."""
DOCUMENT: dict[str, Any] = {
    "converter": [
        {"name": "mine", "script": "function mine() {}", "tests": [{"text": "x", "output": {}}]},
        {"library": "json"},
    ],
    "credential": [
        {"name": "meter", "identity": "urn:imei:1", "secrets": [{"value": "hush-hush", "id": "a"}]}
    ],
    "device-type": [{"name": "meters", "reportEvery": 3600.0}],
    "device-group": [{"name": "cellar", "batteryBelow": 2.5}],
    "datasource": [
        {"name": "field", "type": "coap", "converter": "mine", "routingKey": "k1",
         "configuration": {"port": 5683, "preSharedKey": "hush"}},
    ],
    "integration": [
        {"name": "out", "type": "http", "configuration": {"url": "http://x", "headers": {"X-Key": "hush"}},
         "route": {"datasources": ["field"]}},
    ],
    "device": [{"name": "m-1", "type": "meters", "groups": ["cellar"], "tags": {"floor": "-1"}, "converter": "mine"}],
}  # fmt: skip


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


def document() -> dict[str, Any]:
    return copy.deepcopy(DOCUMENT)


def outcomes(result: Any) -> dict[str, str]:
    return {f"{item['kind']} {item['name']}": item["outcome"] for item in result["items"]}


def stored(bench: Bench) -> list[tuple[Any, ...]]:
    """All that a document is about, by kind, name and body."""
    kinds = [kind for kind in KINDS if kind != "device"]
    found = [(each.kind, each.name, each.body) for kind in kinds for each in bench.registry.list(kind)]
    names = ("m-1", "m-2", "dev-1")
    return [*found, *(entry.spec for name in names if (entry := bench.fleet.get("default", name)))]


@inline
async def test_a_whole_document_is_applied_once_and_then_nothing_changes(bench: Bench, connect: Any) -> None:
    api = connect()
    first = await api.ok("POST", "/apply?whole=true", document())
    assert set(outcomes(first).values()) == {"created"}
    assert {item["kind"] for item in first["items"]} == set(KINDS)
    again = await api.ok("POST", "/apply?whole=true&prune=true", document())
    assert set(outcomes(again).values()) == {"unchanged"}
    assert bench.registry.list(KIND) == []


@inline
async def test_of_a_document_with_one_wrong_entry_nothing_is_applied(bench: Bench, connect: Any) -> None:
    api, wrong = connect(), document()
    wrong["integration"][0]["configuration"]["url"] = "no scheme"
    answer = await api("POST", "/apply?whole=true", wrong)
    assert answer.status == 422
    assert answer.json["detail"] == (
        "nothing was changed: 1 refused; integration out: configuration.url: expected http or https"
    )
    assert [error["path"] for error in answer.json["errors"]] == ["integration out"]
    assert not any(bench.registry.list(kind) for kind in KINDS)
    assert bench.fleet.get("default", "m-1") is None


@inline
async def test_a_script_that_does_not_compile_is_found_before_anything_is_saved(
    bench: Bench, connect: Any
) -> None:
    wrong = document()
    wrong["converter"][0]["script"] = "nonsense"
    answer = await connect()("POST", "/apply?whole=true", wrong)
    assert answer.status == 422
    assert answer.json["errors"][0]["path"] == "converter mine"
    assert bench.registry.list("converter") == bench.registry.list("datasource") == []


@inline
async def test_when_a_datasource_cannot_be_opened_all_is_as_before(bench: Bench, connect: Any) -> None:
    api = connect()
    await api.ok("POST", "/apply?whole=true", document())
    before = stored(bench)
    wrong = document()
    wrong["datasource"] = [{"name": "low", "type": "coap", "configuration": {"port": 1}}]
    wrong["integration"][0]["description"] = "changed"
    wrong["device"] = [{"name": "m-2", "label": "new"}]
    answer = await api("POST", "/apply?whole=true&prune=true", wrong)
    assert answer.status == 409
    assert answer.json["detail"] == (
        "nothing was changed: datasource 'low' could not be opened: port 1: permission denied"
    )
    assert stored(bench) == before
    assert bench.registry.list(KIND) == []


@inline
async def test_what_a_dry_run_says_has_the_fields_and_no_secret(bench: Bench, connect: Any) -> None:
    api = connect()
    await api.ok("POST", "/apply?whole=true", document())
    changed = document()
    changed["datasource"][0]["configuration"] = {"port": 5684, "preSharedKey": "other"}
    changed["device"][0]["tags"] = {"floor": "2"}
    del changed["credential"]
    result = await api.ok("POST", "/apply?dryRun=true&whole=true&prune=true", changed)
    fields = {item["name"]: item.get("changes") for item in result["items"]}
    assert fields["field"] == [
        {"path": "configuration.port", "old": 5683, "new": 5684},
        {"path": "configuration.preSharedKey", "old": "***", "new": "***"},
    ]
    assert fields["m-1"] == [{"path": "tags.floor", "old": "-1", "new": "2"}]
    assert outcomes(result)["credential meter"] == "deleted"
    assert "other" not in msgspec.json.encode(result).decode()
    assert bench.registry.get("datasource", "field").body["configuration"]["port"] == 5683


@inline
async def test_what_the_document_lacks_goes_with_prune_and_stays_without(bench: Bench, connect: Any) -> None:
    api = connect()
    await api.ok("POST", "/apply?whole=true", document())
    await api.ok("POST", "/apply?whole=true", {})
    assert len(bench.registry.list("datasource")) == 1
    lacking = {"device": [{"name": "m-2"}]}
    result = await api.ok("POST", "/apply?whole=true&prune=true", lacking)
    assert set(outcomes(result).values()) == {"deleted", "created"}
    assert not any(bench.registry.list(kind) for kind in KINDS)
    assert bench.fleet.get("default", "m-1") is None


@inline
async def test_a_document_without_devices_says_nothing_of_devices(bench: Bench, connect: Any) -> None:
    api = connect()
    await api.ok("POST", "/apply?whole=true", document())
    answer = await api("POST", "/apply?whole=true&prune=true", {})
    assert [error["problem"] for error in answer.json["errors"]] == [
        "converter 'mine' is the own converter of a device"
    ]
    await api.ok("PATCH", "/devices/m-1", {"converter": ""})
    await api.ok("POST", "/apply?whole=true&prune=true", {})
    assert not any(bench.registry.list(kind) for kind in KINDS)
    assert bench.fleet.get("default", "m-1") is not None
    assert "device" not in await api.ok("GET", "/configuration?devices=false")


@inline
async def test_a_document_has_so_many_entries_and_no_more(connect: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("iotgw.api.apply.MOST", 3)
    answer = await connect()(
        "POST", "/apply?whole=true", {"device-type": [{"name": str(n)} for n in range(4)]}
    )
    assert (answer.status, answer.json["detail"]) == (413, "expected at most 3 entries, got 4")
    monkeypatch.setattr("iotgw.api.configuration.MOST_DEVICES", 1)
    assert (await connect()("GET", "/configuration")).status == 413


@inline
async def test_a_device_of_which_nobody_has_said_anything_is_never_pruned(bench: Bench, connect: Any) -> None:
    api = connect()
    await api.ok("POST", "/apply?whole=true", document())
    await api.ok("POST", "/apply?whole=true&prune=true", {"device": [{"name": "m-2"}]})
    assert bench.fleet.get("default", "dev-1") is not None


@inline
async def test_a_converter_that_the_document_lacks_cannot_be_named_by_it(bench: Bench, connect: Any) -> None:
    api = connect()
    await api.ok("POST", "/apply?whole=true", document())
    lacking = document()
    del lacking["converter"]
    answer = await api("POST", "/apply?whole=true&prune=true", lacking)
    problem = "converter: converter 'mine' is not in the document, and would be deleted"
    assert [error["problem"] for error in answer.json["errors"]] == [problem] * 2
    assert len(bench.registry.list("converter")) == 2


@inline
async def test_a_datasource_is_renamed_with_its_routing_key(bench: Bench, connect: Any) -> None:
    api, renamed = connect(), document()
    await api.ok("POST", "/apply?whole=true", document())
    renamed["datasource"][0]["name"] = "meadow"
    renamed["integration"][0]["route"]["datasources"] = ["meadow"]
    result = outcomes(await api.ok("POST", "/apply?whole=true&prune=true", renamed))
    assert (result["datasource meadow"], result["datasource field"]) == ("created", "deleted")
    assert [each.name for each in bench.registry.list("datasource")] == ["meadow"]


@inline
async def test_two_entries_cannot_have_the_same_name_or_routing_key(connect: Any) -> None:
    twice = {"datasource": [{"name": "a", "type": "coap", "routingKey": "k"},
                            {"name": "b", "type": "coap", "routingKey": "k"},
                            {"name": "a", "type": "coap"}]}  # fmt: skip
    answer = await connect()("POST", "/apply?whole=true", twice)
    assert [error["problem"] for error in answer.json["errors"]] == [
        "routingKey: the document has it twice; datasource 'a' has it, too",
        "name: the document has it twice; datasource 'a' has it, too",
    ]


@inline
async def test_credentials_may_swap_their_identities(bench: Bench, connect: Any) -> None:
    api = connect()
    pair = [{"name": name, "identity": identity, "secrets": [{"value": "hush-hush", "id": "a"}]}
            for name, identity in (("a", "1"), ("b", "2"))]  # fmt: skip
    await api.ok("POST", "/apply?whole=true", {"credential": pair})
    pair[0]["identity"], pair[1]["identity"] = "2", "1"
    await api.ok("POST", "/apply?whole=true", {"credential": pair})
    assert [each.body["identity"] for each in bench.registry.list("credential")] == ["2", "1"]
    third = {"name": "c", "identity": "2", "secrets": [{"value": "hush-hush"}]}
    assert (await api("POST", "/credentials", third)).status == 422


@inline
async def test_a_document_is_applied_to_nothing_else_than_it_was_compared_with(
    bench: Bench, connect: Any
) -> None:
    api = connect()
    await api.ok("POST", "/apply?whole=true", document())
    changed = document()
    changed["device-type"][0]["reportEvery"] = 60.0
    state = (await api.ok("POST", "/apply?whole=true&dryRun=true", changed))["state"]
    await api.ok("PATCH", "/device-types/meters", {"description": "by somebody else"})
    answer = await api("POST", "/apply?whole=true", changed, headers={"If-Match": f'"{state}"'})
    assert answer.status == 412
    assert bench.registry.get("device-type", "meters").body["reportEvery"] == 3600.0
    state = (await api.ok("POST", "/apply?whole=true&dryRun=true", changed))["state"]
    await api.ok("POST", "/apply?whole=true", changed, headers={"If-Match": f'"{state}"'})
    assert bench.registry.get("device-type", "meters").body["reportEvery"] == 60.0


@inline
async def test_what_changed_while_the_decision_was_written_is_not_overwritten(
    bench: Bench, connect: Any, monkeypatch: Any
) -> None:
    api = connect()
    await api.ok("POST", "/apply?whole=true", document())
    create = bench.registry.create

    def late(kind: str, *more: Any) -> Deferred[Resource]:
        if kind == KIND:
            meters = bench.registry.get("device-type", "meters")
            bench.registry.replace("device-type", meters.id, {**meters.body, "description": "late"})
        return create(kind, *more)

    monkeypatch.setattr(bench.registry, "create", late)
    changed = document()
    changed["device-type"][0]["reportEvery"] = 60.0
    assert (await api("POST", "/apply?whole=true", changed)).status == 412
    assert bench.registry.get("device-type", "meters").body["reportEvery"] == 3600.0
    assert bench.registry.list(KIND) == []


@pytest.mark.parametrize("broken", [kind for kind in KINDS if kind != "device"])
@inline
async def test_a_decision_is_carried_out_by_the_next_process(
    bench: Bench, connect: Any, monkeypatch: Any, broken: str
) -> None:
    api = connect()
    await api.ok("POST", "/apply?whole=true", {"datasource": [{"name": "old", "type": "coap"}]})
    create = bench.registry.create
    monkeypatch.setattr(
        bench.registry, "create",
        lambda kind, *more: fail(NoSpace("the disk is full")) if kind == broken else create(kind, *more),
    )  # fmt: skip
    assert (await api("POST", "/apply?whole=true&prune=true", document())).status == 507
    assert bench.registry.get("datasource", "old")
    monkeypatch.setattr(bench.registry, "create", create)
    await decisions(bench.parts).finish()
    assert bench.registry.list(KIND) == []
    result = await api.ok("POST", "/apply?whole=true&prune=true", document())
    assert set(outcomes(result).values()) == {"unchanged"}


@inline
async def test_what_a_full_disk_stopped_goes_on_when_there_is_room(
    bench: Bench, connect: Any, monkeypatch: Any
) -> None:
    api = connect()
    replace = bench.registry.create
    monkeypatch.setattr(
        bench.registry, "create",
        lambda kind, *more: fail(NoSpace("full")) if kind == "integration" else replace(kind, *more),
    )  # fmt: skip
    assert (await api("POST", "/apply?whole=true", document())).status == 507
    assert (await api("POST", "/apply?whole=true", document())).status == 409
    monkeypatch.setattr(bench.registry, "create", replace)
    bench.clock.advance(AGAIN)
    assert set(outcomes(await api.ok("POST", "/apply?whole=true", document())).values()) == {"unchanged"}


@inline
async def test_the_configuration_makes_the_same_gateway_out_of_an_empty_one(
    bench: Bench, connect: Any
) -> None:
    api = connect()
    await api.ok("POST", "/apply?whole=true", document())
    field = bench.registry.get("datasource", "field")
    await api.ok("PATCH", "/integrations/out", {"route": {"datasources": [field.id]}})
    exported = await api.ok("GET", "/configuration-with-secrets")
    assert exported["datasource"] == [
        {"name": "field", "type": "coap", "converter": "mine", "routingKey": "k1",
         "configuration": {"port": 5683, "preSharedKey": "hush"}}
    ]  # fmt: skip
    assert exported["integration"][0]["route"] == {"datasources": ["field"]}
    assert exported["credential"][0]["secrets"] == [{"id": "a", "value": "hush-hush"}]
    assert exported["device"] == [{"groups": ["cellar"], **DOCUMENT["device"][0]}]
    await api.ok("POST", "/apply?whole=true&prune=true", {"device": [{"name": "m-2"}]})
    await api.ok("DELETE", "/devices/m-2")
    assert "integration" not in await api.ok("GET", "/configuration")
    await api.ok("POST", "/apply?whole=true", exported)
    assert await api.ok("GET", "/configuration-with-secrets") == exported


@inline
async def test_secrets_are_masked_for_whoever_is_no_admin_and_their_export_is_an_event(
    bench: Bench, connect: Any
) -> None:
    api = connect()
    await api.ok("POST", "/apply?whole=true", document())
    shown = await connect("viewer").ok("GET", "/configuration")
    assert "hush" not in msgspec.json.encode(shown).decode()
    assert (await connect("editor")("GET", "/configuration-with-secrets")).status == 403
    await api.ok("GET", "/configuration-with-secrets")
    events = await api.ok("GET", "/events?type=exported")
    assert events["items"][0]["severity"] == "warning"


@inline
async def test_devices_that_came_by_themselves_belong_to_it_where_others_are_not_taken(
    bench: Bench, connect: Any
) -> None:
    api = connect()
    assert "device" not in await api.ok("GET", "/configuration")
    strict = {"datasource": [{"name": "a", "type": "coap", "unknownDevices": "quarantine"}]}
    await api.ok("POST", "/apply?whole=true", strict)
    assert [each["name"] for each in (await api.ok("GET", "/configuration"))["device"]] == ["dev-1", "dev-2"]


@inline
async def test_a_device_that_somebody_created_belongs_to_it_though_nothing_else_was_said(
    connect: Any,
) -> None:
    api = connect()
    await api.ok("POST", "/devices", {"name": "not-heard-yet"})
    assert (await api.ok("GET", "/configuration"))["device"] == [{"name": "not-heard-yet"}]
    await api.ok("PUT", "/devices/not-heard-yet/owner", {"datasource": (await api.ok("POST", "/datasources", {"name": "a", "type": "coap"}))["id"]})  # fmt: skip
    assert "device" not in await api.ok("GET", "/configuration")


@inline
async def test_prune_and_a_state_are_of_whole_documents_only(connect: Any) -> None:
    api = connect()
    assert (await api("POST", "/apply?prune=true", {})).status == 422
    assert (await api("POST", "/apply", {}, headers={"If-Match": '"x"'})).status == 422


@inline
async def test_what_a_tenant_may_use_belongs_to_it_for_tokens_of_all(bench: Bench, connect: Any) -> None:
    everybody, north = connect("admin", tenant=ALL_TENANTS), connect("admin", tenant="north")
    await everybody.ok("PUT", "/tenants/north", {"limit": "5:1", "quota": {"devices": 7}})
    found = await everybody.ok("GET", "/configuration?tenant=north")
    assert found == {"tenant": [{"name": "north", "limit": "5:1", "quota": {"devices": 7}}]}
    assert await north.ok("GET", "/configuration") == {}
    found["tenant"][0]["limit"] = "9:1"
    for wrong in (await north("POST", "/apply", found), await north("POST", "/apply?whole=true", found)):
        assert (wrong.status, "token of all tenants" in wrong.json["detail"]) == (403, True)
    result = await everybody.ok("POST", "/apply?whole=true&prune=true&tenant=north", found)
    assert outcomes(result) == {"tenant north": "changed"}
    await north.ok("POST", "/apply?whole=true&prune=true", {"device-type": [{"name": "meters"}]})
    assert (await everybody.ok("GET", "/tenants/north"))["limit"] == "9:1", "nobody takes away his own limits"
    other = await everybody("POST", "/apply?whole=true&tenant=south", found)
    assert (other.status, "the document's own tenant, 'south'" in other.json["detail"]) == (422, True)
    await everybody.ok("DELETE", "/tenants/north")
    assert outcomes(await everybody.ok("POST", "/apply?whole=true&tenant=north", found)) == {
        "tenant north": "created"
    }
    assert (await everybody.ok("GET", "/tenants/north"))["quota"]["devices"] == 7

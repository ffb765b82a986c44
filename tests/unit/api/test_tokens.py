"""Who may make and delete which tokens."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted

from iotgw.api.auth import ALL_TENANTS
from iotgw.core.model import DEFAULT_TENANT


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


async def names(client: Any) -> set[str]:
    """The tokens that a client sees."""
    return {each["name"] for each in (await client.ok("GET", "/tokens"))["items"]}


@inline
async def test_a_token_belongs_to_the_tenant_that_it_was_made_for(bench: Any, connect: Any) -> None:
    root, acme = connect(), connect("admin", "acme")
    for path, value in (
        ("/tokens", {"name": "by body", "role": "viewer", "tenant": "acme"}),
        ("/tokens?tenant=acme", {"name": "by query", "role": "viewer"}),
    ):
        made = await root.ok("POST", path, value)
        assert made["tenant"] == bench.registry.get("token", made["id"]).tenant == "acme"
    assert {"by body", "by query"} <= await names(acme)
    assert (await acme("DELETE", "/tokens/by%20body")).status == 204
    noted = [(event.name, event.tenant, event.type) for event in bench.events.emitted]
    assert noted == [
        ("by body", "acme", "created"),
        ("by query", "acme", "created"),
        ("by body", "acme", "deleted"),
    ]


@inline
async def test_two_tenants_may_have_tokens_of_one_name(bench: Any, connect: Any) -> None:
    root, acme = connect(), connect("admin", "acme")
    mine = await acme.ok("POST", "/tokens", {"name": "app", "role": "viewer"})
    other = await root.ok("POST", "/tokens", {"name": "app", "role": "viewer", "tenant": "north"})
    assert (await acme("DELETE", f"/tokens/{other['id']}")).status == 404
    unclear = await root("DELETE", "/tokens/app")
    assert (unclear.status, "'acme', 'north'" in unclear.json["detail"]) == (409, True)
    assert (await root("DELETE", "/tokens/app?tenant=north")).status == 204
    assert (await root("DELETE", f"/tokens/{mine['id']}")).status == 204


@inline
async def test_a_token_for_two_tenants_at_once_is_refused(connect: Any) -> None:
    answer = await connect()(
        "POST", "/tokens?tenant=north", {"name": "x", "role": "viewer", "tenant": "acme"}
    )
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, "tenant")


@pytest.mark.parametrize("tenant", ["acme", ALL_TENANTS])
@inline
async def test_an_admin_of_one_tenant_makes_tokens_of_no_other(connect: Any, tenant: str) -> None:
    north = connect("admin", "north")
    answer = await north("POST", "/tokens", {"name": "x", "role": "viewer", "tenant": tenant})
    assert answer.status == 403
    assert (await north("POST", f"/tokens?tenant={tenant}", {"name": "x", "role": "viewer"})).status == 403


@inline
async def test_a_tenant_s_name_has_no_control_characters(connect: Any) -> None:
    answer = await connect()("POST", "/tokens", {"name": "x", "role": "viewer", "tenant": "a\x01"})
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, "tenant")


@inline
async def test_an_admin_of_one_tenant_neither_sees_nor_deletes_tokens_of_all(
    bench: Any, connect: Any
) -> None:
    connect()
    connect()
    local = connect("admin", DEFAULT_TENANT)
    (own,) = await names(local)
    for token in bench.registry.list("token"):  # which an older version kept as the default tenant's
        assert token.tenant == DEFAULT_TENANT
        if token.name != own:
            assert (await local("DELETE", f"/tokens/{token.id}")).status == 404
            assert (await local("DELETE", f"/tokens/{token.name}")).status == 404
    assert len(bench.registry.list("token")) == 3


@inline
async def test_an_admin_of_one_tenant_may_delete_the_last_of_its_own(connect: Any) -> None:
    connect()
    local = connect("admin", "acme")
    (own,) = await names(local)
    assert (await local("DELETE", f"/tokens/{own}")).status == 204


@inline
async def test_the_last_admin_token_of_all_tenants_stays_and_it_is_said_why(bench: Any, connect: Any) -> None:
    root = connect()
    (own,) = await names(root)
    for role, tenant in (("admin", "acme"), ("editor", ALL_TENANTS)):
        await root.ok("POST", "/tokens", {"name": role, "role": role, "tenant": tenant})
    soon = int(bench.clock.seconds() * 1000) + 1000
    await root.ok(
        "POST", "/tokens", {"name": "old", "role": "admin", "tenant": ALL_TENANTS, "expiresAt": soon}
    )
    bench.clock.advance(1)
    answer = await root("DELETE", f"/tokens/{own}")
    assert answer.status == 409
    assert "this is the last admin token of all tenants" in answer.json["detail"]
    await root.ok("POST", "/tokens", {"name": "next", "role": "admin", "tenant": ALL_TENANTS})
    assert (await root("DELETE", f"/tokens/{own}")).status == 204

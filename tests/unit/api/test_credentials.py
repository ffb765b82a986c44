"""Credentials and sessions over the API."""

from __future__ import annotations

from typing import Any

import pytest_twisted

from iotgw.core.errors import IotgwError

PSK = {"name": "meter", "identity": "urn:imei:1", "device": "meter-1", "secrets": [{"value": "hush-hush"}]}


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


@inline
async def test_a_secret_goes_in_and_never_comes_out(bench: Any, connect: Any) -> None:
    client = connect()
    made = await client("POST", "/credentials", PSK)
    assert (made.status, "hush" in made.text) == (201, False)
    assert made.json["secrets"][0]["value"] == "***"
    assert made.json["status"] == {"state": "active"}
    assert bench.registry.get("credential", "meter").body["secrets"][0]["value"].startswith("sealed:")
    patched = await client.ok("PATCH", "/credentials/meter", {"description": "edited"})
    assert patched["secrets"][0]["value"] == "***"
    stored = bench.registry.get("credential", "meter").body["secrets"][0]["value"]
    assert bench.registry.unseal(stored) == "hush-hush"


@inline
async def test_a_key_is_changed_without_a_gap(connect: Any) -> None:
    client = connect()
    made = await client.ok("POST", "/credentials", PSK)
    both = [*made["secrets"], {"value": "the-next-key", "notBefore": 5}]
    changed = await client.ok("PATCH", "/credentials/meter", {"secrets": both})
    assert [secret["value"] for secret in changed["secrets"]] == ["***", "***"]
    over = await client.ok("PATCH", "/credentials/meter", {"secrets": [{"value": "past", "notAfter": 5}]})
    assert over["status"] == {"state": "inactive"}


@inline
async def test_the_old_key_may_go_and_the_new_one_stay_by_its_mask(bench: Any, connect: Any) -> None:
    client = connect()
    both = [{"value": "the-old-key", "notAfter": 9_000_000_000_000}, {"value": "the-new-key"}]
    made = await client.ok("POST", "/credentials", {**PSK, "secrets": both})
    await client.ok("PATCH", "/credentials/meter", {"secrets": [made["secrets"][1]]})
    (kept,) = bench.registry.get("credential", "meter").body["secrets"]
    assert (bench.registry.unseal(kept["value"]), kept["notAfter"]) == ("the-new-key", None)


@inline
async def test_a_mask_of_an_unknown_secret_is_refused_and_says_so(connect: Any) -> None:
    client = connect()
    await client.ok("POST", "/credentials", PSK)
    for secret in ({"value": "***", "id": "gone"}, {"value": "***"}):
        answer = await client("PATCH", "/credentials/meter", {"secrets": [secret]})
        assert (answer.status, answer.json["errors"][0]["path"]) == (422, "secrets[0].id")
        assert "expected the id of a stored item" in answer.json["detail"]


@inline
async def test_a_kept_secret_must_fit_an_encoding_that_was_changed(connect: Any) -> None:
    client = connect()
    made = await client.ok("POST", "/credentials", PSK)
    changed = {**made["secrets"][0], "encoding": "hex"}
    answer = await client("PATCH", "/credentials/meter", {"secrets": [changed]})
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, "secrets[0].value")


@inline
async def test_a_credential_that_was_stored_without_ids_can_be_rotated(bench: Any, connect: Any) -> None:
    client = connect()
    seal = bench.registry.seal
    older = {
        "type": "psk",
        "identity": "i",
        "secrets": [{"value": seal("key-one")}, {"value": seal("key-two")}],
    }
    await bench.registry.create("credential", "default", "older", older)
    shown = await client.ok("GET", "/credentials/older")
    await client.ok("PATCH", "/credentials/older", {"secrets": [shown["secrets"][1]]})
    (kept,) = bench.registry.get("credential", "older").body["secrets"]
    assert (bench.registry.unseal(kept["value"]), kept["id"]) == ("key-two", shown["secrets"][1]["id"])


@inline
async def test_a_file_that_names_no_ids_changes_nothing_when_it_is_applied_again(connect: Any) -> None:
    client = connect()
    for outcome in ("created", "unchanged"):
        result = await client.ok("POST", "/apply", {"credential": [PSK]})
        assert [item["outcome"] for item in result["items"]] == [outcome]


@inline
async def test_what_was_listed_can_be_applied_with_the_old_key_taken_out(bench: Any, connect: Any) -> None:
    client = connect()
    both = [{"value": "the-old-key"}, {"value": "the-new-key", "notAfter": 9_000_000_000_000}]
    await client.ok("POST", "/credentials", {**PSK, "secrets": both})
    exported = (await client.ok("GET", "/credentials"))["items"]
    assert await outcomes(client, exported) == ["unchanged"]
    del exported[0]["secrets"][0]
    assert await outcomes(client, exported) == ["changed"]
    (kept,) = bench.registry.get("credential", "meter").body["secrets"]
    assert (bench.registry.unseal(kept["value"]), kept["notAfter"]) == ("the-new-key", 9_000_000_000_000)


async def outcomes(client: Any, credentials: list[dict[str, Any]]) -> list[str]:
    """What became of each credential that was applied."""
    result = await client.ok("POST", "/apply", {"credential": credentials})
    return [item["outcome"] for item in result["items"]]


@inline
async def test_wrong_credentials_are_refused_without_telling_the_secret(connect: Any) -> None:
    client = connect()
    await client.ok("POST", "/credentials", PSK)
    for change, path in [
        ({"secrets": [{"value": "abc"}]}, "secrets[0].value"),
        ({"secrets": [{"value": "zz-no-hex", "encoding": "hex"}]}, "secrets[0].value"),
        ({"secrets": [{"value": "***"}]}, "secrets[0].value"),
        ({"name": "other"}, "identity"),
    ]:
        answer = await client("POST", "/credentials", {**PSK, "identity": "new", "name": "new", **change}
                              if path != "identity" else {**PSK, **change})  # fmt: skip
        assert (answer.status, answer.json["errors"][0]["path"]) == (422, path), answer.text
        assert "zz-no" not in answer.text
    assert (await client("POST", "/credentials", {**PSK, "name": "n", "secrets": []})).status == 422


@inline
async def test_a_devices_credentials_stand_beneath_it(connect: Any) -> None:
    client = connect()
    made = await client.ok(
        "POST", "/devices/meter-1/credentials", {"identity": "i", "secrets": [{"value": "key1"}]}
    )
    assert (made["name"], made["device"]) == ("meter-1", "meter-1")
    assert [
        each["identity"] for each in (await client.ok("GET", "/devices/meter-1/credentials"))["items"]
    ] == ["i"]
    assert (await client.ok("GET", "/devices/other/credentials"))["items"] == []
    assert (await client("DELETE", "/credentials/meter-1")).status == 204


@inline
async def test_sessions_are_seen_and_ended(bench: Any, connect: Any) -> None:
    client = connect()
    id = (await client.ok("POST", "/datasources", {"name": "secure", "type": "coap"}))["id"]
    assert (await client("GET", "/datasources/secure/sessions")).status == 404
    bench.hold_session(id)
    assert (await client.ok("GET", "/datasources/secure/sessions"))["items"][0]["identity"] == "urn:imei:1"
    assert (await client("DELETE", "/datasources/secure/sessions/s1")).status == 204
    assert (await client("DELETE", "/datasources/secure/sessions/s2")).status == 404


@inline
async def test_a_credential_that_can_not_be_decrypted_is_not_called_active(bench: Any, connect: Any) -> None:
    client = connect()
    id = (await client.ok("POST", "/credentials", PSK))["id"]
    bench.credentials.unusable = {id: "was secret.key replaced?"}
    failed = {"state": "failed", "error": "its secrets must be entered again: was secret.key replaced?"}
    assert (await client.ok("GET", f"/credentials/{id}"))["status"] == failed
    (listed,) = (await client.ok("GET", "/devices/meter-1/credentials"))["items"]
    assert listed["status"] == failed
    said = [
        "1 credential of devices can't be used until the secrets are entered again: was secret.key replaced?"
    ]
    assert (await connect("").ok("GET", "/health/ready"))["faults"] == said
    assert (await client.ok("GET", "/status"))["faults"] == said
    assert "iotgw_credentials_unusable 1" in (await client("GET", "/metrics")).text


@inline
async def test_what_can_not_be_decrypted_is_refused_by_an_export_with_its_name(
    bench: Any, connect: Any, monkeypatch: Any
) -> None:
    client = connect()
    await client.ok("POST", "/credentials", PSK)
    await client.ok("POST", "/devices", {"name": "meter-1"})

    def unseal(text: str) -> str:
        raise IotgwError("was secret.key replaced?")

    monkeypatch.setattr(bench.registry, "unseal", unseal)
    refused = await client("GET", "/fleet/export-with-keys")
    assert refused.status == 409 and "'meter' must be entered again" in refused.json["detail"]

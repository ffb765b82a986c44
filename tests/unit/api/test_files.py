"""Files for devices, and firmware jobs, over the API."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest_twisted

from iotgw.core.ports.firmware import UpdateState

OCTETS = {"Content-Type": "application/octet-stream"}


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


@inline
async def test_a_file_is_uploaded_at_once_or_in_parts_and_removed(bench: Any, connect: Any) -> None:
    client = connect()
    answer = await client("PUT", "/files/app.bin", headers=OCTETS, data=b"abc")
    assert (answer.status, answer.json["sha256"]) == (201, hashlib.sha256(b"abc").hexdigest())
    begun = await client.ok("PUT", "/files/big.bin?size=6", headers=OCTETS, data=b"abc")
    assert (begun["received"], begun["sha256"]) == (3, "")
    whole = await client.ok("PATCH", "/files/big.bin?offset=3", headers=OCTETS, data=b"def")
    assert (whole["received"], bench.parts.files.contents[whole["id"]]) == (6, b"abcdef")
    assert [each["name"] for each in (await client.ok("GET", "/files"))["items"]] == ["app.bin", "big.bin"]
    assert await client.ok("GET", "/files/big.bin") == whole
    assert (await client("DELETE", "/files/big.bin")).status == 204
    assert (await client("GET", "/files/big.bin")).status == 404


@inline
async def test_what_is_no_part_of_a_file_is_refused(connect: Any) -> None:
    client = connect()
    await client.ok("PUT", "/files/app.bin?size=6", headers=OCTETS, data=b"abc")
    for method, path, headers, status in (
        ("PUT", "/files/app.bin", OCTETS, 409),
        ("PUT", "/files/empty.bin", OCTETS, 422),
        ("PUT", "/files/app2.bin", {"Content-Type": "application/json"}, 415),
        ("PATCH", "/files/app.bin?offset=2", OCTETS, 409),
        ("PATCH", "/files/none.bin?offset=0", OCTETS, 404),
        ("PUT", "/files/app3.bin?size=0", OCTETS, 422),
    ):
        data = b"" if "empty" in path else b"abcd"
        assert (await client(method, path, headers=headers, data=data)).status == status, path
    large = await client("PUT", "/files/large.bin", headers=OCTETS, data=bytes(80 << 10))
    assert large.status == 413
    assert (await connect("viewer")("PUT", "/files/x.bin", headers=OCTETS, data=b"x")).status == 403
    assert (await connect(tenant="north").ok("GET", "/files"))["items"] == []


@inline
async def test_devices_are_updated_as_a_job(bench: Any, connect: Any) -> None:
    client = connect()
    await client.ok("PUT", "/devices/kitchen", {})
    file = await client.ok("PUT", "/files/app.bin", headers=OCTETS, data=b"abc")
    body = {"file": "app.bin", "device": "kitchen", "method": "push"}
    job = await client.ok("POST", "/jobs", {"firmware": body})
    assert (job["kind"], job["what"]) == (
        "firmware",
        {"file": file["id"], "name": "app.bin", "device": "kitchen", "method": "push", "target": "firmware", "retries": 3, "within": 604800.0},
    )  # fmt: skip
    bench.parts.updates.states["default", job["id"]] = [
        UpdateState("a", "updated"), UpdateState("b", "transferring", sent=5, link="secret"),
    ]  # fmt: skip
    page = await client.ok("GET", f"/jobs/{job['id']}/devices?limit=1")
    assert ([each["device"] for each in page["items"]], page["next"]) == (["a"], "a")
    page = await client.ok("GET", f"/jobs/{job['id']}/devices?after=a")
    assert (page["items"][0]["sent"], page["next"], "link" in page["items"][0]) == (5, None, False)
    refused = await client("DELETE", "/files/app.bin")
    assert (refused.status, job["id"] in refused.json["detail"]) == (409, True)
    await client.ok("DELETE", f"/jobs/{job['id']}")
    assert (await client("DELETE", "/files/app.bin")).status == 204


@inline
async def test_a_firmware_job_names_a_whole_file_and_known_devices(connect: Any) -> None:
    client = connect()
    await client.ok("PUT", "/devices/kitchen", {})
    await client.ok("PUT", "/files/half.bin?size=6", headers=OCTETS, data=b"abc")
    await client.ok("PUT", "/files/app.bin", headers=OCTETS, data=b"abc")
    for body, status in (
        ({"file": "half.bin", "device": "kitchen"}, 422),
        ({"file": "none.bin", "device": "kitchen"}, 404),
        ({"file": "app.bin", "device": "nobody"}, 404),
        ({"file": "app.bin", "group": "noone-s"}, 404),
        ({"file": "app.bin"}, 422),
        ({"file": "app.bin", "device": "kitchen", "group": "north"}, 422),
        ({"file": "app.bin", "device": "kitchen", "method": "pigeon"}, 422),
        ({"file": "app.bin", "device": "kitchen", "within": 0}, 422),
    ):
        assert (await client("POST", "/jobs", {"firmware": body})).status == status, body

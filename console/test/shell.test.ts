import assert from "node:assert/strict";
import { test } from "node:test";
import { command } from "../src/core/shell";

test("a hostile name stays one word of the shell", () => {
  assert.equal(command(["devices", "$(reboot) it's"]), "iotgwctl devices '$(reboot) it'\\''s'");
});

test("options that aren't set are left out, and times are written out", () => {
  assert.equal(command(["messages"], { device: "a b", state: undefined, since: "1700000000000" }), "iotgwctl messages --device 'a b' --since 2023-11-14T22:13:20Z");
});

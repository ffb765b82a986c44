import assert from "node:assert/strict";
import { test } from "node:test";
import type { Datasource } from "../src/core/types";

Object.assign(globalThis, {
  location: new URL("http://gw.example/console/#/overview"),
  sessionStorage: { getItem: () => null },
});
const { addresses, trial } = await import("../src/core/trial");

const source = (converter: string, urls: string[], address = "tcp 0.0.0.0:5600") =>
  ({ name: "some meters", converter, status: { urls, address } }) as Datasource;

test("a path is at the gateway as this browser reaches it", () => {
  assert.deepEqual(addresses(source("", ["/i/key"])), ["http://gw.example/i/key"]);
  assert.deepEqual(addresses(source("", [])), ["tcp 0.0.0.0:5600"]);
});

test("a datasource of JSON is tried with a reading that its converter takes", () => {
  assert.equal(trial(source("json", ["/i/key"])), `curl -d '{"deviceName": "SN-001", "deviceType": "meter", "temperature": 21.3}' http://gw.example/i/key`);
});

test("one with a decoder is tried with bytes", () => {
  assert.equal(trial(source("oil", ["/i/key"])), `printf '\\001\\002\\003' | curl --data-binary @- http://gw.example/i/key`);
});

test("one of a platform has no command, since each has a form of its own", () => {
  assert.equal(trial({ ...source("json", ["/i/key"]), configuration: { preset: "ttn" } }), "");
  assert.notEqual(trial({ ...source("json", ["/i/key"]), configuration: { preset: "none" } }), "");
});

test("one that speaks no HTTP is tried by the client", () => {
  assert.equal(trial(source("oil", [])), "iotgwctl inject 'some meters' --hex 010203");
  assert.match(trial(source("json", [])), /^iotgwctl inject 'some meters' --text '\{"deviceName"/);
});

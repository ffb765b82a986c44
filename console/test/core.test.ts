import assert from "node:assert/strict";
import { test } from "node:test";
import { changes, lines } from "../src/core/diff";
import { tick } from "../src/core/format";
import { Rates } from "../src/core/rates";
import { href, parse } from "../src/core/router";
import { kindOf, ordered, Schemas, spoken } from "../src/core/schema";
import { EventReader } from "../src/core/sse";
import de from "../src/texts/de";
import en from "../src/texts/en";
import { translated } from "../src/texts/settings";

test("an address keeps names with slashes and percent signs, and its filters", () => {
  const link = href(["devices", "a/b%41 ü"], { tab: "values", key: "", limit: 5 });
  assert.equal(link, "#/devices/a%2Fb%2541%20%C3%BC?tab=values&limit=5");
  assert.deepEqual(parse(link), { path: ["devices", "a/b%41 ü"], query: { tab: "values", limit: "5" } });
});

test("a broken address is read all the same", () => {
  assert.deepEqual(parse("#/devices/%zz"), { path: ["devices", "%zz"], query: {} });
  assert.deepEqual(parse(""), { path: [], query: {} });
});

test("events come whole out of chunks that break anywhere", () => {
  const text = 'id: 1\nevent: message\ndata: {"a": 1}\n\n: still here\n\nevent: gap\ndata: {"missed": 3}\n\n';
  for (let cut = 1; cut < text.length; cut += 1) {
    const reader = new EventReader();
    const found = [...reader.feed(text.slice(0, cut)), ...reader.feed(text.slice(cut))];
    assert.deepEqual(found, [{ id: "1", event: "message", data: { a: 1 } }, { id: "", event: "gap", data: { missed: 3 } }]);
  }
});

test("lines that were added, removed and kept are told apart", () => {
  assert.deepEqual(lines("a\nb\nc", "a\nx\nc\nd").map((line) => `${line.kind[0]}${line.text}`), ["sa", "ob", "nx", "sc", "nd"]);
  assert.deepEqual(lines("same", "same").map((line) => line.kind), ["same"]);
});

test("a difference of values names its path", () => {
  assert.deepEqual(changes({ a: { b: 1, c: 2 } }, { a: { b: 1, c: 3, d: 4 } }), [{ path: "a.c", old: 2, now: 3 }, { path: "a.d", old: undefined, now: 4 }]);
  assert.deepEqual(changes({ a: [1] }, { a: [1] }), []);
});

test("a rate is that of the last seconds, and 0 where nothing changes", () => {
  const rates = new Rates();
  for (let second = 0; second <= 5; second += 1) rates.take({ at: second * 1000, datasources: [{ id: "a", received: second * 20 }], integrations: [] });
  assert.equal(rates.of("a", "received"), "20");
  for (let second = 6; second <= 20; second += 1) rates.take({ at: second * 1000, datasources: [], integrations: [] });
  assert.equal(rates.of("a", "received"), "0");
  assert.equal(rates.of("b", "received"), "0");
});

test("a schema's kinds are those that a form has controls for", () => {
  assert.equal(kindOf({ type: "string", format: "password" }), "secret");
  assert.equal(kindOf({ anyOf: [{ type: "number" }, { type: "null" }] }), "maybe");
  assert.equal(kindOf({ anyOf: [{ $ref: "#/a" }, { $ref: "#/b" }], discriminator: { propertyName: "type", mapping: {} } }), "variant");
  assert.equal(kindOf({ type: "object", additionalProperties: { type: "string" } }), "map");
  assert.equal(kindOf({ type: "array", items: { type: "string" } }), "texts");
  assert.equal(kindOf({}), "json");
});

test("what must be said comes first, what is advanced last", () => {
  const found = ordered({ required: ["url"], properties: { port: { type: "integer" }, url: { type: "string" }, pause: { type: "number", "x-advanced": true } } });
  assert.deepEqual(found, { first: ["url", "port"], advanced: ["pause"] });
});

test("the settings of a type are found", () => {
  const schemas = new Schemas({ Spec: { properties: { configuration: { "x-by-type": { tcp: "#/components/schemas/Tcp" } } } }, Tcp: { properties: { port: {} } } });
  assert.deepEqual(Object.keys(schemas.settings("Spec", "tcp").properties!), ["port"]);
  assert.deepEqual(schemas.settings("Spec", "udp"), {});
});

test("a field without a title is named by its words", () => {
  assert.equal(spoken("maxFrameLength"), "Max frame length");
});

test("English and German have the same texts, with the same places and forms", () => {
  const places = (text: string) => [...text.matchAll(/\{\w+\}/g)].map((found) => found[0]);
  for (const key of Object.keys(en) as (keyof typeof en)[]) {
    assert.deepEqual(new Set(places(de[key])), new Set(places(en[key])), key);
    assert.equal(de[key].split("|").length, en[key].split("|").length, key);
  }
  assert.deepEqual(Object.keys(de), Object.keys(en));
});

test("an axis says hours and minutes, seconds where they matter, and where a day begins", () => {
  const at = new Date(2026, 10, 30, 9, 5, 7).getTime();
  const midnight = new Date(2026, 10, 30).getTime();
  assert.equal(tick(at, 300_000), "09:05");
  assert.equal(tick(at, 1000), "09:05:07");
  assert.match(tick(midnight, 3_600_000), /30/);
  assert.match(tick(at, 86_400_000), /Nov/);
});

test("settings are told in another language, and what has no translation stays", () => {
  const host = { title: "Host", description: "The broker.", type: "string" };
  const schemas = { Settings: { title: "Host", properties: { host, port: { title: "Port", $ref: "#/components/schemas/Port" } } }, Port: { type: "integer" } };
  const texts = { titles: { Host: "Rechner" }, descriptions: { "The broker.": "Der Broker." } };
  assert.deepEqual(translated(schemas, texts), {
    Settings: { title: "Host", properties: { host: { ...host, title: "Rechner", description: "Der Broker." }, port: { title: "Port", $ref: "#/components/schemas/Port" } } },
    Port: { type: "integer" },
  });
  assert.equal(host.title, "Host");
});

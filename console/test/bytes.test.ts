import assert from "node:assert/strict";
import { test } from "node:test";
import { ascii, fromBase64, fromHex, numbers, rows, toHex } from "../src/core/bytes";

test("hexadecimal may have spaces, commas, colons and 0x in it", () => {
  assert.deepEqual([...fromHex("0x01, 0xFF:0a 7f")!], [1, 255, 10, 127]);
});

test("what is no hexadecimal is none", () => {
  assert.equal(fromHex("xyz"), null);
  assert.equal(fromHex("abc"), null);
  assert.deepEqual([...fromHex("")!], []);
});

test("bytes survive the way through base64 and hexadecimal", () => {
  assert.equal(toHex(fromBase64("AP8Q"), " "), "00 ff 10");
});

test("a row has sixteen bytes, the last one what is left", () => {
  const found = rows(new Uint8Array(20));
  assert.deepEqual(found.map((row) => [row.offset, row.bytes.length]), [[0, 16], [16, 4]]);
});

test("bytes are read as numbers in both orders, as far as they reach", () => {
  const found = Object.fromEntries(numbers(fromHex("ff 38 00 01")!, 0).map((each) => [each.as, [each.big, each.little]]));
  assert.deepEqual(found.int16, ["-200", "14591"]);
  assert.deepEqual(found.uint32, ["4281860097", "16791807"]);
  assert.equal("uint64" in found, false);
  assert.deepEqual(numbers(fromHex("00 00 80 3f")!, 0).find((each) => each.as === "float32")!.little, "1");
});

test("what can't be printed is a dot", () => {
  assert.equal([0x41, 0x00, 0x7f, 0xc3].map(ascii).join(""), "A···");
});

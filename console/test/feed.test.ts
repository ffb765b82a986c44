import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY, joined, KEPT_FRESH, released, taken } from "../src/core/feed";
import type { Row } from "../src/core/types";

const row = (id: string, state = "converted") => ({ id, state, receivedAt: 0, datasource: "", size: 0, head: "", devices: [], error: null }) satisfies Row;
const sent = (id: string, state?: string) => ({ id: "", event: "message", data: row(id, state) });
const ids = (rows: Row[]) => rows.map((each) => each.id).join("");

test("what comes goes on top, the newest first", () => {
  assert.equal(ids(taken({ ...EMPTY, rows: [row("a")] }, [sent("b"), sent("c")], false).rows), "cba");
});

test("while somebody reads, what comes is counted and nothing moves", () => {
  const feed = taken({ ...EMPTY, rows: [row("a")] }, [sent("b"), sent("c")], true);
  assert.equal(ids(feed.rows), "a");
  assert.equal(ids(feed.fresh), "cb");
  assert.equal(ids(released(feed).rows), "cba");
});

test("a message that is converted again changes where it stands", () => {
  const feed = taken({ ...EMPTY, rows: [row("b"), row("a", "failed")] }, [sent("a")], false);
  assert.equal(ids(feed.rows), "ba");
  assert.equal(feed.rows[1]!.state, "converted");
});

test("history goes below, and nothing is shown twice", () => {
  const feed = joined({ rows: [row("c"), row("b")], fresh: [row("d")], missed: 0 }, [row("d"), row("b"), row("a")]);
  assert.equal(ids(feed.rows), "cba");
});

test("a gap is counted, and so is what is too much to keep", () => {
  const gap = taken(EMPTY, [{ id: "", event: "gap", data: { missed: 812 } }], false);
  assert.equal(gap.missed, 812);
  const many = taken(EMPTY, Array.from({ length: KEPT_FRESH + 5 }, (_, i) => sent(String(i))), true);
  assert.equal(many.fresh.length, KEPT_FRESH);
  assert.equal(many.missed, 5);
});

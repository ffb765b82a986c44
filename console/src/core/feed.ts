// One list of what comes and what was: rows that arrive live go on top, older pages are added below. While one reads, what arrives only is counted.
import type { Row } from "./types";
import type { Sent } from "./sse";

export interface Feed {
  rows: Row[];
  fresh: Row[];
  missed: number;
}

export const EMPTY: Feed = { rows: [], fresh: [], missed: 0 };
export const KEPT_LIVE = 2000;
export const KEPT_FRESH = 1000;

// Takes what a stream sent. A message that is there already (it was converted again) is changed where it stands.
export function taken(feed: Feed, events: Sent[], reading: boolean): Feed {
  let { missed } = feed;
  const newest = new Map<string, Row>();
  for (const each of events) {
    if (each.event === "message") newest.set(each.data.id, each.data);
    else if (each.event === "gap") missed += each.data.missed ?? 0;
  }
  if (!newest.size) return missed === feed.missed ? feed : { ...feed, missed };
  const replaced = (rows: Row[]) => {
    const out = rows.map((row) => {
      const now = newest.get(row.id);
      if (now) newest.delete(row.id);
      return now ?? row;
    });
    return out;
  };
  const rows = replaced(feed.rows);
  const waiting = replaced(feed.fresh);
  const came = [...newest.values()].reverse();
  if (reading) {
    const fresh = [...came, ...waiting];
    return { rows, fresh: fresh.slice(0, KEPT_FRESH), missed: missed + Math.max(0, fresh.length - KEPT_FRESH) };
  }
  return { rows: [...came, ...waiting, ...rows].slice(0, Math.max(KEPT_LIVE, feed.rows.length)), fresh: [], missed };
}

export function released(feed: Feed): Feed {
  return { rows: [...feed.fresh, ...feed.rows], fresh: [], missed: feed.missed };
}

// A page of history below; rows that came live meanwhile are not shown twice.
export function joined(feed: Feed, older: Row[]): Feed {
  const there = new Set([...feed.rows, ...feed.fresh].map((row) => row.id));
  return { ...feed, rows: [...feed.rows, ...older.filter((row) => !there.has(row.id))] };
}

import assert from "node:assert/strict";
import { test } from "node:test";
import { around, asked, bar, bounded, distance, moved, nearer, NEAREST, pixel, project, reported, seen, spoken, unproject } from "../src/core/mercator";
import { smaller } from "../world.mjs";

const SIZE = { width: 900, height: 340 };
const ZURICH = { latitude: 47.3769, longitude: 8.5417 };
const near = (a: number, b: number, by = 1e-6) => assert.ok(Math.abs(a - b) <= by, `${a} is not ${b}`);

test("a place is where Web Mercator has it, and comes back", () => {
  // in metres, EPSG:3857's own unit
  const [x, y] = project(ZURICH);
  near((x - 0.5) * 40_075_016.68557849, 950_857.7, 0.1);
  near((0.5 - y) * 40_075_016.68557849, 6_003_812.2, 0.1);
  const back = unproject(x, y);
  near(back.latitude, ZURICH.latitude);
  near(back.longitude, ZURICH.longitude);
});

test("the poles stay in the picture", () => {
  for (const latitude of [90, -90]) near(project({ latitude, longitude: 0 })[1], latitude > 0 ? 0 : 1);
});

test("all places are seen in the view around them, also across the date line", () => {
  for (const spots of [
    [ZURICH],
    [ZURICH, { latitude: 48.1, longitude: 11.6 }],
    [{ latitude: -18, longitude: 178 }, { latitude: -14, longitude: -172 }],
    [{ latitude: 60, longitude: -179.9 }, { latitude: 61, longitude: 179.9 }],
    [{ latitude: 70, longitude: -150 }, { latitude: -40, longitude: 170 }],
  ]) {
    const view = around(spots, SIZE, 16);
    for (const spot of spots) {
      const [left, top] = pixel(view, SIZE, spot);
      assert.ok(left >= 0 && left <= SIZE.width && top >= 0 && top <= SIZE.height, `${left} ${top} ${view.zoom}`);
    }
  }
  const pacific = around([{ latitude: -18, longitude: 178 }, { latitude: -14, longitude: -172 }], SIZE, 16);
  assert.ok(pacific.zoom > 4, "the near way is over the date line");
});

test("what is under the pointer stays there when one comes nearer", () => {
  const view = around([ZURICH], SIZE, 6);
  const spot = { latitude: 48.1, longitude: 11.6 };
  const [left, top] = pixel(view, SIZE, spot);
  const [nowLeft, nowTop] = pixel(nearer(view, SIZE, 1.5, left, top), SIZE, spot);
  near(nowLeft, left, 1e-3);
  near(nowTop, top, 1e-3);
});

test("a view can be moved by pixels, and no farther than there is a world", () => {
  const view = around([ZURICH], SIZE, 6);
  const [left, top] = pixel(moved(view, SIZE, 30, -20), SIZE, ZURICH);
  near(left, SIZE.width / 2 + 30, 1e-3);
  near(top, SIZE.height / 2 - 20, 1e-3);
  const far = bounded({ x: 7.25, y: 9, zoom: 40 }, SIZE);
  near(far.x, 0.25);
  assert.ok(far.y < 1 && far.zoom === NEAREST);
  assert.ok(bounded({ x: 0, y: 0, zoom: -5 }, SIZE).zoom >= 0);
});

test("what is seen is asked for with a margin, and as the API has it", () => {
  const [south, west, north, east] = asked(seen(around([ZURICH], SIZE, 6), SIZE)).split(",").map(Number) as [number, number, number, number];
  assert.ok(south < 45 && north > 49 && west < 0 && east > 17, `${south} ${west} ${north} ${east}`);
  assert.deepEqual(asked({ south: -85, west: -180, north: 85, east: 180 }), "-90.00000,-180.00000,90.00000,180.00000");
  const across = asked({ south: -20, west: 170, north: -10, east: -175 }).split(",").map(Number) as [number, number, number, number];
  near(across[1], 168.5);
  near(across[3], -173.5);
});

test("distances and the bar are in metres of the Earth", () => {
  near(distance(ZURICH, { latitude: 48.1372, longitude: 11.5755 }) / 1000, 242, 2);
  near(distance({ latitude: 0, longitude: 179.5 }, { latitude: 0, longitude: -179.5 }) / 1000, 111.2, 0.1);
  const { metres, pixels } = bar(around([ZURICH], SIZE, 6), 140);
  assert.equal(metres, 200_000);
  assert.ok(pixels > 56 && pixels <= 140);
});

test("coordinates are said with their quarters", () => {
  assert.equal(spoken(ZURICH, ["N", "S"], ["E", "W"]), "47.3769° N, 8.5417° E");
  assert.equal(spoken({ latitude: -33.45, longitude: -70.6667 }, ["N", "S"], ["O", "W"]), "33.45° S, 70.6667° W");
});

test("a device that reports where it is is believed, unless it can't be", () => {
  const said = (values: Record<string, unknown>) => reported(Object.fromEntries(Object.entries(values).map(([key, value]) => [key, { ts: 5, value }])));
  for (const [latitude, longitude] of [["latitude", "longitude"], ["gps.latitude", "gps.longitude"], ["lat", "lon"], ["gps_lat", "gps_lng"], ["Latitude", "Longitude"]] as const)
    assert.deepEqual(said({ [latitude]: 47.5, [longitude]: -8.25 }), { latitude: 47.5, longitude: -8.25, ts: 5 });
  for (const values of [{ latitude: 47 }, { latitude: 91, longitude: 0 }, { latitude: "47", longitude: 8 }, { latitude: 0, longitude: 0 }, { flat: 1, lon: 2 }]) assert.equal(said(values), undefined);
});

test("the outlines are made smaller, and their ends still meet", () => {
  const atlas = {
    transform: { scale: [0.001, 0.001], translate: [-180, -90] },
    arcs: [[[180_000, 90_000], [1, 1], [1, 0], [1000, 0]], [[181_002, 90_001], [0, 500]]],
    objects: { countries: { geometries: [{ type: "Polygon", id: "756", arcs: [[0, 1]] }, { type: "MultiPolygon", arcs: [[[~0]]] }] } },
  };
  const made = smaller(atlas);
  const end = (arc: number[]) => [0, 1].map((axis) => arc.filter((_, i) => i % 2 === axis).reduce((sum, each) => sum + each, 0));
  assert.deepEqual(end(made.arcs[0]!), made.arcs[1]!.slice(0, 2));
  assert.equal(made.arcs[0]!.length, 4, "what falls together is one point");
  assert.deepEqual(made.countries, [{ id: "756", polygons: [[[0, 1]]] }, { id: "", polygons: [[[~0]]] }]);
});

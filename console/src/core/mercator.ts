// Where a place of the Earth is on a flat map, and back: Web Mercator (EPSG:3857), in which the world is a square from 0 to 1, its northwestern
// corner first.

export interface Spot {
  latitude: number;
  longitude: number;
}

// What is seen: the middle, and how near. The world is 256 · 2^zoom pixels wide.
export interface View {
  x: number;
  y: number;
  zoom: number;
}

export interface Size {
  width: number;
  height: number;
}

export interface Rectangle {
  south: number;
  west: number;
  north: number;
  east: number;
}

const POLE = 85.0511287798;
export const NEAREST = 18;
const RADIUS = 6_371_008.8;
const rad = (degrees: number) => (degrees * Math.PI) / 180;
const within = (value: number, least: number, most: number) => Math.min(most, Math.max(least, value));
const wrapped = (x: number) => ((x % 1) + 1) % 1;

// Pixels of the whole world.
export const extent = (zoom: number) => 256 * 2 ** zoom;

export function project({ latitude, longitude }: Spot): [x: number, y: number] {
  const sine = Math.sin(rad(within(latitude, -POLE, POLE)));
  return [longitude / 360 + 0.5, 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI)];
}

export function unproject(x: number, y: number): Spot {
  return { latitude: (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI, longitude: wrapped(x) * 360 - 180 };
}

// The view that can be had: not beyond the poles, nor nearer or farther than there is anything to see.
export function bounded(view: View, size: Size): View {
  const zoom = within(view.zoom, Math.max(0, Math.log2(size.height / 256)), NEAREST);
  const half = size.height / 2 / extent(zoom);
  return { x: wrapped(view.x), y: within(view.y, half, 1 - half), zoom };
}

// The view in which all of these are seen; `nearest` is for those that are close together.
export function around(spots: Spot[], size: Size, nearest: number): View {
  if (!spots.length) return bounded({ x: 0.5, y: 0.4, zoom: 1 }, size);
  const all = spots.map(project);
  const xs = all.map(([x]) => x).sort((a, b) => a - b);
  // the widest gap between two neighbours is what is left out: it may be across the date line or not
  let west = 0;
  let gap = xs[0]! + 1 - xs.at(-1)!;
  xs.forEach((x, i) => {
    if (i && x - xs[i - 1]! > gap) [gap, west] = [x - xs[i - 1]!, i];
  });
  const wide = 1 - gap;
  const ys = all.map(([, y]) => y);
  const [top, bottom] = [Math.min(...ys), Math.max(...ys)];
  const room = (pixels: number, part: number) => (part > 0 ? Math.log2((pixels - Math.min(96, pixels / 3)) / 256 / part) : nearest);
  const zoom = Math.min(nearest, room(size.width, wide), room(size.height, bottom - top));
  return bounded({ x: xs[west]! + wide / 2, y: (top + bottom) / 2, zoom }, size);
}

// Where in the window a place is; of its copies around the world, the one that is nearest to the middle.
export function pixel(view: View, size: Size, spot: Spot): [left: number, top: number] {
  const [x, y] = project(spot);
  const beside = x - view.x - Math.round(x - view.x);
  return [size.width / 2 + beside * extent(view.zoom), size.height / 2 + (y - view.y) * extent(view.zoom)];
}

export function moved(view: View, size: Size, left: number, top: number): View {
  return bounded({ ...view, x: view.x - left / extent(view.zoom), y: view.y - top / extent(view.zoom) }, size);
}

// Nearer by so many steps, while what is at this pixel stays there.
export function nearer(view: View, size: Size, steps: number, left = size.width / 2, top = size.height / 2): View {
  const { zoom } = bounded({ ...view, zoom: view.zoom + steps }, size);
  const change = 1 / extent(view.zoom) - 1 / extent(zoom);
  return bounded({ x: view.x + (left - size.width / 2) * change, y: view.y + (top - size.height / 2) * change, zoom }, size);
}

// What is seen, in degrees; across the date line its west is greater than its east.
export function seen(view: View, size: Size): Rectangle {
  const [wide, high] = [size.width / extent(view.zoom), size.height / extent(view.zoom)];
  const north = unproject(view.x - wide / 2, view.y - high / 2);
  const south = unproject(view.x + wide / 2, view.y + high / 2);
  return { south: south.latitude, west: wide < 1 ? north.longitude : -180, north: north.latitude, east: wide < 1 ? south.longitude : 180 };
}

// As the API takes it, with a margin of a tenth on each side: neighbours are there before one moves to them.
export function asked({ south, west, north, east }: Rectangle): string {
  const [high, wide] = [(north - south) / 10, (east - west + (west > east ? 360 : 0)) / 10];
  const turned = (degrees: number) => wrapped(degrees / 360 + 0.5) * 360 - 180;
  const sides = wide * 12 >= 360 ? [-180, 180] : [turned(west - wide), turned(east + wide)];
  return [within(south - high, -90, 90), sides[0]!, within(north + high, -90, 90), sides[1]!].map((each) => each.toFixed(5)).join(",");
}

// Metres between two places.
export function distance(a: Spot, b: Spot): number {
  const across = Math.sin(rad(b.longitude - a.longitude) / 2) ** 2 * Math.cos(rad(a.latitude)) * Math.cos(rad(b.latitude));
  return 2 * RADIUS * Math.asin(Math.min(1, Math.sqrt(Math.sin(rad(b.latitude - a.latitude) / 2) ** 2 + across)));
}

// A bar of 1, 2 or 5 times a power of ten metres, as long as fits into so many pixels.
export function bar(view: View, most: number): { metres: number; pixels: number } {
  const { latitude } = unproject(view.x, view.y);
  const metre = extent(view.zoom) / (2 * Math.PI * RADIUS * Math.cos(rad(latitude)));
  const ten = 10 ** Math.floor(Math.log10(most / metre));
  const metres = [5, 2, 1].map((each) => each * ten).find((each) => each * metre <= most) ?? ten;
  return { metres, pixels: metres * metre };
}

// 47.3769° N, 8.5417° E
export function spoken({ latitude, longitude }: Spot, north: [string, string], east: [string, string]): string {
  const degrees = (value: number) => `${Math.abs(Math.round(value * 1e5) / 1e5)}°`;
  return `${degrees(latitude)} ${north[latitude < 0 ? 1 : 0]}, ${degrees(longitude)} ${east[longitude < 0 ? 1 : 0]}`;
}

const NAMES: [RegExp, string][] = [[/latitude$/i, "longitude"], [/(^|[._])lat$/i, "lon"], [/(^|[._])lat$/i, "lng"]];

// Where a device's readings say that it is, if they do: `latitude` and `longitude`, `gps.lat` and `gps.lon`, and their kin.
export function reported(readings: Record<string, { ts: number; value: unknown }>): (Spot & { ts: number }) | undefined {
  const byName = new Map(Object.entries(readings).map(([key, reading]) => [key.toLowerCase(), reading]));
  for (const [key, reading] of byName)
    for (const [end, other] of NAMES) {
      const found = end.test(key) ? byName.get(key.replace(/(latitude|lat)$/, other)) : undefined;
      if (!found) continue;
      const [latitude, longitude] = [reading.value, found.value];
      if (typeof latitude !== "number" || typeof longitude !== "number" || Math.abs(latitude) > 90 || Math.abs(longitude) > 180) continue;
      if (latitude || longitude) return { latitude, longitude, ts: Math.min(reading.ts, found.ts) }; // 0, 0 is what a receiver says that knows nothing
    }
  return undefined;
}

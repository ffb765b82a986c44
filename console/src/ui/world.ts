// The land of the Earth, in a chunk of its own: only who looks at a map loads it. Drawn on a canvas, as what is seen of it changes with each move.
import atlas from "world-atlas/countries-50m.json";
import { extent, project, type Size, type View } from "../core/mercator";
import { language } from "../texts";

interface Line {
  points: Float64Array;
  west: number;
  east: number;
  north: number;
  south: number;
}

interface Country {
  name: string;
  polygons: Line[][];
  largest: Line;
}

export interface Ink {
  sea: string;
  land: string;
  coast: string;
  border: string;
  grid: string;
  text: string;
}

// Nearer than this the outlines would say more than they know.
const COARSE = 10;
const NAMED = [2.2, 8] as const;

function line(points: number[]): Line {
  const found: Line = { points: Float64Array.from(points), west: 9, east: -9, north: 9, south: -9 };
  for (let i = 0; i < points.length; i += 2) {
    found.west = Math.min(found.west, points[i]!);
    found.east = Math.max(found.east, points[i]!);
    found.north = Math.min(found.north, points[i + 1]!);
    found.south = Math.max(found.south, points[i + 1]!);
  }
  return found;
}

function projected(arc: number[]): number[] {
  const out: number[] = [];
  let longitude = 0;
  let latitude = 0;
  for (let i = 0; i < arc.length; i += 2) {
    longitude += arc[i]!;
    latitude += arc[i + 1]!;
    out.push(...project({ latitude: latitude / atlas.grain, longitude: longitude / atlas.grain }));
  }
  return out;
}

const area = (of: Line) => (of.east - of.west) * (of.south - of.north);

function names(): (id: string) => string {
  const regions = new Intl.DisplayNames(language, { type: "region" });
  return (id) => {
    const region = id && new Intl.Locale(`und-${id}`).region;
    return region && /^[A-Z]{2}$/.test(region) ? (regions.of(region) ?? "") : "";
  };
}

function read(): { countries: Country[]; coasts: Line[]; borders: Line[] } {
  const arcs = atlas.arcs.map(projected);
  const uses = arcs.map(() => 0);
  const called = names();
  const ring = (indices: number[]) => {
    const points: number[] = [];
    for (const index of indices) {
      const arc = arcs[index < 0 ? ~index : index]!;
      uses[index < 0 ? ~index : index]! += 1;
      if (index >= 0) points.push(...(points.length ? arc.slice(2) : arc));
      else for (let i = arc.length - (points.length ? 4 : 2); i >= 0; i -= 2) points.push(arc[i]!, arc[i + 1]!);
    }
    return line(points);
  };
  const countries = atlas.countries.map(({ id, polygons }) => {
    const found = polygons.map((rings) => rings.map(ring));
    return { name: called(id), polygons: found, largest: found.map((rings) => rings[0]!).reduce((a, b) => (area(b) > area(a) ? b : a)) };
  });
  const lines = arcs.map(line);
  return { countries, coasts: lines.filter((_, i) => uses[i] === 1), borders: lines.filter((_, i) => uses[i]! > 1) };
}

const { countries, coasts, borders } = read();

export function drawWorld(canvas: HTMLCanvasElement, view: View, size: Size, ink: Ink): void {
  const dense = devicePixelRatio || 1;
  if (canvas.width !== Math.round(size.width * dense) || canvas.height !== Math.round(size.height * dense)) {
    canvas.width = Math.round(size.width * dense);
    canvas.height = Math.round(size.height * dense);
  }
  const on = canvas.getContext("2d")!;
  on.setTransform(dense, 0, 0, dense, 0, 0);
  const isCoarse = view.zoom > COARSE;
  on.fillStyle = isCoarse ? ink.land : ink.sea;
  on.fillRect(0, 0, size.width, size.height);
  const scale = extent(view.zoom);
  const half = size.width / 2 / scale;
  if (!isCoarse)
    for (let turn = Math.floor(view.x - half); turn <= Math.floor(view.x + half); turn += 1) {
      const left = size.width / 2 - (view.x - turn) * scale;
      const top = size.height / 2 - view.y * scale;
      const isSeen = (each: Line) => left + each.east * scale > 0 && left + each.west * scale < size.width && top + each.south * scale > 0 && top + each.north * scale < size.height;
      const trace = ({ points }: Line) => {
        on.moveTo(left + points[0]! * scale, top + points[1]! * scale);
        for (let i = 2; i < points.length; i += 2) on.lineTo(left + points[i]! * scale, top + points[i + 1]! * scale);
      };
      const stroke = (lines: Line[], colour: string, width: number) => {
        on.beginPath();
        lines.filter(isSeen).forEach(trace);
        on.strokeStyle = colour;
        on.lineWidth = width;
        on.stroke();
      };
      on.beginPath();
      for (const { polygons } of countries) for (const rings of polygons) if (isSeen(rings[0]!)) rings.forEach(trace);
      on.fillStyle = ink.land;
      on.fill("evenodd");
      grid(on, view, size, ink.grid);
      on.lineJoin = "round";
      stroke(borders, ink.border, 1);
      stroke(coasts, ink.coast, 1);
      if (view.zoom >= NAMED[0] && view.zoom <= NAMED[1]) label(on, left, top, scale, size, ink);
    }
  else grid(on, view, size, ink.grid);
}

function label(on: CanvasRenderingContext2D, left: number, top: number, scale: number, size: Size, ink: Ink): void {
  on.font = "12px system-ui, sans-serif";
  on.textAlign = "center";
  on.textBaseline = "middle";
  on.fillStyle = ink.text;
  on.strokeStyle = ink.land;
  on.lineWidth = 3;
  for (const { name, largest } of countries) {
    const room = (largest.east - largest.west) * scale;
    if (!name || room < 40 || room > 4 * size.width) continue;
    const wide = on.measureText(name).width;
    if (wide > room * 0.9) continue;
    const [x, y] = [left + ((largest.west + largest.east) / 2) * scale, top + ((largest.north + largest.south) / 2) * scale];
    if (x < wide / 2 || x > size.width - wide / 2 || y < 8 || y > size.height - 8) continue;
    on.strokeText(name, x, y);
    on.fillText(name, x, y);
  }
}

// Lines of equal degrees, about a hundred pixels apart.
function grid(on: CanvasRenderingContext2D, view: View, size: Size, colour: string): void {
  const scale = extent(view.zoom);
  const wanted = (110 / scale) * 360;
  const ten = 10 ** Math.floor(Math.log10(wanted));
  const step = wanted > 45 ? 45 : [1, 2, 5, 10].map((each) => each * ten).find((each) => each >= wanted)!;
  const [west, east] = [-1, 1].map((side) => (view.x + (side * size.width) / 2 / scale - 0.5) * 360) as [number, number];
  on.beginPath();
  for (let degrees = Math.ceil(west / step) * step; degrees <= east; degrees += step) {
    const x = Math.round(size.width / 2 + (degrees / 360 + 0.5 - view.x) * scale) + 0.5;
    on.moveTo(x, 0);
    on.lineTo(x, size.height);
  }
  const latitude = (y: number) => (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI;
  const [south, north] = [1, -1].map((side) => latitude(view.y + (side * size.height) / 2 / scale)) as [number, number];
  for (let degrees = Math.ceil(south / step) * step; degrees <= north; degrees += step) {
    const y = Math.round(size.height / 2 + (project({ latitude: degrees, longitude: 0 })[1] - view.y) * scale) + 0.5;
    on.moveTo(0, y);
    on.lineTo(size.width, y);
  }
  on.strokeStyle = colour;
  on.lineWidth = 1;
  on.stroke();
}

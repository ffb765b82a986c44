// The outlines of countries for the console's map, from the npm package world-atlas (Natural Earth, 1:50 million), made small: degrees are
// rounded to hundredths, which is a kilometre, and only what is drawn is kept.
import { readFileSync } from "node:fs";

const GRAIN = 100;

// An arc is [x, y, dx, dy, dx, dy …] in hundredths of degrees; a country has its number (ISO 3166-1) and polygons of rings of arcs, where ~n is
// arc n backwards.
export function smaller({ arcs, transform, objects }) {
  const [scale, start] = [transform.scale, transform.translate];
  const line = (arc) => {
    const at = [0, 0], last = [0, 0], out = [];
    arc.forEach((step, i) => {
      const now = step.map((each, axis) => Math.round(((at[axis] += each) * scale[axis] + start[axis]) * GRAIN));
      if (i && i < arc.length - 1 && now[0] === last[0] && now[1] === last[1]) return;
      out.push(now[0] - last[0], now[1] - last[1]);
      [last[0], last[1]] = now;
    });
    return out;
  };
  return {
    grain: GRAIN,
    arcs: arcs.map(line),
    countries: objects.countries.geometries.map(({ id = "", type, arcs }) => ({ id, polygons: type === "Polygon" ? [arcs] : arcs })),
  };
}

export const world = {
  name: "world",
  setup(build) {
    build.onLoad({ filter: /world-atlas[\\/]countries-50m\.json$/ }, ({ path }) => ({
      contents: JSON.stringify(smaller(JSON.parse(readFileSync(path, "utf8")))),
      loader: "json",
    }));
  },
};

// What a map is drawn of: see world.mjs.
export interface World {
  grain: number;
  arcs: number[][];
  countries: { id: string; polygons: number[][][] }[];
}
export function smaller(atlas: object): World;

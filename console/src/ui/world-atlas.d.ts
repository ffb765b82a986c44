// The build makes this of the file: see world.mjs.
declare module "world-atlas/countries-50m.json" {
  const atlas: import("../../world.mjs").World;
  export default atlas;
}

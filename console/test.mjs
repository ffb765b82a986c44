// Runs test/*.test.ts: esbuild makes JavaScript of each, and node's own runner runs it.
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";

const here = import.meta.dirname;
const out = mkdtempSync(join(here, "node_modules", ".test-"));
const files = readdirSync(join(here, "test")).filter((name) => name.endsWith(".test.ts"));
try {
  await build({
    entryPoints: files.map((name) => join(here, "test", name)),
    bundle: true, format: "esm", platform: "node", outdir: out, outExtension: { ".js": ".mjs" },
    jsx: "automatic", jsxImportSource: "preact", sourcemap: "inline", logLevel: "warning",
  });
  const ran = spawnSync(process.execPath, ["--test", "--enable-source-maps", ...readdirSync(out).map((name) => join(out, name))], { stdio: "inherit" });
  process.exitCode = ran.status ?? 1;
} finally {
  rmSync(out, { recursive: true, force: true });
}

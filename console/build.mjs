// Builds the console: node build.mjs OUT. Names carry a hash of the content, each file has a .gz beside it, and
// THIRD-PARTY.txt has the licence of each package of which something is in the bundle.
import { build } from "esbuild";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { gzipSync } from "node:zlib";

const here = import.meta.dirname;

export const options = {
  absWorkingDir: here,
  entryPoints: { app: "src/main.tsx", style: "src/style/index.css" },
  bundle: true,
  format: "esm",
  splitting: true,
  target: ["es2022", "chrome120", "firefox121", "safari17.5"],
  jsx: "automatic",
  jsxImportSource: "preact",
  entryNames: "[name]-[hash]",
  chunkNames: "chunk-[hash]",
  legalComments: "none",
  metafile: true,
  define: { "process.env.NODE_ENV": '"production"' },
};

export function page(outputs) {
  const named = (kind) => basename(Object.keys(outputs).find((file) => outputs[file].entryPoint === kind));
  return readFileSync(join(here, "index.html"), "utf8")
    .replace("%APP%", named("src/main.tsx"))
    .replace("%STYLE%", named("src/style/index.css"));
}

function licences(inputs) {
  const names = new Set();
  for (const file of Object.keys(inputs)) {
    const found = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file);
    if (found) names.add(found[1]);
  }
  return [...names].sort().map((name) => {
    const folder = join(here, "node_modules", name);
    const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const file = readdirSync(folder).find((each) => /^(licen[cs]e|copying)/i.test(each));
    if (!file) throw new Error(`${name} has no file with its licence`);
    return `${name} ${about.version} (${about.license})\n\n${readFileSync(join(folder, file), "utf8").trim()}\n`;
  });
}

async function main(out) {
  const made = await build({ ...options, minify: true, outdir: out, write: false });
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const save = (name, content) => {
    writeFileSync(join(out, name), content);
    if (/\.(js|css|svg)$/.test(name)) writeFileSync(join(out, `${name}.gz`), gzipSync(content, { level: 9 }));
  };
  for (const file of made.outputFiles) save(basename(file.path), file.contents);
  save("index.html", page(made.metafile.outputs));
  save("icon.svg", readFileSync(join(here, "icon.svg")));
  const rule = `\n${"-".repeat(80)}\n\n`;
  const head = "The console of iotgw has parts of these packages in it.\n";
  save("THIRD-PARTY.txt", [head, ...licences(made.metafile.inputs)].join(rule));
  writeFileSync(join(out, "sizes.json"), JSON.stringify(sizes(made, out), null, 1) + "\n");
}

// What a browser loads: `shell` before the first page shows, and each file that is loaded later, in bytes of gzip.
function sizes(made, out) {
  const outputs = made.metafile.outputs;
  const length = (file) => gzipSync(made.outputFiles.find((each) => basename(each.path) === basename(file)).contents, { level: 9 }).length;
  const first = new Set();
  const follow = (file, into) => {
    if (into.has(file)) return;
    into.add(file);
    for (const each of outputs[file].imports) if (each.kind === "import-statement") follow(each.path, into);
  };
  const madeOf = (source) => Object.keys(outputs).find((file) => outputs[file].entryPoint === source);
  for (const each of ["src/main.tsx", "src/shell.tsx", "src/style/index.css"]) follow(madeOf(each), first);
  const total = (files) => [...files].reduce((sum, file) => sum + length(file), 0);
  const editor = new Set();
  follow(madeOf("src/ui/editor.ts"), editor);
  const chart = new Set();
  follow(madeOf("src/ui/uplot.ts"), chart);
  const beyond = (files) => [...files].filter((file) => !first.has(file));
  return { shell: total(first), editor: total(beyond(editor)), chart: total(beyond(chart)) };
}

if (process.argv[1] === import.meta.filename) await main(resolve(process.argv[2]));

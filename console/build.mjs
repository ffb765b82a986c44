// Builds the console: node build.mjs OUT. Names carry a hash of the content, each file has a .gz beside it, and
// THIRD-PARTY.txt has the licence of each package of which something is in the bundle.
import { build } from "esbuild";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { world } from "./world.mjs";

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
  plugins: [world],
  define: { "process.env.NODE_ENV": '"production"' },
};

const madeOf = (outputs, source) => Object.keys(outputs).find((file) => outputs[file].entryPoint === source);

// What a file needs, itself included, into a set.
function follow(outputs, file, into) {
  if (into.has(file)) return;
  into.add(file);
  for (const each of outputs[file].imports) if (each.kind === "import-statement") follow(outputs, each.path, into);
}

// The scripts of the frame and of the page that is shown first are named, so that a browser asks for all of them at once: by itself it learns of
// each when it has read the one that needs it. They are few: a request costs a slow browser more than the bytes in it.

export function page(outputs) {
  const first = new Set();
  follow(outputs, madeOf(outputs, "src/main.tsx"), first);
  const app = madeOf(outputs, "src/main.tsx");
  const ahead = [...first].filter((file) => file !== app).map((file) => `<link rel="modulepreload" href="${basename(file)}" />`);
  return readFileSync(join(here, "index.html"), "utf8")
    .replace("%AHEAD%", ahead.join("\n    "))
    .replace("%APP%", basename(app))
    .replace("%STYLE%", basename(madeOf(outputs, "src/style/index.css")));
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
  const needed = (...sources) => {
    const found = new Set();
    for (const each of sources) follow(outputs, madeOf(outputs, each), found);
    return found;
  };
  const first = needed("src/main.tsx", "src/style/index.css");
  const total = (files) => [...files].reduce((sum, file) => sum + length(file), 0);
  const editor = needed("src/ui/editor.ts"), chart = needed("src/ui/uplot.ts"), world = needed("src/ui/world.ts"), settings = needed("src/texts/settings.de.json");
  const beyond = (files) => [...files].filter((file) => !first.has(file));
  return { shell: total(first), editor: total(beyond(editor)), chart: total(beyond(chart)), world: total(beyond(world)), settings: total(beyond(settings)) };
}

if (process.argv[1] === import.meta.filename) await main(resolve(process.argv[2]));

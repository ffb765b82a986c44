// For whoever changes the console: node dev.mjs [GATEWAY]. Builds at each change, serves on port 8081, and passes the API on to a gateway.
import { context } from "esbuild";
import { createServer, request } from "node:http";
import { options, page } from "./build.mjs";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";

const gateway = new URL(process.argv[2] ?? "http://127.0.0.1:8080");
let built = { files: new Map(), html: "" };
const keep = {
  name: "keep",
  setup(build) {
    build.onEnd((result) => {
      if (result.errors.length) return;
      built = {
        files: new Map(result.outputFiles.map((file) => [basename(file.path), file.contents])),
        html: page(result.metafile.outputs),
      };
    });
  },
};
const watching = await context({ ...options, outdir: "out", write: false, sourcemap: "inline", plugins: [...options.plugins, keep] });
await watching.watch();
const types = { js: "text/javascript", css: "text/css", svg: "image/svg+xml" };
createServer((incoming, answer) => {
  const path = new URL(incoming.url, gateway).pathname;
  if (!path.startsWith("/console/")) {
    const onward = request(
      new URL(incoming.url, gateway),
      { method: incoming.method, headers: { ...incoming.headers, host: gateway.host } },
      (back) => {
        answer.writeHead(back.statusCode, back.headers);
        back.pipe(answer);
      },
    );
    onward.on("error", (error) => answer.writeHead(502).end(String(error)));
    incoming.pipe(onward);
    return;
  }
  const name = path.slice("/console/".length);
  const content = name === "icon.svg" ? readFileSync(join(import.meta.dirname, name)) : built.files.get(name);
  if (name && !content) return answer.writeHead(404).end();
  answer.setHeader("Content-Type", `${types[name.split(".").at(-1)] ?? "text/html"}; charset=utf-8`);
  answer.end(name ? content : built.html);
}).listen(8081, "127.0.0.1", () => console.log("http://127.0.0.1:8081/console/"));

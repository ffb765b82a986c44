// The console: who is there, the frame, and the page that the address names.
import { render } from "preact";
import { apply } from "./core/theme";
import { start } from "./core/router";
import { App } from "./shell";
import { load, preferred } from "./texts";

apply();
start();
await load(preferred());
render(<App />, document.getElementById("app")!);

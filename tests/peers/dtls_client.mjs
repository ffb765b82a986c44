// A device on node-dtls-client: sends one CoAP message (hex) and prints the answer (hex), or the error.
// Arguments: port, identity, key, suite, message, and how many times it sends it again, each after a line on its standard input.
import { createRequire } from "node:module";

const { dtls } = createRequire(import.meta.url)("node-dtls-client");
let [port, identity, key, suite, message, again] = process.argv.slice(2);
const socket = dtls.createSocket({
  type: "udp4",
  address: "127.0.0.1",
  port: Number(port),
  psk: { [identity]: key },
  ciphers: [suite],
  timeout: 3000,
});
let isOver = false;
const end = (text) => {
  if (isOver) return;
  isOver = true;
  console.log(text);
  if (text !== "closed") socket.close();
  setImmediate(() => process.exit());
};
socket.on("connected", () => socket.send(Buffer.from(message, "hex")));
socket.on("message", (answer) => {
  if (again === undefined) return end(answer.toString("hex"));
  console.log(answer.toString("hex"));
  if (again-- > 0) process.stdin.once("data", () => socket.send(Buffer.from(message, "hex")));
  else end("");
});
socket.on("close", () => end("closed"));
socket.on("error", (error) => end(`error: ${error.message}`));

// A device on node-dtls-client: sends one CoAP message (hex) and prints the answer (hex), or the error.
// Arguments: port, identity, key, suite, message.
import { createRequire } from "node:module";

const { dtls } = createRequire(import.meta.url)("node-dtls-client");
const [port, identity, key, suite, message] = process.argv.slice(2);
const socket = dtls.createSocket({
  type: "udp4",
  address: "127.0.0.1",
  port: Number(port),
  psk: { [identity]: key },
  ciphers: [suite],
  timeout: 3000,
});
const end = (text) => {
  console.log(text);
  socket.close();
  setImmediate(() => process.exit());
};
socket.on("connected", () => socket.send(Buffer.from(message, "hex")));
socket.on("message", (answer) => end(answer.toString("hex")));
socket.on("error", (error) => end(`error: ${error.message}`));

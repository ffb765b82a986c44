// What a datasource may be tried with: a reading as JSON where its converter takes that, else some bytes.
import { GATEWAY } from "./session";
import { command, quoted } from "./shell";
import { fromHex } from "./bytes";
import type { Datasource } from "./types";

const READING = '{"deviceName": "SN-001", "deviceType": "meter", "temperature": 21.3}';
const BYTES = "01 02 03";

// Where devices send to, as this browser reaches the gateway.
export function addresses(source: Datasource): string[] {
  const { urls, address } = source.status;
  return urls.length ? urls.map((each) => (each.startsWith("/") ? `${GATEWAY}${each}` : each)) : [address];
}

const isPlatform = (source: Datasource) => !["", "none", undefined].includes(source.configuration?.preset as string | undefined);

// What to send: text, or bytes as hexadecimal digits.
export function sample(source: Datasource): string {
  return isPlatform(source) ? "" : source.converter === "json" ? READING : BYTES;
}

// The command that sends it; none where a platform has a form of its own.
export function trial(source: Datasource): string {
  if (isPlatform(source)) return "";
  const said = sample(source), at = addresses(source)[0] ?? "";
  const bytes = fromHex(said);
  if (!/^https?:/.test(at)) return command(["inject", source.name], bytes ? { hex: said.replaceAll(" ", "") } : { text: said });
  // in octal: dash's printf knows no \x
  const octal = (byte: number) => `\\${byte.toString(8).padStart(3, "0")}`;
  return bytes ? `printf '${[...bytes].map(octal).join("")}' | curl --data-binary @- ${quoted(at)}` : `curl -d ${quoted(said)} ${quoted(at)}`;
}

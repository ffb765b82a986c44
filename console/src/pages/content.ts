import type { Downlink } from "../core/types";

// What is sent: a message for the downlink converter, a text, or bytes in hexadecimal.
export function content(each: Downlink): string {
  if (each.data === undefined) return JSON.stringify(each.msg);
  if (each.contentType !== "BINARY") return each.data;
  return [...atob(each.data)].map((byte) => byte.charCodeAt(0).toString(16).padStart(2, "0")).join(" ");
}

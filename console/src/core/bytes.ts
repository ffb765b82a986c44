// A message's bytes: out of base64 and hexadecimal, as rows of 16, and as the numbers that they may be.
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

export function toHex(bytes: Uint8Array, gap = ""): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(gap);
}

// The bytes of hexadecimal text, in which spaces, commas, colons and 0x may stand; null where it is none.
export function fromHex(text: string): Uint8Array<ArrayBuffer> | null {
  const bare = text.replace(/0x/gi, "").replace(/[\s,:;-]/g, "");
  if (bare.length % 2 || /[^0-9a-f]/i.test(bare)) return null;
  return Uint8Array.from(bare.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

export const ascii = (byte: number) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "·");

export interface Row {
  offset: number;
  bytes: number[];
}

export function rows(bytes: Uint8Array, width = 16): Row[] {
  const found: Row[] = [];
  for (let offset = 0; offset < bytes.length; offset += width)
    found.push({ offset, bytes: Array.from(bytes.subarray(offset, offset + width)) });
  return found;
}

export interface Reading {
  as: string;
  little: string;
  big: string;
}

// What the bytes from `start` on are as numbers, in both orders, as far as there are enough of them.
export function numbers(bytes: Uint8Array<ArrayBuffer>, start: number): Reading[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const left = bytes.length - start;
  const found: Reading[] = [];
  const add = (as: string, length: number, read: (little: boolean) => number | bigint) => {
    if (left >= length) found.push({ as, little: shown(read(true)), big: shown(read(false)) });
  };
  add("uint8", 1, () => view.getUint8(start));
  add("int8", 1, () => view.getInt8(start));
  add("uint16", 2, (little) => view.getUint16(start, little));
  add("int16", 2, (little) => view.getInt16(start, little));
  add("uint24", 3, (little) => (little ? view.getUint16(start, true) + view.getUint8(start + 2) * 65536 : view.getUint8(start) * 65536 + view.getUint16(start + 1)));
  add("uint32", 4, (little) => view.getUint32(start, little));
  add("int32", 4, (little) => view.getInt32(start, little));
  add("float32", 4, (little) => view.getFloat32(start, little));
  add("uint64", 8, (little) => view.getBigUint64(start, little));
  add("float64", 8, (little) => view.getFloat64(start, little));
  return found;
}

function shown(given: number | bigint): string {
  if (typeof given === "bigint" || Number.isInteger(given)) return String(given);
  return Number.isFinite(given) ? String(Number(given.toPrecision(7))) : String(given);
}

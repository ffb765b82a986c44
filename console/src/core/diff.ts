// What differs between two texts, line by line (the longest common subsequence), and between two JSON values, path by path.
export interface Line {
  kind: "same" | "old" | "new";
  text: string;
}

export function lines(old: string, now: string): Line[] {
  const a = old.split("\n");
  const b = now.split("\n");
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail += 1;
  const middle = between(a.slice(head, a.length - tail), b.slice(head, b.length - tail));
  const same = (text: string): Line => ({ kind: "same", text });
  return [...a.slice(0, head).map(same), ...middle, ...a.slice(a.length - tail).map(same)];
}

function between(a: string[], b: string[]): Line[] {
  if (a.length * b.length > 4_000_000) return [...a.map((text): Line => ({ kind: "old", text })), ...b.map((text): Line => ({ kind: "new", text }))];
  const wide = b.length + 1;
  const length = new Uint32Array((a.length + 1) * wide);
  for (let i = a.length - 1; i >= 0; i -= 1)
    for (let j = b.length - 1; j >= 0; j -= 1)
      length[i * wide + j] = a[i] === b[j] ? length[(i + 1) * wide + j + 1]! + 1 : Math.max(length[(i + 1) * wide + j]!, length[i * wide + j + 1]!);
  const found: Line[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      found.push({ kind: "same", text: a[i]! });
      i += 1;
      j += 1;
    } else if (j >= b.length || (i < a.length && length[(i + 1) * wide + j]! >= length[i * wide + j + 1]!)) {
      found.push({ kind: "old", text: a[i]! });
      i += 1;
    } else {
      found.push({ kind: "new", text: b[j]! });
      j += 1;
    }
  }
  return found;
}

export interface Change {
  path: string;
  old: unknown;
  now: unknown;
}

export function changes(old: unknown, now: unknown, path = ""): Change[] {
  if (JSON.stringify(old) === JSON.stringify(now)) return [];
  const isTree = (given: unknown): given is Record<string, unknown> => typeof given === "object" && given !== null;
  if (!isTree(old) || !isTree(now) || Array.isArray(old) !== Array.isArray(now)) return [{ path, old, now }];
  const keys = [...new Set([...Object.keys(old), ...Object.keys(now)])];
  return keys.flatMap((key) => changes(old[key], now[key], path ? `${path}.${key}` : key));
}

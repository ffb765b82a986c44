// Where one is: the part of the address behind "#". It names the page and holds every filter, so that any view can be sent to somebody.
import { signal } from "@preact/signals";

export interface Place {
  path: string[];
  query: Record<string, string>;
}

export function parse(hash: string): Place {
  const [path = "", query = ""] = hash.replace(/^#?\/?/, "").split("?", 2);
  return {
    path: path.split("/").filter(Boolean).map(decoded),
    query: Object.fromEntries(new URLSearchParams(query)),
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function href(path: string[], query: Record<string, string | number | undefined> = {}): string {
  const set = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  const text = new URLSearchParams(set.map(([name, value]) => [name, String(value)])).toString();
  return `#/${path.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}

export const place = signal<Place>({ path: [], query: {} });

export function go(path: string[], query: Record<string, string | number | undefined> = {}): void {
  location.hash = href(path, query);
}

// Change some filters; the page stays, and so does its place in the browser's history.
export function setQuery(changes: Record<string, string | number | undefined>): void {
  const { path, query } = place.peek();
  history.replaceState(null, "", href(path, { ...query, ...changes }));
  follow();
}

export function follow(): void {
  place.value = parse(location.hash);
}

export function start(): void {
  addEventListener("hashchange", follow);
  follow();
}

// Calls of the API. An error is a `Problem` with what the gateway says of it.
import { API, end, renew, session, tenant } from "./session";

export interface FieldProblem {
  path: string;
  problem: string;
  value?: unknown;
}

export class Problem extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly fields: FieldProblem[] = [],
    readonly reference = "",
  ) {
    super(message);
  }
}

export type Query = Record<string, string | number | boolean | undefined>;
type Json = Record<string, unknown> | unknown[];

export interface Extra {
  query?: Query;
  match?: number | string | undefined;
  signal?: AbortSignal | undefined;
  type?: string;
}

export function address(path: string, query: Query = {}): string {
  const set = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  if (tenant.peek() && !("tenant" in query) && !WHOLE.test(path)) set.push(["tenant", tenant.peek()]);
  const text = new URLSearchParams(set.map(([name, value]) => [name, String(value)])).toString();
  return `${API}${path}${text ? `?${text}` : ""}`;
}
// Operations that are about the whole gateway, and take no tenant.
const WHOLE = /^\/(openapi\.json|session|health|metrics|backups|resume|tenants|presets|library$|tokens\?)/;

export async function call<T>(method: string, path: string, body?: Json, extra: Extra = {}): Promise<T> {
  const headers: Record<string, string> = {};
  const is = session.peek();
  if (is) headers.Authorization = `Bearer ${is.session}`;
  if (body !== undefined) headers["Content-Type"] = extra.type ?? "application/json";
  if (extra.match !== undefined) headers["If-Match"] = `"${extra.match}"`;
  let answer: Response;
  try {
    const init: RequestInit = { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) };
    if (extra.signal) init.signal = extra.signal;
    answer = await fetch(address(path, extra.query), init);
  } catch (error) {
    if ((error as Error).name === "AbortError") throw error;
    throw new Problem(0, "");
  }
  if (answer.status === 204) return undefined as T;
  const text = await answer.text();
  let said: any = {};
  try {
    said = text ? JSON.parse(text) : {};
  } catch {
    said = { detail: text.slice(0, 200) };
  }
  if (answer.ok) {
    renew();
    return said as T;
  }
  if (answer.status === 401 && path !== "/session") end();
  throw new Problem(answer.status, said.detail ?? said.title ?? `HTTP ${answer.status}`, said.errors, said.reference);
}

export const get = <T>(path: string, query: Query = {}, signal?: AbortSignal) => call<T>("GET", path, undefined, { query, signal });
export const post = <T>(path: string, body?: Json, extra?: Extra) => call<T>("POST", path, body, extra);
export const put = <T>(path: string, body: Json, extra?: Extra) => call<T>("PUT", path, body, extra);
export const patch = <T>(path: string, body: Json, extra?: Extra) => call<T>("PATCH", path, body, extra);
export const del = <T>(path: string, extra?: Extra) => call<T>("DELETE", path, undefined, extra);
export const part = encodeURIComponent;

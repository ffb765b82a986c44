// Who one is. A token is changed for a session of the gateway, which is kept for as long as the tab is open, and renewed while somebody is there.
import { computed, signal } from "@preact/signals";

export interface Session {
  session: string;
  name: string;
  role: "admin" | "editor" | "viewer" | "network-server" | "downlink";
  tenant: string;
  expiresAt: number;
  endsAt: number;
}

const KEPT = "iotgw.session";
const TENANT = "iotgw.tenant";
const EARLY = 10 * 60_000;

export const session = signal<Session | null>(kept());
export const tenant = signal<string>(sessionStorage.getItem(TENANT) ?? "");
export const ended = signal(false);

export const mayWrite = computed(() => ["admin", "editor"].includes(session.value?.role ?? ""));
export const maySend = computed(() => ["admin", "editor", "downlink"].includes(session.value?.role ?? ""));
export const isAdmin = computed(() => session.value?.role === "admin");
export const seesAll = computed(() => session.value?.tenant === "*");

function kept(): Session | null {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  } catch {
    return null;
  }
}

export function setTenant(name: string): void {
  sessionStorage.setItem(TENANT, name);
  tenant.value = name;
}

function keep(found: Session | null): void {
  if (found) sessionStorage.setItem(KEPT, JSON.stringify(found));
  else sessionStorage.removeItem(KEPT);
  session.value = found;
}

// Where the gateway is for this browser, perhaps behind a proxy and below a path of its own.
export const GATEWAY = new URL("..", location.href.split("#")[0]).href.replace(/\/$/, "");
export const API = `${GATEWAY}/api/v1`;

// Changes a token, or the session itself, for a session. Throws what the gateway says.
export async function login(token: string): Promise<void> {
  const answer = await fetch(`${API}/session`, { method: "POST", headers: { Authorization: `Bearer ${token}` } });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(said.detail ?? said.title ?? `HTTP ${answer.status}`);
  keep(said);
  ended.value = false;
}

// Whether the session would soon end by itself; while somebody works it is renewed.
export function renew(now = Date.now()): void {
  const is = session.peek();
  if (!is?.expiresAt || is.expiresAt - now > 30 * 60_000 - EARLY || now > is.expiresAt || renewing) return;
  renewing = true;
  login(is.session)
    .catch(() => undefined)
    .finally(() => (renewing = false));
}
let renewing = false;

export function logout(): void {
  const is = session.peek();
  if (is) void fetch(`${API}/session`, { method: "DELETE", headers: { Authorization: `Bearer ${is.session}` } }).catch(() => undefined);
  keep(null);
}

// The gateway no longer takes it.
export function end(): void {
  if (session.peek()) ended.value = true;
  keep(null);
}

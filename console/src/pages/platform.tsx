// A platform that hands its messages on: how it proves itself, and what is to be entered on its side.
import { GATEWAY } from "../core/session";
import type { Datasource } from "../core/types";
import { t } from "../texts";
import { Copy, Field, Notice } from "../ui/basic";
import { Pairs } from "../ui/data";
import { marked } from "../ui/marked";

export interface SourcePreset {
  name: string;
  title: string;
  type: string;
  note: string;
  unverified: string;
  proof: string;
}

type Values = Record<string, unknown>;

// What is to be entered on the platform's side, by a datasource's name: made here, and never shown again once this page is left.
const secrets = new Map<string, Record<string, string>>();
export const show = (name: string, told: Record<string, string>) => secrets.set(name, told);

function secret(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(24));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
}

// The settings of a new datasource, with a secret that its platform is to send where nobody chose another proof; and what to enter there.
export function proved(preset: SourcePreset | undefined, settings: Values): { settings: Values; told: Record<string, string> } {
  if (!preset) return { settings, told: {} };
  const named = { preset: preset.name, ...settings };
  if (preset.type !== "http" || "security" in settings || "headersFilter" in settings || settings.secret) return { settings: named, told: {} };
  const made = secret();
  if (preset.proof === "basic") return { settings: { ...named, security: { mode: "basic", username: "platform", password: made } }, told: { [t("platform.user")]: "platform", [t("platform.password")]: made } };
  return { settings: { ...named, security: { mode: "bearer", token: made } }, told: { Authorization: `Bearer ${made}` } };
}

export function Signature({ value, change }: { value: Values; change: (value: Values) => void }) {
  return (
    <Field label={t("platform.key")} hint={t("platform.key.hint")}>
      <input type="password" autoComplete="new-password" value={String(value.secret ?? "")} onInput={(event) => change({ ...value, secret: event.currentTarget.value })} />
    </Field>
  );
}

export function Platform({ preset }: { preset: SourcePreset }) {
  return (
    <Notice kind="info">
      {preset.note ? <p>{marked(preset.note)}</p> : <p>{t("gallery.over", { what: preset.type.toUpperCase() })}</p>}
      {preset.unverified && <p>{t("preset.unverified", { what: preset.unverified })}</p>}
      {preset.type === "http" && preset.proof !== "signature" && <p>{t("platform.made")}</p>}
    </Notice>
  );
}

// Shown beside the address: what else the platform has to be told.
export function Setup({ source }: { source: Datasource }) {
  const told = secrets.get(source.name) ?? {};
  const { fields = {}, note = "" } = source.setup ?? {};
  const entries = [...Object.entries(told), ...Object.entries(fields).map(([name, text]): [string, string] => [name, text.replaceAll("{gateway}", GATEWAY)])];
  if (!entries.length && !note) return null;
  return (
    <Notice kind="info">
      <strong>{t("platform.side")}</strong>
      {note && <p>{marked(note)}</p>}
      {entries.length > 0 && <Pairs items={entries.map(([name, text]) => [name, <span class="address" key={name}><code>{text}</code> <Copy text={text} /></span>])} />}
      {Object.keys(told).length > 0 && <p>{t("platform.once")}</p>}
    </Notice>
  );
}

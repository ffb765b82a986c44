// The small parts of which pages are made.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Problem } from "../core/api";
import { duration, number, time, utc } from "../core/format";
import type { Loaded } from "../core/load";
import { tenant } from "../core/session";
import { quoted } from "../core/shell";
import { type Key, t, word } from "../texts";
import { Icon, type IconName } from "./icons";

interface PageProps {
  title: string;
  lead?: ComponentChildren;
  actions?: ComponentChildren;
  command?: string;
  back?: { href: string; text: string };
  wide?: boolean;
  children: ComponentChildren;
}

export function Page({ title, lead, actions, command, back, wide, children }: PageProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  const whole = tenant.value && tenant.value !== "default" ? `${command} --tenant ${quoted(tenant.value)}` : (command ?? "");
  useEffect(() => {
    document.title = `${title} · iotgw`;
  }, [title]);
  return (
    <article class={`page${wide ? " wide" : ""}`}>
      <header class="page-head">
        <div>
          {back && (
            <a class="back" href={back.href}>
              <Icon name="left" /> {back.text}
            </a>
          )}
          <h1 tabIndex={-1} ref={heading}>
            {title}
          </h1>
          {lead && <div class="lead">{lead}</div>}
        </div>
        {actions && <div class="actions">{actions}</div>}
      </header>
      {children}
      {command && (
        <footer class="command">
          <span>{t("command.same")}</span>
          <code>{whole}</code>
          <Copy text={whole} />
        </footer>
      )}
    </article>
  );
}

interface PanelProps<T> {
  title?: ComponentChildren;
  load: Loaded<T>;
  empty?: (data: T) => ComponentChildren | false;
  tools?: ComponentChildren;
  flush?: boolean;
  children: (data: T) => ComponentChildren;
}

// A box whose content is asked for: it says that it waits, what went wrong, or what to do where there is nothing.
export function Panel<T>({ title, load, empty, tools, flush, children }: PanelProps<T>) {
  const { data, error } = load;
  const nothing = data !== undefined && empty?.(data);
  return (
    <Box title={title} tools={tools} flush={flush} busy={load.loading && data === undefined}>
      {error && <Failed error={error} retry={load.reload} stale={data !== undefined} />}
      {data === undefined ? !error && <Skeleton /> : nothing || children(data)}
    </Box>
  );
}

export function Box({ title, tools, flush, busy, children }: { title?: ComponentChildren; tools?: ComponentChildren; flush?: boolean | undefined; busy?: boolean; children: ComponentChildren }) {
  return (
    <section class={`box${flush ? " flush" : ""}`} aria-busy={busy ?? false}>
      {(title || tools) && (
        <header class="box-head">
          {title && <h2>{title}</h2>}
          {tools && <div class="tools">{tools}</div>}
        </header>
      )}
      {children}
    </section>
  );
}

export function Skeleton() {
  return (
    <div class="skeleton" role="status">
      <span class="hidden">{t("loading")}</span>
      <i />
      <i />
      <i />
    </div>
  );
}

export function Failed({ error, retry, stale }: { error: Problem; retry?: () => void; stale?: boolean }) {
  return (
    <div class="notice bad" role="alert">
      <Icon name="warn" />
      <div>
        <strong>{error.status === 0 ? t("error.unreachable") : error.message}</strong>
        {error.status === 0 && <p>{t("error.unreachable.hint")}</p>}
        {error.fields.length > 1 && (
          <ul>
            {error.fields.map((each) => (
              <li key={each.path}>
                <code>{each.path}</code> {each.problem}
              </li>
            ))}
          </ul>
        )}
        {error.reference && <p>{t("error.reference", { reference: error.reference })}</p>}
        {stale && <p>{t("error.stale")}</p>}
      </div>
      {retry && (
        <button type="button" class="button" onClick={retry}>
          {t("again")}
        </button>
      )}
    </div>
  );
}

export function Empty({ icon = "quiet", title, children }: { icon?: IconName; title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <Icon name={icon} />
      <strong>{title}</strong>
      {children && <div>{children}</div>}
    </div>
  );
}

export function Notice({ kind = "info", children }: { kind?: "info" | "good" | "bad" | "warn"; children: ComponentChildren }) {
  return (
    <div class={`notice ${kind}`} role={kind === "bad" ? "alert" : "status"}>
      <Icon name={kind === "good" ? "check" : kind === "info" ? "info" : "warn"} />
      <div>{children}</div>
    </div>
  );
}

const LOOKS: Record<string, [string, IconName]> = {};
const look = (kind: string, icon: IconName, states: string) => states.split(" ").forEach((state) => (LOOKS[state] = [kind, icon]));
look("good", "check", "converted delivered running listening active connected done sent acknowledged successful ok good reporting released healthy");
look("bad", "cross", "failed failing dead unavailable refused error lost silent rejected expired timeout dropped");
look("warn", "clock", "retrying queued waiting inflight quarantine deleting paused opening connecting pending held low open");
look("calm", "dot", "filtered received disabled cancelled unwatched idle unknown created changed deleted stopped superseded");

export function State({ value, text }: { value: string; text?: string }) {
  const [kind, icon] = LOOKS[value.toLowerCase()] ?? ["calm", "dot" as IconName];
  return (
    <span class={`state ${kind}`}>
      <Icon name={icon} />
      {text ?? word(value)}
    </span>
  );
}

export function Time({ ms }: { ms: number | null | undefined }) {
  if (!ms) return <span class="dim">–</span>;
  return (
    <time dateTime={new Date(ms).toISOString()} title={utc(ms)}>
      {time(ms)}
    </time>
  );
}

// How long ago; counts on by itself.
export function Ago({ ms }: { ms: number | null | undefined }) {
  const now = useNow(ms && Date.now() - ms < 100_000 ? 1000 : 20_000);
  if (!ms) return <span class="dim">{t("never")}</span>;
  return (
    <time dateTime={new Date(ms).toISOString()} title={`${time(ms)} · ${utc(ms)}`}>
      {t("ago", { time: duration(Math.max(0, Math.round((now - ms) / 1000))) })}
    </time>
  );
}

export function useNow(every: number): number {
  const [now, tick] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => tick(Date.now()), every);
    return () => clearInterval(timer);
  }, [every]);
  return now;
}

// On a page that came over plain HTTP from another machine there is no clipboard: there the text is selected by hand.
export async function copy(text: string): Promise<boolean> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text).then(() => true, () => false);
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

export function Copy({ text, label }: { text: string; label?: string }) {
  const [done, say] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => say(false), 1500);
    return () => clearTimeout(timer);
  }, [done]);
  return (
    <button type="button" class="icon-button" title={label ?? t("copy")} onClick={() => void copy(text).then(say)}>
      <Icon name={done ? "check" : "copy"} />
      <span class="hidden">{done ? t("copied") : (label ?? t("copy"))}</span>
    </button>
  );
}

export function Field({ label, hint, problem, children }: { label: string; hint?: ComponentChildren; problem?: string | undefined; children: ComponentChildren }) {
  return (
    <div class="field">
      <label class="labelled">
        <span class="label">{label}</span>
        {children}
      </label>
      {problem && (
        <span class="problem" role="alert">
          {problem}
        </span>
      )}
      {hint && <span class="hint">{hint}</span>}
    </div>
  );
}

interface DialogProps {
  title: string;
  close: () => void;
  children: ComponentChildren;
  wide?: boolean;
}

export function Dialog({ title, close, children, wide }: DialogProps) {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    box.current?.showModal();
  }, []);
  return (
    <dialog ref={box} class={wide ? "wide" : ""} aria-label={title} onClose={close} onClick={(event) => event.target === box.current && box.current?.close()}>
      <div class="dialog-body">
        <header>
          <h2>{title}</h2>
          <button type="button" class="icon-button" onClick={() => box.current?.close()}>
            <Icon name="cross" />
            <span class="hidden">{t("close")}</span>
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}

// A button for which a role may be needed: where one may not, it says why.
export function Act({ may, onClick, children, kind = "", disabled, title }: { may: boolean; onClick: () => void; children: ComponentChildren; kind?: string; disabled?: boolean; title?: string }) {
  return (
    <button type={kind.includes("submit") ? "submit" : "button"} class={`button ${kind}`} disabled={!may || disabled} title={may ? title : t("may.not")} onClick={onClick}>
      {children}
    </button>
  );
}

export function Tabs({ label, now, items }: { label: string; now: string; items: { key: string; text: string; href: string; count?: number | undefined }[] }) {
  return (
    <nav class="tabs" aria-label={label}>
      {items.map((item) => (
        <a key={item.key} href={item.href} aria-current={item.key === now ? "page" : undefined}>
          {item.text}
          {item.count ? <span class="count">{number(item.count)}</span> : null}
        </a>
      ))}
    </nav>
  );
}

export const says = (key: Key) => t(key);

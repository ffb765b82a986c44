// The frame around every page: navigation, search, the keyboard, and the way in.
import { useEffect, useRef, useState } from "preact/hooks";
import { Dialog } from "./ui/basic";
import { Icon, type IconName } from "./ui/icons";
import { keys, listen, step, useKeys } from "./core/keys";
import { go, href, place } from "./core/router";
import { ended, logout, renew, seesAll, session, setTenant, tenant } from "./core/session";
import { useLoad } from "./core/load";
import { get } from "./core/api";
import { Login } from "./login";
import { Search } from "./search";
import { PageOf } from "./pages";
import { type Key, t } from "./texts";

const NAV: { title: Key; items: { page: IconName; text: Key; key: string; admin?: boolean }[] }[] = [
  {
    title: "nav.watch",
    items: [
      { page: "overview", text: "nav.overview", key: "o" },
      { page: "messages", text: "nav.messages", key: "m" },
      { page: "failures", text: "nav.failures", key: "f" },
      { page: "events", text: "nav.events", key: "e" },
    ],
  },
  {
    title: "nav.flow",
    items: [
      { page: "datasources", text: "nav.datasources", key: "s" },
      { page: "converters", text: "nav.converters", key: "c" },
      { page: "integrations", text: "nav.integrations", key: "i" },
    ],
  },
  {
    title: "nav.fleet",
    items: [
      { page: "devices", text: "nav.devices", key: "d" },
      { page: "downlinks", text: "nav.downlinks", key: "l" },
      { page: "credentials", text: "nav.credentials", key: "k" },
    ],
  },
  {
    title: "nav.gateway",
    items: [
      { page: "usage", text: "nav.usage", key: "u" },
      { page: "tokens", text: "nav.tokens", key: "t", admin: true },
      { page: "settings", text: "nav.settings", key: "," },
    ],
  },
];

export function App() {
  if (!session.value) return <Login ended={ended.value} />;
  return <Frame />;
}

function Frame() {
  const [open, setOpen] = useState(false);
  const [help, setHelp] = useState(false);
  const [search, setSearch] = useState(false);
  const main = useRef<HTMLElement>(null);
  const page = place.value.path[0] ?? "overview";
  const where = place.value.path.join("/") || page; // no path is the overview
  useEffect(listen, []);
  useEffect(() => {
    const awake = () => renew();
    addEventListener("pointerdown", awake);
    addEventListener("keydown", awake);
    return () => {
      removeEventListener("pointerdown", awake);
      removeEventListener("keydown", awake);
    };
  }, []);
  useKeys([
    ...NAV.flatMap((group) => group.items.map((item) => ({ key: `g ${item.key}`, says: t(item.text), run: () => go([item.page]) }))),
    { key: "/", says: t("keys.search"), run: () => setSearch(true) },
    { key: "?", says: t("keys.help"), run: () => setHelp(true) },
    { key: "j", says: t("keys.next"), run: () => step(1) },
    { key: "k", says: t("keys.previous"), run: () => step(-1) },
  ]);
  const first = useRef(true);
  useEffect(() => {
    setOpen(false);
    if (first.current) first.current = false;
    else {
      main.current?.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
      scrollTo(0, 0);
    }
  }, [where]);
  return (
    <div class="frame">
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        {t("skip")}
      </a>
      <header class="top">
        <button type="button" class="icon-button menu" aria-expanded={open} aria-controls="nav" onClick={() => setOpen(!open)}>
          <Icon name="menu" />
          <span class="hidden">{t("menu")}</span>
        </button>
        <a class="brand" href="#/overview">
          <svg viewBox="0 0 32 32" aria-hidden="true">
            <rect width="32" height="32" rx="7" />
            <path d="M6 10h6q4 0 4 6t4 6h6M6 22h6q4 0 4-6t4-6h6" />
          </svg>
          iotgw
        </a>
        <button type="button" class="search-button" onClick={() => setSearch(true)}>
          <Icon name="search" />
          <span>{t("search.hint")}</span>
          <kbd>/</kbd>
        </button>
        {seesAll.value && <Tenants />}
        <span class="who" title={t("who", { name: session.value?.name ?? "", role: session.value?.role ?? "" })}>
          {session.value?.name}
          <small>{session.value?.role}</small>
        </span>
        <button type="button" class="icon-button" onClick={logout} title={t("logout")}>
          <Icon name="out" />
          <span class="hidden">{t("logout")}</span>
        </button>
      </header>
      <nav id="nav" class={open ? "open" : ""} aria-label={t("nav.label")}>
        <div class="pages">
        {NAV.map((group) => (
          <div key={group.title}>
            <h2>{t(group.title)}</h2>
            {group.items.map((item) => (
              <a key={item.page} href={href([item.page])} aria-current={page === item.page ? "page" : undefined} title={`g ${item.key}`}>
                <Icon name={item.page} />
                {t(item.text)}
              </a>
            ))}
          </div>
        ))}
        <button type="button" class="link" onClick={() => setHelp(true)}>
          {t("keys.title")} <kbd>?</kbd>
        </button>
        </div>
      </nav>
      <main id="main" ref={main} tabIndex={-1}>
        <PageOf key={`${where}|${tenant.value}`} path={place.value.path} />
      </main>
      {search && <Search close={() => setSearch(false)} />}
      {help && (
        <Dialog title={t("keys.title")} close={() => setHelp(false)}>
          <dl class="keys">
            {keys.value.map((key) => (
              <div key={key.key}>
                <dt>
                  {key.key.split(" ").map((each) => (
                    <kbd key={each}>{each}</kbd>
                  ))}
                </dt>
                <dd>{key.says}</dd>
              </div>
            ))}
            <div>
              <dt>
                <kbd>Ctrl</kbd>
                <kbd>Enter</kbd>
              </dt>
              <dd>{t("keys.run")}</dd>
            </div>
            <div>
              <dt>
                <kbd>Esc</kbd>
                <kbd>Tab</kbd>
              </dt>
              <dd>{t("keys.leave")}</dd>
            </div>
          </dl>
        </Dialog>
      )}
    </div>
  );
}

function Tenants() {
  const load = useLoad((signal) => get<{ items: { name: string }[] }>("/tenants", {}, signal), []);
  const names = load.data?.items.map((each) => each.name) ?? [];
  if (names.length < 2) return null;
  return (
    <label class="tenant">
      <span class="hidden">{t("tenant")}</span>
      <select value={tenant.value || "default"} onChange={(event) => setTenant(event.currentTarget.value)}>
        {names.map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
    </label>
  );
}

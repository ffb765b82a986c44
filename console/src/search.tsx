// Find anything by its name or id.
import { useEffect, useState } from "preact/hooks";
import { get } from "./core/api";
import { go } from "./core/router";
import { useLoad } from "./core/load";
import { Dialog, Failed } from "./ui/basic";
import { t, word } from "./texts";

interface Found {
  kind: string;
  name: string;
  id: string;
  detail: string;
}

const PAGES: Record<string, string> = {
  message: "messages", device: "devices", datasource: "datasources", converter: "converters", integration: "integrations", credential: "credentials",
};

export function Search({ close }: { close: () => void }) {
  const [text, setText] = useState("");
  const [asked, setAsked] = useState("");
  const [at, setAt] = useState(0);
  useEffect(() => {
    const timer = setTimeout(() => {
      setAsked(text.trim());
      setAt(0);
    }, 150);
    return () => clearTimeout(timer);
  }, [text]);
  const load = useLoad<{ items: Found[] }>((signal) => (asked ? get("/search", { q: asked, limit: 8 }, signal) : Promise.resolve({ items: [] })), [asked]);
  const found = load.data?.items ?? [];
  const open = (each: Found | undefined) => {
    if (!each) return;
    close();
    const page = PAGES[each.kind];
    if (page) go([page, each.name]);
    else go(["devices"], each.kind === "device-group" ? { group: each.name } : { type: each.name });
  };
  const press = (event: KeyboardEvent) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by) {
      event.preventDefault();
      setAt(Math.min(found.length - 1, Math.max(0, at + by)));
    } else if (event.key === "Enter") {
      event.preventDefault();
      open(found[at]);
    }
  };
  return (
    <Dialog title={t("search")} close={close}>
      <input
        type="text" autoFocus role="combobox" aria-expanded={found.length > 0} aria-controls="found" aria-label={t("search.hint")}
        aria-activedescendant={found[at] ? `found-${at}` : undefined} placeholder={t("search.hint")} value={text} onInput={(event) => setText(event.currentTarget.value)} onKeyDown={press}
      />
      {load.error && <Failed error={load.error} />}
      <ul id="found" role="listbox" class="found" aria-label={t("search.found")}>
        {found.map((each, i) => (
          <li key={`${each.kind}${each.id}`} id={`found-${i}`} role="option" aria-selected={i === at} onClick={() => open(each)} onMouseMove={() => setAt(i)}>
            <span class="kind">{word(each.kind)}</span>
            <span class="name">{each.name}</span>
            <span class="dim">{each.detail}</span>
          </li>
        ))}
      </ul>
      {asked && load.data && !load.loading && !found.length && <p class="dim">{t("search.none", { text: asked })}</p>}
    </Dialog>
  );
}

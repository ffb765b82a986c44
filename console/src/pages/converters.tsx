// The converters that there are, and the library of those that come along.
import { useState } from "preact/hooks";
import { get, part, post, type Problem } from "../core/api";
import { useLoad } from "../core/load";
import { go, href, place, setQuery } from "../core/router";
import { mayWrite } from "../core/session";
import type { Converter, Datasource, List as Items } from "../core/types";
import { t } from "../texts";
import { Act, Ago, Empty, Failed, Page, Panel, Tabs } from "../ui/basic";
import { Icon } from "../ui/icons";
import { List } from "../ui/list";

interface Bundled {
  name: string;
  type: string;
  dialect: string;
  description?: string;
  script: string;
}

export function Converters() {
  const { query } = place.value;
  const tab = query.tab === "library" ? "library" : "own";
  return (
    <Page
      title={t("nav.converters")} command={tab === "own" ? "iotgwctl converters" : "iotgwctl converter library"}
      actions={
        <a class="button primary" href="#/converters/+new" aria-disabled={!mayWrite.value}>
          <Icon name="plus" /> {t("converter.new")}
        </a>
      }
    >
      <Tabs label={t("nav.converters")} now={tab} items={[{ key: "own", text: t("converters.own"), href: "#/converters" }, { key: "library", text: t("converters.library"), href: "#/converters?tab=library" }]} />
      {tab === "own" ? <Own /> : <Library />}
    </Page>
  );
}

function Own() {
  const load = useLoad((signal) => get<Items<Converter>>("/converters", { limit: 1000 }, signal), []);
  const sources = useLoad((signal) => get<Items<Datasource & { converters: Record<string, string>; downlinkConverter: string }>>("/datasources", { limit: 1000 }, signal), []);
  const users = (name: string) => sources.data?.items.filter((each) => each.converter === name || each.downlinkConverter === name || Object.values(each.converters).includes(name)).map((each) => each.name) ?? [];
  return (
    <Panel load={load} flush empty={(found) => !found.items.length && <Empty icon="converters" title={t("converters.none")}><a class="button" href="#/converters?tab=library">{t("converters.library")}</a></Empty>}>
      {(found) => (
        <List
          label={t("nav.converters")} items={found.items} id={(each) => each.id} link={(each) => href(["converters", each.name])}
          columns={[
            { key: "name", title: t("name"), width: "minmax(9rem,1.5fr)", cell: (each) => each.name, narrow: "main" },
            { key: "type", title: t("kind"), width: "7rem", cell: (each) => (each.type === "UPLINK" ? t("uplink") : t("downlink")), narrow: "side" },
            { key: "dialect", title: t("dialect"), width: "8rem", cell: (each) => `${each.dialect}`, narrow: "below" },
            { key: "used", title: t("used.by"), width: "minmax(8rem,1fr)", cell: (each) => users(each.name).join(", ") || <span class="dim">–</span>, narrow: "below" },
            { key: "tests", title: t("vectors"), width: "6rem", cell: (each) => each.tests.length || <span class="dim">–</span>, end: true },
            { key: "at", title: t("changed"), width: "8rem", cell: (each) => <Ago ms={each.updatedAt} /> },
          ]}
        />
      )}
    </Panel>
  );
}

function Library() {
  const { query } = place.value;
  const load = useLoad((signal) => get<{ items: Bundled[] }>("/library", { limit: 1000 }, signal), []);
  const [problem, setProblem] = useState<Problem>();
  const wanted = (query.text ?? "").toLowerCase();
  const about = (each: Bundled) => each.description || /^\/\/ ?(.*)/.exec(each.script)?.[1] || "";
  const install = (each: Bundled) => post<Converter>(`/library/${part(each.name)}/install`, {}).then((made) => go(["converters", made.name]), setProblem);
  return (
    <>
      <label class="filters">
        <span class="hidden">{t("search")}</span>
        <input type="search" placeholder={t("library.search")} value={query.text ?? ""} onInput={(event) => setQuery({ text: event.currentTarget.value })} />
      </label>
      {problem && <Failed error={problem} />}
      <Panel load={load} flush>
        {(found) => (
          <List
            label={t("converters.library")} items={found.items.filter((each) => `${each.name} ${about(each)}`.toLowerCase().includes(wanted))} id={(each) => each.name}
            columns={[
              { key: "name", title: t("name"), width: "minmax(10rem,1fr)", cell: (each) => each.name, narrow: "main" },
              { key: "about", title: t("description"), width: "minmax(12rem,2.4fr)", cell: (each) => about(each), narrow: "below" },
              { key: "do", title: "", width: "8rem", cell: (each) => <Act may={mayWrite.value} onClick={() => void install(each)}>{t("library.take")}</Act>, end: true, narrow: "side" },
            ]}
          />
        )}
      </Panel>
    </>
  );
}

// What was received, converted and delivered, by whom and when.
import { get } from "../core/api";
import { day, number, size } from "../core/format";
import { useLoad } from "../core/load";
import { place } from "../core/router";
import { command } from "../core/shell";
import { t } from "../texts";
import { Empty, Page, Panel } from "../ui/basic";
import { Chart } from "../ui/chart";
import { Filters } from "../ui/filters";
import { List } from "../ui/list";

interface Used {
  at: number;
  tenant: string;
  id: string;
  name: string;
  messages: number;
  bytes: number;
  errors: number;
  refused: number;
  deliveries: number;
  cpu: number;
}

export function Usage() {
  const { query } = place.value;
  const per = query.per ?? "datasource";
  const every = query.every ?? "all";
  const load = useLoad((signal) => get<{ items: Used[] }>("/usage", { per, every, since: query.since, until: query.until, limit: 2000 }, signal), [per, every, query.since, query.until]);
  const when = (ms: number) => (every === "hour" ? `${day(ms)} ${String(new Date(ms).getHours()).padStart(2, "0")}:00` : every === "day" ? new Date(ms).toISOString().slice(0, 10) : "");
  return (
    <Page title={t("nav.usage")} lead={t("usage.lead")} command={command(["usage"], { per, every, since: query.since, until: query.until })}>
      <Filters
        filters={[
          { name: "per", label: t("usage.per"), kind: "choice", choices: ["tenant", "datasource", "integration", "converter", "device"], any: t("usage.default") },
          { name: "every", label: t("usage.every"), kind: "choice", choices: ["hour", "day"], any: t("usage.all") },
          { name: "since", label: t("since"), kind: "time" },
          { name: "until", label: t("until"), kind: "time" },
        ]}
      />
      {every !== "all" && load.data && load.data.items.length > 1 && <Over items={load.data.items} />}
      <Panel load={load} flush empty={(found) => !found.items.length && <Empty icon="usage" title={t("usage.none")} />}>
        {(found) => (
          <List
            label={t("nav.usage")} items={found.items} id={(each) => `${each.at} ${each.tenant} ${each.id}`}
            columns={[
              { key: "name", title: t("name"), width: "minmax(9rem,1.5fr)", cell: (each) => each.name || each.tenant, narrow: "main" },
              ...(every === "all" ? [] : [{ key: "at", title: t("time"), width: "10rem", cell: (each: Used) => when(each.at), narrow: "below" as const }]),
              { key: "messages", title: t("nav.messages"), width: "7rem", cell: (each) => number(each.messages), end: true, narrow: "side" },
              { key: "bytes", title: t("size"), width: "6rem", cell: (each) => size(each.bytes), end: true, narrow: "below" },
              { key: "errors", title: t("overview.failed"), width: "7rem", cell: (each) => number(each.errors), end: true },
              { key: "refused", title: t("overview.refused"), width: "6rem", cell: (each) => number(each.refused), end: true },
              { key: "deliveries", title: t("deliveries"), width: "7rem", cell: (each) => number(each.deliveries), end: true, narrow: "below" },
              { key: "cpu", title: t("usage.cpu"), width: "6rem", cell: (each) => `${number(each.cpu, 2)} s`, end: true },
            ]}
          />
        )}
      </Panel>
    </Page>
  );
}

function Over({ items }: { items: Used[] }) {
  const times = [...new Set(items.map((each) => each.at))].sort((a, b) => a - b);
  const names = [...new Set(items.map((each) => each.name || each.tenant))].slice(0, 6);
  return <Chart label={t("usage.curve")} height={180} times={times} bands={names.map((name) => ({ label: name, values: times.map((at) => items.filter((each) => each.at === at && (each.name || each.tenant) === name).reduce((sum, each) => sum + each.messages, 0)) }))} />;
}

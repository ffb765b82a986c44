// What fails, in groups of one reason.
import { useEffect, useState } from "preact/hooks";
import { get } from "../core/api";
import { useLoad } from "../core/load";
import { href, place } from "../core/router";
import type { Group, List as Items, Saved } from "../core/types";
import { command } from "../core/shell";
import { t, word } from "../texts";
import { Ago, Empty, Page, Panel, Time } from "../ui/basic";
import { Filters } from "../ui/filters";
import { Icon } from "../ui/icons";

export function Failures() {
  const { query } = place.value;
  const asked = { kind: query.kind, datasource: query.datasource, device: query.device, since: query.since, until: query.until };
  const load = useLoad((signal) => get<Items<Group>>("/failures", asked, signal), [asked], 5000);
  const sources = useLoad((signal) => get<Items<Saved>>("/datasources", {}, signal), []);
  const [more, setMore] = useState<Group[]>([]);
  const [next, setNext] = useState<string | null>();
  useEffect(() => setMore([]), [JSON.stringify(asked)]);
  const onward = next === undefined || !more.length ? load.data?.next : next;
  const older = () =>
    get<Items<Group>>("/failures", { ...asked, before: onward ?? undefined }).then((page) => {
      setMore((was) => [...was, ...page.items]);
      setNext(page.next);
    });
  return (
    <Page title={t("nav.failures")} lead={t("failures.lead")} command={command(["failures"], asked)}>
      <Filters
        filters={[
          { name: "kind", label: t("kind"), kind: "choice", choices: ["conversion", "delivery", "refusal"] },
          { name: "datasource", label: t("datasource"), kind: "choice", choices: sources.data?.items.map((each) => each.name) ?? [] },
          { name: "device", label: t("device"), kind: "text" },
          { name: "since", label: t("since"), kind: "time" },
        ]}
      />
      <Panel load={load} flush empty={(found) => !found.items.length && !found.next && <Empty icon="check" title={t("failures.none")}>{t("failures.none.hint")}</Empty>}>
        {(found) => (
          <>
            <ul class="groups">
              {merged([...found.items, ...more]).map((group) => (
                <GroupRow key={group.id} group={group} />
              ))}
            </ul>
            <div class="list-end">
              {onward && (
                <button type="button" class="link" onClick={() => void older()}>
                  {t("older")}
                </button>
              )}
              {(found.lookedBackTo ?? 0) > 0 && (
                <span class="dim">
                  {t("looked.back")} <Time ms={found.lookedBackTo} />
                </span>
              )}
            </div>
          </>
        )}
      </Panel>
    </Page>
  );
}

// Groups of further pages with the same id belong together.
export function merged(groups: Group[]): Group[] {
  const found = new Map<string, Group>();
  for (const group of groups) {
    const was = found.get(group.id);
    found.set(
      group.id,
      was
        ? { ...was, count: was.count + group.count, first: Math.min(was.first, group.first), last: Math.max(was.last, group.last), datasources: [...new Set([...was.datasources, ...group.datasources])] }
        : group,
    );
  }
  return [...found.values()];
}

export function GroupRow({ group }: { group: Group }) {
  return (
    <li class="group" data-row>
      <span class={`kind ${group.kind}`}>
        <Icon name={group.kind === "conversion" ? "converters" : group.kind === "delivery" ? "integrations" : "tokens"} />
      </span>
      <div class="what">
        <a class="row-link" href={href(["failures", group.id])}>
          {group.pattern}
        </a>
        <span class="dim">
          {word(group.kind)} · {group.where}
          {group.version ? ` v${group.version}` : ""}
          {group.error.line ? ` · ${t("at.line", { line: group.error.line, column: group.error.column ?? 1 })}` : ""}
          {group.datasources.length > 0 && ` · ${group.datasources.join(", ")}`}
        </span>
      </div>
      <b class="number big">{group.count.toLocaleString()}</b>
      <span class="when">
        <Ago ms={group.last} />
      </span>
    </li>
  );
}

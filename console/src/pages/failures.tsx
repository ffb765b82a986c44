// What fails, in groups of one reason.
import { useEffect, useState } from "preact/hooks";
import { get } from "../core/api";
import { useLoad } from "../core/load";
import { place } from "../core/router";
import type { Group, List as Items, Saved } from "../core/types";
import { command } from "../core/shell";
import { t } from "../texts";
import { Empty, Page, Panel, Time } from "../ui/basic";
import { Filters } from "../ui/filters";
import { GroupRow, merged } from "../ui/groups";

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

// Long actions: how far they are, how what they did ended, and the way to end them.
import { useState } from "preact/hooks";
import { del, get, part, type Problem } from "../core/api";
import { number, time } from "../core/format";
import { useLoad } from "../core/load";
import { href } from "../core/router";
import { mayWrite } from "../core/session";
import type { Job, List as Items } from "../core/types";
import { command } from "../core/shell";
import { known, t, word } from "../texts";
import { Act, Ago, Empty, Failed, Page, Panel, State, Time } from "../ui/basic";
import { Pairs } from "../ui/data";
import { List } from "../ui/list";

export function Jobs() {
  const names = useNames();
  const load = useLoad((signal) => get<Items<Job>>("/jobs", {}, signal), [], 3000);
  return (
    <Page title={t("jobs")} lead={t("jobs.lead")} command="iotgwctl jobs">
      <Panel load={load} flush empty={(found) => !found.items.length && <Empty title={t("jobs.none")}>{t("jobs.none.hint")}</Empty>}>
        {(found) => (
          <List
            label={t("jobs")} items={found.items} id={(job) => job.id} link={(job) => href(["jobs", job.id])}
            columns={[
              { key: "kind", title: t("kind"), width: "9rem", cell: (job) => word(job.kind), narrow: "main" },
              { key: "state", title: t("state"), width: "8rem", cell: (job) => <State value={job.state} />, narrow: "side" },
              { key: "what", title: t("what"), width: "minmax(10rem,2fr)", cell: (job) => said(job.what, names), narrow: "below" },
              { key: "done", title: t("done"), width: "8rem", cell: (job) => `${number(job.done)} / ${job.total === null ? "…" : number(job.total)}`, end: true },
              { key: "at", title: t("started"), width: "8rem", cell: (job) => <Ago ms={job.createdAt} />, narrow: "below" },
            ]}
          />
        )}
      </Panel>
    </Page>
  );
}

// What a job is about, in words; things that it names by their ids have their names in `names`.
const said = (what: Record<string, unknown>, names: Record<string, string> = {}) =>
  Object.entries(what)
    .filter(([, given]) => given !== null && given !== "" && given !== 0)
    .map(([name, given]) => {
      const text = typeof given !== "string" ? (/since|until|before/i.test(name) ? time(given as number) : JSON.stringify(given)) : name === "state" ? word(given) : (names[given] ?? given);
      return `${known(name) ?? name}: ${text}`;
    })
    .join(" · ");

// The names of datasources and integrations, by their ids.
function useNames(): Record<string, string> {
  const load = useLoad((signal) => Promise.all(["/datasources", "/integrations"].map((path) => get<Items<{ id: string; name: string }>>(path, { limit: 1000 }, signal))), []);
  return Object.fromEntries((load.data ?? []).flatMap((page) => page.items.map((each) => [each.id, each.name])));
}

export function JobPage({ name: id }: { name: string }) {
  const [over, setOver] = useState(false);
  const load = useLoad((signal) => get<Job>(`/jobs/${part(id)}`, {}, signal), [id], over ? 0 : 700);
  const names = useNames();
  const job = load.data;
  const [problem, setProblem] = useState<Problem>();
  if (job && !over && !["waiting", "running"].includes(job.state)) setOver(true);
  const seeMessages = job?.kind === "reprocess";
  return (
    <Page
      title={job ? t("job.of", { kind: word(job.kind) }) : t("job")} back={{ href: "#/jobs", text: t("jobs") }} command={command(["job", "show", id])}
      lead={job && <><State value={job.state} /> {said(job.what, names)}</>}
      actions={job && !over && <Act may={mayWrite.value} onClick={() => void del(`/jobs/${part(id)}`).then(load.reload, setProblem)}>{t("cancel")}</Act>}
    >
      {problem && <Failed error={problem} />}
      <Panel load={load}>
        {(is) => (
          <>
            <progress max={is.total ?? undefined} value={is.total === null ? undefined : is.done} aria-label={t("progress")} />
            <p class="big" role="status">
              {is.total === null ? t("job.counting") : t("job.done", { done: is.done, total: is.total })}
            </p>
            {is.problem && <p class="error-text">{is.problem}</p>}
            <div class="tiles">
              {Object.entries(is.counts).map(([state, n]) => (
                <div class="tile" key={state}>
                  <b class="number">{number(n)}</b>
                  <State value={state} />
                </div>
              ))}
            </div>
            <Pairs
              items={[
                ...Object.entries(is.before).map(([name, n]): [string, string] => [t("job.before", { what: word(name) }), number(n)]),
                ...Object.entries(is.after).map(([name, n]): [string, string] => [t("job.after", { what: word(name) }), number(n)]),
                [t("started"), <Time key="s" ms={is.createdAt} />],
                [t("ended"), is.endedAt ? <Time key="e" ms={is.endedAt} /> : "–"],
                [t("by"), is.by],
              ]}
            />
            {seeMessages && over && (
              <p>
                <a class="button" href={href(["messages"])}>{t("nav.messages")}</a> <a class="button" href={href(["failures"])}>{t("nav.failures")}</a>
              </p>
            )}
            {is.kind === "retry" && over && typeof is.what.integration === "string" && (
              <a class="button" href={href(["integrations", is.what.integration])}>{is.what.integration}</a>
            )}
          </>
        )}
      </Panel>
    </Page>
  );
}

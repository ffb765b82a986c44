// What an integration gave up: by reason, with a sample's request and answer, to be sent again or dismissed together.
import { useState } from "preact/hooks";
import { call, get, part, post, type Problem } from "../core/api";
import { number } from "../core/format";
import { useLoad } from "../core/load";
import { go, href, place, setQuery } from "../core/router";
import { mayWrite } from "../core/session";
import type { Group, Job, List as Items, Message, Stats } from "../core/types";
import { t } from "../texts";
import { Act, Ago, Dialog, Empty, Failed, Field, Panel, Time } from "../ui/basic";
import { Json } from "../ui/data";
import { merged } from "../ui/groups";
import { List } from "../ui/list";

interface Letter {
  position: number;
  id: string;
  device: string;
  receivedAt: number;
  attempts: number;
  error: string;
  body: unknown;
}

export function DeadLetters({ name, stats }: { name: string; stats: Stats | undefined }) {
  const groups = useLoad((signal) => get<Items<Group>>("/failures", { kind: "delivery" }, signal), [name, stats?.dead]);
  const [problem, setProblem] = useState<Problem>();
  const [purge, setPurge] = useState(false);
  const retry = (more: Record<string, unknown>) => post<Job>("/jobs", { retry: { integration: name, ...more } }).then((job) => go(["jobs", job.id]), setProblem);
  const mine = (found: Items<Group>) => merged(found.items.filter((group) => group.where === name));
  return (
    <>
      {problem && <Failed error={problem} />}
      <Panel
        load={groups} title={t("dead.groups")}
        tools={
          stats && stats.dead > 0 ? (
            <>
              <Act may={mayWrite.value} kind="primary" onClick={() => void retry({})}>{t("dead.retry.all", { n: stats.dead })}</Act>
              <Act may={mayWrite.value} kind="danger" onClick={() => setPurge(true)}>{t("dead.dismiss")}</Act>
            </>
          ) : undefined
        }
        empty={(found) => !mine(found).length && <Empty icon="check" title={t("dead.none")}>{t("dead.none.hint")}</Empty>}
      >
        {(found) => mine(found).map((group) => <Reason key={group.id} group={group} retry={() => void retry({ group: group.id })} />)}
      </Panel>
      {stats && stats.dead > 0 && <Letters name={name} dead={stats.dead} />}
      {purge && <Purge name={name} n={stats?.dead ?? 0} close={() => setPurge(false)} />}
    </>
  );
}

function Reason({ group, retry }: { group: Group; retry: () => void }) {
  const sample = useLoad((signal) => get<Message>(`/messages/${part(group.sample)}`, {}, signal), [group.sample]);
  const delivery = sample.data?.deliveries.find((each) => each.integration === group.where);
  return (
    <div class="reason">
      <header>
        <code class="pattern">{group.pattern}</code>
        <b class="number big">{number(group.count)}</b>
        <Ago ms={group.last} />
        <Act may={mayWrite.value} kind="primary" onClick={retry}>{t("dead.retry", { n: group.count })}</Act>
      </header>
      <details>
        <summary>{t("dead.sample")}</summary>
        <div class="columns">
          <div>
            <h3>{t("dead.request")}</h3>
            {sample.data ? <Json data={sample.data.output} label={t("dead.request")} /> : sample.error ? <Failed error={sample.error} /> : null}
          </div>
          <div>
            <h3>{t("dead.answer")}</h3>
            <Json data={delivery?.error ?? group.error.message} label={t("dead.answer")} />
            <a href={href(["messages", group.sample])}>{t("message")} {group.sample}</a>
          </div>
        </div>
      </details>
    </div>
  );
}

function Letters({ name, dead }: { name: string; dead: number }) {
  const { query } = place.value;
  const load = useLoad((signal) => get<Items<Letter>>(`/integrations/${part(name)}/dead-letters`, { limit: 100, after: query.after }, signal), [name, query.after, dead]);
  return (
    <Panel load={load} flush title={t("dead.letters")} tools={load.data?.next ? <button type="button" class="link" onClick={() => setQuery({ after: load.data!.next! })}>{t("more")}</button> : undefined}>
      {(found) => (
        <List
          label={t("dead.letters")} items={found.items} id={(each) => String(each.position)} link={(each) => href(["messages", each.id])}
          columns={[
            { key: "at", title: t("time"), width: "9rem", cell: (each) => <Time ms={each.receivedAt} />, narrow: "below" },
            { key: "device", title: t("device"), width: "minmax(8rem,1fr)", cell: (each) => each.device, narrow: "main" },
            { key: "tries", title: t("tries"), width: "5rem", cell: (each) => each.attempts, end: true, narrow: "side" },
            { key: "error", title: t("answer"), width: "minmax(12rem,2.5fr)", cell: (each) => <span class="error-text">{each.error}</span>, narrow: "below" },
          ]}
        />
      )}
    </Panel>
  );
}

// What can't be undone wants the name typed.
function Purge({ name, n, close }: { name: string; n: number; close: () => void }) {
  const [typed, setTyped] = useState("");
  const [problem, setProblem] = useState<Problem>();
  const dismiss = (event: SubmitEvent) => {
    event.preventDefault();
    call("DELETE", `/integrations/${part(name)}/dead-letters`).then(close, setProblem);
  };
  return (
    <Dialog title={t("dead.dismiss")} close={close}>
      <form onSubmit={dismiss}>
        <p>{t("dead.dismiss.sure", { n })}</p>
        {problem && <Failed error={problem} />}
        <Field label={t("type.name", { name })}>
          <input value={typed} onInput={(event) => setTyped(event.currentTarget.value)} autoFocus spellcheck={false} />
        </Field>
        <p class="actions">
          <Act may={mayWrite.value} kind="danger submit" onClick={() => undefined} disabled={typed !== name}>
            {t("dead.dismiss")}
          </Act>
        </p>
      </form>
    </Dialog>
  );
}


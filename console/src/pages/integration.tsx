// One integration: its accounts, its backlog, what was given up, and its settings.
import { useState } from "preact/hooks";
import { del, get, part, post, type Problem } from "../core/api";
import { duration, number, size } from "../core/format";
import { useLoad } from "../core/load";
import { go, href, place } from "../core/router";
import { mayWrite } from "../core/session";
import type { Integration, Series, Stats } from "../core/types";
import { command } from "../core/shell";
import { t } from "../texts";
import { Act, Ago, Box, Empty, Failed, Notice, Page, Panel, State, Tabs, Time, useNow } from "../ui/basic";
import { Chart } from "../ui/chart";
import { Accounts, Json, Pairs, type Slice } from "../ui/data";
import { Icon } from "../ui/icons";
import { NAMES } from "./gallery";
import { DeadLetters } from "./dead_letters";
import { IntegrationSettings } from "./integration_settings";

export function IntegrationPage({ name }: { name: string }) {
  const { query } = place.value;
  const tab = query.tab ?? "queue";
  const load = useLoad((signal) => get<Integration>(`/integrations/${part(name)}`, {}, signal), [name], tab === "settings" ? 0 : 2000);
  const is = load.data;
  const at = href(["integrations", name]);
  const [problem, setProblem] = useState<Problem>();
  const [said, say] = useState<any>();
  const [busy, setBusy] = useState("");
  const act = (what: string) => {
    setBusy(what);
    setProblem(undefined);
    say(undefined);
    post<Record<string, unknown>>(`/integrations/${part(name)}/${what}`)
      .then((answer) => say({ what, answer }), setProblem)
      .finally(() => (setBusy(""), load.reload()));
  };
  // what waits for a target that doesn't take it can't be worked off
  const leave = ({ state, waiting }: Stats) => {
    const backlog = state === "running" ? "drain" : "drop";
    const sure = confirm(backlog === "drain" ? t("delete.drain", { name }) : waiting ? t("delete.drop", { name, n: waiting }) : t("delete.sure", { name }));
    if (sure) del(`/integrations/${part(name)}`, { query: { backlog } }).then(() => go(["integrations"]), setProblem);
  };
  return (
    <Page
      title={name} wide back={{ href: "#/integrations", text: t("nav.integrations") }} command={command(["integration", name, tab === "dead" ? "dead-letters" : "stats"])}
      lead={is && <><State value={is.status.state} /> {NAMES[is.type] ?? is.type} {is.description && <>· {is.description}</>}</>}
      actions={
        is && (
          <>
            <Act may={mayWrite.value} onClick={() => act("check")} disabled={busy !== ""}>
              <Icon name="check" /> {t("target.check")}
            </Act>
            <Act may={mayWrite.value} onClick={() => act("drain")} disabled={busy !== "" || !is.status.waiting} kind={is.status.state === "unavailable" ? "primary" : ""}>
              {t("target.now")}
            </Act>
            <Act may={mayWrite.value} onClick={() => act(is.status.state === "paused" ? "resume" : "pause")} disabled={busy !== ""}>
              <Icon name={is.status.state === "paused" ? "play" : "pause"} /> {is.status.state === "paused" ? t("target.resume") : t("target.pause")}
            </Act>
            <Act may={mayWrite.value} kind="danger" onClick={() => leave(is.status)}>
              {t("delete")}
            </Act>
          </>
        )
      }
    >
      <Tabs
        label={name} now={tab}
        items={[
          { key: "queue", text: t("target.queue"), href: at },
          { key: "dead", text: t("dead.letters"), href: `${at}?tab=dead`, count: is?.status.dead },
          { key: "try", text: t("target.try"), href: `${at}?tab=try` },
          { key: "settings", text: t("source.settings"), href: `${at}?tab=settings` },
        ]}
      />
      {problem && <Failed error={problem} />}
      {tab !== "queue" && !is && load.error && <Failed error={load.error} retry={load.reload} />}
      {said && <Said what={said.what} answer={said.answer} />}
      {tab === "queue" && (
        <>
          <Panel load={load} title={t("accounts")}>
            {(found) => <Queue name={name} stats={found.status} />}
          </Panel>
          <Backlog name={name} stats={is?.status} />
        </>
      )}
      {tab === "dead" && is && <DeadLetters name={name} stats={is.status} />}
      {tab === "try" && is && <Try name={name} />}
      {tab === "settings" && is && <IntegrationSettings target={is} saved={load.set} />}
    </Page>
  );
}

function Said({ what, answer }: { what: string; answer: Record<string, unknown> | undefined }) {
  if (what === "check") return <Notice kind={answer?.ok ? "good" : "bad"}>{answer?.ok ? t("target.reached") : String(answer?.detail ?? "")}</Notice>;
  return <Notice kind="good">{t("target.done")}</Notice>;
}

export function slices(name: string, stats: Stats): Slice[] {
  const dropped = Object.values(stats.dropped).reduce((sum, n) => sum + n, 0);
  const to = (outcome: string) => href(["messages"], { integration: name, outcome });
  return [
    { key: "delivered", count: stats.delivered, kind: "good", href: to("delivered") },
    { key: "inflight", count: stats.inflight, kind: "info", href: to("inflight") },
    { key: "waiting", count: stats.waiting, kind: "warn", href: to(stats.retrying ? "retrying" : "queued") },
    { key: "expired", count: stats.expired, kind: "calm", href: to("expired") },
    { key: "dead", count: stats.dead, kind: "bad", href: href(["integrations", name], { tab: "dead" }) },
    { key: "dropped", count: dropped, kind: "calm", href: to("dropped") },
  ];
}

function Queue({ name, stats }: { name: string; stats: Stats }) {
  return (
    <>
      <Accounts total={stats.queued} slices={slices(name, stats)} balanced={stats.balanced} />
      <Pairs
        items={[
          [t("target.next"), stats.retryIn !== null ? <Countdown key="n" seconds={stats.retryIn} /> : stats.state === "paused" ? t("target.notwhile") : <span key="n" class="dim">{t("target.nothing")}</span>],
          [t("overview.oldest"), stats.oldestAge !== null ? duration(stats.oldestAge) : "–"],
          [t("target.waiting"), `${number(stats.waiting)} · ${size(stats.waitingBytes)}`],
          [t("target.retrying"), number(stats.retrying)],
          [t("target.last"), <Ago key="l" ms={stats.lastDeliveredAt} />],
          [t("target.connection"), <span key="c"><State value={stats.target.state} /> {stats.target.connections > 0 && t("target.connections", { n: stats.target.connections })}</span>],
          ...(Object.keys(stats.dropped).length ? [[t("target.dropped"), Object.entries(stats.dropped).map(([why, n]) => `${n} ${why}`).join(", ")] as [string, any]] : []),
        ]}
      />
      {stats.lastError && (
        <Notice kind={stats.state === "unavailable" ? "bad" : "info"}>
          <strong>{stats.lastError}</strong>
          <p>
            {t("last.error")}: <Ago ms={stats.lastErrorAt} /> · <Time ms={stats.lastErrorAt} />
          </p>
        </Notice>
      )}
      {stats.warnings.map((each) => (
        <Notice kind="warn" key={each}>
          {each}
        </Notice>
      ))}
    </>
  );
}

function Countdown({ seconds }: { seconds: number }) {
  const [got, setGot] = useState({ seconds, at: Date.now() });
  const now = useNow(500);
  if (got.seconds !== seconds) setGot({ seconds, at: Date.now() });
  const left = Math.max(0, got.seconds - (now - got.at) / 1000);
  return (
    <b class="number" title={t("target.next")}>
      {left < 1 ? t("target.soon") : t("in", { time: duration(left) })}
    </b>
  );
}

// What waits over time, and how long it takes to work it off at the pace of the last minutes.
function Backlog({ name, stats }: { name: string; stats: Stats | undefined }) {
  const load = useLoad((signal) => get<Series>("/series", { kind: "integration", name, step: 60 }, signal), [name], 10_000);
  const recent = useLoad((signal) => get<Series>("/series", { kind: "integration", name, step: 10 }, signal), [name], 10_000);
  const points = recent.data?.items[0]?.points;
  const last = (key: string) => (points?.[key] ?? []).slice(-7).filter((each): each is number => each !== null);
  const out = last("delivered");
  const into = last("queued");
  const pace = out.length ? (out.reduce((a, b) => a + b, 0) - into.reduce((a, b) => a + b, 0)) / (out.length * 10) : 0;
  const series = load.data?.items[0];
  return (
    <Panel load={load} title={t("target.hour")} tools={stats && stats.waiting > 0 ? <span class="dim">{pace > 0 ? t("target.empty.in", { time: duration(stats.waiting / pace) }) : t("target.growing")}</span> : undefined}>
      {(found) =>
        series ? (
          <Chart
            label={t("target.hour")} height={200} times={(series.points.waiting ?? []).map((_, i) => found.since + i * found.step * 1000)}
            bands={[
              { label: t("overview.backlog"), values: series.points.waiting ?? [] },
              { label: t("target.in"), values: series.points.queued ?? [] },
              { label: t("overview.delivered"), values: series.points.delivered ?? [] },
            ]}
          />
        ) : (
          <Empty title={t("source.nothing")} />
        )
      }
    </Panel>
  );
}

function Try({ name }: { name: string }) {
  const [message, setMessage] = useState("");
  const [answer, setAnswer] = useState<unknown>();
  const [problem, setProblem] = useState<Problem>();
  const send = () => post(`/integrations/${part(name)}/test`, message ? { message } : {}).then((got) => (setAnswer(got), setProblem(undefined)), setProblem);
  return (
    <Box title={t("target.try")}>
      <p>{t("target.try.hint")}</p>
      <div class="inline-fields">
        <label class="field">
          <span class="label">{t("target.try.message")}</span>
          <input value={message} placeholder={t("target.try.sample")} onInput={(event) => setMessage(event.currentTarget.value.trim())} spellcheck={false} />
        </label>
        <Act may={mayWrite.value} kind="primary" onClick={() => void send()}>
          {t("target.try.send")}
        </Act>
      </div>
      {problem && <Failed error={problem} />}
      {answer !== undefined && <Json data={answer} label={t("answer")} />}
    </Box>
  );
}


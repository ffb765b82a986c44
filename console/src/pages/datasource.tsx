// One datasource: its counts, its settings, and the wait for its first message.
import { useState } from "preact/hooks";
import { del, get, part, patch, post, type Problem, put } from "../core/api";
import { number, time } from "../core/format";
import { useLoad } from "../core/load";
import { go, href, place } from "../core/router";
import { mayWrite } from "../core/session";
import { describe } from "../core/description";
import { Schemas } from "../core/schema";
import { useStream } from "../core/stream";
import type { Datasource, List as Items, Row, Series } from "../core/types";
import { fromHex } from "../core/bytes";
import { command } from "../core/shell";
import { addresses, sample, trial } from "../core/trial";
import { t } from "../texts";
import { Act, Box, Copy, Empty, Failed, Field, Notice, Page, Panel, State, Tabs } from "../ui/basic";
import { Chart } from "../ui/chart";
import { Form } from "../ui/form";
import { Icon } from "../ui/icons";
import { LinkState } from "../ui/link";
import { List } from "../ui/list";
import { located, NAMES, Platform, type SourcePreset } from "./gallery";
import { COLUMNS } from "./messages";

export function DatasourcePage({ name }: { name: string }) {
  const { query } = place.value;
  const tab = query.tab ?? "state";
  const load = useLoad((signal) => get<Datasource>(`/datasources/${part(name)}`, {}, signal), [name], tab === "settings" ? 0 : 3000);
  const is = load.data;
  const at = href(["datasources", name]);
  const [problem, setProblem] = useState<Problem>();
  const merge = (body: Record<string, unknown>) => patch<Datasource>(`/datasources/${part(name)}`, body, { type: "application/merge-patch+json" }).then(load.set, setProblem);
  const remove = (backlog: string) => del(`/datasources/${part(name)}`, { query: { backlog } }).then(() => go(["datasources"]), setProblem);
  return (
    <Page
      title={name} wide back={{ href: "#/datasources", text: t("nav.datasources") }} command={command([tab === "listen" ? "url" : "datasources", name])}
      lead={is && <><State value={is.status.state} /> {NAMES[is.type] ?? is.type} {is.description && <>· {is.description}</>}</>}
      actions={
        is && (
          <>
            <Act may={mayWrite.value} onClick={() => void merge({ enabled: !is.enabled })}>{is.enabled ? t("disable") : t("enable")}</Act>
            <Act may={mayWrite.value} kind="danger" onClick={() => confirm(t("delete.drain", { name })) && void remove("drain")}>{t("delete")}</Act>
          </>
        )
      }
    >
      <Tabs label={name} now={tab} items={(["state", "listen", "settings"] as const).map((key) => ({ key, text: t(`source.${key}`), href: key === "state" ? at : `${at}?tab=${key}` }))} />
      {problem && <Failed error={problem} />}
      {tab !== "state" && !is && load.error && <Failed error={load.error} retry={load.reload} />}
      {is?.status.error && <Notice kind="bad">{is.status.error}</Notice>}
      {tab === "state" && (
        <>
          <Panel load={load}>
            {(found) => (
              <div class="figures">
                {(["received", "converted", "filtered", "failed", "refused"] as const).map((key) => (
                  <a class={`figure ${key === "failed" && found.status.counts.failed ? "bad" : ""}`} key={key} href={key === "refused" ? href(["events"], { type: "refused", name }) : href(["messages"], { datasource: name, state: key === "received" ? undefined : key })}>
                    <b class="number">{number(found.status.counts[key])}</b>
                    <span>{t(`overview.${key}`)}</span>
                  </a>
                ))}
                {found.converter && (
                  <a class="figure" href={href(["converters", found.converter])}>
                    <b>{found.converter}</b>
                    <span>{t("converter")}</span>
                  </a>
                )}
              </div>
            )}
          </Panel>
          <Curve name={name} />
          <Newest name={name} />
        </>
      )}
      {tab === "listen" && is && <Listen source={is} />}
      {tab === "settings" && is && <Edit source={is} saved={load.set} />}
    </Page>
  );
}

function Curve({ name }: { name: string }) {
  const load = useLoad((signal) => get<Series>("/series", { kind: "datasource", name, step: 60 }, signal), [name], 15_000);
  const series = load.data?.items[0];
  return (
    <Panel load={load} title={t("source.hour")}>
      {(found) => (series ? <Chart label={t("source.hour")} height={160} times={(series.points.received ?? []).map((_, i) => found.since + i * found.step * 1000)} bands={["received", "failed"].map((key) => ({ label: t(`overview.${key as "received"}`), values: series.points[key] ?? [] }))} /> : <Empty title={t("source.nothing")} />)}
    </Panel>
  );
}

function Newest({ name }: { name: string }) {
  const load = useLoad((signal) => get<Items<Row>>("/messages", { datasource: name, view: "row", limit: 12 }, signal), [name], 4000);
  return (
    <Panel load={load} flush title={t("source.newest")} tools={<a href={href(["messages"], { datasource: name })}>{t("all")}</a>} empty={(page) => !page.items.length && <Empty icon="messages" title={t("source.nothing")}><a class="button" href={href(["datasources", name], { tab: "listen" })}>{t("source.listen")}</a></Empty>}>
      {(page) => <List label={t("source.newest")} columns={COLUMNS} items={page.items} id={(row) => row.id} link={(row) => href(["messages", row.id])} kind={(row) => row.state} />}
    </Panel>
  );
}

// Where devices send to, a command to try it, and the first message as it comes.
function Listen({ source }: { source: Datasource }) {
  const [rows, setRows] = useState<Row[]>([]);
  const [since] = useState(time(Date.now()).slice(0, 8));
  const [problem, setProblem] = useState<Problem>();
  const [said, say] = useState(sample(source));
  const link = useStream({ topics: "messages", datasource: source.name }, (events) => setRows((was) => [...events.filter((each) => each.event === "message").map((each) => each.data as Row).reverse(), ...was].slice(0, 20)));
  const tried = trial(source);
  const preset = source.configuration.preset as string | undefined;
  const inject = () => {
    const bytes = fromHex(said);
    const body = bytes ? { payload: btoa(String.fromCharCode(...bytes)) } : { text: said };
    post(`/datasources/${part(source.name)}/inject`, body).then(() => setProblem(undefined), setProblem);
  };
  return (
    <>
      <Box title={t("listen.address")}>
        {addresses(source).map((each) => (
          <p class="address" key={each}>
            <code>{each}</code> <Copy text={each} />
          </p>
        ))}
        {preset && preset !== "none" && <Preset name={preset} type={source.type} />}
        <h3>{t("listen.try")}</h3>
        <p class="address">
          <code>{tried}</code> <Copy text={tried} />
        </p>
        <div class="inline-fields">
          <Field label={t("listen.inject")} hint={t("listen.inject.hint")}>
            <input class="mono" value={said} onInput={(event) => say(event.currentTarget.value)} spellcheck={false} />
          </Field>
          <Act may={mayWrite.value} onClick={inject}>{t("listen.send")}</Act>
        </div>
        {problem && <Failed error={problem} />}
      </Box>
      <Box flush title={t("listen.wait")} tools={<LinkState link={link} live />}>
        {rows.length ? (
          <>
            {rows.some((row) => row.state === "failed") && (
              <Notice kind="warn">
                {t("listen.failed")}{" "}
                <a class="button" href={source.converter ? href(["converters", source.converter], { message: rows.find((row) => row.state === "failed")!.id }) : href(["messages", rows[0]!.id])}>
                  {t("message.fix")}
                </a>
              </Notice>
            )}
            <List label={t("listen.wait")} columns={COLUMNS} items={rows} id={(row) => row.id} link={(row) => href(["messages", row.id])} kind={(row) => row.state} />
          </>
        ) : (
          <div class="waiting">
            <i class="pulse big" aria-hidden="true" />
            <p role="status">{t("listen.waiting", { time: since })}</p>
            {!source.converter && <p class="dim">{t("listen.noconverter")}</p>}
          </div>
        )}
      </Box>
      {!source.converter && (
        <a class="button" href="#/converters/+new">
          <Icon name="plus" /> {t("converter.new")}
        </a>
      )}
    </>
  );
}

function Preset({ name, type }: { name: string; type: string }) {
  const load = useLoad((signal) => get<{ items: SourcePreset[] }>("/presets", {}, signal), []);
  const found = load.data?.items.find((each) => each.name === name && each.type === type);
  return found ? <Platform preset={found} /> : null;
}

const OWN = ["id", "tenant", "revision", "createdAt", "updatedAt", "status"];

function Edit({ source, saved }: { source: Datasource; saved: (now: Datasource) => void }) {
  const load = useLoad(() => describe(), []);
  const [spec, change] = useState<Record<string, unknown>>(() => Object.fromEntries(Object.entries(source).filter(([key]) => !OWN.includes(key))));
  const [problem, setProblem] = useState<Problem>();
  const [said, say] = useState("");
  const save = (event: SubmitEvent) => {
    event.preventDefault();
    say("");
    put<Datasource>(`/datasources/${part(source.name)}`, spec as Record<string, unknown>, { match: source.revision }).then((now) => {
      setProblem(undefined);
      say(t("saved.inforce"));
      saved(now);
    }, setProblem);
  };
  const problems = problem ? located(problem) : [];
  return (
    <Panel load={load}>
      {(description) => {
        const schemas = new Schemas(description.components.schemas);
        return (
          <form class="settings" onSubmit={save}>
            {problem && <Failed error={problem} />}
            {said && <Notice kind="good">{said}</Notice>}
            <h2>{NAMES[source.type] ?? source.type}</h2>
            <Form schemas={schemas} schema={schemas.settings("DatasourceSpec", source.type)} value={(spec.configuration ?? {}) as Record<string, unknown>} change={(configuration) => change({ ...spec, configuration })} path="configuration" problems={problems} />
            <h2>{t("new.more")}</h2>
            <Form schemas={schemas} schema={schemas.named("DatasourceSpec")} value={spec} change={change} problems={problems} without={["name", "type", "enabled", "configuration"]} />
            <p class="actions">
              <Act may={mayWrite.value} kind="primary submit" onClick={() => undefined}>{t("save")}</Act>
            </p>
          </form>
        );
      }}
    </Panel>
  );
}

// A converter: bytes, script and result side by side. It is tried while one types, run over history, and saved as a new version.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { get, part, patch, post, Problem } from "../core/api";
import { fromHex, toHex, fromBase64 } from "../core/bytes";
import { changes } from "../core/diff";
import { useKeys } from "../core/keys";
import { number } from "../core/format";
import { useLoad } from "../core/load";
import { go, href, place, setQuery } from "../core/router";
import { mayWrite } from "../core/session";
import type { Converter, List as Items, Message, Replayed, Row, Trial } from "../core/types";
import { command } from "../core/shell";
import { t } from "../texts";
import { Act, Ago, Dialog, Empty, Failed, Field, Notice, Page, Skeleton, State, Tabs } from "../ui/basic";
import { Changes, Json, Outputs } from "../ui/data";
import { Hex } from "../ui/hex";
import { Icon } from "../ui/icons";
import { Script } from "../ui/script";
import { Conflict, Reprocess, Vectors, Versions } from "./converter_more";

const SETTLED = 300;
const STARTER = `// payload: the bytes of a message; metadata: what else is known of it
function Decoder(payload, metadata) {
  return {
    deviceName: metadata.deviceName || "my-device",
    deviceType: "my-type",
    telemetry: {value: payload[0]}
  };
}
`;
const BLANK: Converter = { id: "", name: "", type: "UPLINK", revision: 0, description: "", createdAt: 0, updatedAt: 0, script: STARTER, dialect: "auto", engine: "auto", version: 0, tests: [], files: {} };

export function ConverterPage({ name }: { name: string }) {
  const isNew = name === "+new";
  const load = useLoad((signal) => (isNew ? Promise.resolve(BLANK) : get<Converter>(`/converters/${part(name)}`, {}, signal)), [name]);
  if (load.data === undefined)
    return (
      <Page title={isNew ? t("converter.new") : name} back={{ href: "#/converters", text: t("nav.converters") }}>
        {load.error ? <Failed error={load.error} retry={load.reload} /> : <Skeleton />}
      </Page>
    );
  return <Workbench saved={load.data} isNew={isNew} refresh={load.set} />;
}

function Workbench({ saved, isNew, refresh }: { saved: Converter; isNew: boolean; refresh: (now: Converter) => void }) {
  const { query } = place.value;
  const tab = query.tab ?? "edit";
  const [script, setScript] = useState(saved.script);
  const [turn, setTurn] = useState(0);
  const [name, setName] = useState("");
  const [type, setType] = useState(saved.type);
  const [told, tell] = useState("");
  const [tried, tries] = useState<Record<string, string>>({ hex: "0102" });
  const [problem, setProblem] = useState<Problem>();
  const [theirs, setTheirs] = useState<Converter>();
  const [check, setCheck] = useState(false);
  const [draftOf, setDraftOf] = useState(saved.revision);
  const changed = script !== saved.script;
  // something beside the script was saved: the draft is one of that revision from then on
  const took = (now: Converter) => {
    refresh(now);
    setDraftOf(now.revision);
  };
  const at = href(["converters", saved.name]);
  useEffect(() => {
    if (!changed) return;
    const warn = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener("beforeunload", warn);
    return () => removeEventListener("beforeunload", warn);
  }, [changed]);

  const save = async (force = false) => {
    setProblem(undefined);
    tell("");
    try {
      if (isNew) {
        const made = await post<Converter>("/converters", { name, type, script });
        go(["converters", made.name], query);
        return;
      }
      const now = await patch<Converter>(`/converters/${part(saved.name)}`, { script }, { match: force ? undefined : draftOf, type: "application/merge-patch+json" });
      refresh(now);
      setDraftOf(now.revision);
      setTheirs(undefined);
      tell(t("converter.saved"));
    } catch (error) {
      if (error instanceof Problem && error.status === 412) setTheirs(await get<Converter>(`/converters/${part(saved.name)}`));
      else setProblem(error as Problem);
    }
  };
  return (
    <Page
      title={isNew ? t("converter.new") : saved.name} wide back={{ href: "#/converters", text: t("nav.converters") }} command={isNew ? "iotgwctl create converter FILE" : tab === "edit" ? command(["try", saved.name], tried) : command(["converter", tab === "vectors" ? "test-suite" : "versions", saved.name])}
      lead={
        isNew ? null : (
          <>
            {[type === "UPLINK" ? t("uplink") : t("downlink"), saved.dialect, saved.engine].filter((each) => each !== "auto").join(" · ")}
            {changed && <State value="pending" text={t("converter.unsaved")} />}
          </>
        )
      }
      actions={
        tab === "edit" && (
          <>
            {!isNew && (
              <Act may={mayWrite.value} onClick={() => setCheck(true)} disabled={!changed} {...(!changed && { title: t("converter.unchanged") })}>
                <Icon name="clock" /> {t("converter.check")}
              </Act>
            )}
            <Act may={mayWrite.value} kind="primary" onClick={() => void save()} disabled={isNew ? !name : !changed}>
              {t("save")}
            </Act>
          </>
        )
      }
    >
      {!isNew && (
        <Tabs
          label={saved.name} now={tab}
          items={[
            { key: "edit", text: t("converter.edit"), href: href(["converters", saved.name], { ...query, tab: undefined }) },
            { key: "versions", text: t("versions"), href: `${at}?tab=versions` },
            { key: "vectors", text: t("vectors"), href: `${at}?tab=vectors`, count: saved.tests.length },
          ]}
        />
      )}
      {isNew && (
        <div class="inline-fields">
          <Field label={t("name")}>
            <input value={name} onInput={(event) => setName(event.currentTarget.value)} required autoFocus />
          </Field>
          <Field label={t("kind")}>
            <select value={type} onChange={(event) => setType(event.currentTarget.value)}>
              <option value="UPLINK">{t("uplink")}</option>
              <option value="DOWNLINK">{t("downlink")}</option>
            </select>
          </Field>
        </div>
      )}
      {problem && <Failed error={problem} />}
      {told && (
        <Notice kind="good">
          {told} {query.group && <Reprocess id={query.group} />}
        </Notice>
      )}
      {theirs && <Conflict mine={script} theirs={theirs} force={() => void save(true)} take={() => (setScript(theirs.script), setTurn(turn + 1), refresh(theirs), setDraftOf(theirs.revision), setTheirs(undefined))} />}
      {tab === "edit" && <Bench saved={saved} isNew={isNew} type={type} script={script} turn={turn} change={setScript} refresh={took} tries={tries} />}
      {tab === "versions" && <Versions name={saved.name} refresh={(now) => (took(now), setScript(now.script))} />}
      {tab === "vectors" && <Vectors saved={saved} refresh={took} />}
      {check && <History name={saved.name} script={script} close={() => setCheck(false)} />}
    </Page>
  );
}

type Input = { kind: "message"; message: Message } | { kind: "hex"; text: string } | { kind: "text"; text: string };

function Bench({ saved, isNew, type, script, turn, change, refresh, tries }: { saved: Converter; isNew: boolean; type: string; script: string; turn: number; change: (text: string) => void; refresh: (now: Converter) => void; tries: (what: Record<string, string>) => void }) {
  const { query } = place.value;
  const samples = useLoad(
    (signal) => (query.group ? get<Items<Row>>("/messages", { group: query.group, view: "row", limit: 50 }, signal) : isNew ? Promise.resolve({ items: [], next: null }) : ofConverter(saved, signal)),
    [query.group, saved.name],
  );
  const list = samples.data?.items ?? [];
  const chosen = query.message ?? (query.input ? undefined : list[0]?.id);
  const message = useLoad<Message | null>((signal) => (chosen ? get<Message>(`/messages/${part(chosen)}`, {}, signal) : Promise.resolve(null)), [chosen]);
  const [typed, setTyped] = useState(query.hex ?? "");
  const input: Input | null = query.input === "hex" || query.input === "text" ? { kind: query.input, text: typed } : message.data ? { kind: "message", message: message.data } : null;
  const [trial, setTrial] = useState<Trial>();
  const [problem, setProblem] = useState<Problem>();
  const [busy, setBusy] = useState(false);
  const [kept, keep] = useState("");
  const latest = useRef(0);

  const bytes = useMemo(() => (input === null ? null : input.kind === "message" ? fromBase64(input.message.payload) : input.kind === "hex" ? fromHex(input.text) : new TextEncoder().encode(input.text)), [input?.kind, input?.kind === "message" ? input.message.id : input?.text]);
  useEffect(() => {
    if (input?.kind === "message") tries({ message: input.message.id });
    else if (input?.text) tries({ [input.kind]: input.text });
  }, [bytes]);
  const run = () => {
    if (!input || !bytes) return;
    const mine = ++latest.current;
    setBusy(true);
    const body: Record<string, unknown> = { script, ...(input.kind === "message" ? { messageId: input.message.id } : { hex: toHex(bytes) }) };
    if (isNew) body.type = type;
    post<Trial>(isNew ? "/converters/test" : `/converters/${part(saved.name)}/test`, body)
      .then(
        (found) => mine === latest.current && (setTrial(found), setProblem(undefined)),
        (error) => mine === latest.current && setProblem(error),
      )
      .finally(() => mine === latest.current && setBusy(false));
  };
  useEffect(() => {
    if (!mayWrite.value) return;
    const timer = setTimeout(run, SETTLED);
    return () => clearTimeout(timer);
  }, [script, type, bytes]);

  const here = list.findIndex((each) => each.id === chosen);
  const stepTo = (by: number) => list[here + by] && setQuery({ message: list[here + by]!.id, input: undefined });
  useKeys([{ key: "n", says: t("keys.sample"), run: () => stepTo(1) }, { key: "b", says: t("keys.sample.back"), run: () => stepTo(-1) }], [here, list.length]);
  const vector = () => {
    if (!bytes || !trial || !input) return;
    const now = { name: input.kind === "message" ? `message ${input.message.id}` : toHex(bytes.slice(0, 16)) || "empty", hex: toHex(bytes), ...(input.kind === "message" && { metadata: input.message.metadata, receivedAt: input.message.receivedAt }), output: trial.telemetry };
    patch<Converter>(`/converters/${part(saved.name)}`, { tests: [...saved.tests.filter((each) => each.name !== now.name), now] }, { match: saved.revision, type: "application/merge-patch+json" }).then((made) => {
      refresh(made);
      keep(now.name);
    }, setProblem);
  };
  return (
    <div class="bench">
      <section class="pane" aria-label={t("bytes")}>
        <header class="pane-head">
          <h2 class="hidden">{t("bench.in")}</h2>
          <select
            aria-label={t("bench.input")} value={query.input ?? "message"}
            onChange={(event) => setQuery({ input: event.currentTarget.value === "message" ? undefined : event.currentTarget.value, message: undefined })}
          >
            <option value="message">{t("message")}</option>
            <option value="hex">{t("hexadecimal")}</option>
            <option value="text">{t("text")}</option>
          </select>
          {!query.input && list.length > 0 && (
            <span class="stepper">
              <button type="button" class="icon-button" disabled={here <= 0} onClick={() => stepTo(-1)}>
                <Icon name="left" />
                <span class="hidden">{t("previous")}</span>
              </button>
              <span class="number">{here >= 0 ? `${here + 1} / ${list.length}${samples.data?.next ? "+" : ""}` : `– / ${list.length}`}</span>
              <button type="button" class="icon-button" disabled={here >= list.length - 1} onClick={() => stepTo(1)}>
                <Icon name="right" />
                <span class="hidden">{t("next")}</span>
              </button>
            </span>
          )}
        </header>
        {query.input ? (
          <Field label={query.input === "hex" ? t("bench.hex") : t("bench.text")} problem={bytes === null ? t("bench.nohex") : undefined}>
            <textarea rows={4} class="mono" value={typed} spellcheck={false} onInput={(event) => setTyped(event.currentTarget.value)} onKeyDown={(event) => event.ctrlKey && event.key === "Enter" && run()} />
          </Field>
        ) : message.error ? (
          <Failed error={message.error} />
        ) : message.data ? (
          <p class="sample">
            <State value={message.data.state} /> <a href={href(["messages", message.data.id])}><code>{message.data.id}</code></a> <Ago ms={message.data.receivedAt} />
          </p>
        ) : (
          !samples.loading && <Empty icon="messages" title={t("bench.nosample")}>{t("bench.nosample.hint")}</Empty>
        )}
        {bytes && bytes.length > 0 && <Hex bytes={bytes} narrow />}
        {input?.kind === "message" && (
          <details>
            <summary>{t("metadata")}</summary>
            <Json data={input.message.metadata} label={t("metadata")} />
          </details>
        )}
      </section>
      <section class="pane script" aria-label={t("script")}>
        <header class="pane-head">
          <h2>{t("script")}</h2>
          {trial?.error?.line ? <span class="state bad">{t("at.line", { line: trial.error.line, column: trial.error.column ?? 1 })}</span> : null}
          <span class="dim leave">{t("bench.leave")}</span>
        </header>
        <Script text={script} turn={turn} label={t("script")} readOnly={!mayWrite.value} change={change} run={run} error={trial?.error?.line ? { line: trial.error.line, column: trial.error.column ?? 1, message: trial.error.message } : null} />
      </section>
      <section class="pane" aria-label={t("result")}>
        <header class="pane-head">
          <h2>{t("result")}</h2>
          {trial && (trial.error ? <State value="failed" /> : <State value={trial.telemetry.length ? "converted" : "filtered"} />)}
          {trial && <span class="dim number">{trial.durationMs.toFixed(1)} ms</span>}
          <i class={busy ? "busy on" : "busy"} aria-hidden="true" />
        </header>
        <div aria-live="polite">
          {problem && <Failed error={problem} />}
          {!trial && !problem && <p class={`dim ${mayWrite.value && (input || samples.loading || message.loading) ? "loading" : ""}`}>{mayWrite.value ? t("bench.waits") : t("may.not")}</p>}
          {trial?.error && (
            <Notice kind="bad">
              <strong>{trial.error.message}</strong>
              {trial.error.stack && <pre>{trial.error.stack}</pre>}
            </Notice>
          )}
          {trial && <Outputs outputs={trial.telemetry} ts={false} />}
          {trial?.warnings.map((each, i) => (
            <Notice kind="warn" key={i}>
              {typeof each === "string" ? each : each.message}
            </Notice>
          ))}
          {trial && trial.logs.length > 0 && <Json data={trial.logs.map((each) => (typeof each === "string" ? each : JSON.stringify(each))).join("\n")} label={t("logs")} />}
          {trial && !trial.error && (
            <details>
              <summary>{t("bench.returned")}</summary>
              <Json data={trial.result} label={t("bench.returned")} />
            </details>
          )}
          {trial && !trial.error && !isNew && (
            <p class="actions">
              <Act may={mayWrite.value} onClick={vector}>
                {t("bench.vector")}
              </Act>
              {kept && <State value="good" text={t("bench.kept")} />}
            </p>
          )}
        </div>
      </section>
    </div>
  );
}

// The newest messages of the datasources that use a converter.
async function ofConverter(saved: Converter, signal: AbortSignal): Promise<Items<Row>> {
  const sources = await get<Items<{ name: string; converter: string; converters: Record<string, string> }>>("/datasources", { limit: 1000 }, signal);
  const mine = sources.items.filter((each) => each.converter === saved.name || Object.values(each.converters).includes(saved.name)).slice(0, 5);
  const pages = await Promise.all(mine.map((each) => get<Items<Row>>("/messages", { datasource: each.name, view: "row", limit: 30 }, signal)));
  return { items: pages.flatMap((page) => page.items).sort((a, b) => b.receivedAt - a.receivedAt), next: null };
}

// The draft run over what was stored: what it would change.
function History({ name, script, close }: { name: string; script: string; close: () => void }) {
  const [limit, setLimit] = useState(1000);
  const load = useLoad((signal) => post<Replayed>(`/converters/${part(name)}/replay`, { script, limit }, { signal }), [limit]);
  const [kind, setKind] = useState("");
  const found = load.data;
  const kinds = ["same", "changed", "fixed", "newlyFailing", "stillFailing"] as const;
  const samples = found?.samples.filter((each) => !kind || each.kind === kind) ?? [];
  return (
    <Dialog title={t("replay.title")} close={close} wide>
      <p>
        {t("replay.over")}{" "}
        <select aria-label={t("replay.limit")} value={limit} onChange={(event) => setLimit(Number(event.currentTarget.value))}>
          {[100, 1000, 5000, 10_000].map((each) => (
            <option key={each} value={each}>
              {number(each)}
            </option>
          ))}
        </select>
      </p>
      {load.error && <Failed error={load.error} retry={load.reload} />}
      {load.loading && <Skeleton />}
      {found && !load.loading && (
        <>
          <p role="status">{t("replay.done", { n: found.count })}</p>
          <div class="tiles">
            {kinds.map((each) => (
              <button type="button" key={each} class={`tile ${each} ${kind === each ? "on" : ""}`} aria-pressed={kind === each} onClick={() => setKind(kind === each ? "" : each)}>
                <b class="number">{number(found[each])}</b>
                {t(`replay.${each}`)}
              </button>
            ))}
          </div>
          {samples.map((sample) => (
            <div class="replayed" key={sample.id}>
              <header>
                <a href={href(["messages", sample.id])}>
                  <code>{sample.id}</code>
                </a>
                <State value={sample.kind === "fixed" ? "good" : sample.kind === "newlyFailing" ? "failed" : "pending"} text={t(`replay.${sample.kind as "same"}`)} />
              </header>
              {sample.after.error ? <p class="error-text">{sample.after.error.message}</p> : sample.before.error ? (
                <>
                  <p class="old">{sample.before.error.message}</p>
                  <Outputs outputs={sample.after.output} ts={false} />
                </>
              ) : (
                <Changes changes={changes(flat(sample.before.output), flat(sample.after.output))} />
              )}
            </div>
          ))}
          {samples.length === 0 && <p class="dim">{t("replay.nosamples")}</p>}
        </>
      )}
    </Dialog>
  );
}

// Output by device, without the times, which are the same on both sides.
function flat(outputs: Message["output"]): Record<string, unknown> {
  return Object.fromEntries(outputs.map((each) => [each.deviceName ?? each.assetName ?? "", { type: each.deviceType ?? each.assetType, ...each.attributes, ...Object.assign({}, ...(each.telemetry ?? []).map((reading) => reading.values)) }]));
}


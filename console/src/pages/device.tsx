// One device: what it says now and said before, its messages, what waits for it, and how it proves itself.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { del, get, part, patch, post, type Problem } from "../core/api";
import { fromHex } from "../core/bytes";
import { changes } from "../core/diff";
import { value } from "../core/format";
import { useLoad } from "../core/load";
import { href, place, setQuery } from "../core/router";
import { maySend, mayWrite } from "../core/session";
import { describe } from "../core/description";
import { Schemas } from "../core/schema";
import type { Device, Downlink, List as Items, Row } from "../core/types";
import { command } from "../core/shell";
import { t, word } from "../texts";
import { Act, Ago, Box, Empty, Failed, Field, Notice, Page, Panel, State, Tabs, Time } from "../ui/basic";
import { Chart } from "../ui/chart";
import { Pairs } from "../ui/data";
import { Form } from "../ui/form";
import { List } from "../ui/list";
import { content } from "./content";
import { COLUMNS } from "./messages";
import { PlaceOf, whereIs } from "./place";

type Full = Device & { credentials: unknown[]; downlinks: { waiting: number; datasource: string; window: number } };

export function DevicePage({ name }: { name: string }) {
  const { query } = place.value;
  const load = useLoad((signal) => get<Full>(`/devices/${part(name)}`, {}, signal), [name], 5000);
  const tab = query.tab ?? "values";
  const at = href(["devices", name]);
  const device = load.data;
  const spot = device && whereIs(device);
  const tabs = ["values", "messages", "downlinks", "credentials", "settings"] as const;
  return (
    <Page
      title={device?.label || name} wide back={{ href: "#/devices", text: t("nav.devices") }}
      command={tab === "downlinks" ? command(["downlinks", name]) : tab === "messages" ? command(["messages"], { device: name }) : tab === "values" ? command(["telemetry", name]) : command(["devices", name])}
      lead={
        device && (
          <>
            {device.label && <code>{device.name}</code>} {device.type} · {t("device.seen")} <Ago ms={device.lastSeen} />{" "}
            {device.health.state !== "unwatched" && <State value={device.health.state === "well" ? "healthy" : device.health.silentSince ? "silent" : "low"} />}
          </>
        )
      }
    >
      <Tabs label={name} now={tab} items={tabs.map((key) => ({ key, text: t(`device.${key}`), href: key === "values" ? at : `${at}?tab=${key}`, count: key === "downlinks" ? device?.downlinks.waiting : key === "credentials" ? device?.credentials.length : undefined }))} />
      {tab === "values" && (
        <>
          <Panel load={load} title={t("device.latest")}>
            {(is) => <Latest device={is} />}
          </Panel>
          <Curves name={name} />
          {device && spot && <PlaceOf key={`${spot.latitude} ${spot.longitude}`} device={device} spot={spot} />}
        </>
      )}
      {tab === "messages" && <Messages name={name} />}
      {tab === "downlinks" && <Downlinks name={name} />}
      {tab === "credentials" && <Credentials name={name} />}
      {tab === "settings" && !device && load.error && <Failed error={load.error} retry={load.reload} />}
      {tab === "settings" && device && <Settings device={device} saved={(now) => load.set({ ...device, ...now })} />}
    </Page>
  );
}

function Latest({ device }: { device: Full }) {
  const readings = Object.entries(device.telemetry);
  return (
    <>
      {!readings.length && !Object.keys(device.attributes).length && <Empty title={t("device.silent")} />}
      <div class="tiles">
        {readings.map(([key, reading]) => (
          <button type="button" class="tile value" key={key} onClick={() => setQuery({ key })} aria-pressed={place.value.query.key === key}>
            <b class="number">{value(reading.value)}</b>
            <span>{key}</span>
            <small class="dim">
              <Ago ms={reading.ts} />
            </small>
          </button>
        ))}
      </div>
      <Pairs
        items={[
          ...Object.entries(device.attributes).map(([key, given]): [string, any] => [key, <code key={key}>{value(given)}</code>]),
          ...(device.place && !whereIs(device) ? [[t("device.where"), device.place] as [string, any]] : []),
          [t("device.first"), <Time key="f" ms={device.firstSeen} />],
        ]}
      />
    </>
  );
}

const SPANS: Record<string, [number, number]> = { "1h": [3600, 60], "6h": [21_600, 300], "1d": [86_400, 900], "7d": [604_800, 7200] };

interface Buckets {
  buckets: Record<string, { ts: number; count: number; min: number | null; max: number | null; mean: number | null }[]>;
  next: string | null;
}

function Curves({ name }: { name: string }) {
  const { query } = place.value;
  const span = SPANS[query.span ?? ""] ? query.span! : "1h";
  const [length, every] = SPANS[span]!;
  const load = useLoad((signal) => get<Buckets>(`/devices/${part(name)}/telemetry`, { every, since: Date.now() - length * 1000, limit: 5000, ...(query.key && { keys: query.key }) }, signal), [name, span, query.key], 15_000);
  const keys = Object.entries(load.data?.buckets ?? {}).filter(([, points]) => points.some((point) => point.mean !== null));
  return (
    <Box
      title={query.key ?? t("device.curves")}
      tools={
        <>
          {query.key && (
            <button type="button" class="link" onClick={() => setQuery({ key: undefined })}>
              {t("device.allkeys")}
            </button>
          )}
          <span class="segments" role="group" aria-label={t("device.span")}>
            {Object.keys(SPANS).map((each) => (
              <button type="button" key={each} aria-pressed={each === span} onClick={() => setQuery({ span: each })}>
                {each}
              </button>
            ))}
          </span>
        </>
      }
    >
      {load.error && <Failed error={load.error} retry={load.reload} stale={!!load.data} />}
      {load.data && !keys.length && <Empty icon="events" title={t("device.nocurves")} />}
      <div class="charts">
        {keys.slice(0, 8).map(([key, points]) => (
          <div key={key}>
            <h3>{key}</h3>
            <Chart label={t("device.curve", { key })} height={query.key ? 300 : 140} span={[load.at - length * 1000, load.at]} times={points.map((point) => point.ts)} bands={[{ label: key, values: points.map((point) => point.mean), low: points.map((point) => point.min), high: points.map((point) => point.max) }]} />
          </div>
        ))}
      </div>
    </Box>
  );
}

function Messages({ name }: { name: string }) {
  const load = useLoad((signal) => get<Items<Row>>("/messages", { device: name, view: "row", limit: 50 }, signal), [name], 5000);
  return (
    <Panel load={load} flush tools={<a href={href(["messages"], { device: name })}>{t("all")}</a>} empty={(page) => !page.items.length && <Empty icon="messages" title={t("messages.none.filtered")} />}>
      {(page) => <List label={t("nav.messages")} columns={COLUMNS} items={page.items} id={(row) => row.id} link={(row) => href(["messages", row.id])} kind={(row) => row.state} />}
    </Panel>
  );
}

function Downlinks({ name }: { name: string }) {
  const load = useLoad((signal) => get<Items<Downlink>>(`/devices/${part(name)}/downlinks`, { limit: 100 }, signal), [name], 3000);
  const [problem, setProblem] = useState<Problem>();
  return (
    <>
      <Queue path={`/devices/${part(name)}/downlinks`} body={(downlink) => downlink} done={load.reload} />
      {problem && <Failed error={problem} />}
      <Panel load={load} flush title={t("device.downlinks")} empty={(page) => !page.items.length && <Empty icon="downlinks" title={t("downlinks.none")} />}>
        {(page) => (
          <List
            label={t("nav.downlinks")} items={page.items} id={(each) => each.id}
            columns={[
              { key: "state", title: t("state"), width: "9rem", cell: (each) => <State value={each.state} />, narrow: "main" },
              { key: "at", title: t("created"), width: "9rem", cell: (each) => <Time ms={each.createdAt} />, narrow: "below" },
              { key: "what", title: t("content"), width: "minmax(9rem,2fr)", cell: (each) => <code>{content(each)}</code>, narrow: "below" },
              { key: "tries", title: t("tries"), width: "5rem", cell: (each) => each.attempts, end: true },
              { key: "why", title: t("reason"), width: "minmax(7rem,1fr)", cell: (each) => each.reason || <span class="dim">–</span>, narrow: "below" },
              { key: "do", title: "", width: "7rem", end: true, narrow: "side", cell: (each) => (["queued", "waiting", "sent"].includes(each.state.toLowerCase()) ? <Act may={maySend.value} onClick={() => void del(`/devices/${part(name)}/downlinks/${part(each.id)}`).then(load.reload, setProblem)}>{t("cancel")}</Act> : "") },
            ]}
          />
        )}
      </Panel>
    </>
  );
}

// A form for a downlink: bytes in hexadecimal, text, or what the downlink converter makes bytes of.
export function Queue({ path, body, done, children }: { path: string; body: (downlink: Record<string, unknown>) => Record<string, unknown>; done: (made: any) => void; children?: ComponentChildren }) {
  const [kind, setKind] = useState("hex");
  const [text, setText] = useState("");
  const [hours, setHours] = useState("168");
  const [confirmed, setConfirmed] = useState(false);
  const [last, setLast] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const [said, say] = useState("");
  const bytes = kind === "hex" ? fromHex(text) : null;
  let msg: unknown;
  let nojson = false;
  if (kind === "msg" && text) {
    try {
      msg = JSON.parse(text);
    } catch {
      nojson = true;
    }
  }
  const send = (event: SubmitEvent) => {
    event.preventDefault();
    const what = kind === "hex" ? { data: btoa(String.fromCharCode(...bytes!)), contentType: "BINARY" } : kind === "text" ? { data: text, contentType: "TEXT" } : { msg };
    post(path, body({ ...what, ttl: Number(hours) * 3600, confirmed, policy: last ? "last" : "fifo" })).then((made) => {
      setText("");
      setProblem(undefined);
      say(t("downlink.queued"));
      done(made);
    }, setProblem);
  };
  return (
    <Box title={t("downlink.new")}>
      <form class="downlink" onSubmit={send}>
        {problem && <Failed error={problem} />}
        {said && <Notice kind="good">{said}</Notice>}
        {children}
        <div class="inline-fields">
          <Field label={t("downlink.as")}>
            <select value={kind} onChange={(event) => setKind(event.currentTarget.value)}>
              <option value="hex">{t("hexadecimal")}</option>
              <option value="text">{t("text")}</option>
              <option value="msg">{t("downlink.msg")}</option>
            </select>
          </Field>
          <Field label={t("content")} problem={kind === "hex" && bytes === null ? t("bench.nohex") : nojson ? t("form.nojson") : undefined}>
            <input required class="mono" value={text} placeholder={kind === "hex" ? "01 02 ff" : kind === "msg" ? '{"interval": 600}' : ""} onInput={(event) => setText(event.currentTarget.value)} spellcheck={false} />
          </Field>
          <Field label={t("downlink.ttl")}>
            <input type="number" min="0.1" step="any" value={hours} onInput={(event) => setHours(event.currentTarget.value)} />
          </Field>
        </div>
        <label class="inline">
          <input type="checkbox" checked={confirmed} onChange={(event) => setConfirmed(event.currentTarget.checked)} /> {t("downlink.confirmed")}
        </label>
        <label class="inline">
          <input type="checkbox" checked={last} onChange={(event) => setLast(event.currentTarget.checked)} /> {t("downlink.last")}
        </label>
        <p class="actions">
          <Act may={maySend.value} kind="primary submit" onClick={() => undefined} disabled={!text || (kind === "hex" && !bytes) || nojson}>
            {t("downlink.queue")}
          </Act>
        </p>
      </form>
    </Box>
  );
}

interface Credential {
  id: string;
  name: string;
  type: string;
  identity: string;
  enabled: boolean;
  status: { state: string };
}

function Credentials({ name }: { name: string }) {
  const load = useLoad((signal) => get<Items<Credential> | Credential[]>(`/devices/${part(name)}/credentials`, {}, signal), [name]);
  const items = (found: Items<Credential> | Credential[]) => (Array.isArray(found) ? found : found.items);
  return (
    <Panel load={load} flush tools={<a class="button" href={href(["credentials", "+new"], { device: name })}>{t("credential.new")}</a>} title={t("nav.credentials")} empty={(found) => !items(found).length && <Empty icon="credentials" title={t("device.nocredentials")}>{t("device.nocredentials.hint")}</Empty>}>
      {(found) => (
        <List
          label={t("nav.credentials")} items={items(found)} id={(each) => each.id} link={(each) => href(["credentials", each.name])}
          columns={[
            { key: "name", title: t("name"), width: "minmax(8rem,1fr)", cell: (each) => each.name, narrow: "main" },
            { key: "state", title: t("state"), width: "8rem", cell: (each) => <State value={each.status.state} />, narrow: "side" },
            { key: "type", title: t("kind"), width: "6rem", cell: (each) => word(each.type) },
            { key: "identity", title: t("identity"), width: "minmax(10rem,2fr)", cell: (each) => <code>{each.identity}</code>, narrow: "below" },
          ]}
        />
      )}
    </Panel>
  );
}

const EDITABLE = ["label", "type", "groups", "place", "latitude", "longitude", "serial", "identity", "converter", "reportEvery", "batteryBelow", "batteryKey", "signalBelow", "signalKey", "tags", "notes"];

function Settings({ device, saved }: { device: Full; saved: (now: Device) => void }) {
  const load = useLoad(() => describe(), []);
  const [value, change] = useState<Record<string, unknown>>(() => Object.fromEntries(EDITABLE.map((key) => [key, (device as unknown as Record<string, unknown>)[key]]).filter(([, given]) => given !== null && given !== "")));
  const [problem, setProblem] = useState<Problem>();
  const [said, say] = useState("");
  const before = Object.fromEntries(EDITABLE.map((key) => [key, (device as unknown as Record<string, unknown>)[key]]));
  const save = (event: SubmitEvent) => {
    event.preventDefault();
    const wanted = Object.fromEntries(EDITABLE.filter((key) => key in value || (before[key] !== null && before[key] !== "")).map((key) => [key, value[key] ?? null]));
    if (!changes(before, wanted).length) return;
    patch<Device>(`/devices/${part(device.name)}`, wanted, { match: device.revision, type: "application/merge-patch+json" }).then((now) => {
      say(t("saved"));
      setProblem(undefined);
      saved(now);
    }, setProblem);
  };
  return (
    <Panel load={load}>
      {(description) => (
        <form class="settings" onSubmit={save}>
          {problem && <Failed error={problem} />}
          {said && <Notice kind="good">{said}</Notice>}
          <Form schemas={new Schemas(description.components.schemas)} schema={description.components.schemas.DeviceSpec!} value={value} change={change} problems={problem?.fields ?? []} only={EDITABLE} />
          <p class="actions">
            <Act may={mayWrite.value} kind="primary submit" onClick={() => undefined}>
              {t("save")}
            </Act>
          </p>
        </form>
      )}
    </Panel>
  );
}


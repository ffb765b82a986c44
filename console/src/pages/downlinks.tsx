// Downlinks of all devices with their states, and one for many devices at once. A single device's queue is on its own page.
import { useState } from "preact/hooks";
import { del, get, part, type Problem } from "../core/api";
import { useLoad } from "../core/load";
import { usePaged } from "../core/paged";
import { go, href, place } from "../core/router";
import { maySend } from "../core/session";
import { command } from "../core/shell";
import type { Downlink, Job, List as Items } from "../core/types";
import { t } from "../texts";
import { Act, Ago, Box, Empty, Failed, Field, Page, Panel, Skeleton, State, Tabs, Time } from "../ui/basic";
import { Filters } from "../ui/filters";
import { List, ListEnd } from "../ui/list";
import { content } from "./content";
import { Queue } from "./device";

const OPEN = ["QUEUED", "SENT", "DELIVERED"];
const STATES = ["open", "over", ...OPEN, "SUCCESSFUL", "FAILED", "TIMEOUT", "EXPIRED", "DELETED"];

export function Downlinks() {
  const { query } = place.value;
  const tab = query.tab === "many" ? "many" : "list";
  return (
    <Page
      title={t("nav.downlinks")} lead={t("downlinks.lead")} wide
      command={tab === "many" ? command(["jobs"]) : query.device ? command(["downlinks", query.device]) : command(["downlinks"], { state: query.state })}
    >
      <Tabs label={t("nav.downlinks")} now={tab} items={[{ key: "list", text: t("downlinks.all"), href: "#/downlinks" }, { key: "many", text: t("downlinks.many"), href: "#/downlinks?tab=many" }]} />
      {tab === "list" ? <All /> : <Many />}
    </Page>
  );
}

function All() {
  const { query } = place.value;
  const asked = { state: query.state, device: query.device };
  const { items, next, error, busy, more, reload, end } = usePaged<Downlink>((before, signal) => get("/downlinks", { ...asked, limit: 100, before }, signal), [asked]);
  const [problem, setProblem] = useState<Problem>();
  const cancel = (each: Downlink) => void del(`/devices/${part(each.device)}/downlinks/${part(each.id)}`).then(reload, setProblem);
  return (
    <>
      <Filters
        filters={[
          { name: "device", label: t("device"), kind: "text" },
          { name: "state", label: t("state"), kind: "choice", choices: STATES },
        ]}
      />
      {problem && <Failed error={problem} />}
      <Box flush>
        {error && <Failed error={error} retry={more} stale={items.length > 0} />}
        {items.length > 0 ? (
          <List
            label={t("nav.downlinks")} items={items} id={(each) => each.id} link={(each) => href(["devices", each.device], { tab: "downlinks" })} kind={(each) => (each.state === "FAILED" ? "failed" : "")}
            columns={[
              { key: "device", title: t("device"), width: "minmax(9rem,1.2fr)", cell: (each) => each.device, narrow: "main" },
              { key: "state", title: t("state"), width: "9rem", cell: (each) => <State value={each.state} />, narrow: "side" },
              { key: "at", title: t("created"), width: "8rem", cell: (each) => <Time ms={each.createdAt} />, narrow: "below" },
              { key: "what", title: t("content"), width: "minmax(9rem,2fr)", cell: (each) => <code>{content(each)}</code>, narrow: "below" },
              { key: "tries", title: t("tries"), width: "5rem", cell: (each) => each.attempts, end: true },
              { key: "why", title: t("reason"), width: "minmax(7rem,1fr)", cell: (each) => each.reason || <span class="dim">–</span> },
              { key: "do", title: "", width: "7rem", end: true, cell: (each) => (OPEN.includes(each.state) ? <Act may={maySend.value} onClick={() => cancel(each)}>{t("cancel")}</Act> : "") },
            ]}
          />
        ) : next === undefined ? (
          !error && <Skeleton />
        ) : (
          <Empty icon="downlinks" title={query.state || query.device ? t("downlinks.none.filtered") : t("downlinks.none")} />
        )}
        <ListEnd end={end} next={next} busy={busy} more={more} />
      </Box>
    </>
  );
}

function Many() {
  const load = useLoad((signal) => get<Items<Job>>("/jobs", {}, signal), [], 3000);
  const [to, setTo] = useState("devices");
  const [which, setWhich] = useState("");
  const [rate, setRate] = useState("10");
  const body = (downlink: Record<string, unknown>) => ({ downlink, rate: Number(rate), ...(to === "all" ? { all: true } : to === "devices" ? { devices: which.split(/[\s,]+/).filter(Boolean) } : { [to]: which }) });
  const jobs = (found: Items<Job>) => found.items.filter((job) => job.kind.startsWith("downlink"));
  return (
    <>
      <Queue path="/downlinks" body={body} done={(job: Job) => go(["jobs", job.id])}>
        <div class="inline-fields">
          <Field label={t("downlinks.to")}>
            <select value={to} onChange={(event) => setTo(event.currentTarget.value)}>
              {(["devices", "group", "type", "datasource", "tag", "all"] as const).map((each) => (
                <option key={each} value={each}>
                  {t(`downlinks.to.${each}`)}
                </option>
              ))}
            </select>
          </Field>
          {to !== "all" && (
            <Field label={t("downlinks.which")}>
              <input value={which} onInput={(event) => setWhich(event.currentTarget.value)} spellcheck={false} />
            </Field>
          )}
          <Field label={t("downlinks.rate")}>
            <input type="number" min="0.01" max="1000" step="any" value={rate} onInput={(event) => setRate(event.currentTarget.value)} />
          </Field>
        </div>
      </Queue>
      <Panel load={load} flush title={t("downlinks.batches")} empty={(found) => !jobs(found).length && <Empty icon="downlinks" title={t("downlinks.nobatches")}>{t("downlinks.nobatches.hint")}</Empty>}>
        {(found) => (
          <List
            label={t("downlinks.batches")} items={jobs(found)} id={(job) => job.id} link={(job) => href(["jobs", job.id])}
            columns={[
              { key: "at", title: t("started"), width: "9rem", cell: (job) => <Ago ms={job.createdAt} />, narrow: "main" },
              { key: "state", title: t("state"), width: "8rem", cell: (job) => <State value={job.state} />, narrow: "side" },
              { key: "done", title: t("done"), width: "9rem", cell: (job) => `${job.done} / ${job.total ?? "…"}`, end: true, narrow: "below" },
              { key: "counts", title: t("outcome"), width: "minmax(9rem,2fr)", cell: (job) => Object.entries(job.counts).map(([state, n]) => `${n} ${state}`).join(" · "), narrow: "below" },
            ]}
          />
        )}
      </Panel>
    </>
  );
}

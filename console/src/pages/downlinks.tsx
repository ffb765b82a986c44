// Downlinks for many devices at once, and how far they are. A single device's queue is on its own page.
import { useState } from "preact/hooks";
import { get } from "../core/api";
import { useLoad } from "../core/load";
import { go, href } from "../core/router";
import type { Job, List as Items } from "../core/types";
import { t } from "../texts";
import { Ago, Empty, Field, Page, Panel, State } from "../ui/basic";
import { List } from "../ui/list";
import { Queue } from "./device";

export function Downlinks() {
  const load = useLoad((signal) => get<Items<Job>>("/jobs", {}, signal), [], 3000);
  const [to, setTo] = useState("devices");
  const [which, setWhich] = useState("");
  const [rate, setRate] = useState("10");
  const body = (downlink: Record<string, unknown>) => ({ downlink, rate: Number(rate), ...(to === "all" ? { all: true } : to === "devices" ? { devices: which.split(/[\s,]+/).filter(Boolean) } : { [to]: which }) });
  const jobs = (found: Items<Job>) => found.items.filter((job) => job.kind.startsWith("downlink"));
  return (
    <Page title={t("nav.downlinks")} lead={t("downlinks.lead")} command="iotgwctl downlink DEVICE --hex 0102">
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
      <Queue path="/downlinks" body={body} done={(job: Job) => go(["jobs", job.id])} />
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
    </Page>
  );
}

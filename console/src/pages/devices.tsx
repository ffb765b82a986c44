// Devices, found by the gateway: no list of all is ever held here.
import { useState } from "preact/hooks";
import { get, post, type Problem } from "../core/api";
import { value } from "../core/format";
import { useLoad } from "../core/load";
import { usePaged } from "../core/paged";
import { go, href, place } from "../core/router";
import { mayWrite } from "../core/session";
import type { Device, List as Items, Saved } from "../core/types";
import { command } from "../core/shell";
import { t } from "../texts";
import { Act, Ago, Box, Dialog, Empty, Failed, Field, Page, Skeleton, State, Tabs } from "../ui/basic";
import { Filters } from "../ui/filters";
import { Icon } from "../ui/icons";
import { List, ListEnd } from "../ui/list";
import { DevicesMap } from "./devices_map";

const NAMES = ["text", "type", "group", "datasource", "trouble", "box"];

export function Devices() {
  const { query } = place.value;
  const asked = Object.fromEntries(NAMES.map((name) => [name, query[name]]));
  const [making, make] = useState(false);
  const sources = useLoad((signal) => get<Items<Saved>>("/datasources", { limit: 1000 }, signal), []);
  const groups = useLoad((signal) => get<Record<string, number>>("/fleet/groups", {}, signal), []);
  return (
    <Page
      title={t("nav.devices")} wide command={command(query.view === "map" ? ["device", "map"] : ["devices"], asked)}
      actions={
        <Act may={mayWrite.value} onClick={() => make(true)}>
          <Icon name="plus" /> {t("device.new")}
        </Act>
      }
    >
      <Filters
        filters={[
          { name: "text", label: t("search"), kind: "text", hint: t("devices.search") },
          { name: "trouble", label: t("devices.trouble"), kind: "choice", choices: ["silent", "battery", "signal"] },
          { name: "type", label: t("kind"), kind: "text" },
          { name: "group", label: t("group"), kind: "choice", choices: groupNames(groups.data) },
          { name: "datasource", label: t("datasource"), kind: "choice", choices: sources.data?.items.map((each) => each.name) ?? [] },
          ...(query.box ? [{ name: "box", label: t("map.box"), kind: "text" } as const] : []),
        ]}
      />
      <Tabs label={t("nav.devices")} now={query.view === "map" ? "map" : "list"} items={[{ key: "list", text: t("devices.list"), href: href(["devices"], asked) }, { key: "map", text: t("device.map"), href: href(["devices"], { ...asked, view: "map" }) }]} />
      {query.view === "map" ? <DevicesMap filters={asked} /> : <DeviceList asked={asked} sources={sources.data?.items ?? []} />}
      {making && <NewDevice close={() => make(false)} />}
    </Page>
  );
}

function DeviceList({ asked, sources }: { asked: Record<string, string | undefined>; sources: Saved[] }) {
  const { items, next, error, busy, more, end } = usePaged<Device>((after, signal) => get("/devices", { ...asked, limit: 100, after }, signal), [asked]);
  const filtered = NAMES.some((name) => asked[name]);
  const sourceName = (id: string) => sources.find((each) => each.id === id)?.name ?? id;
  const latest = (device: Device) => Object.entries(device.telemetry).slice(0, 3).map(([key, reading]) => `${key} ${value(reading.value)}`).join(" · ");
  return (
    <Box flush>
      {error && <Failed error={error} retry={more} stale={items.length > 0} />}
      {items.length > 0 ? (
        <List
          label={t("nav.devices")} items={items} id={(device) => device.name} link={(device) => href(["devices", device.name])}
          columns={[
            { key: "name", title: t("name"), width: "minmax(9rem,1.3fr)", cell: (device) => (device.label ? <>{device.label} <span class="dim">{device.name}</span></> : device.name), narrow: "main" },
            { key: "health", title: t("health"), width: "8rem", cell: (device) => (device.health.state === "unwatched" ? <span class="dim">–</span> : <State value={device.health.state === "well" ? "healthy" : device.health.silentSince ? "silent" : "low"} />), narrow: "side" },
            { key: "seen", title: t("device.seen"), width: "8rem", cell: (device) => <Ago ms={device.lastSeen} />, narrow: "below" },
            { key: "type", title: t("kind"), width: "minmax(6rem,.8fr)", cell: (device) => device.type },
            { key: "source", title: t("datasource"), width: "minmax(6rem,.7fr)", cell: (device) => sourceName(device.datasource) },
            { key: "values", title: t("values"), width: "minmax(10rem,1.8fr)", cell: (device) => <span class="number">{latest(device)}</span>, narrow: "below" },
          ]}
        />
      ) : next === undefined ? (
        !error && <Skeleton />
      ) : (
        <Empty icon="devices" title={filtered ? t("devices.none.filtered") : t("devices.none")}>{!filtered && t("devices.none.hint")}</Empty>
      )}
      <ListEnd end={end} next={next} busy={busy} more={more} />
    </Box>
  );
}

// Names of groups, whichever way the gateway lists them.
function groupNames(data: unknown): string[] {
  const items = (data as { items?: { name: string }[] } | undefined)?.items;
  return items ? items.map((each) => each.name) : Object.keys(data ?? {});
}

function NewDevice({ close }: { close: () => void }) {
  const [name, setName] = useState("");
  const [type, setType] = useState("");
  const [problem, setProblem] = useState<Problem>();
  const save = (event: SubmitEvent) => {
    event.preventDefault();
    post<Device>("/devices", { name, ...(type && { type }) }).then((made) => (close(), go(["devices", made.name])), setProblem);
  };
  return (
    <Dialog title={t("device.new")} close={close}>
      <form class="settings" onSubmit={save}>
        {problem && <Failed error={problem} />}
        <Field label={t("name")} hint={t("device.name.hint")}>
          <input required autoFocus value={name} onInput={(event) => setName(event.currentTarget.value)} spellcheck={false} />
        </Field>
        <Field label={t("kind")}>
          <input value={type} onInput={(event) => setType(event.currentTarget.value)} />
        </Field>
        <p class="actions">
          <Act may={mayWrite.value} kind="primary submit" onClick={() => undefined}>
            {t("new.create")}
          </Act>
        </p>
      </form>
    </Dialog>
  );
}

// What happened, and who changed what.
import { useEffect, useState } from "preact/hooks";
import { get, type Problem } from "../core/api";
import { useLoad } from "../core/load";
import { href, place } from "../core/router";
import { useStream } from "../core/stream";
import type { Event, List as Items } from "../core/types";
import { command } from "../core/shell";
import { t, word } from "../texts";
import { Box, Empty, Failed, Page, Skeleton, State, Time } from "../ui/basic";
import { Changes, Json } from "../ui/data";
import { Filters } from "../ui/filters";
import { LinkState } from "../ui/link";

const PAGES: Record<string, string> = { datasource: "datasources", converter: "converters", integration: "integrations", device: "devices", credential: "credentials" };

export function Events() {
  const { query } = place.value;
  const asked = { source: query.source, name: query.name, type: query.type };
  const [more, setMore] = useState<Event[]>([]);
  const [came, setCame] = useState<Event[]>([]);
  const [problem, setProblem] = useState<Problem>();
  const load = useLoad((signal) => get<Items<Event>>("/events", { ...asked, limit: 100 }, signal), [asked]);
  const [next, setNext] = useState<string | null>();
  useEffect(() => {
    setMore([]);
    setCame([]);
    setNext(undefined);
  }, [JSON.stringify(asked)]);
  const link = useStream({ topics: "events" }, (events) =>
    setCame((was) => [...events.filter((each) => each.event === "event" && (!query.source || each.data.source === query.source) && (!query.name || each.data.name === query.name) && (!query.type || each.data.type === query.type)).map((each) => each.data as Event).reverse(), ...was].slice(0, 500)),
  );
  const onward = next === undefined ? load.data?.next : next;
  const older = () =>
    get<Items<Event>>("/events", { ...asked, limit: 100, before: onward ?? undefined }).then((page) => {
      setMore((was) => [...was, ...page.items]);
      setNext(page.next);
    }, setProblem);
  const known = new Set(load.data?.items.map((each) => `${each.ts} ${each.source} ${each.name} ${each.type}`));
  const events = [...came.filter((each) => !known.has(`${each.ts} ${each.source} ${each.name} ${each.type}`)), ...(load.data?.items ?? []), ...more];
  return (
    <Page title={t("nav.events")} lead={t("events.lead")} actions={<LinkState link={link} live />} command={command(["events"], asked)}>
      <Filters
        filters={[
          { name: "source", label: t("events.source"), kind: "choice", choices: ["gateway", "datasource", "integration", "converter", "device", "downlink", "credential", "token"] },
          { name: "name", label: t("name"), kind: "text" },
          { name: "type", label: t("events.type"), kind: "text", hint: "changed" },
        ]}
      />
      <Box flush>
        {(load.error ?? problem) && <Failed error={(load.error ?? problem)!} retry={load.reload} />}
        {!load.data && !load.error && <Skeleton />}
        {load.data && !events.length && <Empty title={t("events.none")} />}
        <ol class="events">
          {events.map((event, i) => (
            <li key={event.id ?? `${event.ts}${i}`} class={event.severity ?? ""} data-row>
              <Time ms={event.ts} />
              <State value={event.severity === "error" ? "error" : event.severity === "warning" ? "low" : "created"} text={word(event.type)} />
              <div>
                <span>
                  {word(event.source)}{" "}
                  {PAGES[event.source] ? (
                    <a class="row-link" href={href([PAGES[event.source]!, event.name])}>{event.name}</a>
                  ) : (
                    <strong>{event.name}</strong>
                  )}
                </span>
                <p>{event.message}</p>
                <Detail detail={event.detail} />
              </div>
            </li>
          ))}
        </ol>
        {onward && (
          <div class="list-end">
            <button type="button" class="link" onClick={() => void older()}>
              {t("older")}
            </button>
          </div>
        )}
      </Box>
    </Page>
  );
}

interface Changed {
  path?: string;
  field?: string;
  old?: unknown;
  new?: unknown;
  from?: unknown;
  to?: unknown;
}

function Detail({ detail }: { detail: Record<string, unknown> | undefined }) {
  if (!detail) return null;
  const { changes: changed, by: _, ...rest } = detail;
  return (
    <>
      {Array.isArray(changed) && changed.length > 0 && <Changes changes={(changed as Changed[]).map((each) => ({ path: each.path ?? each.field ?? "", old: each.old ?? each.from, now: each.new ?? each.to }))} />}
      {Object.keys(rest).length > 0 && (
        <details>
          <summary>{t("details")}</summary>
          <Json data={rest} label={t("details")} />
        </details>
      )}
    </>
  );
}

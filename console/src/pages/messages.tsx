// What comes in and what came: live and history in one list, one row per message.
import { useEffect, useRef, useState } from "preact/hooks";
import { get, type Problem } from "../core/api";
import { EMPTY, type Feed, joined, released, taken } from "../core/feed";
import { number, size, time } from "../core/format";
import { useKeys } from "../core/keys";
import { useLoad } from "../core/load";
import { href, place, setQuery } from "../core/router";
import { command } from "../core/shell";
import { useStream } from "../core/stream";
import type { List as Items, Row, Saved } from "../core/types";
import { t } from "../texts";
import { Box, Empty, Failed, Page, Skeleton, State, Time, useNow } from "../ui/basic";
import { Filters } from "../ui/filters";
import { Icon } from "../ui/icons";
import { LinkState } from "../ui/link";
import { type Column, List } from "../ui/list";

const NAMES = ["datasource", "device", "state", "outcome", "integration", "group", "text", "since", "until"];
const LIVE = ["datasource", "device", "state"];
export const OUTCOMES = ["delivered", "queued", "inflight", "retrying", "dead", "expired", "dropped", "received", "filtered", "failed", "refused"];

export const COLUMNS: Column<Row>[] = [
  { key: "time", title: t("time"), width: "7.6rem", cell: (row) => <Time ms={row.receivedAt} />, narrow: "below" },
  { key: "state", title: t("state"), width: "7.4rem", cell: (row) => <State value={row.state} />, narrow: "side" },
  { key: "device", title: t("device"), width: "minmax(8rem, 1.1fr)", cell: (row) => row.devices.join(", ") || <span class="dim">–</span>, narrow: "main" },
  { key: "datasource", title: t("datasource"), width: "minmax(6rem, .8fr)", cell: (row) => row.datasource, narrow: "below" },
  { key: "size", title: t("size"), width: "4.6rem", cell: (row) => size(row.size), end: true },
  {
    key: "head", title: t("content"), width: "minmax(10rem, 2.2fr)", narrow: "below",
    cell: (row) => (row.error ? <span class="error-text">{row.error.message}</span> : <code>{row.head.replace(/../g, "$& ")}{row.size > 16 ? "…" : ""}</code>),
  },
];

export function Messages() {
  const { query } = place.value;
  const asked = Object.fromEntries(NAMES.map((name) => [name, query[name]]));
  const key = JSON.stringify(asked);
  const canLive = NAMES.every((name) => LIVE.includes(name) || !query[name]) && query.state !== "received";
  const live = canLive && query.live !== "off";
  const [feed, setFeed] = useState<Feed>(EMPTY);
  const [next, setNext] = useState<string | null | undefined>(undefined);
  const [back, setBack] = useState(0);
  const [error, setError] = useState<Problem>();
  const [busy, setBusy] = useState(false);
  const [since] = useState(Date.now());
  const sources = useLoad((signal) => get<Items<Saved>>("/datasources", {}, signal), []);
  const targets = useLoad((signal) => get<Items<Saved>>("/integrations", {}, signal), []);
  const list = useRef<HTMLDivElement>(null);
  const control = useRef(new AbortController());

  const older = (before?: string) => {
    const mine = control.current.signal;
    setBusy(true);
    get<Items<Row>>("/messages", { ...asked, view: "row", limit: 100, before }, mine)
      .then((page) => {
        if (mine.aborted) return;
        setFeed((was) => joined(was, page.items));
        setNext(page.next);
        setBack(page.lookedBackTo ?? 0);
        setError(undefined);
      })
      .catch((problem) => mine.aborted || setError(problem))
      .finally(() => mine.aborted || setBusy(false));
  };
  useEffect(() => {
    control.current = new AbortController();
    setFeed(EMPTY);
    setNext(undefined);
    older();
    return () => control.current.abort();
  }, [key]);

  const reading = () => scrollY > 120 || (list.current?.contains(document.activeElement) ?? false);
  const link = useStream({ topics: "messages", ...Object.fromEntries(LIVE.map((name) => [name, query[name]])) }, (events) => setFeed((was) => taken(was, events, reading())), live);
  const pause = () => setQuery({ live: query.live === "off" ? undefined : "off" });
  useKeys([{ key: "p", says: t("keys.pause"), run: pause }], [query.live]);
  const show = () => {
    setFeed(released);
    scrollTo({ top: 0 });
  };

  const end = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!end.current || !next) return;
    const watch = new IntersectionObserver(([seen]) => seen?.isIntersecting && !busy && older(next), { rootMargin: "600px" });
    watch.observe(end.current);
    return () => watch.disconnect();
  }, [next, busy]);

  const names = (load: typeof sources) => load.data?.items.map((each) => each.name) ?? [];
  const filtered = NAMES.some((name) => query[name]);
    return (
    <Page
      title={t("nav.messages")} wide command={command([live ? "tail" : "messages"], asked)}
      actions={
        <>
          {canLive ? <LinkState link={link} live={live} /> : <span class="dim">{t("live.not")}</span>}
          <button type="button" class="button" onClick={pause} disabled={!canLive} aria-pressed={!live} title="p">
            <Icon name={live ? "pause" : "play"} /> {live ? t("live.pause") : t("live.resume")}
          </button>
        </>
      }
    >
      <Filters
        filters={[
          { name: "device", label: t("device"), kind: "text" },
          { name: "datasource", label: t("datasource"), kind: "choice", choices: names(sources) },
          { name: "state", label: t("state"), kind: "choice", choices: ["received", "converted", "filtered", "failed"] },
          { name: "outcome", label: t("outcome"), kind: "choice", choices: OUTCOMES },
          { name: "integration", label: t("integration"), kind: "choice", choices: names(targets) },
          { name: "text", label: t("metadata.has"), kind: "text" },
          { name: "since", label: t("since"), kind: "time" },
          { name: "until", label: t("until"), kind: "time" },
          ...(query.group ? [{ name: "group", label: t("group.failures"), kind: "text" as const }] : []),
        ]}
      />
      <Fresh feed={feed} show={show} live={live} />
      <div ref={list}>
        <Box flush>
          {error && <Failed error={error} retry={() => older(next ?? undefined)} stale={feed.rows.length > 0} />}
          {feed.rows.length > 0 ? (
            <List label={t("nav.messages")} columns={COLUMNS} items={feed.rows} id={(row) => row.id} link={(row) => href(["messages", row.id])} kind={(row) => row.state} />
          ) : next === undefined ? (
            !error && <Skeleton />
          ) : (
            <Empty icon="messages" title={filtered ? t("messages.none.filtered") : t("messages.none")}>
              {filtered ? next ? t("messages.looked") : null : live ? <p>{t("messages.waiting", { time: time(since).slice(0, 8) })}</p> : null}
              {!filtered && (
                <a class="button" href="#/connect">
                  <Icon name="plus" /> {t("connect.first")}
                </a>
              )}
            </Empty>
          )}
          <div ref={end} class="list-end">
            {next && (
              <button type="button" class="link" disabled={busy} onClick={() => older(next)}>
                {busy ? t("loading") : t("older")}
              </button>
            )}
            {back > 0 && next && (
              <span class="dim">
                {t("looked.back")} <Time ms={back} />
              </span>
            )}
            {next === null && feed.rows.length > 0 && <span class="dim">{t("list.end", { n: feed.rows.length })}</span>}
          </div>
        </Box>
      </div>
    </Page>
  );
}

// The button with what came while one reads. It is said aloud every five seconds at most.
function Fresh({ feed, show, live }: { feed: Feed; show: () => void; live: boolean }) {
  const now = useNow(5000);
  const count = feed.fresh.length;
  const [said, say] = useState(0);
  useEffect(() => say(count), [now]);
  return (
    <div class="fresh">
      {live && count > 0 && (
        <button type="button" class="button primary" onClick={show}>
          <Icon name="up" /> {t("live.new", { n: count })}
        </button>
      )}
      {feed.missed > 0 && <span class="dim">{t("live.missed", { n: feed.missed })}</span>}
      <span class="hidden" role="status">
        {said ? t("live.new", { n: said }) : ""}
      </span>
    </div>
  );
}

export const count = number;

// The gateway at a glance: what comes in, what converts it, where it goes.
import { useRef, useState } from "preact/hooks";
import { get, post, type Problem } from "../core/api";
import { duration, number, size } from "../core/format";
import { useLoad } from "../core/load";
import { href } from "../core/router";
import { isAdmin } from "../core/session";
import { useStream } from "../core/stream";
import { trial } from "../core/trial";
import type { Datasource, Group, List as Items, Series, Status } from "../core/types";
import { t } from "../texts";
import { Act, Box, Copy, Empty, Failed, Notice, Page, Panel, State } from "../ui/basic";
import { Spark } from "../ui/data";
import { GroupRow, merged } from "../ui/groups";
import { Icon } from "../ui/icons";
import { LinkState } from "../ui/link";
import { Rates } from "../core/rates";

export function Overview() {
  const status = useLoad((signal) => get<Status>("/status", {}, signal), [], 5000);
  const sources = useLoad((signal) => get<Items<Datasource & { converters: Record<string, string> }>>("/datasources", { limit: 1000 }, signal), [], 15_000);
  const failures = useLoad((signal) => get<Items<Group>>("/failures", {}, signal), [], 10_000);
  const into = useLoad((signal) => get<Series>("/series", { kind: "datasource", step: 60, }, signal), [], 15_000);
  const out = useLoad((signal) => get<Series>("/series", { kind: "integration", step: 60 }, signal), [], 15_000);
  const [problem, setProblem] = useState<Problem>();
  const rates = useRef(new Rates());
  const [, tick] = useState(0);
  const link = useStream({ topics: "stats" }, (events) => {
    for (const each of events) if (each.event === "stats") rates.current.take(each.data);
    tick((n) => n + 1);
  });
  const is = status.data;
  const points = (series: Series | undefined, name: string, key: string) => series?.items.find((each) => each.name === name)?.points[key] ?? [];
  const converterOf = (name: string) => sources.data?.items.find((each) => each.name === name);
  // what was made ready for devices that may come, and has no part in anything yet, is named in short
  const seen = is?.datasources.filter((each) => !isIdle(each)) ?? [];
  const converters = [...new Set(sources.data?.items.flatMap((each) => [each.converter, ...Object.values(each.converters)]).filter(Boolean) ?? [])];
  const trouble = (where: string) => failures.data?.items.filter((each) => each.kind === "conversion" && each.where === where).length ?? 0;
  const first = new Set(seen.map((each) => converterOf(each.name)?.converter));
  const shown = converters.filter((name) => first.has(name) || trouble(name));
  return (
    <Page title={t("nav.overview")} wide command="iotgwctl status" actions={<LinkState link={link} live />}>
      {is && !is.ready && <Notice kind="bad">{t("overview.notready", { why: is.notReadyBecause ?? "" })}</Notice>}
      {is?.paused ? (
        <Notice kind="warn">
          {t("overview.paused")} <Act may={isAdmin.value} onClick={() => void post("/resume").then(status.reload, setProblem)}>{t("overview.resume")}</Act>
        </Notice>
      ) : null}
      {problem && <Failed error={problem} />}
      {is && is.journal.problem && <Notice kind="bad">{is.journal.problem}</Notice>}
      <Panel
        load={status} flush
        empty={(found) => !found.datasources.length && !found.integrations.length && (
          <Empty icon="datasources" title={t("overview.empty")}>
            <p>{t("overview.empty.hint")}</p>
            <a class="button primary" href="#/connect">
              <Icon name="plus" /> {t("connect.first")}
            </a>
          </Empty>
        )}
      >
        {(found) => (
          <>
            <div class="figures">
              <Figure title={t("overview.received")} value={number(found.journal.received)} />
              <Figure title={t("overview.converted")} value={number(found.journal.converted)} />
              <Figure title={t("overview.filtered")} value={number(found.journal.filtered)} />
              <Figure title={t("overview.failed")} value={number(found.journal.failed)} kind={found.journal.failed ? "bad" : ""} href="#/failures" />
              <Figure title={t("overview.waiting")} value={number(found.journal.waiting)} />
              {found.journal.bytes !== undefined && <Figure title={t("overview.stored")} value={size(found.journal.bytes)} />}
              <Balance journal={found.journal} />
            </div>
            {found.journal.received === 0 && <First sources={sources.data?.items ?? []} />}
            <div class="flow">
              <section aria-labelledby="flow-in">
                <h2 id="flow-in">
                  <Icon name="datasources" /> {t("nav.datasources")}
                  <a href="#/connect" class="icon-button" title={t("gallery.source")}>
                    <Icon name="plus" />
                    <span class="hidden">{t("gallery.source")}</span>
                  </a>
                </h2>
                {seen.map((each) => (
                  <a class={`node ${isStopped(each) ? "still" : ""}`} key={each.id} href={href(["datasources", each.name])}>
                    <header>
                      <strong>{each.name}</strong>
                      <State value={each.state} />
                    </header>
                    <Spark points={points(into.data, each.name, "received")} label={t("overview.hour", { what: each.name })} />
                    <dl>
                      <Count name={t("rate")} value={`${rates.current.of(each.id, "received")}/s`} />
                      <Count name={t("overview.received")} value={number(each.counts.received)} />
                      <Count name={t("overview.failed")} value={number(each.counts.failed)} kind={each.counts.failed ? "bad" : ""} />
                      {each.pending > 0 && <Count name={t("overview.waiting")} value={number(each.pending)} />}
                    </dl>
                  </a>
                ))}
                {found.datasources.length > seen.length && (
                  <div class="node quiet">
                    <span class="dim">
                      {t("overview.stopped")}{" "}
                      {found.datasources.filter(isIdle).map((each, n) => (
                        <span key={each.id}>
                          {n > 0 && ", "}
                          <a href={href(["datasources", each.name])}>{each.name}</a>
                        </span>
                      ))}
                    </span>
                  </div>
                )}
                {!found.datasources.length && <Empty title={t("datasources.none")} />}
              </section>
              <section aria-labelledby="flow-through">
                <h2 id="flow-through">
                  <Icon name="converters" /> {t("nav.converters")}
                </h2>
                {shown.map((name) => {
                  const users = sources.data?.items.filter((each) => each.converter === name || Object.values(each.converters).includes(name)).map((each) => each.name) ?? [];
                  const groups = trouble(name);
                  return (
                    <a class={`node ${groups > 0 ? "bad" : ""}`} key={name} href={href(["converters", name])}>
                      <header>
                        <strong>{name}</strong>
                        <State value={groups > 0 ? "failing" : "ok"} />
                      </header>
                      <span class="dim">
                        {t("overview.from", { names: users.join(", ") })}
                        {groups > 0 && ` · ${t("overview.groups", { n: groups })}`}
                      </span>
                    </a>
                  );
                })}
                {converters.length > shown.length && (
                  <a class="node quiet" href="#/converters">
                    <span class="dim">{t("overview.models", { n: converters.length - shown.length })}</span>
                  </a>
                )}
                {seen.filter((each) => !converterOf(each.name)?.converter && !Object.keys(converterOf(each.name)?.converters ?? {}).length).map((each) => (
                  <div class="node quiet" key={each.id}>
                    <span class="dim">{t("overview.stored.only", { name: each.name })}</span>
                  </div>
                ))}
              </section>
              <section aria-labelledby="flow-out">
                <h2 id="flow-out">
                  <Icon name="integrations" /> {t("nav.integrations")}
                  <a href="#/connect/target" class="icon-button" title={t("gallery.to")}>
                    <Icon name="plus" />
                    <span class="hidden">{t("gallery.to")}</span>
                  </a>
                </h2>
                {found.integrations.map((each) => (
                  <a class={`node ${each.state === "unavailable" ? "bad" : ""}`} key={each.id} href={href(["integrations", each.name])}>
                    <header>
                      <strong>{each.name}</strong>
                      <span class={`state ${each.balanced ? "good" : "bad"}`} title={t(each.balanced ? "accounts.balanced" : "accounts.unbalanced")}>
                        <Icon name={each.balanced ? "balanced" : "cross"} />
                        <span class={each.balanced ? "hidden" : ""}>{t(each.balanced ? "accounts.short" : "accounts.unbalanced")}</span>
                      </span>
                      <State value={each.state} />
                    </header>
                    <Spark points={points(out.data, each.name, "delivered")} label={t("overview.hour.out", { what: each.name })} kind={each.state === "unavailable" ? "bad" : ""} />
                    <dl>
                      <Count name={t("rate")} value={`${rates.current.of(each.id, "delivered")}/s`} />
                      <Count name={t("overview.delivered")} value={number(each.delivered)} />
                      <Count name={t("overview.backlog")} value={number(each.waiting)} kind={each.state === "unavailable" && each.waiting ? "bad" : ""} />
                      {each.oldestAge !== null && each.oldestAge > 5 && <Count name={t("overview.oldest")} value={duration(each.oldestAge)} />}
                      {each.dead > 0 && <Count name={t("overview.dead")} value={number(each.dead)} kind="bad" />}
                    </dl>
                    {each.lastError && each.state === "unavailable" && <span class="error-text">{each.lastError}</span>}
                  </a>
                ))}
                {!found.integrations.length && (
                  <Empty title={t("integrations.none")}>
                    <a class="button" href="#/connect/target">
                      <Icon name="plus" /> {t("gallery.to")}
                    </a>
                  </Empty>
                )}
              </section>
            </div>
          </>
        )}
      </Panel>
      {failures.data && failures.data.items.length > 0 && (
        <Box title={t("overview.failures")} flush tools={<a href="#/failures">{t("all")}</a>}>
          <ul class="groups">
            {merged(failures.data.items).slice(0, 5).map((group) => (
              <GroupRow key={group.id} group={group} />
            ))}
          </ul>
        </Box>
      )}
    </Page>
  );
}

const isStopped = (source: Status["datasources"][number]) => source.state === "stopped";
const isIdle = (source: Status["datasources"][number]) => isStopped(source) && !source.counts.received;

// What to do with a gateway to which nothing has come yet.
function First({ sources }: { sources: Datasource[] }) {
  const open = sources.filter((each) => each.status.state === "listening");
  const source = open.find((each) => each.type === "http" && each.converter === "json") ?? open[0];
  const text = source && trial(source);
  return (
    <section class="first" aria-labelledby="first">
      <h2 id="first">{t("first.title")}</h2>
      {source && text && (
        <>
          <p>{t("first.hint", { name: source.name })}</p>
          <p class="address">
            <code>{text}</code> <Copy text={text} />
          </p>
        </>
      )}
      <p class="actions">
        <a class="button primary" href="#/connect">
          <Icon name="plus" /> {t("first.devices")}
        </a>
        <a class="button" href="#/connect/target">
          <Icon name="plus" /> {t("first.target")}
        </a>
      </p>
    </section>
  );
}

function Figure({ title, value, kind = "", href: to }: { title: string; value: string; kind?: string; href?: string }) {
  const body = (
    <>
      <b class="number">{value}</b>
      <span>{title}</span>
    </>
  );
  return to ? <a class={`figure ${kind}`} href={to}>{body}</a> : <div class={`figure ${kind}`}>{body}</div>;
}

function Balance({ journal }: { journal: Status["journal"] }) {
  const holds = journal.received === journal.converted + journal.filtered + journal.failed + journal.waiting;
  return (
    <div class={`figure balance ${holds ? "good" : "warn"}`} title={t("overview.identity")}>
      <b>
        <Icon name={holds ? "check" : "clock"} />
      </b>
      <span>{holds ? t("overview.balanced") : t("overview.moving")}</span>
    </div>
  );
}

function Count({ name, value, kind = "" }: { name: string; value: string; kind?: string }) {
  return (
    <div class={kind}>
      <dt>{name}</dt>
      <dd class="number">{value}</dd>
    </div>
  );
}

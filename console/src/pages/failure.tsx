// One group of failures: why they are one, which messages they are, and what to do about them all.
import { useState } from "preact/hooks";
import { get, post, type Problem } from "../core/api";
import { number } from "../core/format";
import { useLoad } from "../core/load";
import { go, href } from "../core/router";
import { mayWrite } from "../core/session";
import type { Group, Job, List as Items, Row } from "../core/types";
import { t, word } from "../texts";
import { Act, Ago, Box, Empty, Failed, Page, Panel, Time } from "../ui/basic";
import { Pairs } from "../ui/data";
import { merged } from "../ui/groups";
import { Icon } from "../ui/icons";
import { List } from "../ui/list";
import { COLUMNS } from "./messages";

const PAGES = 20;

// A group stands in a list of bounded pages; it is looked for in the first of them.
export async function group(id: string, signal?: AbortSignal): Promise<Group | null> {
  let before: string | undefined;
  const found: Group[] = [];
  for (let page = 0; page < PAGES; page += 1) {
    const answer = await get<Items<Group>>("/failures", { before }, signal);
    found.push(...answer.items.filter((each) => each.id === id));
    if (!answer.next || (found.length && !answer.items.some((each) => each.id === id))) break;
    before = answer.next;
  }
  return merged(found)[0] ?? null;
}

export function Failure({ name: id }: { name: string }) {
  const load = useLoad((signal) => group(id, signal), [id], 10_000);
  const found = load.data;
  const [problem, setProblem] = useState<Problem>();
  const start = (body: Record<string, unknown>) => post<Job>("/jobs", body).then((job) => go(["jobs", job.id]), setProblem);
  const isConversion = found?.kind === "conversion";
  const ofScript = isConversion && !!(found.error.line || found.version);
  return (
    <Page
      title={found?.pattern ?? t("failure")} back={{ href: "#/failures", text: t("nav.failures") }} wide command={`iotgwctl failures --kind ${found?.kind ?? "conversion"}`}
      lead={found && `${t("failure")} · ${word(found.kind)}`}
      actions={
        found && (
          <>
            {ofScript && (
              <a class="button primary" href={href(["converters", found.where], { group: id })}>
                <Icon name="converters" /> {t("failure.fix")}
              </a>
            )}
            {isConversion && (
              <Act may={mayWrite.value} onClick={() => void start({ reprocess: { state: "failed", group: id } })}>
                {t("failure.reprocess", { n: found.count })}
              </Act>
            )}
            {found.kind === "delivery" && (
              <>
                <a class="button" href={href(["integrations", found.where], { tab: "dead" })}>
                  {t("dead.letters")}
                </a>
                <Act may={mayWrite.value} kind="primary" onClick={() => void start({ retry: { integration: found.where, group: id } })}>
                  {t("failure.retry", { n: found.count })}
                </Act>
              </>
            )}
          </>
        )
      }
    >
      {problem && <Failed error={problem} />}
      <Panel load={load} empty={(is) => is === null && <Empty icon="check" title={t("failure.gone")}>{t("failure.gone.hint")}</Empty>}>
        {(is) =>
          is && (
            <Pairs
              items={[
                [t("failure.example"), <code key="e">{is.error.message}</code>],
                [t("where"), is.kind === "conversion" ? <a key="w" href={href(["converters", is.where])}>{is.where}{is.version ? ` v${is.version}` : ""}{is.error.line ? `, ${t("at.line", { line: is.error.line, column: is.error.column ?? 1 })}` : ""}</a> : is.kind === "delivery" ? <a key="w" href={href(["integrations", is.where])}>{is.where}</a> : is.where],
                [t("count"), <b key="c" class="number">{number(is.count)}</b>],
                [t("failure.first"), <Time key="f" ms={is.first} />],
                [t("failure.last"), <Ago key="l" ms={is.last} />],
                [t("failure.why"), t(`failure.why.${is.kind}`)],
                ...(is.datasources.length ? [[t("nav.datasources"), is.datasources.map((each) => <a key={each} href={href(["datasources", each])}>{each} </a>)] as [any, any]] : []),
              ]}
            />
          )
        }
      </Panel>
      {isConversion && <Members id={id} />}
      {found?.kind === "delivery" && (
        <Box title={t("failure.sample")}>
          <a href={href(["messages", found.sample])}>
            {t("message")} <code>{found.sample}</code>
          </a>
        </Box>
      )}
      {found?.kind === "refusal" && (
        <Box title={t("failure.sample")}>
          <p>{word(found.kind)}: {found.error.message}</p>
          <a href={href(["events"], { type: "refused" })}>{t("nav.events")}</a>
        </Box>
      )}
    </Page>
  );
}

function Members({ id }: { id: string }) {
  const load = useLoad((signal) => get<Items<Row>>("/messages", { group: id, view: "row", limit: 50 }, signal), [id], 10_000);
  return (
    <Panel load={load} flush title={t("failure.messages")} tools={<a href={href(["messages"], { group: id })}>{t("all")}</a>} empty={(page) => !page.items.length && <Empty title={t("failure.messages.none")} />}>
      {(page) => <List label={t("failure.messages")} columns={COLUMNS} items={page.items} id={(row) => row.id} link={(row) => href(["messages", row.id])} kind={(row) => row.state} />}
    </Panel>
  );
}

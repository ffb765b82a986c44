// One message: the whole of its story.
import { useState } from "preact/hooks";
import { call, get, part, post } from "../core/api";
import { fromBase64 } from "../core/bytes";
import { size } from "../core/format";
import { useKeys } from "../core/keys";
import { command } from "../core/shell";
import { type Loaded, useLoad } from "../core/load";
import { go, href } from "../core/router";
import { mayWrite } from "../core/session";
import type { Converter, Delivery, Downlink, List as Items, Message } from "../core/types";
import { t, word } from "../texts";
import { Act, Box, Copy, Empty, Failed, Notice, Page, Panel, State, Time } from "../ui/basic";
import { Json, Outputs, Pairs } from "../ui/data";
import { Hex } from "../ui/hex";
import { Icon } from "../ui/icons";

export function MessageView({ name: id }: { name: string }) {
  const load = useLoad((signal) => get<Message>(`/messages/${part(id)}`, {}, signal), [id]);
  const message = load.data;
  const converters = useLoad((signal) => get<Items<Converter>>("/converters", { limit: 1000 }, signal), []);
  const device = message?.output[0]?.deviceName ?? message?.output[0]?.assetName;
  const [said, say] = useState("");
  const [problem, setProblem] = useState<any>();
  const [convertedBy, version] = (message?.converter ?? "").split("/");
  const converter = converters.data?.items.find((each) => each.id === convertedBy)?.name;
  const neighbour = async (older: boolean) => {
    if (older) {
      const page = await get<Items<Message>>("/messages", { view: "row", limit: 1, before: id });
      if (page.items[0]) go(["messages", page.items[0].id]);
    } else history.back();
  };
  useKeys([
    { key: "]", says: t("keys.older"), run: () => void neighbour(true) },
    { key: "u", says: t("keys.up"), run: () => go(["messages"]) },
  ]);
  const again = () =>
    post(`/messages/${part(id)}/reprocess`)
      .then(() => say(t("message.converted.again")), setProblem)
      .then(load.reload);
  return (
    <Page
      title={t("message")} back={{ href: "#/messages", text: t("nav.messages") }} command={command(["message", id])} wide
      lead={
        message && (
          <>
            <State value={message.state} /> <code>{message.id}</code> <Copy text={message.id} /> · <Time ms={message.receivedAt} /> · <a href={href(["datasources", message.datasource])}>{message.datasource}</a>
            {device && (
              <>
                {" "}
                · <a href={href(["devices", device])}>{device}</a>
              </>
            )}
          </>
        )
      }
      actions={
        <>
          {converter && message && (
            <a class={`button ${message.state === "failed" ? "primary" : ""}`} href={href(["converters", converter], { message: id })}>
              <Icon name="converters" /> {message.state === "failed" ? t("message.fix") : t("message.try")}
            </a>
          )}
          <Act may={mayWrite.value} onClick={again} disabled={!message || message.state === "received"}>
            {t("message.again")}
          </Act>
          <button type="button" class="button" onClick={() => void neighbour(true)} title="]">
            {t("message.older")} <Icon name="right" />
          </button>
        </>
      }
    >
      {said && <Notice kind="good">{said}</Notice>}
      {problem && <Failed error={problem} />}
      {message?.error && (
        <Notice kind="bad">
          <strong>{message.error.message}</strong>
          <p>
            {message.error.name}
            {message.error.line ? ` · ${t("at.line", { line: message.error.line, column: message.error.column ?? 1 })}` : ""}
            {converter ? ` · ${converter} v${version}` : ""}
          </p>
        </Notice>
      )}
      {load.error && !message ? <Failed error={load.error} retry={load.reload} /> : <Story load={load} id={id} converter={converter} version={version} device={device} />}
    </Page>
  );
}

interface StoryProps {
  load: Loaded<Message>;
  id: string;
  converter: string | undefined;
  version: string | undefined;
  device: string | undefined;
}

// How it came, what it became, and where it went.
function Story({ load, id, converter, version, device }: StoryProps) {
  const message = load.data;
  return (
    <>
      <div class="story">
        <Step icon="datasources" title={t("message.came")}>
          <Panel load={load} title={message && `${t("bytes")} · ${size(fromBase64(message.payload).length)}`}>
            {(found) => <Hex bytes={fromBase64(found.payload)} />}
          </Panel>
          <Metadata load={load} />
        </Step>
        <Step icon="converters" title={t("message.became")}>
          <Panel load={load} title={converter ? <>{t("output")} · <a href={href(["converters", converter])}>{converter}</a> v{version}</> : t("output")} empty={(found) => found.output.length === 0 && <Empty icon={found.state === "failed" ? "warn" : "quiet"} title={t(found.state === "failed" ? "message.output.failed" : found.state === "filtered" ? "message.output.filtered" : found.converter ? "message.output.waiting" : "message.output.none")} />}>
            {(found) => <Outputs outputs={found.output} />}
          </Panel>
        </Step>
        <Step icon="integrations" title={t("message.went")}>
          <Panel load={load} title={t("deliveries")} empty={(found) => found.deliveries.length === 0 && <Empty title={t("message.deliveries.none")} />}>
            {(found) => found.deliveries.map((each) => <OneDelivery key={each.integration} delivery={each} />)}
          </Panel>
          {device && <Back device={device} at={message!.receivedAt} />}
        </Step>
      </div>
      <Kept id={id} />
    </>
  );
}

function Step({ icon, title, children }: { icon: "datasources" | "converters" | "integrations"; title: string; children: any }) {
  return (
    <div class="step">
      <h2 class="step-title">
        <Icon name={icon} /> {title}
      </h2>
      {children}
    </div>
  );
}

function Metadata({ load }: { load: Loaded<Message> }) {
  return (
    <Panel load={load} title={t("metadata")}>
      {(message) => <Pairs items={Object.entries(message.metadata).map(([name, given]) => [name, <code key={name}>{typeof given === "string" ? given : JSON.stringify(given)}</code>])} />}
    </Panel>
  );
}

function OneDelivery({ delivery }: { delivery: Delivery }) {
  return (
    <div class="delivery">
      <a href={href(["integrations", delivery.integration])}>{delivery.integration}</a>
      <State value={delivery.state} />
      <span class="dim">{delivery.attempts ? t("attempts", { n: delivery.attempts }) : ""}</span>
      {delivery.nextTryAt ? (
        <span>
          {t("next.try")} <Time ms={delivery.nextTryAt} />
        </span>
      ) : null}
      {delivery.tries.length > 1 ? <Tries delivery={delivery} /> : delivery.error && <p class="error-text">{delivery.error}</p>}
    </div>
  );
}

// The latest attempts, newest first, with what the target said to each.
function Tries({ delivery }: { delivery: Delivery }) {
  const first = delivery.attempts - delivery.tries.length + 1;
  return (
    <ol class="tries" aria-label={t("tries.latest")}>
      {delivery.tries
        .map((each, at) => (
          <li key={first + at}>
            <span class="dim number">{first + at}.</span> <Time ms={each.at} /> <span class="error-text">{each.answer}</span>
          </li>
        ))
        .reverse()}
    </ol>
  );
}

// Downlinks of the device around the message's time: what may have gone back with it.
function Back({ device, at }: { device: string; at: number }) {
  const load = useLoad((signal) => get<Items<Downlink>>(`/devices/${part(device)}/downlinks`, { limit: 50 }, signal), [device]);
  const near = load.data?.items.filter((each) => Math.abs(each.updatedAt - at) < 60_000) ?? [];
  if (!near.length) return null;
  return (
    <Box title={t("message.back")}>
      {near.map((each) => (
        <div class="delivery" key={each.id}>
          <code>{each.id}</code>
          <State value={each.state} />
          <Time ms={each.updatedAt} />
          {each.reason && <p>{each.reason}</p>}
        </div>
      ))}
    </Box>
  );
}

// What debugging kept of it, where it was on.
function Kept({ id }: { id: string }) {
  const load = useLoad((signal) => call<{ items: { at: number; stage: string; said: unknown }[] }>("GET", `/messages/${part(id)}/debug`, undefined, { signal }), [id]);
  if (!load.data?.items.length) return null;
  return (
    <Box title={t("message.debug")}>
      {load.data.items.map((each, i) => (
        <details key={i}>
          <summary>
            <Time ms={each.at} /> {word(each.stage)}
          </summary>
          <Json data={each.said} label={each.stage} />
        </details>
      ))}
    </Box>
  );
}

// A new datasource or a new target: chosen by what one has, then said in a form.
import { useState } from "preact/hooks";
import { command, quoted } from "../core/shell";
import { type FieldProblem, get, part, post, Problem } from "../core/api";
import { useLoad } from "../core/load";
import { go, href, place, setQuery } from "../core/router";
import { describe } from "../core/description";
import { Schemas } from "../core/schema";
import { mayWrite } from "../core/session";
import type { Converter, Datasource, Integration, List as Items } from "../core/types";
import { type Key, known, t } from "../texts";
import { Act, Empty, Failed, Field, Notice, Page, Panel, Tabs } from "../ui/basic";
import { Form } from "../ui/form";
import { Icon, type IconName } from "../ui/icons";
import { marked } from "../ui/marked";
import { proved, show, Signature, type SourcePreset, Platform } from "./platform";

interface TargetPreset {
  name: string;
  title: string;
  about: string;
  type: string;
  unverified: string;
  ask: { name: string; says: string; default?: string; secret: boolean; number: boolean }[];
}

interface Card {
  key: string;
  title: string;
  about: string;
  group: Key;
  href: string;
}

const GROUPS: Record<string, Key> = {
  tekelek: "gallery.device", tcp: "gallery.device", udp: "gallery.device", coap: "gallery.device", lwm2m: "gallery.device", "lwm2m-bootstrap": "gallery.device",
  dragino: "gallery.device", "dragino-coap": "gallery.device", "dragino-udp": "gallery.device", "dragino-mqtt": "gallery.device", "lobaro-coap": "gallery.device", "lobaro-udp": "gallery.device",
  http: "gallery.program", mqtt: "gallery.broker", kafka: "gallery.broker", rabbitmq: "gallery.broker", "opc-ua": "gallery.plant",
};
const ORDER: Key[] = ["gallery.device", "gallery.platform", "gallery.program", "gallery.broker", "gallery.plant", "gallery.cloud", "gallery.preset", "gallery.target"];
const ICONS: Record<string, IconName> = { "gallery.device": "devices", "gallery.program": "converters", "gallery.broker": "messages", "gallery.plant": "settings", "gallery.cloud": "overview", "gallery.platform": "datasources", "gallery.target": "integrations", "gallery.preset": "integrations" };

export function Gallery({ name }: { name: string }) {
  if (name === "datasource") return <NewSource />;
  if (name === "integration") return <NewTarget />;
  return <Choose what={name === "target" ? "target" : "source"} />;
}

function about(key: string): string {
  return known(`type.${key}`) ?? known(`type.${key.replace("to.", "")}`) ?? "";
}

function Choose({ what }: { what: "source" | "target" }) {
  const { query } = place.value;
  const load = useLoad(async (signal): Promise<Card[]> => {
    if (what === "source") {
      const [presets, description] = await Promise.all([get<{ items: SourcePreset[] }>("/presets", {}, signal), describe()]);
      const types = (description.components.schemas.DatasourceSpec!.properties!.type!.enum ?? []) as string[];
      return [
        ...types.map((each): Card => ({ key: each, title: NAMES[each] ?? each, about: about(each), group: GROUPS[each] ?? "gallery.cloud", href: href(["connect", "datasource"], { type: each }) })),
        ...presets.items.map((each): Card => ({ key: `preset ${each.name}`, title: each.title, about: each.note || t("gallery.over", { what: NAMES[each.type] ?? each.type }), group: "gallery.platform", href: href(["connect", "datasource"], { type: each.type, preset: each.name }) })),
      ];
    }
    const [presets, description] = await Promise.all([get<{ items: TargetPreset[] }>("/integration-presets", {}, signal), describe()]);
    const types = (description.components.schemas.IntegrationSpec!.properties!.type!.enum ?? []) as string[];
    return [
      ...types.map((each): Card => ({ key: each, title: NAMES[each] ?? each, about: about(`to.${each}`), group: "gallery.target", href: href(["connect", "integration"], { type: each }) })),
      ...presets.items.map((each): Card => ({ key: `preset ${each.name}`, title: each.title, about: each.about, group: "gallery.preset", href: href(["connect", "integration"], { preset: each.name }) })),
    ];
  }, [what]);
  const wanted = (query.text ?? "").toLowerCase();
  return (
    <Page title={t(what === "source" ? "gallery.source" : "gallery.to")} lead={t("gallery.lead")} command={what === "source" ? "iotgwctl datasource add" : "iotgwctl presets"}>
      <Tabs label={t("gallery.source")} now={what} items={[{ key: "source", text: t("gallery.tab.source"), href: "#/connect" }, { key: "target", text: t("gallery.tab.target"), href: "#/connect/target" }]} />
      <div class="filters">
        <input type="search" aria-label={t("gallery.search")} placeholder={t("gallery.search")} value={query.text ?? ""} onInput={(event) => setQuery({ text: event.currentTarget.value })} />
      </div>
      <Panel load={load}>
        {(cards) => {
          const found = cards.filter((card) => `${card.title} ${card.about} ${card.key}`.toLowerCase().includes(wanted));
          const groups = ORDER.filter((group) => found.some((card) => card.group === group));
          if (!found.length) return <Empty title={t("gallery.none")} />;
          return groups.map((group) => (
            <section class="gallery" key={group}>
              <h2>{t(group)}</h2>
              <div class="cards">
                {found.filter((card) => card.group === group).map((card) => (
                  <a class="card" key={card.key} href={card.href}>
                    <Icon name={ICONS[group] ?? "datasources"} />
                    <strong>{card.title}</strong>
                    <span class="dim">{marked(card.about)}</span>
                  </a>
                ))}
              </div>
            </section>
          ));
        }}
      </Panel>
    </Page>
  );
}

export const NAMES: Record<string, string> = {
  "aws-kinesis": "Amazon Kinesis", "aws-sqs": "Amazon SQS", "azure-event-hub": "Azure Event Hubs", "azure-iot-hub": "Azure IoT Hub", coap: "CoAP, CoAPS", dragino: "Dragino NB-IoT, TCP",
  "dragino-coap": "Dragino NB-IoT, CoAP", "dragino-mqtt": "Dragino NB-IoT, MQTT", "dragino-udp": "Dragino NB-IoT, UDP", "google-pubsub": "Google Pub/Sub", "google-pubsub-push": "Google Pub/Sub, push",
  http: "HTTP", kafka: "Kafka", "lobaro-coap": "Lobaro, CoAP", "lobaro-udp": "Lobaro, UDP", lwm2m: "LwM2M", "lwm2m-bootstrap": "LwM2M, bootstrap", mqtt: "MQTT", "opc-ua": "OPC UA", rabbitmq: "RabbitMQ",
  tcp: "TCP", tekelek: "Tekelek", udp: "UDP", sftp: "SFTP", thingsboard: "ThingsBoard, MQTT", "thingsboard-http": "ThingsBoard, HTTP",
};

const OF_SPEC = ["description", "routingKey", "reply", "unknownDevices", "allow", "limit", "deviceLimit", "beyondLimit", "metadata", "speaksFor", "downlinkConverter", "downlinkWindow"];

// A name that nobody has: the type's, with a number where need be.
function free(base: string, taken: string[]): string {
  for (let n = 1; ; n += 1) {
    const name = n === 1 ? base : `${base}-${n}`;
    if (!taken.includes(name)) return name;
  }
}

function NewSource() {
  const { query } = place.value;
  const type = query.type ?? "http";
  const load = useLoad(async (signal) => {
    const [description, converters, sources] = await Promise.all([describe(), get<Items<Converter>>("/converters", { limit: 1000 }, signal), get<Items<Datasource>>("/datasources", { limit: 1000 }, signal)]);
    const library = await get<{ items: { name: string; type: string }[] }>("/library", { limit: 1000 }, signal);
    const from = query.preset ? (await get<{ items: SourcePreset[] }>("/presets", {}, signal)).items.find((each) => each.name === query.preset && each.type === type) : undefined;
    return { from, schemas: new Schemas(description.components.schemas), converters: converters.items, library: library.items, taken: sources.items.map((each) => each.name) };
  }, [type]);
  const [value, change] = useState<Record<string, unknown>>({});
  const [configuration, setConfiguration] = useState<Record<string, unknown>>({});
  const [name, setName] = useState<string>();
  const [converter, setConverter] = useState("");
  const [problem, setProblem] = useState<Problem>();
  const suggested = load.data ? free(query.preset ?? type, load.data.taken) : "";
  const save = async (event: SubmitEvent) => {
    event.preventDefault();
    try {
      const { settings, told } = proved(load.data?.from, configuration);
      const made = await post<Datasource>("/datasources", { ...value, name: name ?? suggested, type, ...(converter && { converter }), configuration: settings });
      show(made.name, told);
      go(["datasources", made.name], { tab: "listen" });
    } catch (error) {
      setProblem(error as Problem);
    }
  };
  const problems = problem ? located(problem) : [];
  return (
    <Page title={t("new.datasource", { type: load.data?.from?.title ?? NAMES[type] ?? type })} back={{ href: "#/connect", text: t("gallery.source") }} command={`iotgwctl create datasource FILE`}>
      <Panel load={load}>
        {({ schemas, converters, library, from }) => (
          <form class="settings" onSubmit={(event) => void save(event)}>
            {problem && <Failed error={problem} />}
            {from && <Platform preset={from} />}
            <Field label={t("name")} problem={problems.find((each) => each.path === "name")?.problem}>
              <input required value={name ?? suggested} onInput={(event) => setName(event.currentTarget.value)} spellcheck={false} />
            </Field>
            <Field label={t("converter")} hint={t("new.converter.hint")} problem={problems.find((each) => each.path === "converter")?.problem}>
              <input list="converters" value={converter} onInput={(event) => setConverter(event.currentTarget.value)} spellcheck={false} placeholder={t("new.converter.none")} />
            </Field>
            <datalist id="converters">
              {[...converters.map((each) => each.name), ...library.filter((each) => each.type === "UPLINK").map((each) => each.name)].map((each) => (
                <option key={each} value={each} />
              ))}
            </datalist>
            {from?.proof === "signature" && <Signature value={configuration} change={setConfiguration} />}
            <Form schemas={schemas} schema={schemas.settings("DatasourceSpec", type)} value={configuration} change={setConfiguration} path="configuration" problems={problems} without={from ? ["preset", "custom", "profile", ...(from.proof === "signature" ? ["secret"] : [])] : []} />
            <details open={problems.some((each) => OF_SPEC.includes(each.path.split(/[.[]/)[0]!))}>
              <summary>{t("new.more")}</summary>
              <Form schemas={schemas} schema={schemas.named("DatasourceSpec")} value={value} change={change} problems={problems} only={OF_SPEC} />
            </details>
            <p class="actions">
              <Act may={mayWrite.value} kind="primary submit" onClick={() => undefined}>
                {t("new.create")}
              </Act>
            </p>
          </form>
        )}
      </Panel>
    </Page>
  );
}

// Problems by their fields. A port that is taken is a conflict of the whole, and told at the port as well.
export function located(problem: Problem): FieldProblem[] {
  if (problem.status === 409 && /port|address|listen|bind/i.test(problem.message)) return [{ path: "configuration.port", problem: problem.message }];
  return problem.fields;
}

function NewTarget() {
  const { query } = place.value;
  return query.preset ? <FromPreset preset={query.preset} /> : <Plain type={query.type ?? "http"} start={{}} />;
}

function FromPreset({ preset }: { preset: string }) {
  const load = useLoad((signal) => get<TargetPreset>(`/integration-presets/${part(preset)}`, {}, signal), [preset]);
  const [answers, setAnswers] = useState<Record<string, string>>({});
  const [problem, setProblem] = useState<Problem>();
  const [spec, setSpec] = useState<Record<string, unknown>>();
  if (spec) return <Plain type={String(spec.type)} start={spec} />;
  const asked = load.data?.ask.filter((each) => each.default === undefined || answers[each.name]) ?? [];
  const given = asked.map((each) => `--answer ${quoted(`${each.name}=${each.secret ? "SECRET" : answers[each.name] || "ANSWER"}`)}`);
  const added = [command(["integration", "add", preset], { preset }), ...given].join(" ");
  const ask = (event: SubmitEvent) => {
    event.preventDefault();
    post<Record<string, unknown>>(`/integration-presets/${part(preset)}`, { name: preset, answers: Object.fromEntries(Object.entries(answers).filter(([, given]) => given !== "")) }).then(setSpec, setProblem);
  };
  return (
    <Page title={load.data?.title ?? preset} lead={load.data?.about} back={{ href: "#/connect/target", text: t("gallery.to") }} command={added}>
      <Panel load={load}>
        {(found) => (
          <form class="settings" onSubmit={ask}>
            {found.unverified && <Notice kind="info">{t("preset.unverified", { what: found.unverified })}</Notice>}
            {problem && <Failed error={problem} />}
            {found.ask.map((question) => (
              <Field key={question.name} label={question.name} hint={question.says} problem={problem?.fields.find((each) => each.path.endsWith(question.name))?.problem}>
                <input type={(question.secret ? "password" : "text") as "text"} autoComplete="off" required={question.default === undefined} placeholder={question.default ?? ""} value={answers[question.name] ?? ""} onInput={(event) => setAnswers({ ...answers, [question.name]: event.currentTarget.value })} />
              </Field>
            ))}
            <p class="actions">
              <Act may kind="primary submit" onClick={() => undefined}>
                {t("next")}
              </Act>
            </p>
          </form>
        )}
      </Panel>
    </Page>
  );
}

function Plain({ type, start }: { type: string; start: Record<string, unknown> }) {
  const load = useLoad(async (signal) => {
    const [description, targets] = await Promise.all([describe(), get<Items<Integration>>("/integrations", { limit: 1000 }, signal)]);
    return { schemas: new Schemas(description.components.schemas), taken: targets.items.map((each) => each.name) };
  }, [type]);
  const { name: named, configuration: begun, type: _, ...more } = start;
  const [value, change] = useState<Record<string, unknown>>(more);
  const [configuration, setConfiguration] = useState<Record<string, unknown>>((begun as Record<string, unknown>) ?? {});
  const [name, setName] = useState<string>();
  const [problem, setProblem] = useState<Problem>();
  const suggested = load.data ? free(String(named ?? type), load.data.taken) : "";
  const save = async (event: SubmitEvent) => {
    event.preventDefault();
    try {
      const made = await post<Integration>("/integrations", { ...value, name: name ?? suggested, type, configuration });
      go(["integrations", made.name], { tab: "try" });
    } catch (error) {
      setProblem(error as Problem);
    }
  };
  const problems = problem?.fields ?? [];
  return (
    <Page title={t("new.integration", { type: NAMES[type] ?? type })} back={{ href: "#/connect/target", text: t("gallery.to") }} command="iotgwctl create integration FILE">
      <Panel load={load}>
        {({ schemas }) => (
          <form class="settings" onSubmit={(event) => void save(event)}>
            {problem && <Failed error={problem} />}
            <Field label={t("name")} problem={problems.find((each) => each.path === "name")?.problem}>
              <input required value={name ?? suggested} onInput={(event) => setName(event.currentTarget.value)} spellcheck={false} />
            </Field>
            <Form schemas={schemas} schema={schemas.settings("IntegrationSpec", type)} value={configuration} change={setConfiguration} path="configuration" problems={problems} />
            <details open={problems.some((each) => !/^(name|type|configuration)/.test(each.path))}>
              <summary>{t("new.more")}</summary>
              <Form schemas={schemas} schema={schemas.named("IntegrationSpec")} value={value} change={change} problems={problems} without={["name", "type", "configuration", "enabled"]} />
            </details>
            <p class="actions">
              <Act may={mayWrite.value} kind="primary submit" onClick={() => undefined}>
                {t("new.create")}
              </Act>
            </p>
          </form>
        )}
      </Panel>
    </Page>
  );
}

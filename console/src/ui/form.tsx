// A form made from a schema: what must be said comes first, the rest is folded; what is left empty keeps its default, and isn't sent.
import { useState } from "preact/hooks";
import type { FieldProblem } from "../core/api";
import { kindOf, ordered, problemAt, type Schema, type Schemas, spoken } from "../core/schema";
import { t, word } from "../texts";
import { Icon } from "./icons";
import { marked } from "./marked";

type Values = Record<string, unknown>;
const MASK = "***";

interface FormProps {
  schemas: Schemas;
  schema: Schema;
  value: Values;
  change: (value: Values) => void;
  path?: string;
  problems: FieldProblem[];
  without?: string[];
  only?: string[];
}

export function Form({ schemas, schema, value, change, path = "", problems, without = [], only }: FormProps) {
  const { first, advanced } = ordered(schema);
  const wanted = (name: string) => !without.includes(name) && (!only || only.includes(name));
  const set = (name: string, given: unknown) => {
    const next = { ...value };
    if (given === undefined) delete next[name];
    else next[name] = given;
    change(next);
  };
  const one = (name: string) => {
    const at = path ? `${path}.${name}` : name;
    return <Property key={name} schemas={schemas} schema={schemas.resolved(schema.properties![name]!)} name={name} at={at} required={schema.required?.includes(name) ?? false} value={value[name]} set={(given) => set(name, given)} problems={problems} />;
  };
  const folded = advanced.filter(wanted);
  const wrong = folded.some((name) => problems.some((each) => each.path.startsWith(path ? `${path}.${name}` : name)));
  return (
    <div class="form">
      {first.filter(wanted).map(one)}
      {folded.length > 0 && (
        <details open={wrong || folded.some((name) => name in value)}>
          <summary>{t("form.advanced", { n: folded.length })}</summary>
          {folded.map(one)}
        </details>
      )}
    </div>
  );
}

interface PropertyProps {
  schemas: Schemas;
  schema: Schema;
  name: string;
  at: string;
  required: boolean;
  value: unknown;
  set: (value: unknown) => void;
  problems: FieldProblem[];
}

function Property(props: PropertyProps) {
  const { schemas, schema, name, at, required, value, set, problems } = props;
  const kind = kindOf(schema);
  const id = `field-${at}`;
  const label = schema.title && !/^[A-Z][A-Za-z0-9]+(Settings|Spec)$/.test(schema.title) ? schema.title : spoken(name);
  const unit = schema["x-unit"] as string | undefined;
  const problem = problemAt(problems, at);
  const hint = schema.description?.replace(/`` ?/g, "`");
  const help = (
    <>
      {problem && (
        <span class="problem" id={`${id}-problem`}>
          <Icon name="warn" /> {problem}
        </span>
      )}
      {hint && (
        <span class="hint" id={`${id}-hint`}>
          {marked(hint)}
        </span>
      )}
    </>
  );
  const about = [problem && `${id}-problem`, hint && `${id}-hint`].filter(Boolean).join(" ") || undefined;
  if (kind === "object" || kind === "variant" || kind === "maybe" || kind === "objects") return <Nested {...props} label={label} help={help} kind={kind} />;
  const placeholder = schema.default !== undefined && schema.default !== "" && kind !== "json" && typeof schema.default !== "object" ? String(schema.default) : schema.examples?.[0] !== undefined ? t("form.example", { example: String(schema.examples[0]) }) : "";
  const common = { id, "aria-describedby": about, "aria-invalid": problem ? true : undefined, required: required && kind !== "switch" };
  const text = (given: string) => set(given === "" ? undefined : given);
  return (
    <div class={`field ${problem ? "wrong" : ""} ${kind}`}>
      <label class="label" for={id}>
        {label}
        {required && <b class="required" title={t("form.required")}> *</b>}
      </label>
      <span class="control">
        {kind === "switch" && <input type="checkbox" {...common} checked={(value ?? schema.default) === true} onChange={(event) => set(event.currentTarget.checked === schema.default ? undefined : event.currentTarget.checked)} />}
        {kind === "choice" && (
          <select {...common} value={String(value ?? schema.default ?? "")} onChange={(event) => set(event.currentTarget.value === String(schema.default) ? undefined : event.currentTarget.value)}>
            {schema.default === undefined && <option value="">–</option>}
            {schema.enum!.map((each) => (
              <option key={each} value={String(each)}>
                {word(String(each))}
              </option>
            ))}
          </select>
        )}
        {kind === "number" && (
          <input type="number" {...common} step={schema.type === "integer" ? 1 : "any"} min={schema.minimum} max={schema.maximum} placeholder={placeholder} value={value === undefined ? "" : String(value)} onInput={(event) => set(event.currentTarget.value === "" ? undefined : event.currentTarget.valueAsNumber)} />
        )}
        {kind === "text" && <input type="text" {...common} placeholder={placeholder} value={String(value ?? "")} onInput={(event) => text(event.currentTarget.value)} spellcheck={false} />}
        {kind === "secret" && <Secret {...common} value={value} set={set} />}
        {kind === "texts" && <Lines {...common} value={value} set={set} />}
        {kind === "map" && <Lines {...common} value={value} set={set} pairs />}
        {kind === "json" && <JsonField {...common} value={value} set={set} />}
        {unit && <span class="unit">{unit}</span>}
      </span>
      {help}
    </div>
  );
}

type InputProps = { id: string; "aria-describedby": string | undefined; "aria-invalid": boolean | undefined; required: boolean; value: unknown; set: (value: unknown) => void };

function Secret({ value, set, ...common }: InputProps) {
  const stored = value === MASK;
  const [wasStored] = useState(stored);
  if (stored)
    return (
      <span class="stored">
        <Icon name="tokens" /> {t("form.stored")}
        <button type="button" class="link" id={common.id} aria-describedby={common["aria-describedby"]} onClick={() => set("")}>
          {t("change")}
        </button>
      </span>
    );
  return (
    <>
      <input type="password" autoComplete="new-password" {...common} value={String(value ?? "")} onInput={(event) => set(event.currentTarget.value || undefined)} />
      {wasStored && (
        <button type="button" class="link" onClick={() => set(MASK)}>
          {t("form.keep")}
        </button>
      )}
    </>
  );
}

function Lines({ value, set, pairs, ...common }: InputProps & { pairs?: boolean }) {
  const joined = pairs ? Object.entries((value ?? {}) as Values).map(([name, given]) => `${name}: ${given}`).join("\n") : ((value ?? []) as string[]).join("\n");
  const [text, setText] = useState(joined);
  const take = (given: string) => {
    setText(given);
    const lines = given.split("\n").map((line) => line.trim()).filter(Boolean);
    if (!lines.length) set(undefined);
    else if (!pairs) set(lines);
    else set(Object.fromEntries(lines.map((line) => [line.split(":")[0]!.trim(), line.includes(":") ? line.slice(line.indexOf(":") + 1).trim() : ""])));
  };
  return <textarea rows={2} {...common} value={text} placeholder={pairs ? t("form.pairs") : t("form.lines")} spellcheck={false} onInput={(event) => take(event.currentTarget.value)} />;
}

function JsonField({ value, set, ...common }: InputProps) {
  const [text, setText] = useState(value === undefined ? "" : JSON.stringify(value, null, 1));
  const [bad, setBad] = useState(false);
  const take = (given: string) => {
    setText(given);
    try {
      set(given.trim() ? JSON.parse(given) : undefined);
      setBad(false);
    } catch {
      setBad(true);
    }
  };
  return (
    <>
      <textarea rows={3} class="mono" {...common} aria-invalid={bad || common["aria-invalid"]} value={text} placeholder="JSON" spellcheck={false} onInput={(event) => take(event.currentTarget.value)} />
      {bad && <span class="problem">{t("form.nojson")}</span>}
    </>
  );
}

function Nested({ schemas, schema, name, at, value, set, problems, label, help, kind }: PropertyProps & { label: string; help: any; kind: "object" | "variant" | "maybe" | "objects" }) {
  if (kind === "objects") {
    const items = (value ?? []) as Values[];
    const item = schemas.resolved(schema.items!);
    return (
      <fieldset class="nested">
        <legend>{label}</legend>
        {help}
        {items.map((each, i) => (
          <div class="item" key={i}>
            <Form schemas={schemas} schema={item} value={each} path={`${at}[${i}]`} problems={problems} change={(now) => set(items.map((old, n) => (n === i ? now : old)))} />
            <button type="button" class="link" onClick={() => set(items.length > 1 ? items.filter((_, n) => n !== i) : undefined)}>
              <Icon name="cross" /> {t("remove")}
            </button>
          </div>
        ))}
        <button type="button" class="link" onClick={() => set([...items, {}])}>
          <Icon name="plus" /> {t("add")}
        </button>
      </fieldset>
    );
  }
  if (kind === "maybe") {
    const inner = schemas.resolved(schema.anyOf!.find((each) => each.type !== "null")!);
    const described = { ...inner, description: schema.description ?? inner.description, title: schema.title ?? (inner.properties ? undefined : inner.title), default: schema.default ?? inner.default } as Schema;
    if (described.title === undefined) delete described.title;
    if (described.description === undefined) delete described.description;
    if (!["object", "variant"].includes(kindOf(inner))) {
      const plain = { ...described };
      if (plain.default === null) delete plain.default;
      return <Property schemas={schemas} schema={plain} name={name} at={at} required={false} value={value ?? undefined} set={set} problems={problems} />;
    }
    const on = value !== undefined && value !== null;
    return (
      <fieldset class="nested">
        <legend>
          <label>
            <input type="checkbox" checked={on} onChange={(event) => set(event.currentTarget.checked ? starting(inner) : undefined)} /> {label}
          </label>
        </legend>
        {help}
        {on && (kindOf(inner) === "variant" ? <Variant schemas={schemas} schema={inner} at={at} value={value as Values} set={set} problems={problems} label={label} /> : <Form schemas={schemas} schema={inner} value={value as Values} path={at} problems={problems} change={set} />)}
      </fieldset>
    );
  }
  return (
    <fieldset class="nested">
      <legend>{label}</legend>
      {help}
      {kind === "variant" ? <Variant schemas={schemas} schema={schema} at={at} value={(value ?? schema.default ?? {}) as Values} set={set} problems={problems} label={label} /> : <Form schemas={schemas} schema={schema} value={(value ?? {}) as Values} path={at} problems={problems} change={(now) => set(Object.keys(now).length ? now : undefined)} />}
    </fieldset>
  );
}

const starting = (schema: Schema): Values => (schema.discriminator ? { [schema.discriminator.propertyName]: Object.keys(schema.discriminator.mapping)[0] } : {});

function Variant({ schemas, schema, at, value, set, problems, label }: { schemas: Schemas; schema: Schema; at: string; value: Values; set: (value: unknown) => void; problems: FieldProblem[]; label: string }) {
  const { propertyName, mapping } = schema.discriminator!;
  const now = String(value[propertyName] ?? Object.keys(mapping)[0]);
  const inner = schemas.resolved({ $ref: mapping[now]! });
  return (
    <>
      <div class="field choice">
        <label class="label" for={`field-${at}-${propertyName}`}>
          {label}: {inner.properties?.[propertyName]?.title ?? spoken(propertyName)}
        </label>
        <select id={`field-${at}-${propertyName}`} value={now} onChange={(event) => set({ [propertyName]: event.currentTarget.value })}>
          {Object.keys(mapping).map((each) => (
            <option key={each}>{each}</option>
          ))}
        </select>
      </div>
      <Form schemas={schemas} schema={inner} value={value} path={at} problems={problems} without={[propertyName]} change={(next) => set({ ...next, [propertyName]: now })} />
    </>
  );
}

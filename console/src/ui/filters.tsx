// Filters of a list; each is kept in the address.
import { useEffect, useState } from "preact/hooks";
import { place, setQuery } from "../core/router";
import { t, word } from "../texts";
import { Icon } from "./icons";

export type Filter =
  | { name: string; label: string; kind: "text"; hint?: string }
  | { name: string; label: string; kind: "choice"; choices: string[]; any?: string }
  | { name: string; label: string; kind: "time" };

export function Filters({ filters }: { filters: Filter[] }) {
  const { query } = place.value;
  const set = filters.some((filter) => query[filter.name]);
  const count = filters.filter((filter) => query[filter.name]).length;
  const [open] = useState(!matchMedia("(max-width: 640px)").matches);
  return (
    <details class="filter-box" open={open}>
      <summary>
        {t("filters")}
        {count > 0 && ` (${count})`}
      </summary>
    <form class="filters" role="search" aria-label={t("filters")} onSubmit={(event) => event.preventDefault()}>
      {filters.map((filter) => (
        <label key={filter.name} class={query[filter.name] ? "set" : ""}>
          <span>{filter.label}</span>
          {filter.kind === "choice" ? (
            <select value={query[filter.name] ?? ""} onChange={(event) => setQuery({ [filter.name]: event.currentTarget.value })}>
              <option value="">{filter.any ?? t("any")}</option>
              {filter.choices.map((choice) => (
                <option key={choice} value={choice}>
                  {word(choice)}
                </option>
              ))}
            </select>
          ) : filter.kind === "time" ? (
            <input type="datetime-local" value={local(query[filter.name])} onChange={(event) => setQuery({ [filter.name]: event.currentTarget.valueAsNumber ? new Date(event.currentTarget.value).getTime() : undefined })} />
          ) : (
            <Text name={filter.name} hint={filter.hint ?? ""} />
          )}
        </label>
      ))}
      {set && (
        <button type="button" class="link" onClick={() => setQuery(Object.fromEntries(filters.map((filter) => [filter.name, undefined])))}>
          <Icon name="cross" /> {t("filters.clear")}
        </button>
      )}
    </form>
    </details>
  );
}

function local(ms: string | undefined): string {
  if (!ms) return "";
  const at = new Date(Number(ms));
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

// What is typed is taken over when one pauses.
function Text({ name, hint }: { name: string; hint: string }) {
  const given = place.value.query[name] ?? "";
  const [text, setText] = useState(given);
  useEffect(() => setText(given), [given]);
  useEffect(() => {
    if (text === given) return;
    const timer = setTimeout(() => setQuery({ [name]: text }), 350);
    return () => clearTimeout(timer);
  }, [text]);
  return <input type="search" value={text} placeholder={hint} onInput={(event) => setText(event.currentTarget.value)} spellcheck={false} />;
}

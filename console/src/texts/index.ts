// The words of the console, in the reader's language. All of them are in en.ts and de.ts.
import en from "./en";

export type Key = keyof typeof en;
export type Language = "en" | "de";

const KEPT = "iotgw.language";
export let language: Language = "en";
let words: Record<Key, string> = en;

export function preferred(): Language {
  const kept = localStorage.getItem(KEPT);
  if (kept === "en" || kept === "de") return kept;
  return navigator.language.toLowerCase().startsWith("de") ? "de" : "en";
}

export async function load(wanted: Language): Promise<void> {
  if (wanted === "de") words = (await import("./de")).default;
  language = wanted;
  document.documentElement.lang = wanted;
}

export function choose(wanted: Language): void {
  localStorage.setItem(KEPT, wanted);
  location.reload();
}

const numerals: Intl.NumberFormat[] = [];

// A number with so many digits behind the point at most. To make a format costs more than all else of a page's first numbers, so each is made once.
export function numeral(value: number, digits = 0): string {
  numerals[digits] ??= new Intl.NumberFormat(language, { maximumFractionDigits: digits });
  return numerals[digits].format(value);
}

// A text with {name} filled in; "one|many" is chosen by `n`.
export function t(key: Key, fill: Record<string, string | number> = {}): string {
  const forms = words[key].split("|");
  const form = forms.length === 2 && fill.n !== 1 ? forms[1]! : forms[0]!;
  return form.replace(/\{(\w+)\}/g, (_, name: string) => {
    const given = fill[name];
    return typeof given === "number" ? numeral(given, 3) : (given ?? "");
  });
}

// The text of a key that may be none.
export function known(key: string): string | undefined {
  return key in words ? words[key as Key] : undefined;
}

// The word for a state of the API, or the state itself where there is none.
export function word(state: string): string {
  const key = `state.${state.toLowerCase()}`;
  return key in words ? words[key as Key] : state;
}

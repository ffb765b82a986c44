// The keyboard: what each page and the frame listen to, and the list that "?" shows. Nothing listens while somebody types.
import { useEffect } from "preact/hooks";
import { signal } from "@preact/signals";

export interface Key {
  key: string;
  says: string;
  run: () => void;
}

export const keys = signal<Key[]>([]);

export function useKeys(mine: Key[], depends: unknown[] = []): void {
  useEffect(() => {
    keys.value = [...keys.peek(), ...mine];
    return () => {
      keys.value = keys.peek().filter((key) => !mine.includes(key));
    };
  }, depends);
}

const TYPING = "input, textarea, select, [contenteditable], .cm-host";
let first = "";
let at = 0;

export function listen(): () => void {
  const press = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const target = event.composedPath()[0];
    if (target instanceof Element && (target.closest(TYPING) || (target.getRootNode() as ShadowRoot).host?.closest(TYPING))) return;
    if (document.querySelector("dialog[open]")) return;
    const typed = first && event.timeStamp - at < 1200 ? `${first} ${event.key}` : event.key;
    first = "";
    const found = keys.peek().findLast((key) => key.key === typed);
    if (found) {
      event.preventDefault();
      found.run();
    } else if (keys.peek().some((key) => key.key.startsWith(`${event.key} `))) {
      first = event.key;
      at = event.timeStamp;
    }
  };
  addEventListener("keydown", press);
  return () => removeEventListener("keydown", press);
}

// j and k move through the rows of the page's list, Enter follows the row's link.
export function step(by: number): void {
  const rows = [...document.querySelectorAll<HTMLElement>("main [data-row] a.row-link")];
  if (!rows.length) return;
  const here = rows.findIndex((row) => row === document.activeElement);
  rows[Math.min(rows.length - 1, Math.max(0, here + by))]?.focus();
}

// A list that is asked for page by page, as one scrolls: no more of it is held than was seen.
import { useEffect, useRef, useState } from "preact/hooks";
import type { Problem } from "./api";
import type { List } from "./types";

export interface Paged<T> {
  items: T[];
  // undefined until the first page is there, null behind the last
  next: string | null | undefined;
  error: Problem | undefined;
  busy: boolean;
  more: () => void;
  reload: () => void;
  // what stands behind the last row: when it is nearly seen, the next page is asked for
  end: { current: HTMLDivElement | null };
}

export function usePaged<T>(ask: (next: string | undefined, signal: AbortSignal) => Promise<List<T>>, depends: unknown[]): Paged<T> {
  const [items, setItems] = useState<T[]>([]);
  const [next, setNext] = useState<string | null | undefined>();
  const [error, setError] = useState<Problem>();
  const [busy, setBusy] = useState(false);
  const [turn, again] = useState(0);
  const control = useRef(new AbortController());
  const load = (from?: string) => {
    const mine = control.current.signal;
    setBusy(true);
    ask(from, mine)
      .then(
        (page) => {
          if (mine.aborted) return;
          setItems((was) => (from ? [...was, ...page.items] : page.items));
          setNext(page.next);
          setError(undefined);
        },
        (problem) => mine.aborted || setError(problem),
      )
      .finally(() => mine.aborted || setBusy(false));
  };
  const key = JSON.stringify(depends);
  const shown = useRef("");
  useEffect(() => {
    control.current = new AbortController();
    if (shown.current !== key) {
      setItems([]);
      setNext(undefined);
    }
    shown.current = key;
    load();
    return () => control.current.abort();
  }, [key, turn]);
  const end = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!end.current || !next) return;
    const watch = new IntersectionObserver(([seen]) => seen?.isIntersecting && !busy && load(next), { rootMargin: "600px" });
    watch.observe(end.current);
    return () => watch.disconnect();
  }, [next, busy]);
  return { items, next, error, busy, more: () => load(next ?? undefined), reload: () => again((n) => n + 1), end };
}

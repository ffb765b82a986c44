// What a panel shows: asked for when what it depends on changes, and again every few seconds while the tab is seen.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Problem } from "./api";

export interface Loaded<T> {
  data: T | undefined;
  error: Problem | undefined;
  loading: boolean;
  at: number;
  reload: () => void;
  set: (data: T) => void;
}

const waiting: (() => void)[] = [];

// Shows answers that come close together at once: a page that asks for five things is drawn once and not five times.
function together(show: () => void): void {
  if (waiting.push(show) === 1) requestAnimationFrame(() => waiting.splice(0).forEach((each) => each()));
}

export function useLoad<T>(ask: (signal: AbortSignal) => Promise<T>, depends: unknown[], every = 0): Loaded<T> {
  const [state, change] = useState<{ data?: T | undefined; error?: Problem | undefined; loading: boolean; at: number }>({ loading: true, at: 0 });
  const [turn, again] = useState(0);
  const last = useRef(ask);
  last.current = ask;
  const key = JSON.stringify(depends);
  const shown = useRef("");
  // asked before the page is painted, so that the answer is on its way meanwhile
  useLayoutEffect(() => {
    const control = new AbortController();
    const was = shown.current;
    shown.current = key;
    let timer = 0;
    if (was) change((state) => ({ ...state, ...(was !== key && { data: undefined, error: undefined }), loading: true }));
    const run = () =>
      last.current(control.signal).then(
        (data) => {
          if (control.signal.aborted) return;
          together(() => control.signal.aborted || change({ data, error: undefined, loading: false, at: Date.now() }));
          next();
        },
        (error) => {
          if (control.signal.aborted) return;
          together(() => control.signal.aborted || change((state) => ({ ...state, error, loading: false })));
          if (every || error.status === 0) next(error.status === 0 ? 2000 : every);
        },
      );
    const next = (pause = every) => {
      if (pause) timer = window.setTimeout(() => (document.hidden ? next(pause) : void run()), pause);
    };
    void run();
    return () => {
      control.abort();
      clearTimeout(timer);
    };
  }, [key, turn, every]);
  return {
    data: state.data,
    error: state.error,
    loading: state.loading,
    at: state.at,
    reload: () => again((n) => n + 1),
    set: (data) => change((state) => ({ ...state, data, error: undefined })),
  };
}

// Server-sent events by `fetch`, so that the session travels in a header. It comes back by itself, behind the last event that it saw.
import { useEffect, useRef, useState } from "preact/hooks";
import { address } from "./api";
import { end, renew, session } from "./session";
import { EventReader, type Sent } from "./sse";

export type Link = "connecting" | "open" | "lost";

export function useStream(query: Record<string, string | number | undefined>, take: (events: Sent[]) => void, on = true): Link {
  const [link, setLink] = useState<Link>("connecting");
  const taker = useRef(take);
  taker.current = take;
  const key = JSON.stringify(query);
  useEffect(() => {
    if (!on) return;
    let control = new AbortController();
    let after = "";
    let over = false;
    let timer = 0;
    let pause = 500;
    const run = async () => {
      if (document.hidden || over) return;
      control = new AbortController();
      try {
        const headers = { Authorization: `Bearer ${session.peek()?.session ?? ""}` };
        const answer = await fetch(address("/stream", { ...query, after: after || undefined }), { headers, signal: control.signal });
        if (answer.status === 401) return end();
        if (!answer.ok || !answer.body) throw new Error(String(answer.status));
        const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
        const events = new EventReader();
        setLink("open");
        pause = 500;
        for (;;) {
          const { value, done } = await reader.read();
          if (done) break;
          const got = events.feed(value);
          for (const each of got) if (each.id) after = each.id;
          if (got.length && !over) taker.current(got);
        }
      } catch {
        // the next try says more
      }
      if (over || document.hidden) return;
      setLink("lost");
      timer = window.setTimeout(run, pause);
      pause = Math.min(pause * 2, 10_000);
    };
    // a browser has six connections to one origin: a tab that nobody sees gives its own back
    const seen = () => {
      clearTimeout(timer);
      if (document.hidden) control.abort();
      else {
        renew();
        void run();
      }
    };
    void run();
    document.addEventListener("visibilitychange", seen);
    return () => {
      over = true;
      control.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    };
  }, [key, on]);
  return link;
}

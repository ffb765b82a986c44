// A script in its editor; what is typed is told at once, an error is marked at its place. While it is open the text is the editor's: it is
// replaced only when `turn` changes, since a text that comes back later than the next key would undo that key.
import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../texts";
import type { Editor, Place } from "./editor";

export function Script({ text, label, readOnly = false, error, turn, change, run }: { text: string; turn: number; label: string; readOnly?: boolean; error?: Place | null; change: (text: string) => void; run: () => void }) {
  const host = useRef<HTMLDivElement>(null);
  const made = useRef<Editor | null>(null);
  const [ready, setReady] = useState(false);
  const [lost, setLost] = useState(false);
  const onChange = useRef(change);
  const onRun = useRef(run);
  onChange.current = change;
  onRun.current = run;
  useEffect(() => {
    let over = false;
    import("./editor").then(
      ({ editor }) => {
        if (over || !host.current) return;
        made.current = editor(host.current, text, label, readOnly, (now) => onChange.current(now), () => onRun.current());
        setReady(true);
      },
      () => setLost(true),
    );
    return () => {
      over = true;
      made.current?.destroy();
      made.current = null;
    };
  }, [readOnly]);
  const shown = useRef(turn);
  useEffect(() => {
    if (shown.current === turn) return;
    shown.current = turn;
    made.current?.set(text);
  }, [turn]);
  useEffect(() => made.current?.mark(error ?? null), [error, ready]);
  return (
    <div class="cm-wrap">
      <div class="cm-host" ref={host} />
      {!ready && !lost && <span class="dim loading">{t("loading")}</span>}
      {lost && <textarea value={text} aria-label={label} readOnly={readOnly} onInput={(event) => change(event.currentTarget.value)} />}
    </div>
  );
}

// A list of things, a row each. Only the rows that are seen are in the page, so that ten thousand cost no more than sixty.
import type { ComponentChildren, RefObject } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { t } from "../texts";

export interface Column<T> {
  key: string;
  title: string;
  width: string;
  cell: (item: T) => ComponentChildren;
  end?: boolean;
  // where it stands on a narrow screen: the first line, the second, or not at all
  narrow?: "main" | "side" | "below" | "none";
}

interface ListProps<T> {
  label: string;
  columns: Column<T>[];
  items: T[];
  id: (item: T) => string;
  link?: (item: T) => string | undefined;
  kind?: (item: T) => string;
  head?: boolean;
}

const BEYOND = 12;

export function List<T>({ label, columns, items, id, link, kind, head = true }: ListProps<T>) {
  const box = useRef<HTMLDivElement>(null);
  const [shown, show] = useState({ from: 0, to: Math.min(items.length, 60) });
  const height = useRef(32);
  useLayoutEffect(() => {
    const look = () => {
      const place = box.current;
      if (!place) return;
      const row = place.querySelector<HTMLElement>("[data-row]");
      if (row) height.current = row.offsetHeight || height.current;
      const top = -place.getBoundingClientRect().top;
      const from = Math.max(0, Math.floor(top / height.current) - BEYOND);
      const to = Math.min(items.length, Math.ceil((top + innerHeight) / height.current) + BEYOND);
      show((was) => (was.from === from && was.to === to ? was : { from, to: Math.max(to, from) }));
    };
    look();
    addEventListener("scroll", look, { passive: true });
    addEventListener("resize", look);
    return () => {
      removeEventListener("scroll", look);
      removeEventListener("resize", look);
    };
  }, [items.length]);
  const template = { gridTemplateColumns: columns.map((column) => column.width).join(" ") };
  const few = items.length <= 100;
  const from = few ? 0 : Math.min(shown.from, items.length);
  const to = few ? items.length : shown.to;
  return (
    <div class="list" role="table" aria-label={label} aria-rowcount={items.length + 1}>
      {head && (
        <div role="rowgroup" class="list-head">
          <div role="row" class="row" style={template}>
            {columns.map((column) => (
              <span role="columnheader" key={column.key} class={column.end ? "end" : ""}>
                {column.title || <span class="hidden">{t("actions")}</span>}
              </span>
            ))}
          </div>
        </div>
      )}
      <div role="rowgroup" ref={box} style={few ? undefined : { height: `${items.length * height.current}px`, paddingTop: `${from * height.current}px` }}>
        {items.slice(from, to).map((item, i) => {
          const to = link?.(item);
          return (
            <div role="row" data-row key={id(item)} class={`row ${kind?.(item) ?? ""}`} style={template} aria-rowindex={from + i + 2}>
              {columns.map((column, n) => (
                <span role="cell" key={column.key} class={`${column.end ? "end " : ""}narrow-${column.narrow ?? "none"}`}>
                  {n === 0 && to ? (
                    <a class="row-link" href={to}>
                      {column.cell(item)}
                    </a>
                  ) : (
                    column.cell(item)
                  )}
                </span>
              ))}
            </div>
          );
        })}
      </div>
    </div>
  );
}

// Where a list ends that goes on by pages: what brings the next one, unless it comes by itself as one scrolls there.
export function ListEnd({ end, next, busy, more }: { end: RefObject<HTMLDivElement | null>; next: unknown; busy: boolean; more: () => void }) {
  return (
    <div ref={end} class="list-end">
      {next ? (
        <button type="button" class="link" disabled={busy} onClick={more}>
          {busy ? t("loading") : t("more")}
        </button>
      ) : null}
    </div>
  );
}

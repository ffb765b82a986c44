// Things of the gateway shown in one way everywhere: telemetry, JSON, accounts, curves.
import type { ComponentChildren } from "preact";
import { number, size, utc, value } from "../core/format";
import type { Change, Line } from "../core/diff";
import type { Output } from "../core/types";
import { t, word } from "../texts";
import { Time } from "./basic";

export function Outputs({ outputs, ts = true }: { outputs: Output[]; ts?: boolean }) {
  return (
    <>
      {outputs.map((output, i) => (
        <div class="output" key={i}>
          <div class="output-head">
            <a href={`#/devices/${encodeURIComponent(output.deviceName ?? output.assetName ?? "")}`}>{output.deviceName ?? output.assetName}</a>
            <span class="dim">{output.deviceType ?? output.assetType}</span>
          </div>
          <div class="scroll" tabIndex={0} role="group" aria-label={t("telemetry")}>
            <table class="values">
              <tbody>
                {Object.entries(output.attributes ?? {}).map(([key, given]) => (
                  <tr key={`a${key}`}>
                    <th scope="row">{key}</th>
                    <td class="number">{value(given)}</td>
                    <td class="dim">{t("attribute")}</td>
                  </tr>
                ))}
                {(output.telemetry ?? []).flatMap((reading, n) =>
                  Object.entries(reading.values).map(([key, given]) => (
                    <tr key={`${n}${key}`}>
                      <th scope="row">{key}</th>
                      <td class="number">{value(given)}</td>
                      <td class="dim">{ts && <Time ms={reading.ts} />}</td>
                    </tr>
                  )),
                )}
              </tbody>
            </table>
          </div>
        </div>
      ))}
    </>
  );
}

export function Pairs({ items }: { items: [ComponentChildren, ComponentChildren][] }) {
  return (
    <dl class="pairs">
      {items.map(([name, given], i) => (
        <div key={i}>
          <dt>{name}</dt>
          <dd>{given}</dd>
        </div>
      ))}
    </dl>
  );
}

export function Json({ data, label }: { data: unknown; label: string }) {
  return (
    <pre class="code" tabIndex={0} aria-label={label}>
      {typeof data === "string" ? data : JSON.stringify(data, null, 2)}
    </pre>
  );
}

export interface Slice {
  key: string;
  count: number;
  kind: string;
  href?: string | undefined;
}

// The accounts of an integration: what was queued, as the sum of what became of it.
export function Accounts({ total, slices, balanced }: { total: number; slices: Slice[]; balanced: boolean }) {
  const there = slices.filter((slice) => slice.count > 0);
  return (
    <div class="accounts">
      <div class="bar" aria-hidden="true">
        {there.map((slice) => (
          <i key={slice.key} class={slice.kind} ref={(node) => node?.style.setProperty("flex-grow", String(Math.max(slice.count, total / 80)))} />
        ))}
      </div>
      <div class="sum">
        <span class={balanced ? "state good" : "state bad"} title={balanced ? t("accounts.balanced") : t("accounts.unbalanced")}>
          {t("accounts.queued", { n: total })} {balanced ? "=" : "≠"}
        </span>
        {slices.map((slice) => {
          const text = (
            <>
              <i class={slice.kind} aria-hidden="true" />
              <b class="number">{number(slice.count)}</b> {word(slice.key)}
            </>
          );
          return slice.href && slice.count ? (
            <a key={slice.key} href={slice.href}>
              {text}
            </a>
          ) : (
            <span key={slice.key} class={slice.count ? "" : "dim"}>
              {text}
            </span>
          );
        })}
      </div>
    </div>
  );
}

// A small curve; the last value is at its right.
export function Spark({ points: all, label, kind = "" }: { points: (number | null)[]; label: string; kind?: string }) {
  // what was before the gateway's start isn't known, and takes no room
  const points = all.slice(Math.max(0, all.findIndex((each) => each !== null)));
  const width = 120;
  const height = 28;
  const most = Math.max(1, ...points.map((each) => each ?? 0));
  const x = (i: number) => (points.length > 1 ? (i / (points.length - 1)) * width : width);
  const y = (each: number) => height - 2 - (each / most) * (height - 4);
  const known = points.map((each, i) => (each === null ? null : `${x(i).toFixed(1)},${y(each).toFixed(1)}`)).filter(Boolean);
  if (known.length < 2) return null;
  return (
    <svg class={`spark ${kind}`} viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={label}>
      <polygon points={`${known[0]!.split(",")[0]},${height} ${known.join(" ")} ${known.at(-1)!.split(",")[0]},${height}`} />
      <polyline points={known.join(" ")} />
    </svg>
  );
}

export function Diff({ lines }: { lines: Line[] }) {
  return (
    <div class="diff code" tabIndex={0} role="group" aria-label={t("diff")}>
      {near(lines).map((line, i) =>
        line === null ? (
          <div key={i} class="skip">
            ⋯
          </div>
        ) : (
          <div key={i} class={line.kind}>
            <span aria-hidden="true">{line.kind === "new" ? "+" : line.kind === "old" ? "−" : " "}</span>
            {line.kind !== "same" && <span class="hidden">{line.kind === "new" ? t("diff.new") : t("diff.old")}</span>}
            {line.text}
          </div>
        ),
      )}
    </div>
  );
}

// Only the lines within three of a change; null stands for what is left out.
function near(lines: Line[]): (Line | null)[] {
  const keep = lines.map((_, i) => lines.slice(Math.max(0, i - 3), i + 4).some((line) => line.kind !== "same"));
  return lines.flatMap((line, i) => (keep[i] ? [line] : keep[i - 1] || i === 0 ? [null] : []));
}

export function Changes({ changes }: { changes: Change[] }) {
  return (
    <table class="values">
      <tbody>
        {changes.map((change) => (
          <tr key={change.path}>
            <th scope="row">{change.path}</th>
            <td class="old">{change.old === undefined ? "–" : value(change.old)}</td>
            <td class="dim">→</td>
            <td class="new">{change.now === undefined ? "–" : value(change.now)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export const bytesOf = size;
export const exact = utc;

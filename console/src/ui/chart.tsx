// Curves over time, with a table of the same for who doesn't see them.
import { useEffect, useRef, useState } from "preact/hooks";
import { number, tick, time, value } from "../core/format";
import { night, theme } from "../core/theme";
import { t } from "../texts";
import type { Band, Words } from "./uplot";

const words: Words = { time: tick, number: (value) => number(value, 6) };
const short = (last: number | null | undefined) => (last === null || last === undefined ? "–" : value(Number(last.toPrecision(5))));

export function Chart({ label, times, bands, height = 220, span }: { label: string; times: number[]; bands: Band[]; height?: number; span?: [number, number] }) {
  const host = useRef<HTMLDivElement>(null);
  const [lost, setLost] = useState(false);
  const key = JSON.stringify([times, bands]);
  useEffect(() => {
    let end: (() => void) | undefined;
    let over = false;
    import("./uplot").then(({ draw }) => !over && host.current && (end = draw(host.current, times.map((ms) => ms / 1000), bands, words, height, span && [span[0] / 1000, span[1] / 1000])), () => setLost(true));
    return () => {
      over = true;
      end?.();
    };
  }, [key, theme.value, night.value]);
  return (
    <figure class="chart">
      <div ref={host} role="img" aria-label={label} class={`plot h${height}`} />
      <ul class="legend">
        {bands.map((band, i) => (
          <li key={band.label}>
            <i class={`c${(i % 6) + 1}`} aria-hidden="true" /> {band.label} <b class="number">{short(band.values.findLast((each) => each !== null))}</b>
          </li>
        ))}
      </ul>
      <details open={lost}>
        <summary>{t("chart.table")}</summary>
        <div class="scroll" tabIndex={0} role="group" aria-label={label}>
          <table class="values">
            <thead>
              <tr>
                <th scope="col">{t("time")}</th>
                {bands.map((band) => (
                  <th scope="col" key={band.label}>
                    {band.label}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {times.slice(-60).map((ms, i) => (
                <tr key={ms}>
                  <td>{time(ms)}</td>
                  {bands.map((band) => (
                    <td class="number" key={band.label}>
                      {value(band.values[Math.max(0, times.length - 60) + i] ?? "–")}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </figure>
  );
}

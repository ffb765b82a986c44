// uPlot, in a chunk of its own: only who looks at a curve loads it.
import uPlot from "uplot";
import { token } from "./token";

// How an axis' values are said: times in milliseconds since 1970, with how far they are apart, and numbers.
export interface Words {
  time: (ms: number, every: number) => string;
  number: (value: number) => string;
}

export interface Band {
  label: string;
  values: (number | null)[];
  low?: (number | null)[];
  high?: (number | null)[];
}

// Draws curves over time (seconds since 1970); returns how to take them away.
export function draw(host: HTMLElement, times: number[], bands: Band[], words: Words, height: number, span?: [number, number]): () => void {
  const colours = [1, 2, 3, 4, 5, 6].map((n) => token(host, `--curve-${n}`));
  const grid = { stroke: token(host, "--line"), width: 1 };
  const axis = { stroke: token(host, "--ink-2"), grid, ticks: grid, font: "12px system-ui" };
  const data: (number | null)[][] = [times];
  const series: uPlot.Series[] = [{}];
  const areas: uPlot.Band[] = [];
  bands.forEach((band, i) => {
    const colour = colours[i % colours.length]!;
    if (band.low && band.high) {
      data.push(band.high, band.low);
      series.push({ stroke: "transparent", points: { show: false } }, { stroke: "transparent", points: { show: false } });
      areas.push({ series: [data.length - 2, data.length - 1], fill: colour.replace("rgb(", "rgba(").replace(")", ", 0.2)") });
    }
    data.push(band.values);
    series.push({ label: band.label, stroke: colour, width: 2, spanGaps: true, points: { show: band.values.filter((each) => each !== null).length < 60, size: 5 } });
  });
  const plot = new uPlot({ width: host.clientWidth, height, series, bands: areas, axes: [{ ...axis, size: 34, values: (_, at, __, ___, every) => at.map((each) => words.time(each * 1000, every * 1000)) }, { ...axis, size: 56, values: (_, at) => at.map((each) => words.number(each)) }], legend: { show: false }, ...(span && { scales: { x: { range: span } } }), cursor: { drag: { x: true, y: false } } }, data as uPlot.AlignedData, host);
  const watch = new ResizeObserver(() => plot.setSize({ width: host.clientWidth, height }));
  watch.observe(host);
  return () => {
    watch.disconnect();
    plot.destroy();
  };
}

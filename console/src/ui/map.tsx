// A map that asks nobody: the outlines of countries come from the gateway itself. What stands on it is in a list below as well, for who doesn't see it.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { number } from "../core/format";
import { around, bar, bounded, distance, moved, nearer, NEAREST, pixel, seen, type Rectangle, type Size, type Spot, type View } from "../core/mercator";
import { go, href } from "../core/router";
import { night, theme } from "../core/theme";
import { t } from "../texts";
import { Icon } from "./icons";
import { token } from "./token";
import type { Ink } from "./world";

// Devices that stand close together: `name` where it is one.
export interface Mark extends Spot {
  count: number;
  troubled: number;
  name: string;
  label: string;
  // the rectangle in which they are, as the API's filter has it
  box: string;
}

interface MapProps {
  label: string;
  marks: Mark[];
  // the device of the page, if it is about one
  own?: (Spot & { name: string; text: string }) | undefined;
  // what is shown first, and again by "all"; how near that may be at most
  spots: Spot[];
  nearest: number;
  // the view that was kept in the address
  kept?: View | undefined;
  tall?: boolean;
  look: (seen: Rectangle, view: View, isMoved: boolean) => void;
}

// The southwestern and the northeastern end of where a mark's devices are.
export function corners(mark: Mark): Spot[] {
  const [south, west, north, east] = mark.box.split(",").map(Number) as [number, number, number, number];
  return [{ latitude: south, longitude: west }, { latitude: north, longitude: east }];
}

const STEP = 80;
const WIDE = 7;
type Worlds = typeof import("./world");

export function Map({ label, marks, own, spots, nearest, kept, tall, look }: MapProps) {
  const host = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [size, measure] = useState<Size>({ width: 0, height: 0 });
  const [view, turn] = useState<View | undefined>(kept);
  const [world, setWorld] = useState<Worlds>();
  const [lost, lose] = useState(false);
  const touches = useRef(new globalThis.Map<number, [number, number]>());
  useLayoutEffect(() => {
    const is = host.current!;
    const watch = new ResizeObserver(() => measure({ width: is.clientWidth, height: is.clientHeight }));
    watch.observe(is);
    measure({ width: is.clientWidth, height: is.clientHeight });
    import("./world").then(setWorld, () => lose(true));
    return () => watch.disconnect();
  }, []);
  const first = size.width > 0 ? around(spots, size, nearest) : undefined;
  const now = size.width > 0 ? bounded(view ?? first!, size) : undefined;
  useEffect(() => {
    if (!world || !now || !canvas.current) return;
    const colour = (name: string) => token(host.current!, `--${name}`);
    const ink: Ink = { sea: colour("info-soft"), land: colour("surface"), coast: colour("control"), border: colour("line-2"), grid: colour("line"), text: colour("ink-2") };
    world.drawWorld(canvas.current, now, size, ink);
  }, [world, now?.x, now?.y, now?.zoom, size.width, size.height, theme.value, night.value]);
  // whoever asks for what is seen is told when it has come to rest
  useEffect(() => {
    if (!now) return;
    const timer = setTimeout(() => look(seen(now, size), now, !!view), view ? 250 : 0);
    return () => clearTimeout(timer);
  }, [now?.x.toFixed(9), now?.y.toFixed(9), now?.zoom.toFixed(3), size.width, size.height]);
  const change = (to: (from: View) => View) => now && turn((from) => to(from ?? now));

  const at = (event: MouseEvent): [number, number] => {
    const edge = host.current!.getBoundingClientRect();
    return [event.clientX - edge.left, event.clientY - edge.top];
  };
  const spread = () => {
    const [a, b] = [...touches.current.values()] as [[number, number], [number, number]];
    return { middle: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2] as const, apart: Math.hypot(a[0] - b[0], a[1] - b[1]) || 1 };
  };
  // a mouse drags; of fingers it takes two, as one scrolls the page
  const down = (event: PointerEvent) => {
    if ((event.target as Element).closest("a, button") || event.button) return;
    touches.current.set(event.pointerId, at(event));
    if (event.pointerType !== "touch") host.current!.setPointerCapture(event.pointerId);
  };
  const move = (event: PointerEvent) => {
    const was = touches.current.get(event.pointerId);
    if (!was) return;
    const is = at(event);
    if (event.pointerType !== "touch") change((from) => moved(from, size, is[0] - was[0], is[1] - was[1]));
    else if (touches.current.size === 2) {
      const before = spread();
      touches.current.set(event.pointerId, is);
      const after = spread();
      change((from) => nearer(moved(from, size, after.middle[0] - before.middle[0], after.middle[1] - before.middle[1]), size, Math.log2(after.apart / before.apart), ...after.middle));
    }
    touches.current.set(event.pointerId, is);
  };
  const up = (event: PointerEvent) => touches.current.delete(event.pointerId);
  // the wheel scrolls the page, unless one works with the map
  useEffect(() => {
    const is = host.current!;
    const wheel = (event: WheelEvent) => {
      if (!event.ctrlKey && !event.metaKey && !is.contains(document.activeElement)) return;
      event.preventDefault();
      change((from) => nearer(from, size, -event.deltaY / (event.deltaMode ? 10 : 300), ...at(event)));
    };
    is.addEventListener("wheel", wheel, { passive: false });
    return () => is.removeEventListener("wheel", wheel);
  });
  // what is gathered is parted by coming nearer; where that doesn't help, it is listed
  const open = (mark: Mark) => {
    const to = around(corners(mark), size, NEAREST);
    if (to.zoom >= NEAREST) go(["devices"], { box: mark.box });
    else change(() => to);
  };
  const steps: Record<string, (from: View) => View> = {
    ArrowLeft: (from) => moved(from, size, STEP, 0),
    ArrowRight: (from) => moved(from, size, -STEP, 0),
    ArrowUp: (from) => moved(from, size, 0, STEP),
    ArrowDown: (from) => moved(from, size, 0, -STEP),
    "+": (from) => nearer(from, size, 1),
    "-": (from) => nearer(from, size, -1),
    "0": () => first!,
  };
  const press = (event: KeyboardEvent) => {
    const step = steps[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    change(step);
  };
  const scale = now && bar(now, Math.min(140, size.width / 3));
  return (
    <div class="map">
      <div class={tall ? "map-window tall" : "map-window"} ref={host} tabIndex={0} role="group" aria-label={`${label}. ${t("map.keys")}`} onPointerDown={down} onPointerMove={move} onPointerUp={up} onPointerCancel={up} onKeyDown={press}>
        <canvas ref={canvas} aria-hidden="true" />
        <div class="map-marks" aria-hidden="true">
          {now && placed(marks, own, now, size, (mark) => open(mark))}
        </div>
        {lost && <p class="map-note">{t("map.lost")}</p>}
        <div class="map-tools">
          <button type="button" title={t("map.in")} aria-label={t("map.in")} disabled={now && now.zoom >= NEAREST} onClick={() => change(steps["+"]!)}>
            <Icon name="plus" />
          </button>
          <button type="button" title={t("map.out")} aria-label={t("map.out")} onClick={() => change(steps["-"]!)}>
            <Icon name="minus" />
          </button>
          <button type="button" title={t("map.all")} aria-label={t("map.all")} onClick={() => change(steps["0"]!)}>
            <Icon name="whole" />
          </button>
        </div>
        {scale && (
          <div class="map-scale" aria-hidden="true" ref={(node) => node?.style.setProperty("width", `${scale.pixels}px`)}>
            {metres(scale.metres)}
          </div>
        )}
        <small class="map-source">Natural Earth</small>
      </div>
      <Table marks={marks} from={own} label={label} />
    </div>
  );
}

export function metres(of: number): string {
  return of >= 1000 ? `${number(of / 1000, of < 10_000 ? 1 : 0)} km` : `${number(of)} m`;
}

const text = (mark: Mark) => mark.label || mark.name || t("map.devices", { n: mark.count });

type Area = [left: number, top: number, right: number, bottom: number];
const half = (mark: Mark) => (mark.name ? 6 : 14);

// The marks that are seen, with those texts that cover nothing.
function placed(marks: Mark[], own: MapProps["own"], view: View, size: Size, open: (mark: Mark) => void) {
  const isSeen = ([left, top]: readonly [number, number]) => left > -20 && left < size.width + 20 && top > -20 && top < size.height + 20;
  const all = marks.filter((mark) => !own || mark.name !== own.name).map((mark) => ({ mark, at: pixel(view, size, mark) })).filter(({ at }) => isSeen(at));
  const taken = all.map(({ mark, at: [left, top] }): Area => [left - half(mark), top - half(mark), left + half(mark), top + half(mark)]);
  const speaks = (of: string, [left, top]: readonly [number, number], mine = -1) => {
    const wide = of.length * WIDE + 6;
    return (["right", "left"] as const).find((side) => {
      const from = side === "right" ? left + 8 : left - 8 - wide;
      const area: Area = [from, top - 8, from + wide, top + 8];
      if (from < 0 || area[2] > size.width || taken.some((other, i) => i !== mine && other[0] < area[2] && other[2] > area[0] && other[1] < area[3] && other[3] > area[1])) return false;
      taken.push(area);
      return true;
    });
  };
  const put = ([left, top]: readonly [number, number]) => ({ left: `${left}px`, top: `${top}px` });
  const here = own && pixel(view, size, own);
  if (own && here) taken.push([here[0] - 9, here[1] - 9, here[0] + 20 + own.text.length * WIDE, here[1] + 9]);
  return (
    <>
      {all.map(({ mark, at }, i) => {
        const said = text(mark);
        const side = mark.name && speaks(said, at, i);
        const kind = `mark ${mark.name ? "" : "many"} ${mark.troubled ? "bad" : ""}`;
        const key = `${mark.name} ${mark.latitude} ${mark.longitude}`;
        return mark.name ? (
          <a class={kind} style={put(at)} key={key} tabIndex={-1} title={said} href={href(["devices", mark.name])}>
            {side && <span class={side}>{said}</span>}
          </a>
        ) : (
          <button type="button" class={kind} style={put(at)} key={key} tabIndex={-1} title={said} onClick={() => open(mark)}>
            {short(mark.count)}
          </button>
        );
      })}
      {own && here && (
        <b class="mark own" style={put(here)}>
          <span class="right">{own.text}</span>
        </b>
      )}
    </>
  );
}

const short = (count: number) => (count < 1000 ? String(count) : `${number(count / 1000, count < 10_000 ? 1 : 0)}k`);

// The same as a list: the nearest first where the page is about one device.
function Table({ marks, from, label }: { marks: Mark[]; from: MapProps["own"]; label: string }) {
  const rows = marks.filter((mark) => mark.name !== from?.name).map((mark) => ({ mark, far: from ? distance(from, mark) : 0 })).sort((a, b) => a.far - b.far).slice(0, 100);
  if (!rows.length) return null;
  return (
    <details>
      <summary>{from ? t("map.near") : t("map.list")}</summary>
      <div class="scroll" tabIndex={0} role="group" aria-label={label}>
        <table class="values">
          <thead>
            <tr>
              <th scope="col">{t("nav.devices")}</th>
              {from && <th scope="col">{t("map.distance")}</th>}
              <th scope="col">{t("device.place")}</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ mark, far }) => (
              <tr key={`${mark.name} ${mark.latitude} ${mark.longitude}`}>
                <td>{mark.name ? <a href={href(["devices", mark.name])}>{text(mark)}</a> : <a href={href(["devices"], { box: mark.box })}>{text(mark)}</a>}</td>
                {from && <td class="number">{metres(far)}</td>}
                <td class="number">
                  {number(mark.latitude, 4)}, {number(mark.longitude, 4)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
